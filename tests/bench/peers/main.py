"""What does the library cost, and what do other allocators and checkers?

All of them are measured side by side, in one run; the results go to docs/bench as JSON, as tables
and as plots.

Run through scripts/bench --peers, which builds the programs and installs what is missing.
"""

import argparse
import json
import pathlib
import signal
import sys
import tempfile
import time

import competitors
import document
import limits
import machine
import measures
import plots
import runner
import servers
from results import Results

ROOT = pathlib.Path(__file__).resolve().parents[3]
MEASURES = {
    "instructions": measures.instructions,
    "cpu": measures.cpu,
    "pairs": measures.pairs,
    "parse": measures.parse,
    "live": measures.live,
    "threads": measures.threads,
    "memory": measures.memory,
    "startup": measures.startup,
    "nginx": servers.nginx_handshakes,
    "nginx-memory": servers.nginx_memory,
}
GROUPS = measures.GROUPS + servers.GROUPS
CALLGRIND = ("instructions", "pairs", "parse")
EXIT_FAILED, EXIT_USAGE, EXIT_BUSY = 1, 2, 4


def words(text):
    return [word for word in text.split(",") if word]


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench --peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit status: 0 measured, 1 a run failed, 2 usage, 3 packages are missing,\n"
        "4 the machine is busy",
    )
    parser.add_argument(
        "--build-dir",
        type=pathlib.Path,
        default=ROOT / "build/release",
        help="use what is built there, build nothing (default: build/release, built first)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help="where the results go, whose tables and plots are replaced (default: docs/bench after a "
        "complete run on a quiet machine and for --redraw, else build/bench)",
    )
    parser.add_argument(
        "--only",
        type=words,
        default=list(MEASURES),
        metavar="MEASURE,...",
        help=f"of {', '.join(MEASURES)}",
    )
    parser.add_argument(
        "--competitors",
        type=words,
        default=[],
        metavar="NAME,...",
        help="of " + ", ".join(row.name for row in competitors.TABLE),
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: does it run at all?")
    parser.add_argument(
        "--busy",
        action="store_true",
        help=f"go on with a load average above {machine.QUIET}; marked as a trial",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the random order (default 1)")
    parser.add_argument(
        "--redraw",
        action="store_true",
        help="measure nothing: write tables and plots of the JSON that is there",
    )
    parser.add_argument("--list-packages", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(MEASURES)
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    try:
        arguments.rows = competitors.chosen(arguments.competitors)
    except ValueError as reason:
        parser.error(str(reason))
    if arguments.output is None:
        trial = arguments.quick or arguments.busy or arguments.competitors
        complete = arguments.only == list(MEASURES) and not trial
        arguments.output = ROOT / ("docs/bench" if complete else "build/bench")
    return arguments


def packages(arguments):
    """A line for each thing that is needed: packages, of which one is enough."""
    lines = [row.packages for row in arguments.rows if row.packages]
    lines += [("python3-matplotlib",), ("openssl",)]
    if any(name in CALLGRIND for name in arguments.only):
        lines.append(("valgrind",))
    if any(name.startswith("nginx") for name in arguments.only):
        lines.append(("nginx-light",))
    return "\n".join(" ".join(line) for line in dict.fromkeys(lines))


def command(arguments):
    """As a reader would type it; where the results went does not matter."""
    parts = ["scripts/bench --peers"]
    if arguments.only != list(MEASURES):
        parts.append(f"--only {','.join(arguments.only)}")
    if arguments.competitors:
        parts.append(f"--competitors {','.join(arguments.competitors)}")
    parts += [f"--{name}" for name in ("quick", "busy") if getattr(arguments, name)]
    return " ".join(parts)


def measure(arguments, scratch, load_before):
    """Runs everything: (results, profiles, what failed)."""
    results = Results(GROUPS)
    bench = runner.Bench(
        arguments.build_dir.resolve(),
        scratch,
        results,
        arguments.rows,
        arguments.quick,
        arguments.seed,
    )
    for name in MEASURES:
        if name in arguments.only:
            started = time.monotonic()
            try:
                MEASURES[name](bench)
            except runner.Failed as reason:
                bench.failures.append(f"{name}: {reason}")
            runner.progress(f"{name}: {time.monotonic() - started:.0f} s")
    facts = machine.describe(arguments.rows, ROOT, command(arguments), load_before)
    written = {
        "format": 1,
        "machine": facts,
        "seed": arguments.seed,
        "left_out": bench.left_out,
        "groups": results.summary(),
    }
    profiles = measures.profiles(bench, ROOT / "tests/bench/profile.awk")
    return written, profiles, bench.failures


def write(results, profiles, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.svg"), *folder.glob("profile-*.txt")):
        path.unlink()
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n")
    for name, profile in profiles.items():
        (folder / f"profile-{name}.txt").write_text(profile)
    drawn = plots.draw(results, folder)
    if drawn is None:
        runner.progress("no plots: python3-matplotlib is missing")
    (folder / "README.md").write_text(document.document(results, drawn or [], profiles))


def redraw(folder):
    profiles = {
        path.stem.removeprefix("profile-"): path.read_text()
        for path in sorted(folder.glob("profile-*.txt"))
    }
    write(json.loads((folder / "results.json").read_text()), profiles, folder)


def say(results, folder):
    print(f"results: {folder}/README.md")
    for verdict in limits.judge(results):
        reached = "goal" if verdict.goal else "must" if verdict.must else "MISSED"
        print(f"  {reached:7} {verdict.value:7.3f}  {verdict.limit.competitor}: {verdict.title}")


def main():
    arguments = parse_arguments()
    if arguments.list_packages:
        print(packages(arguments))
        return 0
    if arguments.redraw:
        redraw(arguments.output)
        return 0
    load = machine.load_average()
    print(f"load average {load:.2f}", flush=True)
    if load > machine.QUIET and not arguments.busy:
        print(
            f"bench: the machine is busy (load average {load:.2f}, at most {machine.QUIET}):"
            " figures would say more about the others; wait, or go on with --busy for a trial",
            file=sys.stderr,
        )
        return EXIT_BUSY
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="freeonce-bench-") as scratch:
            results, profiles, failures = measure(arguments, pathlib.Path(scratch), load)
    except runner.Failed as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return EXIT_FAILED
    write(results, profiles, arguments.output)
    print(f"measured in {time.monotonic() - started:.0f} s")
    say(results, arguments.output)
    for failure in failures:
        print(f"bench: {failure}", file=sys.stderr)
    return EXIT_FAILED if failures else 0


if __name__ == "__main__":
    sys.exit(main())
