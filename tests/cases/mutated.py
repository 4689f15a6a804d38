#!/usr/bin/env python3
"""Hundreds of thousands of wrong pointers, on each backend.

    mutated.py --lib L --program P --plugin P --freeonce F [--count N] [--seed N] [NAME ...]

There must be as many findings as wrong pointers, and none of damage; the live blocks and the heap must be
whole.  NAME: libc, arena, shm, host, plugin, guard, ci.  The default is a short run; `--count 1000000` is the
long one.  Standard library only.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SETTINGS = {
    "libc": {"FREEONCE_BACKEND": "libc"},
    "arena": {"FREEONCE_BACKEND": "arena"},
    "shm": {"FREEONCE_BACKEND": "shm", "FREEONCE_SHM_SIZE": "256M"},
    "host": {"FREEONCE_BACKEND": "auto"},
    "plugin": {"FREEONCE_BACKEND": "{plugin}"},
    "guard": {"FREEONCE_BACKEND": "guard"},
    "ci": {"FREEONCE_QUARANTINE": "4M", "FREEONCE_FILL": "1", "FREEONCE_CANARY": "1"},
}
# The kinds of findings for a pointer that is no live block.
HARMLESS = {
    "read-from-freed",
    "double-free",
    "double-free-forgotten",
    "foreign-free",
    "interior-free",
    "interior-free-of-freed",
    "free-behind-end",
    "free-behind-end-of-freed",
    "free-of-header",
    "free-of-header-of-freed",
}


def findings_of(freeonce, journal):
    """The number of findings of each kind."""
    text = subprocess.run(
        [freeonce, "report", "--format=json", journal], stdout=subprocess.PIPE, text=True, check=False
    ).stdout
    counts = collections.Counter()
    for line in text.splitlines():
        record = json.loads(line)
        if record["type"] == "finding":
            counts[record["kind"]] += record["count"]
    return counts


def try_on(name, arguments, folder):
    """A complaint, or None."""
    journal = f"{folder}/journal"
    env = {"PATH": os.environ.get("PATH", ""), "LD_PRELOAD": str(arguments.lib), "FREEONCE_JOURNAL": journal}
    env["FREEONCE_LOG"] = f"{folder}/log"
    env.update({key: value.format(plugin=arguments.plugin) for key, value in SETTINGS[name].items()})
    added = ["--host"] if name == "host" else []
    run = subprocess.run(
        [arguments.program, *added, str(arguments.count), str(arguments.seed)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    if run.returncode != 0:
        return f"exit status {run.returncode}: {run.stderr[-2000:]}"
    counts = findings_of(arguments.freeonce, journal)
    facts = dict(line.split() for line in run.stdout.splitlines())
    print(f"{name}: {facts['handed-in']} wrong pointers, {dict(counts)}", flush=True)
    strange = {kind: count for kind, count in counts.items() if kind not in HARMLESS}
    if strange:
        return f"findings of other kinds: {strange}"
    if counts.total() != int(facts["handed-in"]):
        return f"{facts['handed-in']} wrong pointers, {counts.total()} findings"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("lib", "program", "plugin", "freeonce"):
        parser.add_argument(f"--{option}", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    failed = False
    for name in arguments.names or SETTINGS:
        with tempfile.TemporaryDirectory(prefix="freeonce-mutated-") as folder:
            problem = try_on(name, arguments, folder)
        if problem:
            print(f"FAILED   {name}: {problem}", flush=True)
        failed |= problem is not None
    return failed


if __name__ == "__main__":
    sys.exit(main())
