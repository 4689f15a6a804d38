#!/usr/bin/env python3
"""Objects freed twice: is each reported as what it was, with the places in the program, and skipped?

    run.py --lib L --program P --list        names of the tests
    run.py --lib L --program P [NAME...]     run them (default: all); exit status 1 if one fails

Standard library only; nm and the program itself say where its functions lie.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

# pylint: disable=wrong-import-position
from advice import without_advice

DEADLINE = 300  # seconds: EVP_PKEY_free() twice hangs without the library
COMMON = "EVP_PKEY_free X509_free SSL_CTX_free SSL_free BN_free BIO_free EVP_MD_CTX_free".split()


class Failure(Exception):
    pass


class Program:
    def __init__(self, path, library):
        self.path, self.library = pathlib.Path(path), library
        self.places = {}
        out = subprocess.run(["nm", "-S", path], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            words = line.split()
            if len(words) == 4:
                self.places[words[3]] = (int(words[0], 16), int(words[1], 16))

    def kinds(self):
        """{function: (type, has X_up_ref)}; the first of a name is taken, as in the program."""
        found = {}
        for line in self.run("--list", preload=False)[0].splitlines():
            name, kind, reference = line.split()
            found.setdefault(name, (kind, reference == "reference"))
        return found

    def run(self, *arguments, preload=True, **options):
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        environment |= {f"FREEONCE_{name}": value for name, value in options.items()}
        if preload:
            environment["LD_PRELOAD"] = self.library
        try:
            done = subprocess.run(
                [self.path, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failure("it hangs") from None
        if done.returncode != 0:
            raise Failure(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout, without_advice(done.stderr)

    def within(self, offset, place):
        start, size = self.places[place]
        return start < int(offset, 16) <= start + size


def facts(text):
    return dict(line.split(" ", 1) for line in text.splitlines())


SITE = r"(?:[\w./-]+\.[ch]:\d+|\?)"


def expect_report(program, output, report, headline, first, last, label="freed again", who=None):
    """Exactly this one report, its places within functions of the program."""
    known = facts(output)
    name = program.path.name
    process = rf"pid {known['pid']} \({name}\)"
    pattern = (
        rf"freeonce: {re.escape(headline.format(known['object']))} \(\d+ bytes\), (?:skipped|answered 0)\n"
        rf"  allocated    {SITE} +{process}\n"
        rf"  freed first  {SITE} by {name}\+(0x[0-9a-f]+) +{process}\n"
        rf"  {label:12} by {name}\+(0x[0-9a-f]+) +{who(known, process) if who else process}\n"
    )
    match = re.fullmatch(pattern, report)
    if not match:
        raise Failure(f"expected\n{pattern}\ngot\n{report}")
    for offset, place in zip(match.groups(), (first, last)):
        if not program.within(offset, place):
            raise Failure(f"{offset} is not in {place} {program.places[place]}\n{report}")
    if known.get("answer", "0") != "0":
        raise Failure(f"answer {known['answer']}")


def freed_again(program, case, function, who=None, **options):
    kind = program.kinds()[function][0]
    expect_report(
        program,
        *program.run(case, function, **options),
        f"double free of {kind} {{}}",
        f"first_{function}",
        f"again_{function}",
        who=who,
    )


def on_thread(known, process):
    return f"{process} thread {known['thread']}"


def in_child(known, process):
    parent = process.split()[1]
    return rf"pid {known['child']} {process.split(' ', 2)[2]}, forked from {parent} at \S+\+0x[0-9a-f]+"


def every_kind(program):
    names = list(program.kinds())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(freed_again, program, "twice", name) for name in names}
    failures = [f"{name}: {run.exception()}" for name, run in runs.items() if run.exception()]
    if failures:
        raise Failure("\n".join(failures))
    print(f"{len(names)} kinds of objects")


def references(program):
    count = 0
    for name, (kind, has_reference) in program.kinds().items():
        if not has_reference:
            continue
        expect_report(
            program,
            *program.run("reference", name),
            f"reference to freed {kind} {{}}",
            f"first_{name}",
            f"reference_{name.removesuffix('_free')}",
            label="referenced",
        )
        count += 1
    expect_report(
        program,
        *program.run("reference-chain"),
        "reference to freed STACK_OF(X509) {}",
        "chain_first",
        "chain_reference",
        label="referenced",
    )
    print(f"{count + 1} kinds of references")


def inner_again(program):
    """Freed by its owner, then by the program: the program's call for the owner is shown."""
    expect_report(
        program, *program.run("inner-again"), "double free of X509 {}", "outer_first", "inner_again"
    )


