#!/usr/bin/env python3
"""Are the lists of docs/architecture.md, "How to add", complete?  Adds an option, an object, a backend, an output format and a
test case to a copy of the tree, in exactly the files that each list names, builds what is needed, and uses each.

    additions.py [--cc COMPILER] [--keep FOLDER]

Exit status 77: something that the build needs is not installed.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENT = "docs/architecture.md"
COPIED = ("CMakeLists.txt", "README.md", "LICENSE", "docs", "examples", "include", "packaging", "scripts", "src", "tests")
TARGETS = ("freeonce", "freeonce_main", "freeonce_example_plugin", "faults", "objects", "cli_document")


class Failure(Exception):
    pass


# --- what is added ------------------------------------------------------------------------------------


def before(marker, text):
    """Text in front of the first line that begins with the marker; blanks in front of it do not count."""
    return re.compile(rf"^(?=[ \t]*{re.escape(marker)})", re.MULTILINE), text


def instead(old, new):
    return re.compile(re.escape(old)), new


def new_file(text):
    return None, text


OPTION = """FO_OPTION(example, EXAMPLE, flag, "0|1", "0", "1: an example is printed at start", "never",
          "FREEONCE_EXAMPLE=1")
"""
BACKEND = """/* Backend `example`: malloc, and nothing else. */
#include <stdlib.h>

#include "backend/backend.h"
#include "base/libc_memory.h"

static void *example_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void example_free(void *block, size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    (void)line;
    fo_libc_memory.free(block);
}

const struct freeonce_backend fo_example_backend = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "example",
    .alloc = example_alloc,
    .free = example_free,
};
"""
FORMAT = """/* The number of findings. */
#include "cli/output/format.h"

void fo_format_example(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    (void)run;
    fprintf(out, "%zu findings\\n", model->finding_count);
}
"""
FAULT = """static void example(void)
{
    pass_pointer(freed_block(48));
}

"""
TESTED = """    def test_example_counts(self):
        self.assertEqual(self.write('example', 'three'), '3 findings\\n')

