#!/usr/bin/env python3
"""scripts/anchors and scripts/sizes: the tree passes, and each kind of fault is found in a copy of it."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENT = "docs/architecture.md"
FOLDERS = ("docs", "examples", "include", "packaging", "scripts", "src", "tests")


def replaced(name, old, new):
    def change(text):
        assert old in text, f"{name} has no {old!r} any more"
        return text.replace(old, new)

    return {name: change}


def added(name, more):
    return {name: lambda text: text + more}


MANY = {f"src/attic/{number}.h": lambda text: text for number in range(21)}
LONG = "".join(f"    f({number});\n" for number in range(61))
PLANTED = {  # script: what is changed in a copy, the message
    "anchors": (
        (replaced("src/block/fast.h", "fo_malloc_fast", "fo_renamed"), "src/block/fast.h defines fo_malloc_fast 0 times"),
        (replaced(DOCUMENT, "src/heap/cache.c: fill`", "src/heap/cashe.c: fill`"), "there is no src/heap/cashe.c"),
        (replaced(DOCUMENT, "`fo_hot.alloc`", "`fo_hat.alloc`"), "there is no fo_hat in src"),
        (replaced(DOCUMENT, "`src/heap/set.h`", "`src/heap/sets.h`"), "there is no src/heap/sets.h"),
        (replaced(DOCUMENT, "5. Blocks of other", "5. `src/load/fork.c: fork` Blocks of other"), "The way of a free: 6 files"),
        (replaced(DOCUMENT, "| cell | A", "| bin | A"), "the glossary has a word twice"),
        (replaced(DOCUMENT, "| cell | A", "| zell | A"), "check bits comes before zell"),
        (replaced(DOCUMENT, "lowest is found first.", "lowest is found first. It is fast."), "set: one sentence is wanted"),
    ),
    "sizes": (
        (added("src/base/long.c", "/* a line */\n" * 401), "src/base/long.c: 401 lines, and"),
        (added("src/base/long.c", f"void g(void)\n{{\n{LONG}}}\n"), "src/base/long.c: g: 64 lines, and"),
        (added("tests/docs/long.py", f"def g():\n{LONG}"), "tests/docs/long.py: g: 62 lines, and"),
        (added("tests/unit/long.sh", f"g()\n{{\n{LONG}}}\n"), "tests/unit/long.sh: g: 64 lines, and"),
        (MANY, "src/attic/: 21 files, and"),
        (replaced(DOCUMENT, "| `scripts/bench` |", "| `scripts/sizes` |"), "scripts/sizes is not too large any more"),
    ),
}


def run(script, root):
    done = subprocess.run([ROOT / "scripts" / script, root], text=True, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


def planted(root, changes, script):
    """What the script prints for the copy at root with these changes, which are undone afterwards."""
    before = {root / name: (root / name).read_text() if (root / name).exists() else None for name in changes}
    for name, change in changes.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(change(before[root / name] or ""))
    answer = run(script, root)
    for path, text in before.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    return answer


def main():
    script, wrong = sys.argv[1], []
    status, text = run(script, ROOT)
    if status != 0:
        wrong.append(f"the tree: {text}")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
        for changes, said in PLANTED[script]:
            status, text = planted(root, changes, script)
            if status != 1 or said not in text:
                wrong.append(f"not found: {said}; exit status {status}, {text}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
