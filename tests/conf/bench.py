"""What the tests of options share: a folder, commands run in it, and tests that are functions.

Standard library only.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

SKIPPED = 77  # SKIP_RETURN_CODE of ctest
DEADLINE = 300  # seconds a command
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


class Skip(Exception):
    pass


class Bench:
    def __init__(self, arguments, folder):
        self.lib, self.freeonce, self.faults = arguments.lib, arguments.freeonce, arguments.faults
        self.dir = pathlib.Path(folder)

    def run(self, *argv, env=None, **more):
        """The command's outcome: returncode, stdout, stderr as text."""
        clean = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            list(map(str, argv)),
            env={**clean, **(env or {})},
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=DEADLINE,
            **more,
        )

    def options(self, *argv, **more):
        return self.run(self.freeonce, "options", *argv, **more)

    def file(self, text, name="freeonce.conf", mode=0o644):
        path = self.dir / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path


def equal(what, expected, seen):
    if expected != seen:
        raise AssertionError(f"{what}\n  expected: {expected!r}\n  seen:     {seen!r}")


def contains(what, part, text):
    if part not in text:
        raise AssertionError(f"{what}\n  expected: {part!r}\n  in:       {text!r}")


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def run_one(test, arguments):
    folder = tempfile.mkdtemp(prefix="freeonce-conf-")
    os.chmod(folder, 0o755)
    try:
        test(Bench(arguments, folder))
        return "passed"
    except Skip as reason:
        print(f"skipped  {test.__name__}: {reason}")
        return "FAILED" if os.environ.get("CI") == "true" else "skipped"
    except (AssertionError, subprocess.SubprocessError):
        print(f"FAILED   {test.__name__}:")
        traceback.print_exc(limit=-2, file=sys.stdout)
        return "FAILED"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(description, tests):
    parser = argparse.ArgumentParser(description=description)
    for name in ("lib", "freeonce", "faults"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="*", metavar="TEST", help="default: all")
    arguments = parser.parse_args()
    for name in ("lib", "freeonce", "faults"):
        setattr(arguments, name, getattr(arguments, name).resolve(strict=True))
    chosen = [test for test in tests if not arguments.names or test.__name__ in arguments.names]
    ends = [run_one(test, arguments) for test in chosen]
    print(f"{ends.count('passed')} of {len(ends)} passed, {ends.count('skipped')} skipped")
    if "FAILED" in ends or not ends:
        return 1
    return SKIPPED if ends.count("skipped") == len(ends) else 0
