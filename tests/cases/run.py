#!/usr/bin/env python3
"""Runs cases: one program, one fault, one process, its report compared byte for byte.

    run.py --groups                                        names of groups, TABLE.BACKEND
    run.py --list                                          names of cases, BACKEND.CASE
    run.py --lib L --programs DIR --plugin P NAME ...      run these, a group or a case each
    run.py --lib L --programs DIR --plugin P               run all

Standard library only.
"""

import argparse
import concurrent.futures
import difflib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

# pylint: disable=wrong-import-position
import model
import table_changes
import table_cures
import table_doubles
import table_forks
import table_generators
import table_hooks
import table_loader
import table_names
import table_options
import table_ownership
import table_pointers
import table_rwlocks
import table_sandbox
import table_secure
import table_watch
from advice import without_advice

TABLES = {
    "pointers": table_pointers,
    "names": table_names,
    "doubles": table_doubles,
    "forks": table_forks,
    "sandbox": table_sandbox,
    "secure": table_secure,
    "rwlocks": table_rwlocks,
    "hooks": table_hooks,
    "loader": table_loader,
    "options": table_options,
    "cures": table_cures,
    "changes": table_changes,
    "generators": table_generators,
    "watch": table_watch,
    "ownership": table_ownership,
}
SKIPPED = 77  # SKIP_RETURN_CODE of ctest
DEADLINE = 300  # seconds; healthy runs take milliseconds
AT_ONCE = 2  # runs


def all_cases():
    """{"libc.double-free": (case, "libc")} in order."""
    cases = {}
    for table in TABLES.values():
        for case in table.CASES:
            for backend in case.backends:
                name = f"{backend}.{case.name}"
                assert name not in cases, f"{name} is there twice"
                cases[name] = (case, backend)
    return cases


def all_groups():
    """{"doubles.libc": [names of cases]} in order."""
    groups = {}
    for title, table in TABLES.items():
        for case in table.CASES:
            for backend in case.backends:
                groups.setdefault(f"{title}.{backend}", []).append(f"{backend}.{case.name}")
    return groups


class Run:
    """One run of a case's program in a folder of its own."""

    def __init__(self, case, backend, arguments, preload):
        self.case, self.backend, self.arguments = case, backend, arguments
        self.dir = tempfile.mkdtemp(prefix="freeonce-case-")
        os.chmod(self.dir, 0o755)
        self.known = {
            "dir": self.dir,
            "lib": str(arguments.lib),
            "programs": str(arguments.programs),
            "plugin": str(arguments.plugin),
            "crypto": arguments.crypto,
        }
        self.preload = preload

    def argv(self):
        program, *rest = model.fill(self.case.run, self.known).split()
        added = model.BACKENDS[self.backend][0] if self.backend in model.BACKENDS else []
        return [str(self.arguments.programs / program), *added, *rest]

    def environment(self):
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "CASE_WORD": "word"}
        if self.backend in model.BACKENDS:
            env["FREEONCE_BACKEND"] = model.BACKENDS[self.backend][1]
        env.update(self.case.env)
        env = {name: model.fill(value, self.known) for name, value in env.items()}
        if self.preload:
            env["LD_PRELOAD"] = str(self.arguments.lib)
        return env

    def limit(self):
        size = self.case.space << 20
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    def start(self):
        """The outcome of the run, or None after the deadline."""
        process = subprocess.Popen(
            self.argv(),
            env=self.environment(),
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=self.limit if self.case.space else None,
        )
        try:
            output, errors = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
        output, errors = (text.decode(errors="backslashreplace") for text in (output, errors))
        errors = without_advice(errors)
        facts = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
        program = self.case.run.split()[0]
        values = model.derived(facts, process.pid, program, self.backend)
        values.update(self.known)
        outcome = model.Outcome(
            self.case, self.backend, process.returncode, facts, output, errors, values
        )
        if self.case.log:
            outcome.log = self.read_log(values)
        return outcome

    def read_log(self, values):
        path = pathlib.Path(model.fill(self.case.log, values))
        return without_advice(path.read_text(errors="backslashreplace")) if path.exists() else f"(no {path})\n"

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def difference(what, wanted, seen):
    lines = difflib.unified_diff(
        wanted.splitlines(), seen.splitlines(), "expected", "seen", lineterm="", n=9
    )
    return f"{what} differs:\n" + "\n".join("    " + line for line in lines)


