#!/usr/bin/env python3
"""Does the library guard a Node.js that has an OpenSSL of its own, linked statically and exported?

500 mutual TLS handshakes between cluster workers and worker threads (handshakes.js) on each backend, in silence; then fewer with
an addon (addon.c) that frees blocks twice in the main thread and in a worker thread: each is found, named and skipped.
Started by scripts/other-systems, on the system itself.  Standard library only; Python 3.9.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BACKENDS = ("arena", "libc", "shm", "guard")
PLANTED = {"1001": "1002", "2001": "2002"}  # the lines of addon.c: allocated, freed first; freed again is the next line


class Failed(Exception):
    """What was expected, and what was seen."""


def start(arguments, folder, count, backend=None, addon=None):
    """Runs handshakes.js to its end: what the library has written."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and not name.startswith("FREEONCE_")}
    if backend:
        env.update(LD_PRELOAD=str(arguments.lib), FREEONCE_BACKEND=backend, FREEONCE_LOG=str(log), FREEONCE_REQUIRE="1",
                   FREEONCE_VERBOSE="1")
    argv = [arguments.node, HERE / "handshakes.js", folder / "certs", str(count)] + ([addon] if addon else [])
    try:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=arguments.timeout)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{backend or 'without the library'}: not at its end after {arguments.timeout} s\n{error.stdout}") from error
    text = log.read_text() if log.exists() else ""
    if done.returncode != 0 or done.stdout.splitlines()[-1:] != [f"served {count}"]:
        raise Failed(f"{backend or 'without the library'}: status {done.returncode}\n{done.stdout}{done.stderr}{text}"[-3000:])
    return text


def in_charge(text):
    """The processes whose OpenSSL has the library's functions; the lines that FREEONCE_VERBOSE causes."""
    return [line for line in text.splitlines() if "before its first allocation" in line]


def check_quiet(arguments, folder, backend):
    """All clients are served, and nothing is found."""
    text = start(arguments, folder, arguments.count, backend)
    if len(in_charge(text)) != 3:  # the primary and two cluster workers
        raise Failed(f"{backend}: the library is not in three processes:\n{text}")
    if re.search(r"double free|skipped|damaged|finding", text):
        raise Failed(f"{backend}: something was found:\n{text}")
    print(f"ok: {backend}: {arguments.count} handshakes, nothing found", flush=True)


def check_planted(arguments, folder, backend):
    """Both faults are named by their lines, and all clients are served."""
    text = start(arguments, folder, 20, backend, folder / "addon.node")
    found = re.split(r"(?m)^(?=freeonce: double free)", text)[1:]
    for allocated, freed in PLANTED.items():
        lines = (f":{allocated} ", f":{freed} ", f":{int(freed) + 1} ")
        if not any(all("addon.c" + line in one for line in lines) for one in found):
            raise Failed(f"{backend}: the double free of the block of line {allocated} is not named:\n{text}")
    print(f"ok: {backend}: planted double frees found and skipped", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", type=pathlib.Path, required=True)
    parser.add_argument("--lib", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=500, help="handshakes (default 500)")
    parser.add_argument("--timeout", type=int, default=3000, help="seconds for each run (default 3000; guard is slow to start)")
    parser.add_argument("backends", nargs="*", default=BACKENDS, help=f"default: {' '.join(BACKENDS)}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freeonce-node-") as name:
        folder = pathlib.Path(name)
        subprocess.run(["sh", HERE.parent / "tools" / "make-certs.sh", folder / "certs"], check=True)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "addon.node", HERE / "addon.c"], check=True)
        versions = "process.versions.node + ', OpenSSL ' + process.versions.openssl"
        print("Node.js", subprocess.run([arguments.node, "-p", versions], check=True, capture_output=True, text=True).stdout.strip())
        try:
            start(arguments, folder, arguments.count)
            print(f"ok: without the library: {arguments.count} handshakes", flush=True)
            for backend in arguments.backends:
                check_quiet(arguments, folder, backend)
                check_planted(arguments, folder, backend)
        except Failed as error:
            print(f"FAILED: {error}")
            sys.exit(1)


main()
