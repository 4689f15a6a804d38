#!/usr/bin/env python3
"""Where others can truncate the journal, the library has a handler for SIGBUS: a bus error of the program
is what it is without the library, whatever handler the program has, and whenever it was installed."""

import functools
import os
import pathlib
import resource
import subprocess
import tempfile

import harness

HANDLERS = (
    "default",
    "ignore",
    "plain",
    "siginfo",
    "siginfo+onstack",
    "siginfo+nodefer",
    "nodefer+mask",
    "once",
    "once+nodefer",
    "restart",
    "siginfo+onstack+restart+mask",
)
CAUSES = ("grow", "jump", "kill", "read")
TRUNCATED = "the journal was truncated\n"


def outcome(given, argv, env):
    """(status, stdout, stderr)"""
    program = (given.reports.parent / "buserrors").resolve()
    done = subprocess.run(
        [program, *argv],
        env={"PATH": os.environ["PATH"]} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=harness.DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def guarded(given, argv, mode=0o666):
    with tempfile.TemporaryDirectory(prefix="freeonce-buserrors-") as folder:
        journal = pathlib.Path(folder) / "journal"
        journal.touch()
        journal.chmod(mode)
        env = harness.environment(given, "arena", JOURNAL=str(journal))
        status, output, errors = outcome(given, argv, env)
        harness.expect("the finding", 1, errors.count("freeonce: double free of block"))
        return status, output


def same(given, *argv):
    harness.expect("status and output", outcome(given, argv, {})[:2], guarded(given, argv))


def survives(given, handler):
    expected = TRUNCATED + "end of the child\nchild: status 0, signal 0\n" + TRUNCATED + "end\n"
    harness.expect("with a handler of the library", (0, expected), guarded(given, ["before", handler, "journal"]))


def owner_alone(given):
    """A user who can truncate it there can end the process anyway: the library has no handler."""
    status, output = guarded(given, ["before", "default", "journal"], mode=0o600)
    harness.expect("without one", (-7, "child: status -1, signal 7\n"), (status, output))


def cases(given):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    listed = {
        "owner": functools.partial(owner_alone, given),
        "after.chained": functools.partial(same, given, "after", "chained", "grow"),
        "before.chained": functools.partial(same, given, "before", "chained", "grow"),
    }
    for handler in HANDLERS:
        listed[f"survives.{handler}"] = functools.partial(survives, given, handler)
        for when in ("before", "after"):
            for cause in CAUSES:
                listed[f"{when}.{handler}.{cause}"] = functools.partial(same, given, when, handler, cause)
    return listed


if __name__ == "__main__":
    harness.main(cases)
