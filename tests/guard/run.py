#!/usr/bin/env python3
"""Runs every case of `guard` with the library preloaded, and compares the report, word for word, and
the program's exit status.  Addresses, pids and code offsets become placeholders; the lines of the
allocation and of the frees are facts that the program prints."""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

# pylint: disable=wrong-import-position
from advice import without_advice

ALLOCATED = "  allocated  {file}:{alloc}  pid PID (guard)\n"
FIRST = "  freed first  {file}:{first}  pid PID (guard)\n"
AGAIN = "  freed again  {file}:{now}  pid PID (guard)\n"
NOW = "  freed now  {file}:{now}  pid PID (guard)\n"
ACCESSED = "  accessed  by guard+CODE  pid PID (guard)\n"
FORKED = ", forked from PID at guard+CODE\n"
BEYOND = (
    "freeonce: guard: no more blocks may be guarded (100 blocks are guarded, FREEONCE_GUARD_MAX is 100"
    " here); further blocks come from the backend beneath until some are freed\n"
)


def fault(text, file="faults.c", freed=False):
    return ("freeonce: " + text + ", the program ends\n" + ALLOCATED + (FIRST if freed else "") + ACCESSED).replace(
        "{file}", file
    )


def wrong(text, *places):
    return ("freeonce: " + text + "\n" + "".join(places)).replace("{file}", "frees.c")


PAST_END = fault("read past the end of block ADDR (24 bytes) at byte 32")
SEGV = -signal.SIGSEGV

