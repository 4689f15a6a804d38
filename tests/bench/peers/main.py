"""What does the library cost, and what do other allocators and checkers?

All of them are measured side by side, in one run; the results go to docs/bench as JSON, as tables
and as plots, and from there into the table of README.md.  Each measure is written down at once:
--resume continues a run that was interrupted.

Run through scripts/bench --peers, which builds the programs and installs what is missing.
"""

import argparse
import hashlib
import json
import pathlib
import signal
import sys
import tempfile
import time

import competitors
import document
import later
import limits
import machine
import measures
import plots
import profiles
import readme
import runner
import servers
import unfinished
from results import Results

ROOT = pathlib.Path(__file__).resolve().parents[3]
MEASURES = {
    "instructions": profiles.instructions,
    "cpu": measures.cpu,
    "cpu_threads": measures.cpu_threads,
    "pairs": measures.pairs,
    "parse": measures.parse,
    "live": measures.live,
    "slots": measures.slots,
    "threads": measures.threads,
    "memory": measures.memory,
    "startup": measures.startup,
    "nginx": servers.nginx_handshakes,
    "nginx-memory": servers.nginx_memory,
    "profile": profiles.nginx_worker,
    "later": later.handshakes,
}
GROUPS = measures.GROUPS + servers.GROUPS + later.GROUPS
CALLGRIND = ("instructions", "pairs", "parse")
NGINX = ("nginx", "nginx-memory", "profile")
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
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep what a run that was cut off has measured of the same library, and go on",
    )
    parser.add_argument(
        "--systems",
        type=pathlib.Path,
        default=ROOT / "build/systems",
        help="where scripts/other-openssl keeps its Debians (default build/systems)",
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
    if any(name in NGINX for name in arguments.only):
        lines.append(("nginx-light",))
    if "profile" in arguments.only:
        lines += [("linux-perf",), ("libc6-dbg",)]
    if "later" in arguments.only:
        lines.append(("mmdebstrap",))
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
    results, others = Results(GROUPS), machine.Others()
    bench = runner.Bench(
        arguments.build_dir.resolve(),
        scratch,
        results,
        arguments.rows,
        arguments.quick,
        arguments.seed,
        arguments.systems.resolve(),
    )
    run = unfinished.Run(unfinished_of(arguments), bench, identity_of(arguments))
    if arguments.resume:
        run.resume()
    for name in arguments.only:
        if name not in run.seconds:
            run.measured(name, lambda name=name: MEASURES[name](bench))
    facts = machine.describe(
        arguments.rows, ROOT, command(arguments), load_before, others.share()
    )
    facts["versions"] |= bench.versions
    facts["seconds"] = run.seconds
    facts["resumed"] = run.resumed
    written = {
        "format": 2,
        "machine": facts,
        "seed": arguments.seed,
        "left_out": bench.left_out,
        "skipped": bench.skipped,
        "shares": bench.shares,
        "groups": results.summary(),
    }
    return written, bench.profiles, bench.failures


def unfinished_of(arguments):
    """Nothing unfinished lies in docs/bench, and no trial takes the place of a run for it."""
    if arguments.output.resolve() == readme.FOLDER:
        return ROOT / "build/bench/unfinished-docs.json"
    return arguments.output / "unfinished.json"


def identity_of(arguments):
    """What has to be equal for two runs to be one."""
    library = arguments.build_dir / "src/libfreeonce.so"
    return {
        "library": hashlib.sha256(library.read_bytes()).hexdigest() if library.exists() else "",
        "competitors": [row.name for row in arguments.rows],
        "quick": arguments.quick,
        "seed": arguments.seed,
    }


def write(results, texts, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.svg"), *folder.glob("profile-*.txt")):
        path.unlink()
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n")
    for name, profile in texts.items():
        (folder / f"profile-{name}.txt").write_text(profile)
    drawn = plots.draw(results, folder)
    if drawn is None:
        runner.progress("no plots: python3-matplotlib is missing")
    (folder / "README.md").write_text(document.document(results, drawn or [], texts))
    if folder.resolve() == readme.FOLDER:
        readme.rewrite(results)


def redraw(folder):
    texts = {
        path.stem.removeprefix("profile-"): path.read_text()
        for path in sorted(folder.glob("profile-*.txt"))
    }
    write(json.loads((folder / "results.json").read_text()), texts, folder)


def say(results, folder):
    print(f"results: {folder}/README.md")
    for verdict in limits.judge(results):
        print(f"  {verdict.said:36} {verdict.value:7.3f}  {verdict.limit.competitor}: {verdict.title}")
    for name, reason in results["skipped"].items():
        print(f"  left out: {name}: {reason}")


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
            results, texts, failures = measure(arguments, pathlib.Path(scratch), load)
    except runner.Failed as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return EXIT_FAILED
    write(results, texts, arguments.output)
    unfinished_of(arguments).unlink(missing_ok=True)
    print(f"measured in {time.monotonic() - started:.0f} s")
    say(results, arguments.output)
    for failure in failures:
        print(f"bench: {failure}", file=sys.stderr)
    return EXIT_FAILED if failures else 0


if __name__ == "__main__":
    sys.exit(main())
