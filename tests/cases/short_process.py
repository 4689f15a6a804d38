#!/usr/bin/env python3
"""What does the library cost a short process with OpenSSL?  It counts page faults: they repeat, times do not.

    short_process.py LIB

`openssl version`, without and with the library: the difference must be within LIMITS or NEWER.  Standard library only.
"""

import os
import shutil
import subprocess
import sys
import tempfile

RUNS, COPIES = 9, 4
LIMITS = {"arena": 78, "libc": 113}  # beyond the plain run; 67 to 71 and 107 were measured with OpenSSL 3.0
NEWER = {"arena": 91, "libc": 122}  # 84 and 116 with OpenSSL 3.5 of Debian 13
COMMAND = ["openssl", "version"]
SKIPPED = 77  # SKIP_RETURN_CODE of ctest


def faults(libraries, **settings):
    """The least of some runs: what else the machine does adds a few faults."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", **settings}
    counts = []
    for run in range(RUNS * COPIES):
        environment["LD_PRELOAD"] = libraries[run % len(libraries)]
        process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0 or said:
            sys.exit(f"{COMMAND} {settings}: wait status {status}, stderr {said!r}")
        counts.append(usage.ru_minflt)
    return min(counts)


def main():
    # How many pages of a file one fault maps depends on where they lie in the system's cache: some copies are tried.
    with tempfile.TemporaryDirectory() as folder:
        copies = [f"{folder}/{i}.so" for i in range(COPIES)]
        for copy in copies:
            shutil.copy(os.path.realpath(sys.argv[1]), copy)
        compare(copies)


def compare(libraries):
    try:
        plain = faults([""])
    except FileNotFoundError:
        print("SKIP: no openssl on this machine")
        sys.exit(SKIPPED)
    failed = False
    version = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    limits = LIMITS if version.startswith("OpenSSL 3.0.") else NEWER
    for backend, limit in limits.items():
        more = faults(libraries, FREEONCE_BACKEND=backend) - plain
        print(f"{backend}: {more:.0f} page faults more than {plain:.0f}; limit {limit}")
        failed |= more > limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
