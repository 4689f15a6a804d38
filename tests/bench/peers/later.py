"""How does it do with a later OpenSSL, which allocates far less?

The programs are built and run in a minimal Debian 13 of their own (scripts/other-openssl makes it),
with the library that was built here.  Stock and our own rows alone: other allocators are not there.
"""

import os
import pathlib
import re
import shutil
import subprocess

import runner
from results import Group

ROOT = pathlib.Path(__file__).resolve().parents[3]
SYSTEM = "trixie"
SOURCES = (
    "handshake.c allocations.c connection.c fail.c identity.c mix.c repeatable.c sample.c bench.h"
).split()

GROUPS = (
    Group(
        "later_instructions",
        "OpenSSL 3.5, instructions per handshake",
        "instructions",
        note="The same program in Debian 13, built there.",
    ),
    Group("later_cpu", "OpenSSL 3.5, CPU time per handshake", "µs"),
)


class System:
    """A folder in which there is another Debian, and how something runs in it."""

    def __init__(self, bench):
        self.bench = bench
        self.inside = pathlib.PurePosixPath(f"/bench-{os.getpid()}")
        self.folder = bench.systems / SYSTEM / self.inside.name
        self.argv = [ROOT / "scripts/other-openssl", "--systems", bench.systems, "--command"]

    def command(self, *argv):
        words = [str(word) for word in (*self.argv, SYSTEM, "--", *argv)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0 or done.stderr:
            said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise runner.Failed(said)
        return done.stdout

    def prepare(self):
        """Everything that is run; returns the OpenSSL's version."""
        version = self.command("openssl", "version").split()[1]
        self.command("valgrind", "--version")
        self.folder.mkdir()
        for name in SOURCES:
            shutil.copy(ROOT / "tests/bench" / name, self.folder)
        for libraries in self.bench.preloads.values():
            for path in filter(None, libraries.split(":")):
                if pathlib.Path(path).is_relative_to(self.bench.scratch):
                    shutil.copy(path, self.folder)
        sources = [self.inside / name for name in SOURCES if name.endswith(".c")]
        flags = ("-std=gnu11", "-O3", "-DNDEBUG", "-D_GNU_SOURCE")
        self.command("gcc", *flags, "-o", self.inside / "handshake", *sources, "-lssl", "-lcrypto")
        return version

    def run(self, row, *arguments, launcher=()):
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", **row.settings}
        if row.preload:
            env["LD_PRELOAD"] = ":".join(str(self.inside / name) for name in row.preload)
        settings = [f"{name}={value}" for name, value in env.items()]
        return self.command("env", "-i", *settings, *launcher, self.inside / "handshake", *arguments)

    def instructions(self, row):
        counts, out = [], f"{row.name}.callgrind"
        launcher = ("valgrind", "-q", "--tool=callgrind")
        for count in (10, 40):
            option = f"--callgrind-out-file={self.inside / out}"
            self.run(row, "--count", count, launcher=(*launcher, option))
            text = (self.folder / out).read_text()
            counts.append(int(re.search(r"^totals: (\d+)", text, re.M).group(1)))
        return (counts[1] - counts[0]) / 30


def handshakes(bench):
    system = System(bench)
    try:
        try:
            version = system.prepare()
        except (runner.Failed, OSError, subprocess.TimeoutExpired) as reason:
            bench.skip("later", f"OpenSSL 3.5 (Debian 13): {reason}")
            return
        bench.versions["OpenSSL of Debian 13"] = version
        rows = [row for row in bench.rows if row.kind in ("stock", "own")]
        bench.rounds("later_instructions", 1, system.instructions, rows=rows)

        def timed(row):
            return runner.field(system.run(row, "--warm-up", 20, "--count", 200), "cpu_us_per_handshake")

        bench.rounds("later_cpu", 3 if bench.quick else 15, timed, paired=True, rows=rows)
    finally:
        shutil.rmtree(system.folder, ignore_errors=True)