def complaint_about(outcome):
    """The complaint about this outcome, or None."""
    case = outcome.case
    if outcome.status not in (case.status if isinstance(case.status, tuple) else (case.status,)):
        return (
            f"exit status: expected {case.status}, seen {outcome.status}\n"
            f"  stderr:\n{outcome.errors}\n  stdout:\n{outcome.output}"
        )
    problem = model.unguarded(outcome)
    if problem:
        return f"{problem}\n  stderr:\n{outcome.errors}"
    for name, value in case.facts.items():
        value = model.fill(value, outcome.values)
        if outcome.facts.get(name) != value:
            return f"{name}: expected {value!r}, seen {outcome.facts.get(name)!r}"
    if case.check is not None:
        problem = case.check(outcome)
        return problem and f"{problem}\n  stderr:\n{outcome.errors}"
    wanted = model.expected(case.report, outcome.values) if case.report else ""
    on_stderr = wanted
    if case.log:
        if model.comparable(outcome.log, outcome.facts) != wanted:
            return difference("the log", wanted, model.comparable(outcome.log, outcome.facts))
        on_stderr = ""
    seen = model.comparable(outcome.errors, outcome.facts)
    return None if seen == on_stderr else difference("stderr", on_stderr, seen)


def try_case(case, backend, arguments):
    """The complaint about a case, or None."""
    problem = run_case(case, backend, arguments)
    if problem is not None and case.chance:
        problem = run_case(case, backend, arguments)  # a new process has another key
    return problem


def run_case(case, backend, arguments):
    run = Run(case, backend, arguments, case.preload)
    plain = Run(case, backend, arguments, False) if case.same_without else None
    try:
        outcome = run.start()
        if outcome is None:
            return f"it did not end within {DEADLINE} seconds"
        problem = complaint_about(outcome)
        if problem is None and plain is not None:
            without = plain.start()
            if without is None or without.output != outcome.output:
                return difference("stdout", without.output if without else "", outcome.output)
        return problem
    except KeyError as error:
        return f"{error.args[0]}\n  stderr:\n{outcome.errors}\n  stdout:\n{outcome.output}"
    finally:
        for each in filter(None, (run, plain)):
            each.remove()


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", action="store_true", help="print the names of all groups")
    parser.add_argument("--list", action="store_true", help="print the names of all cases")
    parser.add_argument("--lib", type=pathlib.Path, help="libfreeonce.so")
    parser.add_argument("--programs", type=pathlib.Path, help="where the programs were built")
    parser.add_argument("--plugin", type=pathlib.Path, help="the example plug-in")
    parser.add_argument("--crypto", default="libcrypto.so.3", help="the libcrypto to dlopen")
    parser.add_argument("names", nargs="*", metavar="NAME", help="TABLE.BACKEND or BACKEND.CASE")
    arguments = parser.parse_args()
    if arguments.list or arguments.groups:
        return arguments
    for option in ("lib", "programs", "plugin"):
        path = getattr(arguments, option)
        if path is None or not path.exists():
            parser.error(f"--{option}: no such file: {path}")
        setattr(arguments, option, path.resolve())
    return arguments


def run_one(name, case, backend, arguments):
    """The result of a case: "passed", "skipped" or "FAILED".  The environment variable EXCUSED names cases, without the
    backend, that fail in an emulator (scripts/arm64)."""
    missing = case.needs() if case.needs is not None else None
    if name.split(".", 1)[1] in os.environ.get("EXCUSED", "").split():
        missing = "EXCUSED names it"
    if case.optional and not (arguments.programs / case.run.split()[0]).exists():
        missing = f"{case.run.split()[0]} was not built: no static libcrypto, or one without what it needs"
    problem = None if missing else try_case(case, backend, arguments)
    if missing:
        print(f"skipped  {name}: {missing}", flush=True)
    elif problem:
        print(f"FAILED   {name}: {problem}", flush=True)
    return "skipped" if missing else "FAILED" if problem else "passed"


def main():
    arguments, cases, groups = parse_arguments(), all_cases(), all_groups()
    if arguments.list or arguments.groups:
        print("\n".join(cases if arguments.list else groups))
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # some cases end by SIGABRT
    names = [case for name in arguments.names for case in groups.get(name, [name])] or list(cases)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda name: run_one(name, *cases[name], arguments), names))
    print(
        f"{ends.count('passed')} of {len(ends)} cases passed, {ends.count('FAILED')} failed,"
        f" {ends.count('skipped')} skipped, {time.monotonic() - began:.1f} s"
    )
    if "FAILED" in ends:
        return 1
    return SKIPPED if ends.count("skipped") == len(ends) else 0


if __name__ == "__main__":
    sys.exit(main())
