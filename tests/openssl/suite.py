#!/usr/bin/env python3
"""OpenSSL's own test suite, without the library and on each backend: the same files pass, and
nothing is found but what TRUE_FINDINGS names.

    suite.py --lib L --source FOLDER [--on RUNS] [--jobs N] [--keep FOLDER] [TEST...]

FOLDER is OpenSSL's source, 3.0 or later, as upstream or a distribution publishes it; it is
configured and built there with its defaults unless that was done before.  TESTs are names or
patterns as in OpenSSL's TESTS=..., all by default.  What the runs print is kept in a folder.

Standard library only.
"""

import argparse
import collections
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

RUNS = "plain,arena,libc,shm"
# Files that do on a backend what the library is there to report: they run apart, must pass, and what is found in them
# is printed.
TRUE_FINDINGS = {
    "shm": {
        "test_speed": "the children of `openssl speed -multi` free what their parent made before the fork, each as if it"
        " had a copy: in shared memory these are double frees"
    }
}
# A file that fails stands behind what it printed, and the reason on the next line.  00-prep_*.t tests
# nothing, and the suite does not count it.
RECIPE = re.compile(r"((?!00-)\d\d-[\w.-]+\.t) \.\.+[ ]*(.*)")
GUARDED = re.compile(r"freeonce: freeonce \S+ in front of ", re.M)
FINDING = re.compile(r"^freeonce: (.*(?:\n  .*)+)", re.M)  # a headline and its places
NOT_GUARDED = re.compile(r"^freeonce: (.*(?:unprotected|not guarded).*)$", re.M)


@dataclasses.dataclass
class Result:
    """What a run of the suite did."""

    files: dict  # name of a recipe: how it ended
    log: str  # what the library reported
    seconds: float
    true: int = 0  # findings of TRUE_FINDINGS

    def passed(self):
        return {name for name, end in self.files.items() if end.startswith(("ok", "skipped"))}

    def skipped(self):
        return [name for name, end in self.files.items() if end.startswith("skipped")]

    def findings(self):
        return FINDING.findall(self.log)

    def text(self):
        words = f"{len(self.passed())} of {len(self.files)} files passed"
        if self.skipped():
            words += f" ({len(self.skipped())} of them skipped)"
        return f"{words}, {self.seconds:.0f} s"


def make(source, jobs, *arguments, **options):
    return subprocess.run(["make", "-C", str(source), f"-j{jobs}", *arguments], **options)


def build(source, jobs):
    """Configure and build in the source folder, once."""
    if not (source / "Makefile").exists():
        subprocess.run(["./config"], cwd=source, check=True, stdout=subprocess.DEVNULL)
    if make(source, jobs, "build_sw", stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"{source} cannot be built")


def version_of(source):
    found = dict(re.findall(r"^(\w+)=(.*)$", (source / "VERSION.dat").read_text(), re.M))
    return ".".join(found[part] for part in ("MAJOR", "MINOR", "PATCH"))


def settings(arguments, name, log):
    """The library goes to all that the suite starts: perl, shells and compiled programs."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FREEONCE_")}
    environment |= {"HARNESS_JOBS": str(arguments.jobs), "LC_ALL": "C"}
    if name != "plain":
        environment["LD_PRELOAD"] = str(arguments.lib)
        environment |= {"FREEONCE_BACKEND": name, "FREEONCE_LOG": str(log)}
        environment |= {"FREEONCE_VERBOSE": "1"}
    return environment


def run_files(arguments, name, tests, label):
    log = arguments.keep / f"{label}.findings"
    log.unlink(missing_ok=True)
    began = time.monotonic()
    output = arguments.keep / f"{label}.output"
    with open(output, "wb") as out:
        make(
            arguments.source,
            1,
            "run_tests",
            f"TESTS={' '.join(tests)}",
            env=settings(arguments, name, log),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    text = output.read_text(errors="backslashreplace")
    said = log.read_text(errors="backslashreplace") if log.exists() else ""
    files = {match[1]: match[2] or "failed" for match in RECIPE.finditer(text)}
    return Result(files, said, time.monotonic() - began)


def run_suite(arguments, name):
    apart = TRUE_FINDINGS.get(name, {}) if not arguments.tests else {}
    if not apart:
        return run_files(arguments, name, arguments.tests, name)
    most = run_files(arguments, name, ["alltests", *(f"-{test}" for test in apart)], name)
    rest = run_files(arguments, name, list(apart), f"{name}-true")
    return dataclasses.replace(
        most, files=most.files | rest.files, seconds=most.seconds + rest.seconds, true=len(rest.findings())
    )


def compare(name, plain, ours):
    """The differences between a run with the library and the one without."""
    for recipe in sorted(plain.files | ours.files):
        ends = [run.files.get(recipe, "did not run") for run in (plain, ours)]
        if (recipe in plain.passed()) != (recipe in ours.passed()):
            yield f"{name}: {recipe}: {ends[1]} (without the library: {ends[0]})"


def complaints(name, ours):
    """Errors that no run with the library may have."""
    for finding, times in collections.Counter(ours.findings()).items():
        yield f"{name}: found {times} times: {finding}"
    if not GUARDED.search(ours.log):
        yield f"{name}: no process was guarded"


def tell(name, result):
    guarded = len(GUARDED.findall(result.log))
    more = f", {guarded} processes guarded, {len(result.findings())} findings" if guarded else ""
    print(f"{name:<6} {result.text()}{more}", flush=True)
    reasons = collections.Counter(NOT_GUARDED.findall(result.log))
    for reason, times in reasons.most_common():
        print(f"         not guarded, {times} processes: {reason}")
    if result.true:
        for test, reason in TRUE_FINDINGS[name].items():
            print(f"         {result.true} true findings in {test}: {reason}")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lib", type=pathlib.Path, required=True, help="libfreeonce.so")
    parser.add_argument("--source", type=pathlib.Path, required=True, help="OpenSSL's source")
    parser.add_argument("--on", default=RUNS, help=f"plain and backends (default: {RUNS})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="files at a time")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for what the runs print")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    arguments = parser.parse_args()
    for option in ("lib", "source"):
        path = getattr(arguments, option).resolve()
        if not path.exists():
            parser.error(f"--{option}: no such file: {path}")
        setattr(arguments, option, path)
    if shutil.which("make") is None:
        sys.exit("suite.py: OpenSSL's suite needs make, which is not here")
    if not (arguments.source / "test" / "recipes").is_dir():
        parser.error(f"--source: {arguments.source} has no test/recipes")
    if arguments.keep is None:
        arguments.keep = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-openssl-suite-"))
    arguments.keep.mkdir(parents=True, exist_ok=True)
    arguments.keep = arguments.keep.resolve()
    return arguments


def main():
    arguments = parse_arguments()
    build(arguments.source, arguments.jobs)
    print(f"OpenSSL {version_of(arguments.source)}; output in {arguments.keep}", flush=True)
    problems, plain = [], None
    for name in filter(None, arguments.on.split(",")):
        result = run_suite(arguments, name)
        tell(name, result)
        if not result.files:
            sys.exit("no file ran")
        if name == "plain":
            plain = result
            continue
        reference = plain or Result(dict.fromkeys(result.files, "ok"), "", 0)
        problems += compare(name, reference, result)
        problems += complaints(name, result)
    print("\n".join(problems) or "no difference")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
