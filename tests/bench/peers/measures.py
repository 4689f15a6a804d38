"""What is measured in single processes?  A function for each measure; GROUPS says what they fill.

Instructions come from callgrind, as the difference of two runs: what starts and ends the process is
equal in both and drops out.  All else is CPU time or resident memory, as the programs print them.
"""

import re

import runner
from results import Group

SIZES = (16, 64, 256, 1024, 4096)
LIVE = (1_000, 10_000, 100_000, 1_000_000)
THREADS = (1, 2, 4, 8)

GROUPS = (
    Group(
        "instructions",
        "Instructions per handshake",
        "instructions",
        note="Mutual TLS 1.3 with P-256 certificates and an echo of 1,000 bytes, both ends in one "
        "process; callgrind. Counts repeat, so there is one run.",
    ),
    Group(
        "cpu", "CPU time per handshake", "µs", note="The same handshake. Under valgrind: 3 rounds."
    ),
    Group(
        "cpu_threads",
        "CPU time per handshake, by the number of threads that make them",
        "µs",
        at_title="threads",
        note="The same handshake, 600 in all; all threads use the same two SSL_CTXs, as in a server "
        "with threads. OpenSSL's locks and reference counts are common then. Its random generator "
        "is the real one here.",
    ),
    Group(
        "pairs",
        "`OPENSSL_malloc` and `OPENSSL_free` of it at once, CPU time",
        "ns",
        at_title="bytes",
    ),
    Group(
        "pairs_instructions",
        "`OPENSSL_malloc` and `OPENSSL_free` of it at once, instructions",
        "instructions",
        at_title="bytes",
    ),
    Group("parse", "`d2i_X509` and `X509_free`, CPU time", "µs"),
    Group("parse_instructions", "`d2i_X509` and `X509_free`, instructions", "instructions"),
    Group(
        "live",
        "A block freed and replaced, by the number of live blocks, CPU time",
        "ns",
        at_title="live blocks",
        note="Sizes in the proportions of a handshake; which block is replaced is drawn at random.",
    ),
    Group(
        "live_touch",
        "A block drawn at random and written to, by the number of live blocks, CPU time",
        "ns",
        at_title="live blocks",
        note="The same walk without allocator: its growth is the caches' doing, and no allocator can "
        "be below.",
    ),
    Group(
        "live_growth",
        "A block freed and replaced, cost with 1,000,000 live blocks / with 1,000",
        "times",
        note="The figure itself is the growth, and its ratio that to glibc's.",
    ),
    Group(
        "live_bytes",
        "Resident memory per live block",
        "bytes",
        note="Growth by 1,000,000 blocks of a handshake's sizes, each written in full.",
    ),
    Group(
        "slots",
        "What a block takes, by size alone",
        "bytes",
        note="The sizes that a handshake asks for, as often as it does, on average {asked} bytes; with "
        "the allocator's own header (freeonce 16 bytes, glibc 8). The same in every run.",
    ),
    Group(
        "threads_same",
        "A block made and freed by one thread, by the number of threads, CPU time",
        "ns",
        at_title="threads",
        note="Every thread has 2,000 blocks at a time. The single one is made by pthread_create too, so "
        "glibc takes its short cuts for a process with one thread nowhere here. With more threads than "
        "processors they take turns, on caches that another one used meanwhile, and 8 threads walk "
        "through 8 times the memory: what that costs shows in glibc's own growth.",
    ),
    Group(
        "threads_other",
        "A block made by one thread and freed by another, CPU time",
        "ns",
        at_title="threads",
        note="With 1 thread there is no other: the block stays with it, and the growth to 8 is the way "
        "from thread to thread as well.",
    ),
    Group(
        "threads_moves",
        "How often a thread found itself on another processor, while blocks stay with their threads",
        "times in 1,000 rounds of 2,000 blocks",
        at_title="threads",
    ),
    Group(
        "threads_same_growth",
        "A block made and freed by one thread, cost with 8 threads / with 1",
        "times",
        note="The figure itself is the growth, and its ratio that to glibc's.",
    ),
    Group(
        "threads_other_growth",
        "A block freed by another thread, cost with 8 threads / with 1",
        "times",
        note="The figure itself is the growth, and its ratio that to glibc's.",
    ),
    Group(
        "held",
        "Resident memory with 2,000 mutual handshakes kept open",
        "KiB",
        note="Both ends in one process, over BIO pairs; the whole process. Two session tickets each, "
        "OpenSSL's default.",
    ),
    Group("held_after", "Resident memory after those 2,000 were closed", "KiB"),
    Group(
        "held_one_ticket",
        "Resident memory with 2,000 mutual handshakes kept open, one session ticket each",
        "KiB",
        note="How well glibc fills its holes depends on the sizes around them: hence both figures.",
    ),
    Group("start_true", "Start-up of `true`, wall clock", "ms"),
    Group("start_openssl", "Start-up of `openssl version`, wall clock", "ms"),
)