# name of the test: case, environment, report, status, facts on stdout
CASES = {
    "read-past-end": ("read-past-end", {}, PAST_END, SEGV),
    "write-past-end": ("write-past-end", {}, PAST_END.replace("read past", "write past"), SEGV),
    "write-first-byte-past": (
        "write-first-byte-past", {}, fault("write past the end of block ADDR (64 bytes) at byte 64"), SEGV),
    "canary-does-not-move-the-page": (
        "write-first-byte-past", {"CANARY": "1"},
        fault("write past the end of block ADDR (64 bytes) at byte 64"), SEGV),
    "read-in-front": ("read-in-front", {}, fault("read 3281 bytes in front of block ADDR (9000 bytes)"), SEGV),
    "read-freed": ("read-freed", {}, fault("read of freed block ADDR (64 bytes) at byte 12", freed=True), SEGV),
    "write-freed": ("write-freed", {}, fault("write to freed block ADDR (64 bytes) at byte 0", freed=True), SEGV),
    "write-freed-header": (
        "write-freed-header", {},
        fault("write to freed block ADDR (64 bytes) 8 bytes in front of it", freed=True), SEGV),
    "read-freed-page": (
        "read-freed-page", {},
        fault("read of freed block ADDR (64 bytes) 1000 bytes in front of it", freed=True), SEGV),
    "read-across-freed": (
        "read-across-freed", {},
        fault("read of freed block ADDR (64 bytes) 1 byte in front of it", freed=True), SEGV),
    "write-freed-large": (
        "write-freed-large", {}, fault("write to freed block ADDR (1048576 bytes) at byte 700000", freed=True), SEGV),
    "write-past-large": (
        "write-past-large", {}, fault("write past the end of block ADDR (1048576 bytes) at byte 1048576"), SEGV),
    "read-moved": ("read-moved", {}, fault("read of freed block ADDR (100 bytes) at byte 1", freed=True), SEGV),
    "call-freed": (
        "call-freed", {}, fault("execution of freed block ADDR (64 bytes) at byte 0", freed=True), SEGV),
    "copy-past-end": (
        "copy-past-end", {},
        fault("write past the end of block ADDR (64 bytes) at byte 64").replace("by guard+", "by libc.so.6+"), SEGV),
    "sampled-fault": ("read-freed", {"BACKEND": "libc", "GUARD": "1/1"},
                      fault("read of freed block ADDR (64 bytes) at byte 12", freed=True), SEGV),
    # the end of the program after a finding
    "exit-status": ("read-past-end", {"ON_ERROR": "exit:99"}, PAST_END, 99),
    "abort": ("read-past-end", {"ON_ERROR": "abort"}, PAST_END, -signal.SIGABRT),
    "own-handler-recovers": (
        "recover", {"handler": "siginfo"},
        fault("read past the end of block ADDR (64 bytes) at byte 64")
        + fault("write past the end of block ADDR (64 bytes) at byte 65"), 0),
    "own-plain-handler": ("read-past-end", {"handler": "plain"}, PAST_END, 7),
    "own-handler-once": ("read-past-end", {"handler": "once"}, PAST_END, 7),
    "ignored": ("read-past-end", {"handler": "ignore"}, PAST_END, SEGV),
    "on-other-stack": ("on-other-stack", {}, PAST_END, SEGV),
    "other-fault": ("other-fault", {}, "", SEGV),
    "other-fault-plain-handler": ("other-fault", {"handler": "plain"}, "", 7),
    "sent": ("sent", {}, "", SEGV),
    "sent-ignored": ("sent", {"handler": "ignore"}, "", 0),
    "off": ("other-fault", {"BACKEND": "libc"}, "", SEGV),
    # wrong frees
    "double-free": (
        "double-free", {}, wrong("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN), 0),
    "double-free-late": (
        "double-free-late", {"TOMBSTONES": "64"},
        wrong("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN), 0),
    "double-free-reused": (
        "double-free-reused", {"GUARD_MAX": "16"},
        wrong("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN), 0),
    "inside": (
        "inside", {}, wrong("free of ADDR, 16 bytes inside block ADDR (64 bytes), skipped", ALLOCATED, NOW), 0),
    "inside-freed": (
        "inside-freed", {},
        wrong("free of ADDR, 24 bytes inside freed block ADDR (64 bytes), skipped", ALLOCATED, FIRST, NOW), 0),
    "realloc-freed": (
        "realloc-freed", {},
        wrong("realloc of freed block ADDR (64 bytes), answered NULL", ALLOCATED, FIRST,
              NOW.replace("freed now", "realloc")), 0),
    "guard-page": (
        "guard-page", {},
        wrong("free of ADDR, at the end of block ADDR (64 bytes), skipped", ALLOCATED, NOW), 0),
    "damaged-header": (
        "damaged-header", {}, wrong("free of block ADDR, whose header was overwritten, skipped", NOW), 0),
    "slack": (
        "slack", {"CANARY": "1"},
        wrong("free of block ADDR (24 bytes), which was written past its end at byte 25, freed all the same",
              ALLOCATED, NOW), 0),
    # healthy
    "sizes": ("sizes", {}, "", 0),
    "sizes-watched": ("sizes", {"CANARY": "1", "FILL": "1"}, "", 0),
    "huge": ("huge", {}, "", 0),
    # the first block of a process
    "first-block": ("first", {}, "", 0, {"guarded": ["1"]}),
    "first-block-over-libc": ("first", {"BACKEND": "libc", "GUARD": "1"}, "", 0, {"guarded": ["1"]}),
    "first-block-over-host": ("first", {"host": "private", "BACKEND": "auto", "GUARD": "1"}, "", 0, {"guarded": ["1"]}),
    # freeonce_walk()
    "walk": ("walk", {}, "", 0),
    "walk-sampled": ("walk", {"BACKEND": "arena", "GUARD": "1/2"}, "", 0),
    "walk-watched": ("walk", {"BACKEND": "arena", "FILL": "1", "CANARY": "1"}, "", 0),
    "walk-watched-nothing-waits": ("walk", {"BACKEND": "arena", "FILL": "1", "QUARANTINE": "0"}, "", 0),
    "walk-watched-shm": ("walk", {"BACKEND": "shm", "FILL": "1"}, "", 0),
    "walk-arena": ("walk", {"BACKEND": "arena"}, "", 0),
    "mappings-are-given-back": ("many", {"GUARD_MAX": "1000"}, "", 0),
    "errno": ("errno", {}, "", 0),
    "threads": ("threads", {}, "", 0),
    "threads-watched": ("threads", {"CANARY": "1", "FILL": "1", "GUARD": "1/3"}, "", 0),
    "threads-beyond-the-bound": ("threads", {"GUARD_MAX": "100"}, BEYOND, 0),
    "fork-from-threads": ("fork-from-threads", {}, "", 0),
    "fork-from-threads-reusing": ("fork-from-threads", {"GUARD_MAX": "1000"}, "", 0),
    "both-free": ("both-free", {}, "", 0),
    "child-frees-freed": (
        "child-frees-freed", {},
        wrong("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN.rstrip("\n") + FORKED)
        .replace("frees.c", "processes.c"), 0),
    "child-faults": (
        "child-faults", {},
        fault("read of freed block ADDR (64 bytes) at byte 3", file="processes.c", freed=True).rstrip("\n")
        + FORKED, 0),
    # bounds
    "bound": ("bound", {"GUARD_MAX": "100"}, BEYOND, 0, {"guarded": ["100", "100"]}),
    "bound-double-free": (
        "bound-double-free", {"GUARD_MAX": "100"},
        BEYOND + wrong("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN)
        .replace("frees.c", "bounds.c"), 0),
    "host-beneath": ("beneath", {"host": "private", "GUARD_MAX": "100"}, BEYOND, 0,
                     {"guarded": ["100"], "hosted": ["1"]}),
    "shared-host": (
        "beneath", {"host": "shared"},
        "freeonce: WARNING: this program's own functions return memory that its processes share; backend guard"
        " is private, so OpenSSL objects that move between processes will crash it. Unset FREEONCE_BACKEND, or"
        " take host\n", 0, {"guarded": ["300"]}),
    "shared-host-sampled": (
        "beneath", {"host": "shared", "BACKEND": "auto", "GUARD": "1/2"},
        "freeonce: FREEONCE_GUARD: OpenSSL's memory is shared by processes here and guarded pages are private;"
        " no block is guarded\n", 0, {"guarded": ["0"], "hosted": ["1"]}),
    "little-address-space": ("beneath", {"space": "750"}, "", 0, {"guarded": ["300"]}),
    "bound-too-small": (
        "beneath", {"GUARD_MAX": "15"},
        "freeonce: guard: no block is guarded: there is no room for them (address space limit, or"
        " FREEONCE_GUARD_MAX below 16)\n", 0, {"guarded": ["0"]}),
    # options
    "bad-rate": ("errno", {"GUARD": "2"}, "freeonce: FREEONCE_GUARD=2 is none of 0|1|1/N, ignored\n", 0),
    "bad-rate-zero": ("errno", {"GUARD": "1/0"}, "freeonce: FREEONCE_GUARD=1/0 is none of 0|1|1/N, ignored; did you mean FREEONCE_GUARD=1/N?\n", 0),
    "misspelt": (
        "errno", {"BACKEND": "gard"},
        'freeonce: there is no backend "gard", running on auto; did you mean FREEONCE_BACKEND=guard?\n', 0),
    "required": (
        "beneath", {"GUARD_MAX": "15", "REQUIRE": "1"},
        "freeonce: guard: no block is guarded: there is no room for them (address space limit, or"
        " FREEONCE_GUARD_MAX below 16)\nfreeonce: FREEONCE_REQUIRE=1: the program is ended (exit status 78)\n", 78),
}


def environment(lib, settings):
    env = {k: v for k, v in os.environ.items() if not k.startswith("FREEONCE_")}
    env["LD_PRELOAD"] = str(lib)
    settings = {"BACKEND": "guard", **settings}
    for name, value in settings.items():
        env["GUARD_" + name.upper() if name.islower() else "FREEONCE_" + name] = value
    return env


def normal(text):
    text = without_advice(text)
    text = re.sub(r"([\w.]+)\+0x[0-9a-f]+", r"\1+CODE", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDR", text)
    text = re.sub(r"\b(pid|from) \d+", r"\1 PID", text)
    return re.sub(r"(?<=\S) {2,}", "  ", re.sub(r"(?m)^(  (?:freed \w+|\w+)) +", r"\1  ", text))


def facts(output):
    told = {}
    for line in output.splitlines():
        name, value = line.split()
        told.setdefault(name, []).append(value)
    return told


def run(lib, program, case, settings):
    done = subprocess.run([program, case], env=environment(lib, settings), capture_output=True, text=True,
                          timeout=300, check=False)
    return done.returncode, facts(done.stdout), normal(done.stderr)


def check_case(lib, program, case, settings, report, status, told=None):
    returned, known, said = run(lib, program, case, settings)
    expected = report.format(**{name: values[-1] for name, values in known.items()}) if "{" in report else report
    problems = []
    if returned != status:
        problems.append(f"status {returned}, expected {status}")
    if said != expected:
        problems.append(f"said\n{said}expected\n{expected}")
    for name, values in (told or {}).items():
        if known.get(name) != values:
            problems.append(f"{name} {known.get(name)}, expected {values}")
    return problems


def check_rate(lib, program):
    """About as many blocks are guarded as the rate says; the bounds fail once in 10^9 runs."""
    problems = []
    for rate, least, most in (("1/6", 520, 820), ("1/1000", 0, 20), ("1", 4000, 4000)):
        status, known, said = run(lib, program, "sample", {"BACKEND": "libc", "GUARD": rate})
        guarded = int(known["guarded"][0])
        if status != 0 or said or not least <= guarded <= most:
            problems.append(f"{rate}: {guarded} of 4000 guarded, status {status} {said}")
    return problems


def check_forked_sample(lib, program):
    """Parent, children and a second run choose other blocks."""
    seen = []
    for _ in range(2):
        status, known, said = run(lib, program, "sample-forked", {"BACKEND": "libc", "GUARD": "1/2"})
        if status != 0 or said or len(known["pattern"]) != 9:
            return [f"status {status} {said}"]
        seen += known["pattern"]
    return [] if len(set(seen)) == len(seen) else [f"equal samples: {seen}"]


def check_address_space(lib, program):
    """Under any limit the program runs, with at most one message that not all blocks are guarded."""
    problems = []
    for space in (100, 120, 150, 200, 300, 450):
        status, _, said = run(lib, program, "beneath", {"space": str(space)})
        if status != 0 or said.count("\n") > 1 or (said and not said.startswith("freeonce: ")):
            problems.append(f"{space} MiB: status {status} {said}")
    return problems


def command(lib, *arguments, **settings):
    done = subprocess.run(arguments, env=environment(lib, settings), capture_output=True, text=True, timeout=300,
                          check=False)
    # While OpenSSL 3.5 loads its configuration, it has more blocks than the system allows mappings.
    known = "no more blocks may be guarded"
    complaints = [line for line in done.stderr.splitlines() if "freeonce" in line and known not in line]
    if done.returncode == 0 and not complaints:
        return []
    return [f"{' '.join(map(str, arguments))}: status {done.returncode}", *complaints]


def check_handshake(lib, handshake):
    """Full TLS handshakes, both ends, all blocks guarded, with the default limit."""
    return command(lib, handshake, "--count", "2")


def check_openssl(lib, _):
    """The openssl command: a key, a request, a certificate, its text, a PKCS #12 and back."""
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        new = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=guard", "-keyout", at / "key"]
        return (
            command(lib, "openssl", "req", "-x509", *new, "-out", at / "cert", "-days", "2")
            + command(lib, "openssl", "req", "-new", "-key", at / "key", "-subj", "/CN=guard", "-out", at / "request")
            + command(lib, "openssl", "x509", "-in", at / "cert", "-noout", "-text")
            + command(lib, "openssl", "pkcs12", "-export", "-in", at / "cert", "-inkey", at / "key", "-out",
                      at / "p12", "-passout", "pass:x")
            + command(lib, "openssl", "pkcs12", "-in", at / "p12", "-nodes", "-passin", "pass:x", "-out", at / "all")
        )


def main():
    parser = argparse.ArgumentParser()
    for name in ("lib", "cases", "handshake"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    checks = {name: (check_case, options.cases, *case) for name, case in CASES.items()}
    checks["rate"] = (check_rate, options.cases)
    checks["forked-sample"] = (check_forked_sample, options.cases)
    checks["address-space"] = (check_address_space, options.cases)
    checks["handshake"] = (check_handshake, options.handshake)
    checks["openssl"] = (check_openssl, None)
    failed = 0
    for name, (check, *arguments) in checks.items():
        if options.only and name not in options.only:
            continue
        problems = check(options.lib, *arguments)
        failed += bool(problems)
        print("FAILED" if problems else "ok", name, flush=True)
        for problem in problems:
            print("   ", problem.replace("\n", "\n    "))
    print(f"{failed} failed")
    sys.exit(failed != 0)


main()
