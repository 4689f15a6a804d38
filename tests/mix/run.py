#!/usr/bin/env python3
"""Runs every case of `mix` with libfreeonce.so and libfreeonce-libc.so in front and compares what is
reported, word for word, and how the program ends; then healthy programs, which must stay silent.
Addresses, pids and code offsets become placeholders; lines are those that the program tells."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

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

CASES = {
    "free-live": FREED,
    "free-then-openssl": FREED
    + report("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST_BY_LIBC, AGAIN),
    "free-freed": report("double free of block ADDR (64 bytes), skipped", ALLOCATED, FIRST, AGAIN_BY_LIBC),
    "free-inside": report("free of ADDR, 16 bytes inside block ADDR (64 bytes), skipped", ALLOCATED, NOW),
    "free-inside-large": report("free of ADDR, 1024 bytes inside block ADDR (5000 bytes), skipped", ALLOCATED, NOW),
    "free-inside-freed": report(
        "free of ADDR, 24 bytes inside freed block ADDR (64 bytes), skipped", ALLOCATED, FIRST, NOW),
    "free-damaged": report("free of block ADDR, whose header was overwritten, skipped", NOW),
    "free-in-child": FREED.rstrip("\n") + FORKED,
    "realloc-grow": report(f"libc realloc of {LIVE}, moved within OpenSSL's memory", ALLOCATED, CALLED),
    "realloc-shrink": report(f"libc realloc of {LIVE}, moved within OpenSSL's memory", ALLOCATED, CALLED),
    "realloc-zero": report(f"libc realloc of {LIVE}, freed all the same", ALLOCATED, CALLED),
    "realloc-freed": report("realloc of freed block ADDR (64 bytes), answered NULL", ALLOCATED, FIRST, REALLOC),
    "realloc-inside": report(
        "realloc of ADDR, 32 bytes inside block ADDR (64 bytes), answered NULL", ALLOCATED, REALLOC),
    "reallocarray": report(f"libc reallocarray of {LIVE}, moved within OpenSSL's memory", ALLOCATED, CALLED),
    "reallocarray-too-large": "",
    "usable-live": report(f"libc malloc_usable_size of {LIVE}, answered", ALLOCATED, CALLED),
    "usable-freed": report(
        "libc malloc_usable_size of freed OpenSSL block ADDR (64 bytes), answered 0", ALLOCATED, FIRST, CALLED),
    "usable-inside": report(
        "libc malloc_usable_size of ADDR, 8 bytes inside OpenSSL block ADDR (64 bytes), answered 0",
        ALLOCATED, CALLED),
    "handler": FREED,
    "healthy": "",
    "threads": "",
}

# how the cases are run: further settings, and the libraries in their order
WAYS = {
    "libc": ({}, ("lib", "libc_lib")),
    "reversed": ({}, ("libc_lib", "lib")),
    "unquarantined": ({"QUARANTINE": "0"}, ("lib", "libc_lib")),
    "watched": ({"CANARY": "1", "FILL": "1"}, ("lib", "libc_lib")),
    "guard": ({"BACKEND": "guard"}, ("lib", "libc_lib")),
    "jemalloc": ({}, ("lib", "libc_lib", "jemalloc")),
}

# With QUARANTINE=0 freed blocks are libc's again at once: a further libc free of them is libc's business.
NEEDS_QUARANTINE = {"free-freed", "free-inside-freed", "realloc-freed", "usable-freed"}
SLOW_UNDER_GUARD = {"healthy", "threads"}

PYTHON = (
    "import ssl, hashlib, json; c = ssl.create_default_context(); ssl.RAND_bytes(100); c.get_ca_certs();"
    "hashlib.sha256(json.dumps([str(i) for i in range(20000)]).encode()).hexdigest()"
)


def environment(libraries, settings):
    env = {k: v for k, v in os.environ.items() if not k.startswith("FREEONCE_")}
    env["LD_PRELOAD"] = ":".join(map(str, libraries))
    env.update({"FREEONCE_" + name: value for name, value in settings.items()})
    return env


def normal(text):
    text = re.sub(r"([\w.]+)\+0x[0-9a-f]+", r"\1+CODE", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDR", text)
    text = re.sub(r"\b(pid|from) \d+", r"\1 PID", text)
    return re.sub(r"(?<=\S) {2,}", "  ", re.sub(r"(?m)^(  (?:freed \w+|\w+)) +", r"\1  ", text))


def run(libraries, settings, *arguments):
    return subprocess.run(arguments, env=environment(libraries, settings), capture_output=True, text=True,
                          timeout=300, check=False)


def check_case(libraries, settings, program, case):
    done = run(libraries, settings, program, case)
    told = dict(line.split() for line in done.stdout.splitlines())
    expected = CASES[case].format(**told)
    problems = [] if done.returncode == 0 else [f"status {done.returncode}"]
    if normal(done.stderr) != expected:
        problems.append(f"said\n{normal(done.stderr)}expected\n{expected}")
    return problems


def silent(libraries, *arguments):
    done = run(libraries, {}, *arguments)
    complaints = [line for line in done.stderr.splitlines() if "freeonce" in line or "ld.so" in line]
    if done.returncode == 0 and not complaints:
        return []
    return [f"{' '.join(map(str, arguments))}: status {done.returncode}", *complaints]


def check_openssl(libraries):
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        new = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mix", "-keyout", at / "key", "-out", at / "cert"]
        return silent(libraries, "openssl", "req", "-x509", *new, "-days", "2") + silent(
            libraries, "openssl", "x509", "-in", at / "cert", "-noout", "-text")


def jemalloc():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        path = pathlib.Path(folder, "libjemalloc.so.2")
        if path.exists():
            return path
    return None


def checks(known, program, handshake):
    """All checks by name: a function without arguments each."""
    for way, (settings, names) in WAYS.items():
        if "jemalloc" in names and known["jemalloc"] is None:
            print("skipped: no libjemalloc.so.2")
            continue
        libraries = [known[name] for name in names]
        for case in CASES:
            if way == "unquarantined" and case in NEEDS_QUARANTINE or way == "guard" and case in SLOW_UNDER_GUARD:
                continue
            yield f"{way}.{case}", lambda a=(libraries, settings, program, case): check_case(*a)
    both = [known["lib"], known["libc_lib"]]
    sets = {"both": both, "alone": [known["libc_lib"]]}
    if known["jemalloc"] is not None:
        sets["jemalloc"] = [*both, known["jemalloc"]]
    for name, libraries in sets.items():
        yield f"{name}.silent", lambda a=libraries: silent(a, program, "healthy") + silent(a, program, "threads")
        yield f"{name}.true", lambda a=libraries: silent(a, "true")
        yield f"{name}.handshake", lambda a=libraries: silent(a, handshake, "--count", "5")
        yield f"{name}.openssl", lambda a=libraries: check_openssl(a)
        yield f"{name}.python", lambda a=libraries: silent(a, "python3", "-c", PYTHON)
    # Without libfreeonce.so OpenSSL's blocks are libc's, and nothing may be said.
    yield "alone.free-live", lambda: silent([known["libc_lib"]], program, "free-live")


def main():
    parser = argparse.ArgumentParser()
    for name in ("lib", "libc-lib", "cases", "handshake"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    known = {"lib": options.lib, "libc_lib": options.libc_lib, "jemalloc": jemalloc()}
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
