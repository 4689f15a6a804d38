#!/usr/bin/env python3
"""Runs every case of `mix` with libfreeonce.so preloaded, with each backend and beside other allocators, and
compares the report, word for word, and the exit status; then healthy programs, for which nothing may be printed.
Addresses, pids and code offsets become placeholders; lines are facts that the program prints."""

import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

# pylint: disable=wrong-import-position
from advice import without_advice

ALLOCATED = "  allocated  mix.c:{alloc}  pid PID (mix)\n"
FIRST = "  freed first  mix.c:{first}  pid PID (mix)\n"
FIRST_BY_LIBC = "  freed first  by mix+CODE  pid PID (mix)\n"
AGAIN = "  freed again  mix.c:{now}  pid PID (mix)\n"
AGAIN_BY_LIBC = "  freed again  by mix+CODE  pid PID (mix)\n"
NOW = "  freed now  by mix+CODE  pid PID (mix)\n"
REALLOC = "  realloc  by mix+CODE  pid PID (mix)\n"
CALLED = "  called  by mix+CODE  pid PID (mix)\n"
FORKED = ", forked from PID at mix+CODE\n"
LIVE = "OpenSSL block ADDR (64 bytes)"


def report(headline, *places):
    return "freeonce: " + headline + "\n" + "".join(places)


FREED = report(f"libc free of {LIVE}, freed all the same", ALLOCATED, CALLED)

FREED_AT_END = FREED.replace("{alloc}", "{end}")
AT_END = "freeonce: {} of ADDR, at the end of block ADDR (64 bytes), {}\n"

