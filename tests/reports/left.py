#!/usr/bin/env python3
"""After a call was left by another way than its return, that call is not named in reports."""

import functools
import re

import harness

CALLER = re.compile(r"left:\d+ by \S+\+0x")


def names_no_caller(given, backend, argv, program=None):
    errors = harness.finish(harness.start(given, backend, argv, program=program))[1]
    harness.expect("the report", True, "freed first  left:2" in errors and "freed again  left:3" in errors)
    harness.expect("callers", [], CALLER.findall(errors))


def names_the_caller(given, backend):
    errors = harness.finish(harness.start(given, backend, ["left", "returns"]))[1]
    harness.expect("the first free's caller", True, "freed first  left:12 by reports+0x" in errors)
    harness.expect("the second's", True, re.search("freed again  left:13 +pid", errors) is not None)


def cases(given):
    listed = {}
    thrown = given.reports.parent / "thrown"
    for backend in harness.BACKENDS:
        listed[f"{backend}.returns"] = functools.partial(names_the_caller, given, backend)
        for way in ("longjmp", "signal", "exit", "cancel"):
            listed[f"{backend}.{way}"] = functools.partial(names_no_caller, given, backend, ["left", way])
        listed[f"{backend}.exception"] = functools.partial(names_no_caller, given, backend, [], thrown)
        if not thrown.exists():
            listed[f"{backend}.exception"] = lambda: "there is no compiler for C++"
    return listed


if __name__ == "__main__":
    harness.main(cases)
