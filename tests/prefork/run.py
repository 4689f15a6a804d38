#!/usr/bin/env python3
"""Can all workers of a forking server use one SSL_CTX?  Runs tests/prefork's server in one of its
flavours, tests it in some mode, and prints the failures.

  run.py handshakes --flavour host --lib libfreeonce.so --programs build/dev/tests/prefork

flavours: stock (private memory, without the library), private (the same with it), bare (a shared pool
of the program's, without the library), host (the same with it), shm (the library's shared heap).
Exit status: 0 passed, 1 failed, 2 the test could not run."""

import argparse
import os
import pathlib
import signal
import sys

import chaos
import modes
import randomness
from field import FLAVOURS, Broken, Field

MODES = {
    "handshakes": modes.handshakes,
    "resumption": modes.resumption,
    "hand-over": modes.hand_over,
    "leave": modes.leave,
    "cures": modes.cures,
    "speed": modes.speed,
    "random": randomness.random,
    "chaos": chaos.chaos,
}


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="modes:\n"
        + "\n".join(f"  {name:11} {one.__doc__.splitlines()[0]}" for name, one in MODES.items()),
    )
    add = parser.add_argument
    add("mode", nargs="+", choices=MODES, metavar="MODE")
    add("--flavour", choices=FLAVOURS, default="stock")
    add("--lib", type=pathlib.Path, help="libfreeonce.so")
    add("--programs", type=pathlib.Path, required=True, help="folder of prefork, prefork_load")
    add("--freeonce", type=pathlib.Path, help="the command, to read journals")
    add("--workers", type=int, default=8)
    add("--each", type=int, default=1000, help="handshakes, times the workers (default 1000)")
    add("--runs", type=int, default=int(os.environ.get("FREEONCE_RUNS", "1")))
    add("--cert", choices=("rsa", "ec"), help="this kind only")
    add("--tls", type=int, choices=(12, 13), help="this version only")
    add("--keep-context", action="store_true", help="workers leave without SSL_CTX_free()")
    add("--attempts", type=int, default=20, help="cures: runs in which the failure must come back")
    add("--cure", action="append", choices=(*modes.CURES, "all"), help="cures: this one only")
    add("--outputs", type=int, default=1000000, help="random: so many in all")
    add("--plant", action="store_true", help="random: an equal pair, which must be found")
    add("--kills", type=int, default=10000, help="chaos: so many in all")
    add("--kill-every", type=int, default=20000, metavar="US", help="chaos: on average")
    add("--walk-every", type=int, default=100, metavar="KILLS", help="chaos: look at the heap")
    add("--seconds", type=int, default=3600, help="chaos: stop after that time")
    add("--state", metavar="FILE", help="chaos: keep the sums there, and go on from them")
    add("--keep", action="store_true", help="keep the temporary folder")
    options = parser.parse_args()
    for name in ("lib", "programs", "freeonce"):
        path = getattr(options, name)
        if path is not None and not path.exists():
            parser.error(f"no such file: {path}")
        setattr(options, name, path and path.resolve())
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    field, bad = Field(options), []
    try:
        for mode in options.mode:
            bad += MODES[mode](field, options)
    except Broken as reason:
        print(f"cannot go on: {reason}")
        return 2
    finally:
        field.close()
    for line in bad:
        print(f"FAILED: {line}")
    print("passed" if not bad else f"failed: {len(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