def callgrind_total(bench, row, name, program, *arguments):
    """All instructions of a run; what callgrind wrote stays, for the profile."""
    out = bench.scratch / f"{row.name}.{name}"
    launcher = (
        "valgrind",
        "-q",
        "--tool=callgrind",
        f"--callgrind-out-file={out}",
        "--compress-strings=no",
        "--compress-pos=no",
    )
    bench.run(row, program, *arguments, launcher=launcher)
    text = out.read_text()
    return int(re.search(r"^totals: (\d+)", text, re.M).group(1)), text


def per_run(bench, row, program, few, many):
    counts = []
    for count in (few, many):
        name = f"{program}.{count}"
        counts.append(callgrind_total(bench, row, name, program, "--count", count)[0])
    return (counts[1] - counts[0]) / (many - few)


def instructions(bench):
    bench.rounds("instructions", 1, lambda row: per_run(bench, row, "handshake", 10, 40))


def cpu(bench):
    count = 60 if bench.quick else 200

    def sample(row):
        some = 20 if row.launcher else count
        text = bench.run(row, "handshake", "--warm-up", row.warm_up, "--count", some)
        return runner.field(text, "cpu_us_per_handshake")

    bench.rounds("cpu", 5 if bench.quick else 21, sample, paired=True, checkers=9)


