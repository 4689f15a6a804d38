"""Juliet's part of docs/detection.md, for scripts/detection: NIST's test suite for C/C++ 1.3, from a folder of the user's."""

import concurrent.futures
import pathlib
import re
import subprocess
import tempfile

BEGIN = "## NIST's Juliet test suite\n"
HEAD = BEGIN + """
Programs that nobody here wrote: the C programs of NIST's Juliet test suite for C/C++ 1.3 in four classes of faults. Each
is built twice, with its fault and without, and asks OpenSSL for memory wherever it would ask libc: `malloc` is
`OPENSSL_malloc`, `free` is `OPENSSL_free`. Left out are programs whose fault a random number decides (flow variant 12),
those that read from a socket or a fixed file, and those that take bytes of the environment for wide characters. *named*:
the report has the right kind of fault, by freeonce also the lines of the allocation and of the free. *silent*: the
program ended as if all were well.

{table}
*without the fault*: how many of the same programs, built without their fault, freeonce reported, by default, with CI's
settings and with guard. `freeonce, guard` is `FREEONCE_BACKEND=guard`; the other columns are those of the table above.
glibc names no kind that a line of a program could be found by; what it aborts is counted. A freed block that is only
read is seen by tools that look at each access, and by guard, where its page is closed; 19 of these programs do not even
read it, because C's library refuses to print wide characters there.

{versions}. Unpack the suite and run `scripts/detection --juliet FOLDER`; its code is not in this tree.
"""
# class, what it is, and freeonce's right words for it
CLASSES = (
    ("CWE415", "double free", r"double free of block .*\n.*allocated .*\.c:\d+ .*\n.*freed first .*\.c:\d+ "),
    ("CWE416", "use after free", r"(read|write) of freed block .*\n.*allocated .*\.c:\d+ .*\n.*freed first .*\.c:\d+ "),
    ("CWE590", "free of memory not on the heap", r"free of .*, which OpenSSL never allocated .*\n.*freed now .*\.c:\d+ "),
    ("CWE761", "free of a pointer not at the start",
     r"free of .* inside block .*\n.*allocated .*\.c:\d+ .*\n.*freed now .*\.c:\d+ "),
)
LEFT_OUT = re.compile(r"_12\.c$|_socket_|_file_|_wchar_t_environment_")
TOOLS = ("freeonce", "freeonce, CI", "freeonce, guard", "glibc", "glibc, checking", "ASan", "valgrind")
MEMORY = """
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#undef strdup
#define malloc(size) OPENSSL_malloc(size)
#define calloc(count, size) OPENSSL_zalloc((count) * (size))
#define realloc(p, size) OPENSSL_realloc(p, size)
#define free(p) OPENSSL_free(p)
#define strdup(text) OPENSSL_strdup(text)
"""


class Programs:
    """One test case, with its fault or without, compiled plain and with AddressSanitizer."""

    def __init__(self, folder, juliet, sources, bad, flags):
        self.folder, self.built = pathlib.Path(folder), True
        for asan in (False, True) if bad else (False,):
            options = ["-g", "-O0", "-w", "-DINCLUDEMAIN", "-DOMITGOOD" if bad else "-DOMITBAD", "-include",
                       self.folder.parent / "memory.h", f"-I{juliet / 'testcasesupport'}"]
            options += ["-fsanitize=address", "-fno-omit-frame-pointer"] if asan else []
            command = ["gcc", *options, *sources, self.folder.parent / "io.o", "-o", self.path("", asan), *flags]
            self.built = self.built and subprocess.run(command, capture_output=True).returncode == 0

    def path(self, _, asan):
        return self.folder / ("asan" if asan else "plain")


class Juliet:
    """All programs of a class, and what each tool says of them."""

    def __init__(self, juliet, library, run):
        self.juliet, self.library, self.run = juliet.resolve(), library, run
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libcrypto"], capture_output=True, text=True, check=True)
        self.flags = flags.stdout.split() + ["-pthread", "-lm"]

    def cases(self, number):
        """The source files of each test case: those with the same name up to a letter at the end."""
        cases = {}
        for path in sorted(self.juliet.glob(f"testcases/{number}_*/**/*.c")):
            if not LEFT_OUT.search(path.name) and re.search(r"_\d\d[a-e]?\.c$", path.name):
                cases.setdefault(re.sub(r"[a-e]?\.c$", "", path.name), []).append(path)
        return list(cases.values())

    def try_case(self, folder, sources, bad, right):
        """{tool: what it did}; empty if the case cannot be compiled here."""
        with tempfile.TemporaryDirectory(dir=folder) as own:
            programs = Programs(own, self.juliet, sources, bad, self.flags)
            tools = (TOOLS if bad else TOOLS[:3]) if programs.built else ()
            return {tool: self.outcome(programs, tool, right) for tool in tools}

    def outcome(self, programs, tool, right):
        run = self.run(("", "program"), tool, programs, self.library)
        run.input = "a String\n"  # the programs search for an S, which is not the first character here
        run.environment["ADD"] = "a String"
        run.start()
        who, goes_on = run.said(), run.end() == "goes on"
        if who == "freeonce":
            return ("named" if re.search(right, run.errors) else "reported as something else", goes_on)
        if who in ("ASan", "valgrind"):
            return ("named", goes_on)
        return ("silent" if goes_on else "ends", goes_on)

    def row(self, folder, number, what, right):
        cases = self.cases(number)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            bad = list(pool.map(lambda s: self.try_case(folder, s, True, right), cases))
            good = list(pool.map(lambda s: self.try_case(folder, s, False, right), cases))
        bad, good = [case for case in bad if case], [case for case in good if case]
        false = sum(any(done[0] != "silent" for done in case.values()) for case in good)
        cells = [cell_of([case[tool] for case in bad]) for tool in TOOLS]
        return [f"{number[:3]}-{number[3:]}, {what}", str(len(bad)), *cells, f"{false} of {len(good)}"]

    def part(self, versions):
        """Of docs/detection.md."""
        return HEAD.format(table=self.table(), versions=versions)

    def table(self):
        heads = ["class", "programs", *TOOLS, "without the fault"]
        text = f"| {' | '.join(heads)} |\n|---|{'---|' * (len(heads) - 1)}\n"
        with tempfile.TemporaryDirectory(prefix="freeonce-juliet-") as folder:
            (pathlib.Path(folder) / "memory.h").write_text(MEMORY)
            support = self.juliet / "testcasesupport"
            subprocess.run(["gcc", "-w", "-c", f"-I{support}", support / "io.c", "-o", f"{folder}/io.o"], check=True)
            for number, what, right in CLASSES:
                text += f"| {' | '.join(self.row(folder, number, what, right))} |\n"
        return text


def cell_of(outcomes):
    kinds = [(kind, [goes_on for what, goes_on in outcomes if what == kind])
             for kind in ("named", "reported as something else", "ends", "silent")]
    texts = [f"{len(found)} {kind}" + (f" ({sum(found)} go on)" if kind in ("named",) and sum(found) else "")
             for kind, found in kinds if found]
    return ", ".join(texts)


def kept(text):
    """Juliet's part of the file as it is."""
    part = re.search(rf"(?ms)^({re.escape(BEGIN)}.*?)?^This file is made by", text)[1]
    return part.rstrip("\n") + "\n" if part else ""
