"""Running `reports` with the library preloaded: arguments, environments, error messages."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BACKENDS = ("libc", "arena", "shm", "guard")
DEADLINE = int(os.environ.get("REPORTS_DEADLINE", "60"))
SKIPPED = 77


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lib", type=pathlib.Path, required=True)
    parser.add_argument("--reports", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=12, help="of a case that has chance in it")
    parser.add_argument("names", nargs="*", help="cases; default: all")
    return parser.parse_args()


def environment(given, backend, **options):
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "LD_PRELOAD": str(given.lib.resolve())}
    env["FREEONCE_BACKEND"] = backend
    return env | {f"FREEONCE_{name}": value for name, value in options.items()}


def start(given, backend, argv, options=None, **how):
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    prefix, program = how.pop("prefix", []), how.pop("program", None) or given.reports
    return subprocess.Popen(
        [*prefix, str(program.resolve()), *argv],
        env=environment(given, backend, **(options or {})),
        **how,
    )


class Failed(Exception):
    pass


def expect(what, wanted, seen):
    if wanted != seen:
        raise Failed(f"{what}: expected {wanted!r}, seen {seen!r}")


def finish(process, data=None):
    """stdout and stderr of a process that ended well."""
    try:
        output, errors = process.communicate(data, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"it did not end within {DEADLINE} seconds") from None
    output, errors = ((text or b"").decode(errors="backslashreplace") for text in (output, errors))
    if process.returncode != 0 or not output.endswith("end\n"):
        raise Failed(f"status {process.returncode}, stdout:\n{output}\nstderr:\n{errors}")
    return output, errors


def run_all(cases):
    """cases: {name: a function that raises Failed, or returns why it was skipped}."""
    failed = skipped = 0
    for name, case in cases.items():
        try:
            why = case()
        except Failed as error:
            failed += 1
            print(f"FAILED   {name}: {error}")
            continue
        if why:
            skipped += 1
            print(f"skipped  {name}: {why}")
    print(f"{len(cases) - failed - skipped} of {len(cases)} cases passed, {failed} failed, {skipped} skipped")
    return 1 if failed else SKIPPED if skipped == len(cases) else 0


def copy_for_all(given, folder):
    """The files where other users can read them: the tree may lie in root's home."""
    os.chmod(folder, 0o755)
    for name in ("lib", "reports"):
        setattr(given, name, pathlib.Path(shutil.copy(getattr(given, name).resolve(), folder)))


def main(all_cases, for_all_users=False):
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="freeonce-reports-") as folder:
        if for_all_users:
            copy_for_all(given, folder)
        cases = all_cases(given)
        chosen = {name: case for name, case in cases.items() if not given.names or name in given.names}
        status = run_all(chosen)
    sys.exit(status)
