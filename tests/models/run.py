#!/usr/bin/env python3
"""Checks the models of this folder with herd7: usage: run.py HERD7 [MODEL...].  Called by scripts/models.

Each *.litmus is a program of C11's atomic operations, which stands for some lines of src, and a condition that may never
hold.  It is checked under C11 (rc11.cat) and, as the instructions of arm64 that gcc makes of it (arm.py), under ARMv8
(aarch64.cat).

A line that ends in  // weak: relaxed  has a twin, in which its order is relaxed: there the condition must be seen, or the
model would prove nothing.  Instead of an order there may be statements, in braces.  Lines with the same letter (// weak a:
relaxed) are weakened together.  (C11) or (ARMv8) behind it: the twin shows under that model alone.

Exit status: 0 all is as it should be, 1 not, 64 usage."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import arm

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WEAK = re.compile(r"\s*// weak(?: ([a-z]))?: (\w+|\{.*\})(?: \((C11|ARMv8)\))?$")
THREAD = re.compile(r"^P\d+ \(([^)]*)\) \{$")
SOURCE = re.compile(r"src/([\w/]+\.[ch]): ([\w, ]+)")
MODELS = ("C11", "ARMv8")


class Model:
    """One file."""

    def __init__(self, path):
        self.name = path.stem
        self.text = path.read_text()
        self.head, _, rest = self.text.partition("\n{ ")
        self.faults = []
        self.lines = rest.split("\n")
        self.twins = {}  # by letter or line: the lines, what replaces them, under which models it shows
        for number, line in enumerate(self.lines):
            if m := WEAK.search(line):
                twin = self.twins.setdefault(m[1] or f"line {number}", ([], set(MODELS)))
                twin[0].append((number, m[2]))
                if m[3]:
                    twin[1].intersection_update({m[3]})
        self.check_head()

    def check_head(self):
        """It must name what it stands for, and that must be there."""
        named = SOURCE.findall(self.head)
        if not named or "Never: " not in self.head:
            self.faults.append("its comment has no src/FILE: FUNCTION, or no Never:")
        for file, functions in named:
            path = ROOT / "src" / file
            text = path.read_text() if path.is_file() else ""
            self.faults += [f"src/{file} has no {f}" for f in functions.split(", ")
                            if not re.search(rf"\b{f}\b", text)]
        if not self.twins:
            self.faults.append("it has no twin that must fail")

    def weakened(self, twin):
        """The lines, without remarks, and the twin's lines changed; twin None: none is."""
        lines = [WEAK.sub("", line) for line in self.lines]
        for number, how in self.twins[twin][0] if twin else []:
            if how.startswith("{"):
                indent = re.match(r" *", lines[number])[0]
                lines[number] = indent + how[1:-1].strip()
            else:
                lines[number], changed = re.subn(r"memory_order_\w+", f"memory_order_{how}", lines[number])
                assert changed, f"{self.name}: nothing to weaken in line {number}"
        return lines

    def c11(self, twin):
        return self.head + "\n{ " + "\n".join(self.weakened(twin))

    def armv8(self, twin, way):
        lines = self.weakened(twin)
        values = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+);", lines[0])}
        bodies, exists, inside = [], "", False
        for line in lines[1:]:
            text = line.partition("//")[0].strip()
            if m := THREAD.match(line):
                bodies.append(([p.split()[-1] for p in m[1].split(",")], []))
                inside = True
            elif line == "}":
                inside = False
            elif inside and text:
                bodies[-1][1].append(text)
            elif not inside:
                exists += " " + text
        return arm.translate(self.name, values, bodies, re.fullmatch(r"\s*exists \((.*)\)\s*", exists)[1], way)


def observe(herd, text, model):
    """Never, Sometimes, Always, or what went wrong."""
    with tempfile.NamedTemporaryFile("w", suffix=".litmus") as file:
        file.write(text)
        file.flush()
        run = subprocess.run([herd, "-model", model, file.name], capture_output=True, text=True, timeout=600, check=False)
    found = re.search(r"^Observation \S+ (\w+)", run.stdout, re.MULTILINE)
    if flag := re.search(r"^Flag (.*)$", run.stdout, re.MULTILINE):
        return f"undefined: {flag[1]}"
    return found[1] if found else f"failed: {(run.stderr.strip() or run.stdout.strip())[-300:]}"


def check(herd, model):
    """The faults of one model, and how many runs of herd7 were as they should be."""
    faults, runs = list(model.faults), 0

    def expect(wanted, seen, what):
        if wanted == "Never" and seen != "Never":
            faults.append(f"{what}: {seen}, where it must never be seen")
        elif wanted == "Sometimes" and seen not in ("Sometimes", "Always"):
            faults.append(f"{what}: {seen}, where it must be seen")

    for twin in [None, *model.twins]:
        wanted, weak = ("Sometimes", f", {twin} weakened") if twin else ("Never", "")
        under = model.twins[twin][1] if twin else MODELS
        if "C11" in under:
            expect(wanted, observe(herd, model.c11(twin), "rc11.cat"), f"C11{weak}")
            runs += 1
        if "ARMv8" not in under:
            continue
        for way in arm.WAYS:
            expect(wanted, observe(herd, model.armv8(twin, way), "aarch64.cat"), f"ARMv8 ({way}){weak}")
            runs += 1
    return faults, runs


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 64
    herd, names = sys.argv[1], sys.argv[2:]
    models = [Model(path) for path in sorted(HERE.glob("*.litmus")) if not names or path.stem in names]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for model, (faults, runs) in zip(models, pool.map(lambda m: check(herd, m), models)):
            failed += bool(faults)
            print(f"{'not ok' if faults else 'ok'}  {model.name}: {runs} runs, {len(model.twins)} weaker twins", flush=True)
            for fault in faults:
                print(f"        {fault}")
    print(f"{len(models) - failed} passed, {failed} failed")
    return 1 if failed or not models else 0


if __name__ == "__main__":
    sys.exit(main())