def outer_again(program):
    expect_report(
        program, *program.run("outer-again"), "double free of X509 {}", "inner_first", "outer_again"
    )


def given_back(program):
    """The quarantine is empty, but frees are remembered."""
    for name in COMMON:
        freed_again(program, "twice", name, QUARANTINE="0")


def switched_off(program):
    """FREEONCE_OBJECTS=0: libcrypto accesses the object, and the second free of the block is found."""
    output, report = program.run("twice", "BN_free", OBJECTS="0")
    if not report.startswith(f"freeonce: double free of block {facts(output)['object']} "):
        raise Failure(report)
    if " by " in report:
        raise Failure(f"who calls is not looked at:\n{report}")


def stacks(program):
    """A stack has the program's and OpenSSL's frames, none of the library's wrappers between them."""
    report = program.run("twice", "X509_free", STACKS="16")[1]
    name = re.escape(program.path.name)
    frames = re.findall(r"^  (?:allocated|freed first|freed again) .*\n((?:    #\d+ .*\n)+)", report, re.M)
    if len(frames) != 3 or not all(re.search(rf" {name}\+0x", stack) for stack in frames):
        raise Failure(f"a place has no stack\n{report}")
    if "libfreeonce" in report:
        raise Failure(f"a frame of the library's\n{report}")


def ended(program):
    """The report, and then what FREEONCE_ON_ERROR asks for."""
    try:
        program.run("twice", "BN_free", ON_ERROR="exit:7")
    except Failure as failure:
        if "exit status 7" in str(failure) and "double free of BIGNUM" in str(failure):
            return
        raise
    raise Failure("the program went on")


def silent(program, case, **options):
    report = program.run(case, **options)[1]
    if report:
        raise Failure(f"a healthy program got a report:\n{report}")


def files_of_openssl(program):
    """The libcrypto and the libssl to which the program is linked."""
    lines = subprocess.run(["ldd", program.path], capture_output=True, text=True, check=True).stdout
    return [re.search(rf"=> (\S*/lib{name}\.so\S*)", lines)[1] for name in ("crypto", "ssl")]


def asked_twice(program, name, way, **options):
    asked = Program(program.path.parent / "asked", program.library)
    kind = program.kinds()[name][0]
    files = files_of_openssl(program)
    expect_report(
        asked,
        *asked.run("twice", name.removesuffix("_free"), way, *files, **options),
        f"double free of {kind} {{}}",
        "first",
        "again",
    )


def asked_every_kind(program):
    """Functions from dlsym, of libraries that the program opened: as those of a linked program."""
    names = list(Program(program.path.parent / "asked", program.library).kinds())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(asked_twice, program, name, "handle") for name in names}
    failures = [f"{name}: {run.exception()}" for name, run in runs.items() if run.exception()]
    if failures:
        raise Failure("\n".join(failures))
    print(f"{len(names)} kinds of objects")


def asked_otherwise(program):
    for way in ("version", "default"):
        asked_twice(program, "X509_free", way)
    for backend in ("shm", "libc", "guard"):
        asked_twice(program, "X509_free", "handle", BACKEND=backend)


