"""Are random numbers of different workers ever equal?  In the processes (random.c), and on the wire:
the hellos, ephemeral keys, session ids and ECDSA nonces that prefork_load records."""

import collections
import os
import re
import subprocess

from field import FLAVOURS, Broken
from modes import combinations, judge, keep, say


def equal_lines(path):
    """Kind -> [number of lines, number of lines that occurred before]."""
    kinds = collections.defaultdict(lambda: [0, 0])
    seen = set()
    with open(path, encoding="ascii") as file:
        for line in file:
            kind = kinds[line.split(" ", 1)[0]]
            kind[0] += 1
            kind[1] += line in seen
            seen.add(line)
    return kinds


def in_processes(field, options):
    folder = field.folder()
    pool = FLAVOURS[options.flavour][0][1:] or ["0"]
    argv = [field.programs / "prefork_random", str(options.workers), str(options.outputs), *pool]
    argv += ["plant"] if options.plant else []
    env = field.environment(options.flavour, folder)
    try:
        done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return ["prefork_random hangs"]
    say(f"{options.flavour}: {done.stdout.strip()}")
    bad = []
    if not re.search(r"^random: .* equal 0$", done.stdout, re.M) or done.returncode != 0:
        bad.append(f"prefork_random: {done.stdout.strip()}, exit status {done.returncode}")
    return bad + field.findings_of(folder)


def on_the_wire(field, options):
    bad = []
    for _, tls in [row for row in combinations(options) if row[0] == "ec"]:
        path = field.dir / f"wire-{tls}"
        run = field.run(
            options.flavour, "ec", tls, options.workers * options.each,
            server=["--workers", options.workers, *keep(options)], load=["--record", path],
        )
        kinds = equal_lines(path)
        wrong = [f"{many} of {all_} {kind}s occur twice" for kind, (all_, many) in kinds.items() if many]
        expected = {"hello", "key", "nonce"} | ({"id"} if tls == 12 else set())
        # There must be at least one line of each kind for each good connection.
        for kind in sorted(expected):
            if kinds[kind][0] < run.load["good"]:
                wrong.append(f"only {kinds[kind][0]} of kind {kind}")
        seen = ", ".join(f"{kind} {all_}" for kind, (all_, _) in sorted(kinds.items()))
        say(f"  TLS 1.{tls - 10} on the wire: {seen}")
        bad += judge(f"{options.flavour} wire TLS 1.{tls - 10}", run, wrong)
        os.unlink(path)
    return bad


def random(field, options):
    """No two random numbers are equal, begin alike, or are shifted."""
    if options.flavour == "bare":
        raise Broken("without cures this hangs at once")
    return in_processes(field, options) + on_the_wire(field, options)
