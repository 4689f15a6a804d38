#!/usr/bin/env python3
"""Checks the models of this folder: usage: run.py [--herd HERD7] [MODEL...].  Called by scripts/models.

Each *.litmus is a program of C11's atomic operations, which stands for some lines of src, and a condition that may never
hold.  It is decided under C11 and, as the instructions of arm64 that gcc makes of it (arm.py), under ARMv8: by decide.py, and
by herd7 (rc11.cat, aarch64.cat), too, where that is given.

A line that ends in  // weak: relaxed  has a twin, in which its order is relaxed: there the condition must hold in some
execution, or the model would prove nothing.  Instead of an order there may be statements, in braces.  Lines with the same
letter (// weak a: relaxed) are weakened together.  (C11) or (ARMv8) behind it: the twin shows under that model alone.  Under ARMv8 it
must show in one of the ways of arm.py.

Exit status: 0 all is as it should be, 1 not, 64 usage."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import arm
import decide
from program import Model

HERE = pathlib.Path(__file__).resolve().parent


def herd_says(herd, text, axioms):
    """Can the condition hold?  None: herd7 failed."""
    with tempfile.NamedTemporaryFile("w", suffix=".litmus") as file:
        file.write(text)
        file.flush()
        run = subprocess.run([herd, "-model", axioms, file.name], capture_output=True, text=True, timeout=600, check=False)
    found = re.search(r"^Observation \S+ (\w+)", run.stdout, re.MULTILINE)
    if not found:
        print((run.stderr.strip() or run.stdout.strip())[-500:], file=sys.stderr)
        return None
    return found[1] != "Never" or bool(re.search(r"^Undef", run.stdout, re.MULTILINE))


def answers(herd, model, twin, way):
    """Can the condition hold?  Each decider's answer, by its name."""
    program = model.program(twin)
    yield "decide.py", decide.can_hold(program, way)
    if herd and way == "c11":
        yield "herd7", herd_says(herd, model.text(twin), "rc11.cat")
    elif herd:
        yield "herd7", herd_says(herd, arm.translate(program, way), "aarch64.cat")


def check(herd, path):
    """What is wrong with one model, and a line about it."""
    model = Model(path)
    faults, runs = list(model.faults()), 0
    for twin in [None, *model.twins]:
        for architecture, ways in (("C11", ("c11",)), ("ARMv8", arm.WAYS)):
            if twin and architecture not in model.twins[twin][1]:
                continue
            seen = {}  # by decider: in which ways
            for way in ways:
                for name, answer in answers(herd, model, twin, way):
                    runs += 1
                    seen.setdefault(name, []).extend([way] * bool(answer))
                    if answer is None:
                        faults.append(f"{name} failed")
            for name, where in seen.items():
                if twin and not where:
                    faults.append(f"{architecture}, {name}: with {twin} weakened, it must be seen")
                elif not twin and where:
                    faults.append(f"{architecture}, {name}: it must never be seen, and is in {', '.join(where)}")
    return faults, f"{model.name}: {runs} runs, {len(model.twins)} weaker twins"


def main():
    arguments = sys.argv[1:]
    herd = None
    if arguments[:1] == ["--herd"] and len(arguments) > 1:
        herd, arguments = arguments[1], arguments[2:]
    if any(a.startswith("-") for a in arguments):
        print(__doc__, file=sys.stderr)
        return 64
    paths = [path for path in sorted(HERE.glob("*.litmus")) if not arguments or path.stem in arguments]
    failed = 0
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for faults, line in pool.map(check, [herd] * len(paths), paths):
            failed += bool(faults)
            print("not ok " if faults else "ok ", line, flush=True)
            for fault in faults:
                print("       ", fault)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
