"""Does a very large process work as without the library, and can it be looked at?

large.c, plain and with each backend: 10^7 live blocks of 1,000 bytes (10 GB), and 10,000 threads that live at once.  While
all are there, `freeonce heap` has to count them.  A table says what each run took.

Exit status: 0 all as without the library and nothing found; 1 not; 2 wrong use; 77 this machine has too little memory.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().with_name("large.c")
BACKENDS = ("arena", "libc", "shm")
PER_BLOCK = 200  # bytes beyond its own, at most


class Failed(Exception):
    """What was expected, and what was seen."""


def available():
    """Bytes of memory that could be used now."""
    for row in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if row.startswith("MemAvailable:"):
            return int(row.split()[1]) << 10
    return 0


def need(count, size):
    wanted = count * (size + PER_BLOCK)
    if available() < wanted:
        print(f"skipped: {wanted >> 20} MiB of memory are needed, {available() >> 20} MiB could be used")
        sys.exit(77)


def count_from_outside(arguments, pid):
    """(blocks that large.c has, seconds)"""
    begun = time.monotonic()
    argv = [arguments.build_dir / "src/cli/freeonce", "heap", "--json", str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"freeonce heap: exit status {done.returncode}: {done.stderr}")
    rows = json.loads(done.stdout)["rows"]
    blocks = sum(row["blocks"] for row in rows if row.get("file", "").endswith("large.c"))
    return blocks, time.monotonic() - begun


def run(arguments, folder, words, count, backend):
    """One line of the table."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and not name.startswith("FREEONCE_")}
    if backend:
        env.update(LD_PRELOAD=str(arguments.build_dir / "src/libfreeonce.so"), FREEONCE_BACKEND=backend, FREEONCE_LOG=str(log),
                   FREEONCE_JOURNAL=str(folder / "journal"), FREEONCE_REQUIRE="1")
    begun, seen = time.monotonic(), ""
    # pylint: disable=consider-using-with
    large = subprocess.Popen([folder / "large", *words], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = large.stdout.readline()
    if said == "live\n" and backend:
        blocks, seconds = count_from_outside(arguments, large.pid)
        seen = f"{blocks} counted in {seconds:.2f} s"
        if blocks != count:
            raise Failed(f"{backend}: freeonce heap counts {blocks} blocks of {count}")
    large.stdin.close()
    _, status, usage = os.wait4(large.pid, 0)
    status = os.waitstatus_to_exitcode(status)
    large.returncode = status
    if said != "live\n" or status != 0:
        raise Failed(f"{' '.join(words)}, {backend or 'plain'}: exit status {status}")
    if log.exists() and log.read_text():
        raise Failed(f"{backend}: {log.read_text()}")
    print(f"{' '.join(words):24}{backend or 'plain':8}{time.monotonic() - begun:9.1f}{usage.ru_utime + usage.ru_stime:9.1f}"
          f"{usage.ru_maxrss >> 10:9}  {seen}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/large", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", type=pathlib.Path, default="build/release", help="what is built there (default build/release)")
    parser.add_argument("--blocks", type=int, default=10**7, metavar="N", help="how many (default 10^7)")
    parser.add_argument("--size", type=int, default=1000, metavar="BYTES", help="of each block (default 1000)")
    parser.add_argument("--threads", type=int, default=10000, metavar="N", help="how many (default 10,000)")
    arguments = parser.parse_args()
    arguments.build_dir = arguments.build_dir.resolve()
    need(arguments.blocks, arguments.size)
    with tempfile.TemporaryDirectory(prefix="freeonce-test-") as name:
        folder = pathlib.Path(name)
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", folder / "large", SOURCE, "-lcrypto", "-pthread"], check=True)
        print(f"{'':32}{'seconds':>9}{'CPU s':>9}{'MiB':>9}")
        try:
            for words, count in ((["blocks", str(arguments.blocks), str(arguments.size)], arguments.blocks),
                                 (["threads", str(arguments.threads)], arguments.threads)):
                for backend in (None, *BACKENDS):
                    run(arguments, folder, words, count, backend)
        except Failed as failed:
            sys.exit(f"FAILED: {failed}")


if __name__ == "__main__":
    main()
