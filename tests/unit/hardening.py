#!/usr/bin/env python3
"""Do the ELF files that were built have what packaging/harden.cmake asks for?  Read with readelf.

Usage: hardening.py [--fortify] [--compiler CC] {--library|--command|--module} FILE [--notes WORDS OBJECT...]...
--notes WORDS OBJECT...: each object that was compiled for the FILE has these notes, such as IBT,SHSTK. The FILE has
them if the compiler's own startup files have them: a linker keeps a note only if each of its inputs has it."""
import re
import subprocess
import sys
import tempfile

failed = []


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], check=True, capture_output=True, text=True).stdout


def complain(path, what):
    failed.append(f"{path}: {what}")


def check_segments(path):
    text = readelf("-l", path)
    segments = re.findall(r"^ +(\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3}) ", text, re.M)
    stacks = [flags for kind, flags in segments if kind == "GNU_STACK"]
    if stacks != ["RW "]:
        complain(path, f"the flags of GNU_STACK are {stacks}: the stack can be executed")
    if not any(kind == "GNU_RELRO" for kind, _ in segments):
        complain(path, "no GNU_RELRO")
    if any("W" in flags and "E" in flags for _, flags in segments):
        complain(path, "a segment that can be written and executed")


def check_dynamic(path, kind):
    text = readelf("-d", path)
    if not re.search(r"\(FLAGS(_1)?\) .*\b(BIND_NOW|NOW)\b", text):
        complain(path, "no BIND_NOW: its global offset table stays writable")
    if "TEXTREL" in text:
        complain(path, "relocations in its code")
    if kind == "command" and not re.search(r"\(FLAGS_1\) .*\bPIE\b", text):
        complain(path, "no position-independent executable")


def check_imports(path, fortify):
    imports = set(re.findall(r" UND (\w+)", readelf("--dyn-syms", path)))
    if not imports & {"__stack_chk_fail", "__stack_chk_guard"}:
        complain(path, "no stack protector")
    if fortify and not any(re.fullmatch(r"__\w+_chk", name) for name in imports):
        complain(path, "no function of _FORTIFY_SOURCE")


def notes_of(path):
    """The features of .note.gnu.property, as {"IBT", "SHSTK"} or {"BTI", "PAC"}."""
    found = re.search(r"(?:x86|AArch64) feature: ([A-Z, ]+)", readelf("-n", path))
    return set(found.group(1).replace(" ", "").split(",")) if found else set()


def notes_of_nothing(compiler, wanted):
    """The notes of a library that the compiler makes of an empty file."""
    flag = "-mbranch-protection=standard" if "BTI" in wanted else "-fcf-protection=full"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([compiler, flag, "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", f"{folder}/x.so"], check=True)
        return notes_of(f"{folder}/x.so")


def check_notes(path, objects, wanted, compiler):
    for one in objects:
        if not wanted <= notes_of(one):
            complain(one, f"the notes {', '.join(sorted(wanted - notes_of(one)))} are missing")
    missing = (wanted & notes_of_nothing(compiler, wanted)) - notes_of(path)
    if missing:
        complain(path, f"the notes {', '.join(sorted(missing))} are missing")


def main():
    arguments = sys.argv[1:]
    fortify, compiler, kind, path, checked = False, "cc", None, None, 0
    while arguments:
        word = arguments.pop(0)
        if word == "--fortify":
            fortify = True
        elif word == "--compiler":
            compiler = arguments.pop(0)
        elif word in ("--library", "--command", "--module"):
            kind, path = word[2:], arguments.pop(0)
            checked += 1
            check_segments(path)
            check_dynamic(path, kind)
            if kind != "module":  # a module without an array on the stack needs no protector
                # The library calls no function that has a checked twin: those are newer than its glibc 2.17.
                check_imports(path, fortify and kind == "command")
        elif word == "--notes":
            wanted, objects = arguments.pop(0), []
            while arguments and not arguments[0].startswith("--"):
                objects.append(arguments.pop(0))
            if wanted != "none":
                check_notes(path, objects, set(wanted.split(",")), compiler)
        else:
            sys.exit(f"{word}: unknown\n{__doc__}")
    print(*failed, sep="\n")
    print(f"{checked} files, {len(failed)} faults")
    sys.exit(1 if failed or checked == 0 else 0)


main()
