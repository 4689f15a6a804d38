#!/usr/bin/env python3
"""scripts/layers: the tree passes, and each kind of include that leads up is found in a copy of it."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

PLANTED = (  # file, what is added to it, what is said
    ("src/base/elf.c", '#include "report/record.h"', '"report/record.h" leads up, from base to report'),
    ("src/heap/region.h", '  # include "block/hooks.h" /* planted */', '"block/hooks.h" leads up, from heap to block'),
    ("src/shared/cures.h", '#include "load/objects.def"', '"load/objects.def" leads up, from shared to load'),
    ("src/load/start.c", '#include "cli/message.h"', '"cli/message.h" leads up, from load to cli'),
    ("src/process/rows.c", '#include "rows.h"', '"rows.h" is no file of a room'),
    ("src/cellar/new.c", '#include "base/base.h"', "cellar is no room of architecture.md"),
)


def layers(root):
    result = subprocess.run([ROOT / "scripts/layers", root], text=True, capture_output=True)
    return result.returncode, result.stdout + result.stderr


def copy(folder):
    for name in ("src", "docs"):
        shutil.copytree(ROOT / name, folder / name)


def main():
    wrong = []
    status, text = layers(ROOT)
    if status != 0:
        wrong.append(f"the tree: {text}")
    for name, line, said in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            copy(folder)
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            before = path.read_text() if path.exists() else ""
            path.write_text(f"{before}\n{line}\n")
            status, text = layers(folder)
            if status != 1 or f"{name}: {said}" not in text:
                wrong.append(f"{line} in {name}: exit status {status}, {text}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