CASES = {
    "free-live": FREED,
    "free-then-openssl": FREED
    + report("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST_BY_LIBC, AGAIN),
    "openssl-twice": report("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN),
    "free-freed": report("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN_BY_LIBC),
    "free-inside": report("free of ADDR, 16 bytes inside block ADDR (64 bytes), skipped", ALLOCATED, NOW),
    "free-inside-large": report("free of ADDR, 1024 bytes inside block ADDR (5000 bytes), skipped", ALLOCATED, NOW),
    "free-inside-freed": report(
        "free of ADDR, 24 bytes inside freed block ADDR (64 bytes), skipped", ALLOCATED, FIRST, NOW),
    "free-damaged": report("free of block ADDR, whose header was overwritten, skipped", NOW),
    "free-behind": AT_END.format("free", "skipped") + ALLOCATED + NOW,
    "free-at-exit": FREED + FREED_AT_END,
    "free-in-child": FREED.rstrip("\n") + FORKED,
    "realloc-grow": report(f"libc realloc of {LIVE}, moved within OpenSSL's memory", ALLOCATED, CALLED),
    "realloc-shrink": report(f"libc realloc of {LIVE}, moved within OpenSSL's memory", ALLOCATED, CALLED),
    "realloc-zero": report(f"libc realloc of {LIVE}, freed all the same", ALLOCATED, CALLED),
    "realloc-freed": report("realloc of freed block ADDR (64 bytes), answered NULL", ALLOCATED, FIRST, REALLOC),
    "realloc-inside": report(
        "realloc of ADDR, 32 bytes inside block ADDR (64 bytes), answered NULL", ALLOCATED, REALLOC),
    "realloc-behind": AT_END.format("realloc", "answered NULL") + ALLOCATED + REALLOC,
    "reallocarray": report(f"libc reallocarray of {LIVE}, moved within OpenSSL's memory", ALLOCATED, CALLED),
    "reallocarray-freed": report("realloc of freed block ADDR (64 bytes), answered NULL", ALLOCATED, FIRST, REALLOC),
    "reallocarray-inside": report(
        "realloc of ADDR, 32 bytes inside block ADDR (64 bytes), answered NULL", ALLOCATED, REALLOC),
    "reallocarray-behind": AT_END.format("realloc", "answered NULL") + ALLOCATED + REALLOC,
    "reallocarray-too-large": "",
    "usable-live": report(f"libc malloc_usable_size of {LIVE}, answered", ALLOCATED, CALLED),
    "usable-freed": report(
        "libc malloc_usable_size of freed OpenSSL block ADDR (64 bytes), answered 0", ALLOCATED, FIRST, CALLED),
    "usable-inside": report(
        "libc malloc_usable_size of ADDR, 8 bytes inside OpenSSL block ADDR (64 bytes), answered 0",
        ALLOCATED, CALLED),
    "usable-behind": report(
        "libc malloc_usable_size of ADDR, which is OpenSSL's memory but no block, answered 0", ALLOCATED, CALLED),
    "handler": FREED,
    "healthy": "",
    "threads": "",
    "threads-alone": "",
}

# how the cases are run: more settings, and the libraries in their order
WAYS = {
    "default": ({}, ("lib",)),
    "libc": ({"BACKEND": "libc"}, ("lib",)),
    "shm": ({"BACKEND": "shm"}, ("lib",)),
    "plugin": ({"BACKEND": "{plugin}"}, ("lib",)),
    "host": ({}, ("lib",)),
    "unquarantined": ({"BACKEND": "libc", "QUARANTINE": "0"}, ("lib",)),
    "watched": ({"CANARY": "1", "FILL": "1"}, ("lib",)),
    "guard": ({"BACKEND": "guard"}, ("lib",)),
    "jemalloc": ({}, ("lib", "jemalloc")),
    "jemalloc-libc": ({"BACKEND": "libc"}, ("lib", "jemalloc")),
    "mimalloc": ({"BACKEND": "libc"}, ("lib", "mimalloc")),
    "tcmalloc": ({"BACKEND": "libc"}, ("lib", "tcmalloc")),
    "glibc-debug": ({"BACKEND": "libc"}, ("lib", "glibc_debug")),
}

# In shared memory, the child's free is the first one.
SHARED_CHILD = CASES["free-in-child"] + report(
    "double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST_BY_LIBC.rstrip("\n") + FORKED, AGAIN)

LARGE = report("libc free of OpenSSL block ADDR (100000 bytes), freed all the same", ALLOCATED, CALLED)
LARGE_OF_CHILD = report("libc free of OpenSSL block ADDR (100000 bytes), freed all the same",
                        ALLOCATED.rstrip("\n") + FORKED, CALLED)

# The memory behind a block is OpenSSL's only if the backend has a heap of its own; else it is libc's to check.
BEHIND = {case for case in CASES if case.endswith("-behind")}
HEAP = {"default", "shm", "watched", "guard", "jemalloc"}
# Not tested: with QUARANTINE=0 freed blocks are libc's again at once, and libc handles a second free of them.
# In memory of the program's own functions, or of a plug-in, a pointer without a valid header may be the program's.
LEFT_OUT = {
    "unquarantined": {case for case in CASES if case.endswith("-freed")},
    "host": {"free-damaged"},
    "plugin": {"free-damaged"},
    "guard": {"healthy", "threads", "threads-alone"},  # slow
    "glibc-debug": {"threads"},  # its malloc has locks that a fork leaves held
}

# Allocators of Debian; they are also preloaded in front of the library, where they get the calls first.
NEIGHBOURS = {
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "glibc_debug": "libc_malloc_debug.so.0",
}

PYTHON = (
    "import ssl, hashlib, json; c = ssl.create_default_context(); ssl.RAND_bytes(100); c.get_ca_certs();"
    "hashlib.sha256(json.dumps([str(i) for i in range(20000)]).encode()).hexdigest()"
)


def environment(libraries, settings):
    env = {k: v for k, v in os.environ.items() if not k.startswith("FREEONCE_")}
    env["LD_PRELOAD"] = ":".join(map(str, libraries))
    env["MALLOC_CHECK_"] = "3"  # only libc_malloc_debug.so reads it
    env.update({"FREEONCE_" + name: value for name, value in settings.items()})
    return env


def normal(text):
    text = without_advice(text)
    text = re.sub(r"([\w.]+)\+0x[0-9a-f]+", r"\1+CODE", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDR", text)
    text = re.sub(r"\b(pid|from) \d+", r"\1 PID", text)
    return re.sub(r"(?<=\S) {2,}", "  ", re.sub(r"(?m)^(  (?:freed \w+|\w+)) +", r"\1  ", text))


def run(libraries, settings, *arguments):
    return subprocess.run(arguments, env=environment(libraries, settings), capture_output=True, text=True,
                          timeout=300, check=False)


def check_case(libraries, settings, program, case, *how):
    expected = SHARED_CHILD if (settings.get("BACKEND"), case) == ("shm", "free-in-child") else CASES[case]
    return check_report(libraries, settings, expected, program, case, *how)


def check_report(libraries, settings, expected, *arguments):
    done = run(libraries, settings, *arguments)
    told = collections.defaultdict(lambda: "?", (line.split() for line in done.stdout.splitlines()))
    expected = expected.format_map(told)
    problems = [] if done.returncode == 0 else [f"status {done.returncode}"]
    if normal(done.stderr) != expected:
        problems.append(f"said\n{normal(done.stderr)}expected\n{expected}")
    return problems


def silent(libraries, settings, *arguments):
    done = run(libraries, settings, *arguments)
    complaints = [line for line in done.stderr.splitlines() if "freeonce" in line or "ld.so" in line]
    if done.returncode == 0 and not complaints:
        return []
    return [f"{' '.join(map(str, arguments))}: status {done.returncode}", *complaints]


def check_openssl(libraries, settings):
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        new = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mix", "-keyout", at / "key", "-out", at / "cert"]
        return silent(libraries, settings, "openssl", "req", "-x509", *new, "-days", "2") + silent(
            libraries, settings, "openssl", "x509", "-in", at / "cert", "-noout", "-text")


def neighbour(name):
    """The path of an allocator, or None."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        path = pathlib.Path(folder, NEIGHBOURS[name])
        if path.exists():
            return path
    return None


def checks(known, program, handshake):
    """All checks: pairs of a name and a function without arguments."""
    missing = [name for name in NEIGHBOURS if known[name] is None]
    for name in missing:
        print(f"skipped: no {NEIGHBOURS[name]}")
    for way, (settings, names) in WAYS.items():
        if any(name in missing for name in names):
            continue
        settings = {key: value.format(plugin=known["plugin"]) for key, value in settings.items()}
        libraries = [known[name] for name in names]
        argument = ("host",) if way == "host" else ()
        for case in CASES:
            if case in LEFT_OUT.get(way, ()) or case in BEHIND and way not in HEAP:
                continue
            yield f"{way}.{case}", lambda a=(libraries, settings, program, case, *argument): check_case(*a)
    alone = [known["lib"]]
    yield "arena.hole", lambda: check_report(alone, {"BACKEND": "arena"}, LARGE, program, "hole")
    yield "shm.grown", lambda: check_report(alone, {"BACKEND": "shm"}, LARGE_OF_CHILD, program, "grown")
    yield "host.thrown-away", lambda: silent(alone, {}, program, "thrown-away", "pool")
    sets = {"alone": [known["lib"]]}
    for name in NEIGHBOURS:
        if name not in missing:
            sets[name] = [known["lib"], known[name]]
            sets[f"{name}-first"] = [known[name], known["lib"]]
    for name, libraries in sets.items():
        threads = "threads-alone" if name.startswith("glibc_debug") else "threads"
        for backend in ("arena", "libc"):
            both = libraries, {"BACKEND": backend}
            yield f"{name}.{backend}.silent", lambda a=both, threads=threads: silent(
                *a, program, "healthy") + silent(*a, program, threads)
            yield f"{name}.{backend}.twice", lambda a=both: check_case(*a, program, "openssl-twice")
            yield f"{name}.{backend}.true", lambda a=both: silent(*a, "true")
            yield f"{name}.{backend}.handshake", lambda a=both: silent(*a, handshake, "--count", "5")
            yield f"{name}.{backend}.openssl", lambda a=both: check_openssl(*a)
            yield f"{name}.{backend}.python", lambda a=both: silent(*a, "python3", "-c", PYTHON)


def main():
    parser = argparse.ArgumentParser()
    for name in ("lib", "plugin", "cases", "handshake"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    known = {name: neighbour(name) for name in NEIGHBOURS} | {"lib": options.lib, "plugin": options.plugin}
    failed = 0
    for name, check in checks(known, options.cases, options.handshake):
        if options.only and name not in options.only:
            continue
        problems = check()
        failed += bool(problems)
        print("FAILED" if problems else "ok", name, flush=True)
        for problem in problems:
            print("   ", problem.replace("\n", "\n    "))
    print(f"{failed} failed")
    sys.exit(failed != 0)


main()