def cpu_threads(bench):
    def sample(row):
        times = {}
        for number in THREADS:
            some = ("--count", 600 // number, "--threads", number)
            text = bench.run(row, "handshake", "--warm-up", row.warm_up, *some)
            times[number] = runner.field(text, "cpu_us_per_handshake")
        return times

    rows = [row for row in bench.rows if row.kind != "checker"]
    bench.rounds("cpu_threads", 2 if bench.quick else 7, sample, rows=rows)


def pairs(bench):
    count = 2000

    def executed(row):
        text = callgrind_total(bench, row, "pairs", "pairs", "--count", count)[1]
        # The inclusive cost stands in the second line after the callee's name.
        costs = re.findall(r"^cfn=measured_(\d+)\ncalls=.*\n\S+ (\d+)$", text, re.M)
        return {int(size): int(cost) / count for size, cost in reversed(costs)}

    def timed(row):
        text = bench.run(row, "pairs", "--count", 100000)
        return {size: runner.field(text, f"size_{size}") for size in SIZES}

    bench.rounds("pairs_instructions", 1, executed)
    bench.rounds("pairs", 3 if bench.quick else 9, timed)


def parse(bench):
    def timed(row):
        text = bench.run(row, "parse", "--warm-up", 20 * min(row.warm_up, 60))
        return runner.field(text, "cpu_us_per_certificate")

    bench.rounds("parse_instructions", 1, lambda row: per_run(bench, row, "parse", 50, 150))
    bench.rounds("parse", 3 if bench.quick else 9, timed, checkers=5)


def size_mix(bench):
    """The sizes of the blocks of a real handshake, counted in the stock program."""
    path = bench.scratch / "sizes"
    if not path.exists():
        stock = bench.rows[0]
        bench.run(stock, "handshake", "--count", 20, "--sizes", path)
    return path


def live(bench):
    sizes = size_mix(bench)

    def sample(row):
        values = {"live": {}, "live_touch": {}}
        for blocks in LIVE:
            text = bench.run(row, "live", "--sizes", sizes, "--blocks", blocks)
            values["live"][blocks] = runner.field(text, "cpu_ns_per_operation")
            values["live_touch"][blocks] = runner.field(text, "cpu_ns_per_touch")
        return values | {"live_bytes": runner.field(text, "resident_bytes_per_block")}

    companions = ("live_touch", "live_bytes")
    bench.rounds("live", 2 if bench.quick else 5, sample, companions=companions)
    bench.results.derive("live_growth", "live", LIVE[-1], LIVE[0])


SLOTS = {  # how the program learns what a block takes
    "stock": ("--behind", 8),
    "libc": ("--header", 16, "--behind", 8),
    "arena": ("--header", 16, "--neighbours"),
    "jemalloc": (),
    "mimalloc": (),
    "tcmalloc": (),
}


def slots(bench):
    sizes, asked = size_mix(bench), []

    def sample(row):
        text = bench.run(row, "slots", "--sizes", sizes, *SLOTS[row.name])
        asked.append(runner.field(text, "asked_bytes_per_block"))
        return runner.field(text, "taken_bytes_per_block")

    bench.rounds("slots", 1, sample, rows=[row for row in bench.rows if row.name in SLOTS])
    group = bench.results.groups["slots"]
    bench.results.note("slots", group.note.format(asked=f"{asked[0]:.1f}"))


def threads(bench):
    sizes = size_mix(bench)

    def sample(row):
        times = {"threads_same": {}, "threads_other": {}, "threads_moves": {}}
        for number in THREADS:
            for group, flags in (("threads_same", ()), ("threads_other", ("--other",))):
                text = bench.run(
                    row,
                    "threads",
                    "--sizes",
                    sizes,
                    "--threads",
                    number,
                    "--rounds",
                    800 // number,
                    *flags,
                )
                times[group][number] = runner.field(text, "cpu_ns_per_pair")
                if group == "threads_same":
                    times["threads_moves"][number] = runner.field(text, "moves_in_1000_rounds")
        return times

    companions = ("threads_other", "threads_moves")
    count = 2 if bench.quick else 7
    bench.rounds("threads_same", count, sample, companions=companions, checkers=3)
    for group in ("threads_same", "threads_other"):
        bench.results.derive(f"{group}_growth", group, THREADS[-1], THREADS[0])


def memory(bench):
    def held(row):
        text = bench.run(row, "handshake", "--count", 2000, "--hold")
        return {
            "held": runner.field(text, "resident_kib_held"),
            "held_after": runner.field(text, "resident_kib_after"),
        }

    def held_one_ticket(row):
        text = bench.run(row, "handshake", "--count", 2000, "--hold", "--tickets", 1)
        return runner.field(text, "resident_kib_held")

    count = 1 if bench.quick else 2
    bench.rounds("held", count, held, companions=("held_after",), checkers=1)
    bench.rounds("held_one_ticket", 1, held_one_ticket)


def startup(bench):
    """The program runs both sides itself, in turns: here only the other side has the competitor."""

    def sample_of(pairs_of_runs, command):
        def sample(row):
            argv = [bench.programs / "startup", "--pairs", pairs_of_runs]
            if bench.preloads[row.name]:
                argv += ["--library", bench.preloads[row.name]]
            for name, value in row.settings.items():
                argv += ["--set", f"{name}={value}"]
            env = bench.environment(bench.rows[0])
            text = bench.run_command(row.title, [*argv, "--", *command], env)
            return runner.field(text, "preloaded_ms")

        return sample

    count = 3 if bench.quick else 9
    bench.rounds("start_true", count, sample_of(30, ("true",)))
    bench.rounds("start_openssl", count, sample_of(15, ("openssl", "version")))
