"""Why is it not faster?  Where the time of an nginx worker goes, and the instructions of a handshake,
and how much of it allocation has: what an allocator that costs nothing could save at most.  And
where the time goes with many threads and many live blocks.

perf looks at the worker while clients connect.  If perf is not permitted, only the handshake is profiled.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import measures
import runner
import servers

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "profile.awk"
SHOWN = 15
NAMELESS = "functions that are not exported"
ALLOCATION = "malloc, free, OpenSSL's functions that call them, and libfreeonce, but for what passes locks on"
WATCHED = ("stock", "arena")
# glibc's, its internal functions with the names that libc6-dbg gives them.
LIBC_ALLOCATOR = re.compile(
    r"^(malloc|free|calloc|realloc|cfree|_int_\w+|__libc_(malloc|free|calloc|realloc)|"
    r"(__)?malloc_\w+|unlink_chunk\S*|tcache_\w+|sysmalloc|systrim\S*|checked_request2size|"
    r"ptmalloc_\w+|arena_get\w*)(@.*|\.\w+)*$"
)
# The library's functions of these names, which pass on to glibc's: no allocation.
LOCKS = re.compile(r"pthread_rwlock_")
# What calls it, which the library replaces.
OPENSSL_ALLOCATOR = re.compile(r"^CRYPTO_(malloc|zalloc|realloc|free)$")


def is_allocator(library, function):
    if library.startswith("libfreeonce") and not LOCKS.search(function):
        return True  # with its checks of objects
    if library.startswith("libcrypto.so"):
        return bool(OPENSSL_ALLOCATOR.match(function))
    return library.startswith("libc.so") and bool(LIBC_ALLOCATOR.match(function))


def read(report):
    """[(percent, library, function)] of perf's table."""
    sums = {}
    for line in report.splitlines():
        found = re.match(r"\s*([\d.]+)%\s*;\s*(\S+)\s*;\s*(?:\[.\]\s*)?(.+?)\s*(?:;.*)?$", line)
        if found:
            library = found.group(2).replace("[kernel.kallsyms]", "kernel")
            function = re.sub(r"^0x[0-9a-f]+$", NAMELESS, found.group(3))
            sums[library, function] = sums.get((library, function), 0) + float(found.group(1))
    return sorted(((percent, *where) for where, percent in sums.items()), reverse=True)


def share_of(rows):
    return sum(percent for percent, *where in rows if is_allocator(*where)) / 100


def by_library(rows):
    sums = {}
    for percent, library, _ in rows:
        sums[library] = sums.get(library, 0) + percent
    return sorted(((percent, name) for name, percent in sums.items()), reverse=True)


def text_of(what, title, rows):
    lines = [f"Where the CPU time goes: {what}, {title} (perf).", ""]
    lines += [f"{100 * share_of(rows):6.2f}%  allocation: {ALLOCATION}", ""]
    lines += [f"{percent:6.2f}%  {name}" for percent, name in by_library(rows) if percent >= 0.5]
    for wanted in (rows, [row for row in rows if is_allocator(*row[1:])]):
        lines.append("")
        lines += [f"{row[0]:6.2f}%  {row[2]} [{row[1]}]" for row in wanted[:SHOWN]]
    return "\n".join(lines) + "\n"


def perf_env():
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nonexistent"}


class Perf:
    """Looks at a process, or a command, as long as it is entered."""

    def __init__(self, bench, *what):
        self.data = bench.scratch / "perf.data"
        self.data.unlink(missing_ok=True)
        argv = ["perf", "record", "-q", "-F", "1999", "-o", self.data, *what]
        pipe = subprocess.PIPE
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(argv, env=perf_env(), stdout=pipe, stderr=pipe, text=True)

    def table(self):
        said = self.process.communicate(timeout=runner.DEADLINE)[1].strip()
        if not self.data.exists():
            raise runner.Failed(f"perf: {said.splitlines()[0] if said else 'no data'}")
        argv = ["perf", "report", "-i", self.data, "--stdio", "-q", "-t", ";"]
        argv += ["--sort", "dso,symbol"]
        done = subprocess.run(argv, env=perf_env(), capture_output=True, text=True, check=False)
        rows = read(done.stdout)
        if sum(row[0] for row in rows) < 50:
            raise runner.Failed("perf's report is not read as it was")
        return rows


def worker(bench, stage, row):
    """Of an nginx worker under load."""
    server = servers.Nginx(stage, bench, row)
    server.served(server.load("ec", 100, "--parallel", 8))
    perf = Perf(bench, "-p", str(server.worker))
    count = 1000 if bench.quick else 6000
    server.served(server.load("ec", count, "--parallel", 8))
    perf.process.send_signal(signal.SIGINT)
    try:
        return perf.table()
    finally:
        server.stop()


def program(bench, row, name, *arguments):
    """Of one of the bench's own programs."""
    settings = [f"{name}={value}" for name, value in bench.environment(row).items()]
    sizes = measures.size_mix(bench)
    argv = ["env", "-i", *settings, bench.programs / name, "--sizes", sizes, *arguments]
    return Perf(bench, "--", *map(str, argv)).table()


EIGHT = ("--threads", 8, "--rounds", 800)
ONE = ("--threads", 1, "--rounds", 6400)
MILLION = ("--blocks", 10**6, "--operations", 2 * 10**6)
PROGRAMS = (
    ("threads-8", "8 threads, each with its own blocks", "threads", *EIGHT),
    ("threads-1", "1 thread beside main", "threads", *ONE),
    ("live-million", "blocks replaced among 1,000,000", "live", *MILLION),
)


def nginx(bench, stage):
    if shutil.which("perf") is None:
        bench.skip("profile", "no perf on this machine")
        return
    for row in (row for row in bench.rows if row.name in WATCHED):
        runner.progress(f"profile: {row.title}")
        try:
            rows = worker(bench, stage, row)
            what = "an nginx worker, full P-256 handshakes"
            bench.profiles[f"nginx-{row.name}"] = text_of(what, row.title, rows)
            for name, what, *argv in PROGRAMS:
                text = text_of(what, row.title, program(bench, row, *argv))
                bench.profiles[f"{name}-{row.name}"] = text
        except runner.Failed as reason:  # not permitted here
            bench.skip("profile", reason)
            return
        bench.shares.append(share("nginx worker, CPU time", row, share_of(rows)))


def share(what, row, value):
    return {"what": what, "competitor": row.name, "share": round(value, 4)}


def handshake(bench):
    """Of what callgrind wrote: where the instructions of handshakes go, for stock and our own rows."""
    sizes = measures.size_mix(bench).read_text()
    pairs = sum(int(line.split()[1]) for line in sizes.splitlines()) // 20
    for row in bench.rows:
        files = [bench.scratch / f"{row.name}.handshake.{count}" for count in (10, 40)]
        if row.kind not in ("stock", "own") or not all(path.exists() for path in files):
            continue
        variables = {"report": "profile", "variant": row.name, "handshakes": 30, "pairs": pairs}
        argv = ["awk"]
        for name, value in variables.items():
            argv += ["-v", f"{name}={value}"]
        argv += ["-f", SCRIPT, *files]
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        bench.profiles[row.name] = text
        found = runner.field(text, "share_of_handshake")
        bench.shares.append(share("handshake, instructions", row, found))


def instructions(bench):
    measures.instructions(bench)
    handshake(bench)


nginx_worker = servers.on_stage(nginx)