def asked_of_copies(program):
    """Each handle's function is its own library's, also when there are several, and when one went."""
    folder = program.path.parent
    asked = Program(folder / "asked", program.library)
    with tempfile.TemporaryDirectory() as scratch:
        copies = [shutil.copy(folder / "fake.so", f"{scratch}/{name}.so") for name in "abc"]
        for preload in (False, True):
            for arguments in (["copies", *copies], ["ambiguous", files_of_openssl(program)[0], copies[0]]):
                report = asked.run(*arguments, preload=preload)[1]
                if report:
                    raise Failure(report)


def asked_of_linked(program):
    """Where the program is linked to OpenSSL, dlsym gives what its own references are bound to."""
    seen = [program.run("asked", preload=preload)[0] for preload in (False, True)]
    if seen[0] != seen[1] or "same" not in seen[0]:
        raise Failure(f"without the library:\n{seen[0]}with it:\n{seen[1]}")


def two_openssls(program):
    """Two OpenSSLs of one version, each loaded by a plug-in of its own: each frees its objects."""
    folder = program.path.parent
    plugin, loader = folder / "second_plugin.so", folder / "second"
    crypto = next(
        line.split()[2]
        for line in subprocess.run(["ldd", plugin], capture_output=True, text=True, check=True)
        .stdout.splitlines()
        if "libcrypto.so." in line
    )
    soname = re.search(r"libcrypto\.so\.\d", crypto)[0].encode()
    with tempfile.TemporaryDirectory() as scratch:
        for path, name in ((crypto, "libcrypto.so.x"), (plugin, "plugin.so")):
            data = pathlib.Path(path).read_bytes().replace(soname + b"\0", b"libcrypto.so.x\0")
            (pathlib.Path(scratch) / name).write_bytes(data)
        shutil.copy(plugin, f"{scratch}/first.so")
        environment = {"LD_PRELOAD": program.library, "LD_LIBRARY_PATH": scratch, "LC_ALL": "C"}
        done = subprocess.run(
            [loader, f"{scratch}/first.so", f"{scratch}/plugin.so"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    if done.returncode != 0 or done.stderr:
        raise Failure(f"status {done.returncode}\n{done.stdout}{done.stderr}")


# Between the two frees of "later" many objects of the same types come and go; by default their blocks
# would be reused, and the first free that is reported would be one of those.
LARGE = {"QUARANTINE": "16M"}
WAYS = {
    "twice": (None, {}),
    "later": (None, LARGE),
    "thread": (on_thread, {}),
    "child": (in_child, {}),
}


def way(case, function):
    who, options = WAYS[case]
    return lambda program: freed_again(program, case, function, who, **options)


TESTS = {
    **{f"{case}.{name}": way(case, name) for case in WAYS for name in COMMON},
    "every-kind": every_kind,
    "references": references,
    "inner-again": inner_again,
    "outer-again": outer_again,
    "given-back": given_back,
    "switched-off": switched_off,
    "stacks": stacks,
    "ended": ended,
    "two-openssls": two_openssls,
    "asked-every-kind": asked_every_kind,
    "asked-otherwise": asked_otherwise,
    "asked-of-copies": asked_of_copies,
    "asked-of-linked": asked_of_linked,
    "healthy": lambda p: silent(p, "healthy"),
    "healthy-off": lambda p: silent(p, "healthy", OBJECTS="0"),
    "healthy-static": lambda p: silent(p, "healthy-static"),
    "healthy-nested": lambda p: silent(p, "healthy-nested"),
    "healthy-parts": lambda p: silent(p, "healthy-parts", QUARANTINE="0"),
    "healthy-threads": lambda p: silent(p, "healthy-threads"),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lib")
    parser.add_argument("--program")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(TESTS))
        return 0
    program = Program(arguments.program, arguments.lib)
    failed = 0
    for name in arguments.names or TESTS:
        try:
            TESTS[name](program)
        except Failure as failure:
            failed += 1
            print(f"{name} FAILED: {failure}")
    print(f"{len(arguments.names or TESTS)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
