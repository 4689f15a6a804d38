#!/usr/bin/env python3
"""With FREEONCE_FAULTS=1 the library looks at what ends a program.  The program, its handlers and what it
asks of sigaction(2) are what they are without the library; and what ended it is named."""

import functools
import os
import re
import resource
import subprocess

import harness

CI = {"QUARANTINE": "4M", "FILL": "1", "CANARY": "1", "FAULTS": "1"}
HANDLERS = (
    "default",
    "ignore",
    "plain",
    "siginfo",
    "siginfo+onstack",
    "small",
    "siginfo+nodefer",
    "nodefer+mask",
    "once",
    "signal",
    "plain+recovers",
    "siginfo+onstack+mask+recovers",
    "plain+reraises",
    "plain+returns",
    "once+nodefer+reraises",
    "signal+returns",
    "plain+ends",
)
CAUSES = ("stale", "null", "abort", "bus", "kill", "stack", "raise", "twice", "vfork", "spawn", "queries")
USED = r"SIG\w+: block 0x[0-9a-f]+ \(400 bytes\) was used after free, "
PERHAPS = r"SIG\w+: perhaps freed block 0x[0-9a-f]+ \(400 bytes\) was used after free, "
ENDS = "the program ends"
HANDLED = "the program's own handler is called"
NOTHING = r"SIG\w+: no freed block was found in the registers and on the stack, the program ends"
NOT_CERTAIN = f"({NOTHING}|{PERHAPS.replace('400', '[0-9]+')}{ENDS})"
# The report of a fault that has no handler.
SAID = {
    "stale": [USED + ENDS],
    "called": [USED + ENDS],
    "null": [PERHAPS + ENDS],
    "wild": [NOT_CERTAIN],
    "abort": [NOT_CERTAIN],
    "assert": [PERHAPS + ENDS],
    "trap": [NOT_CERTAIN],
    "bus": [PERHAPS + ENDS],
    "raise": [NOT_CERTAIN],
    "kill": [],
    "twice": [NOT_CERTAIN],
    "sandbox": [USED + ENDS],
    "sandbox-abort": [NOT_CERTAIN],
    "thread": [USED + ENDS],
    "child": [USED + ENDS],
    "vfork": [USED + ENDS],
    "spawn": [USED + ENDS],
    "queries": [],
}


def outcome(given, argv, env):
    """(status, stdout, stderr)"""
    program = (given.reports.parent / "crashes").resolve()
    try:
        done = subprocess.run(
            [program, *argv],
            env={"PATH": os.environ["PATH"]} | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=harness.DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise harness.Failed(f"it did not end within {harness.DEADLINE} seconds") from None
    return done.returncode, done.stdout, done.stderr


def same(given, backend, *argv):
    """stderr of a run that was otherwise as without the library"""
    status, output, errors = outcome(given, argv, harness.environment(given, backend, **CI))
    harness.expect("status and output", outcome(given, argv, {})[:2], (status, output))
    return errors


def headlines(errors):
    return [line.removeprefix("freeonce: ") for line in errors.splitlines() if line.startswith("freeonce: ")]


def check_said(wanted, errors):
    said = headlines(errors)
    if len(said) != len(wanted) or not all(map(re.fullmatch, wanted, said)):
        raise harness.Failed(f"expected to be said: {wanted}, said:\n{errors}")


def as_without(given, when, handler, cause):
    same(given, "arena", when, handler, cause)


def said(given, backend, cause):
    errors = same(given, backend, "after", "default", cause)
    check_said(SAID[cause], errors)
    if cause == "stale" and not re.search(
        r"  allocated    crashes.c:\d+ .*\n  freed first  crashes.c:\d+ .*\n"
        r"  fault        by crashes\+0x[0-9a-f]+ .*\n    #0 crashes\+0x",
        errors,
    ):
        raise harness.Failed(f"the three places and the stack are missing:\n{errors}")


def recovered(given, cause, wanted):
    """A program that handles a fault may cause it on purpose: only what is certain is reported."""
    check_said(wanted, same(given, "arena", "after", "plain+recovers", cause))


def crash_of_each_thread(given, backend):
    """They may fault at the same moment; the first may end the process."""
    found = headlines(same(given, backend, "after", "default", "threads"))
    if not found or not all(re.fullmatch(USED + ENDS, line) for line in found):
        raise harness.Failed(f"said: {found}")


def off(given):
    env = harness.environment(given, "arena", FILL="1")
    harness.expect("without FREEONCE_FAULTS", "", outcome(given, ["after", "default", "stale"], env)[2])


def cases(given):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    listed = {
        "off": functools.partial(off, given),
        "recovered.stale": functools.partial(recovered, given, "stale", [USED + HANDLED]),
        "recovered.null": functools.partial(recovered, given, "null", []),
        "recovered.bus": functools.partial(recovered, given, "bus", []),
    }
    for backend in ("arena", "libc"):
        listed[f"threads.{backend}"] = functools.partial(crash_of_each_thread, given, backend)
        for cause in SAID:
            listed[f"said.{cause}.{backend}"] = functools.partial(said, given, backend, cause)
    for handler in HANDLERS:
        for when in ("before", "after"):
            for cause in CAUSES:
                listed[f"{when}.{handler}.{cause}"] = functools.partial(as_without, given, when, handler, cause)
    return listed


if __name__ == "__main__":
    harness.main(cases)