"""

# title in the document: {file there: (what is added, ...)}; a file with words in capitals stands for one of NAMED
ADDITIONS = {
    "An option": {
        "src/options/options.def": (
            before("FO_OPTION(wipe,", OPTION),
        ),
        "src/ROOM/FILE.c": (
            before("fo_hot.objects = ", '    if (fo_options.example)\n        fo_say_words("example", NULL);\n'),
        ),
        "tests/cases/table_options.py": (
            before("CASES = [", 'EXAMPLE = Case("example-option", "faults healthy", "example\\n", ANY, {"FREEONCE_EXAMPLE": "1"})\n'),
            instead("CASES = [\n", "CASES = [\n    EXAMPLE,\n"),
        ),
    },
    "An object": {
        "src/load/objects.def": (before("FO_OBJECT(EDIPARTYNAME_free,", "{object}"),),
        "tests/objects/kinds.c": (
            before("KIND(EC_POINT_clear_free,", "PLAIN(EC_POINT, new_point())\n"),
            before("ROW(EC_POINT_clear_free,", '    ROW(EC_POINT_free, "EC_POINT", NULL),\n'),
        ),
    },
    "A backend": {
        "src/base/block.h": (before("FO_BACKEND_COUNT,", "    FO_BACKEND_EXAMPLE,\n"),),
        "src/backend/NAME.c": (new_file(BACKEND),),
        "src/backend/backend.h": (before("struct fo_host {", "extern const struct freeonce_backend fo_example_backend;\n\n"),),
        "src/backend/backend.c": (
            before("[FO_BACKEND_LIBC] = ", "    [FO_BACKEND_EXAMPLE] = &fo_example_backend,\n"),
            instead('strcmp(text, "libc") == 0', 'strcmp(text, "example") == 0 || strcmp(text, "libc") == 0'),
        ),
        "src/load/choose.c": (
            before(
                'if (strcmp(text, "arena") == 0)',
                '    if (strcmp(text, "example") == 0)\n        return FO_BACKEND_EXAMPLE;\n',
            ),
        ),
        "src/options/options.def": (instead('"auto|host|', '"auto|example|host|'),),
        "src/CMakeLists.txt": (instead("backend/libc.c", "backend/example.c backend/libc.c"),),
        "tests/cases/model.py": (before('"libc": (', '    "example": ([], "example", "example"),\n'),),
    },
    "An output format": {
        "src/cli/output/NAME.c": (new_file(FORMAT),),
        "src/cli/output/format.h": (
            before(
                "void fo_format_json(",
                "void fo_format_example(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);\n",
            ),
        ),
        "src/cli/output/format.c": (before('{"json",', '    {"example", "a number", fo_format_example},\n'),),
        "src/cli/output/output.c": (instead("text, json,", "text, example, json,"),),
        "src/cli/CMakeLists.txt": (before("output/format.c", "  output/example.c\n"),),
        "docs/man/freeonce.1": (before(".It Cm json", ".It Cm example\nthe number of findings\n"),),
        "packaging/freeonce.bash": (instead("text json junit", "text example json junit"),),
        "packaging/_freeonce": (instead("text json junit", "text example json junit"),),
        "tests/cli/formats/document.c": (instead('{{"json", ', '{{"example", fo_format_example}, {"json", '),),
        "tests/cli/formats/run.py": (before("def test_json_has_everything", TESTED),),
    },
    "A test case": {
        "tests/cases/SUBJECT.c": (
            before("const struct fault double_faults[]", FAULT),
            before('{"double-free", simple}', '    {"example-fault", example},\n'),
        ),
        "tests/cases/table_SUBJECT.py": (
            before('Case("double-free", ', '    Case("example-fault", "faults example-fault", double(48), EVERY),\n'),
        ),
    },
}
NAMED = {
    "src/ROOM/FILE.c": "src/load/engine.c",
    "src/backend/NAME.c": "src/backend/example.c",
    "src/cli/output/NAME.c": "src/cli/output/example.c",
    "tests/cases/SUBJECT.c": "tests/cases/doubles.c",
    "tests/cases/table_SUBJECT.py": "tests/cases/table_doubles.py",
}
# An object that OpenSSL has and the tree has not: one is taken out of it first.
TAKEN_OUT = {
    "src/load/objects.def": r"^FO_OBJECT\(EC_POINT_free,.*\n",
    "tests/objects/kinds.c": r"^PLAIN\(EC_POINT, .*\n|^ *ROW\(EC_POINT_free,.*\n",
}


# --- adding it ----------------------------------------------------------------------------------------


def lists():
    """{title: (files, scripts to run)} as the document has them."""
    part = (ROOT / DOCUMENT).read_text().partition("\n## How to add\n")[2].partition("\n## ")[0]
    found = {}
    for title, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", part, re.MULTILINE | re.DOTALL):
        found[title] = (
            set(re.findall(r"^- `([^`]+)`", body, re.MULTILINE)),
            re.findall(r"^- Run `([^`]+)`", body, re.MULTILINE),
        )
    return found


def compare(documented):
    if set(documented) != set(ADDITIONS):
        raise Failure(f"{DOCUMENT} has lists for {sorted(documented)}")
    for title, (files, _) in documented.items():
        added = set(ADDITIONS[title])
        if files != added:
            raise Failure(f"{title}: only {DOCUMENT} names {sorted(files - added)}, only this test {sorted(added - files)}")


def add(tree, file, changes, facts):
    path = tree / NAMED.get(file, file)
    for pattern, text in changes:
        if pattern is None:
            path.write_text(text)
            continue
        old = path.read_text()
        new = pattern.sub(lambda _, text=text: facts.get(text, text), old, count=0 if text.startswith("text, ") else 1)
        if new == old:
            raise Failure(f"{path.relative_to(tree)} has no place for {text!r}")
        path.write_text(new)


def take_out(tree):
    """Removes the row of the object, and returns it."""
    row = ""
    for file, pattern in TAKEN_OUT.items():
        text = (tree / file).read_text()
        if file.endswith(".def"):
            row = re.search(pattern, text, re.MULTILINE)[0]
        (tree / file).write_text(re.sub(pattern, "", text, flags=re.MULTILINE))
    return row


# --- using it -----------------------------------------------------------------------------------------


def run(tree, *command, status=0, **options):
    """stdout and stderr."""
    command = [str(word) for word in command]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tree), "LC_ALL": "C.UTF-8", "CCACHE_DISABLE": "1"}
    done = subprocess.run(
        command, cwd=tree, env={**environment, **options}, capture_output=True, text=True, timeout=1200, check=False
    )
    if done.returncode != status:
        raise Failure(f"{' '.join(command)}: exit status {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout + done.stderr


def build(tree, compiler):
    """Without optimisation: nothing here is measured."""
    ninja = ["-G", "Ninja"] if shutil.which("ninja") else []
    cmake = ["cmake", "-S", tree, "-B", tree / "build", *ninja, "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0 -g0"]
    said = run(tree, *cmake, f"-DCMAKE_C_COMPILER={compiler}")
    if not (tree / "build/src/cli").is_dir():
        print(f"the command is not built here: {said[-300:]}")
        sys.exit(77)
    run(tree, "cmake", "--build", tree / "build", "--parallel", "2", "--target", *TARGETS)


def expect(text, wanted):
    if wanted not in text:
        raise Failure(f"expected {wanted!r}, got\n{text}")


def use(tree):
    out = tree / "build"
    library = out / "src/libfreeonce.so"
    cases = [sys.executable, "-B", tree / "tests/cases/run.py", "--lib", library, "--programs", out / "tests/cases"]
    cases += ["--plugin", next(out.rglob("counting.so"))]
    # an option
    expect(run(tree, *cases, "auto.example-option", "arena.verbose-on-arena"), "2 of 2 cases passed")
    run(tree, tree / "scripts/options-doc", "--check")
    expect((tree / "docs/man/freeonce.7").read_text(), "FREEONCE_EXAMPLE")
    # an object
    run(tree, tree / "scripts/objects", "--library", library)
    program = out / "tests/objects/objects"
    expect(run(tree, program, "twice", "EC_POINT_free", LD_PRELOAD=str(library)), "freeonce: double free of EC_POINT 0x")
    # a backend
    expect(run(tree, *cases, "example.double-free", "example.realloc-of-freed"), "2 of 2 cases passed")
    said = run(tree, out / "tests/cases/faults", "healthy", LD_PRELOAD=str(library), FREEONCE_BACKEND="example", FREEONCE_VERBOSE="1")
    expect(said, "backend example, memory private")
    # an output format
    journal = tree / "journal"
    faults = out / "tests/cases/faults"
    run(tree, faults, "double-free", LD_PRELOAD=str(library), FREEONCE_JOURNAL=str(journal))
    freeonce = out / "src/cli/freeonce"
    expect(run(tree, freeonce, "report", "--format", "example", journal, status=99), "1 findings\n")
    expect(run(tree, freeonce, "report", "--help"), "text, example, json")
    run(tree, sys.executable, "-B", tree / "tests/cli/formats/run.py", next(out.rglob("cli_document")), "Formats.test_example_counts")
    # a test case
    expect(run(tree, *cases, "arena.example-fault", "libc.example-fault"), "2 of 2 cases passed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default="cc", help="the compiler")
    parser.add_argument("--keep", type=pathlib.Path, help="an empty folder for the tree, which stays")
    arguments = parser.parse_args()
    documented = lists()
    compare(documented)
    with tempfile.TemporaryDirectory(prefix="freeonce-additions-") as folder:
        tree = arguments.keep or pathlib.Path(folder)
        for name in COPIED:
            ignore = shutil.ignore_patterns("corpus", "__pycache__")
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name, **({"ignore": ignore} if (ROOT / name).is_dir() else {}))
        facts = {"{object}": take_out(tree)}
        expect(run(tree, tree / "scripts/objects", status=1), "EC_POINT_free")
        for title, changes in ADDITIONS.items():
            for file, added in changes.items():
                add(tree, file, added, facts)
            for script in documented[title][1]:
                run(tree, tree / script)
        build(tree, arguments.cc)
        use(tree)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
