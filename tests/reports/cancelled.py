#!/usr/bin/env python3
"""A thread whose cancellation is pending allocates, frees and reports: nothing of it is a cancellation
point, wherever reports go, on each backend."""

import functools
import os
import pathlib
import socket
import sys
import tempfile

import harness

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import mounts  # noqa: E402

# What each kind must report; "much" and "in-child" find nothing else.
HEADLINES = {
    "double-free": "double free of block",
    "object": "double free of X509",
    "reference": "reference to freed X509",
    "interior": "16 bytes inside block",
    "foreign": "which OpenSSL never allocated",
    "realloc": "realloc of freed block",
    "much": "double free of block",
    "in-child": "double free of block",
    "overflow": "which was written past its end",
    "write-after-free": "write to freed block",
}
WATCHED = ("overflow", "write-after-free")
KINDS = tuple(kind for kind in HEADLINES if kind not in WATCHED)
STACKS = {"STACKS": "8"}
WATCH = {"CANARY": "1", "FILL": "1", "QUARANTINE": "64K"}


def expect_findings(kinds, text):
    for kind in kinds:
        harness.expect(f"{HEADLINES[kind]!r} is reported", True, HEADLINES[kind] in text)


def to_stderr(given, backend, kinds=KINDS, options=None):
    process = harness.start(given, backend, ["cancelled", *kinds], options)
    expect_findings(kinds, harness.finish(process)[1])


def to_file(given, backend):
    with tempfile.TemporaryDirectory(prefix="freeonce-reports-") as folder:
        log = pathlib.Path(folder) / "log"
        process = harness.start(given, backend, ["cancelled", *KINDS], STACKS | {"LOG": str(log)})
        harness.expect("stderr", "", harness.finish(process)[1])
        expect_findings(KINDS, log.read_text())


def to_journal(given, backend):
    with tempfile.TemporaryDirectory(prefix="freeonce-reports-") as folder:
        options = STACKS | {"LOG": "journal", "JOURNAL": f"{folder}/journal"}
        process = harness.start(given, backend, ["cancelled", *KINDS], options)
        harness.expect("stderr", "", harness.finish(process)[1])
        journal = pathlib.Path(folder, "journal").read_bytes()
        harness.expect("the journal has findings", True, b"double-free" in journal)


def to_syslog(given, backend):
    if os.geteuid() != 0 or mounts.namespace() is None:
        return "needs root and a mount namespace, for /dev/log"
    with tempfile.TemporaryDirectory(prefix="freeonce-reports-") as folder:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(f"{folder}/log")
            prefix = [*mounts.namespace(), "sh", "-c", f'mount --bind {folder} /dev && exec "$@"', "sh"]
            argv = ["cancelled", "double-free", "object"]
            process = harness.start(given, backend, argv, {"LOG": "syslog"}, prefix=prefix)
            harness.expect("stderr", "", harness.finish(process)[1])
            daemon.setblocking(False)
            harness.expect("a line", True, b"freeonce: double free" in daemon.recv(4096))
    return None


def cases(given):
    all_cases = {}
    for backend in harness.BACKENDS:
        of_backend = functools.partial(to_stderr, given, backend)
        for kind in KINDS:
            all_cases[f"{backend}.{kind}"] = functools.partial(of_backend, [kind])
        all_cases[f"{backend}.all"] = of_backend
        all_cases[f"{backend}.stacks"] = functools.partial(of_backend, options=STACKS)
        if backend != "guard":
            all_cases[f"{backend}.watched"] = functools.partial(of_backend, WATCHED, STACKS | WATCH)
        for way in (to_file, to_journal, to_syslog):
            all_cases[f"{backend}.{way.__name__}"] = functools.partial(way, given, backend)
    return all_cases


if __name__ == "__main__":
    harness.main(cases)
