#!/usr/bin/env python3
"""Does a program whose malloc another tool has replaced work with the library, and does the tool work?

Programs built with AddressSanitizer (gcc's runtime as a library and in the program, clang's) or ThreadSanitizer,
valgrind, a program that exports a malloc of its own, a module opened with RTLD_DEEPBIND, and threads that allocate
while a library is loaded: healthy, and with a planted fault where the call reaches the library.  run.py tests
preloaded allocators.  Tools that are not installed are named and left out."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BACKENDS = ("arena", "libc")
TWICE = "freeonce: double free of block"
MIXED = "freeonce: libc free of OpenSSL block"
NOT_MALLOCED = "attempting free on address which was not malloc()-ed"


class Run:
    """A program that was run to its end, with the library preloaded."""

    def __init__(self, libraries, backend, *argv, **settings):
        env = {k: v for k, v in os.environ.items() if not k.startswith("FREEONCE_")}
        env.update(LD_PRELOAD=":".join(map(str, libraries)), FREEONCE_BACKEND=backend, FREEONCE_QUARANTINE="0")
        env.update(settings)
        # The leak checker cannot read the quarantine's records, and would report the blocks there.
        env["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:" + settings.get("ASAN_OPTIONS", "")
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=900, check=False)
        self.status, self.text = done.returncode, done.stderr

    def expect(self, *words, status=0):
        """The problems: no words at all means silence."""
        ended = self.status == 0 if status == 0 else self.status != 0
        if ended and all(word in self.text for word in words) and (words or not self.text):
            return []
        return [f"status {self.status}, expected {'0' if status == 0 else 'another'}, and {words or 'silence'}; seen:",
                *self.text.splitlines()[:20]]


def compile_cases(folder, name, compiler, *flags):
    """mix, built by this compiler with AddressSanitizer; None: that does not work here."""
    program = folder / name
    argv = [compiler, "-D_GNU_SOURCE", "-g", "-O1", "-w", "-fno-builtin", "-fsanitize=address", *flags]
    argv += ["-o", program, HERE / "mix.c", "-lcrypto", "-lpthread"]
    if shutil.which(compiler) is None or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        print(f"not tried: {compiler} {' '.join(flags)} -fsanitize=address does not work here")
        return None
    return program


def runtime_of_gcc():
    done = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    path = pathlib.Path(done.stdout.strip())
    return path.resolve() if path.is_absolute() else None


def check_asan(lib, folder):
    """ASan checks calls of its own free; the library checks calls of OpenSSL's functions."""
    runtime = runtime_of_gcc()
    for name, compiler, flags, first in (
        ("gcc", "gcc", (), (runtime,)),
        ("gcc-static", "gcc", ("-static-libasan",), ()),
        ("clang", "clang", (), ()),
    ):
        program = compile_cases(folder, name, compiler, *flags)
        if program is None:
            continue
        for backend in BACKENDS:
            def run(case, libraries=(*first, lib), backend=backend, **settings):
                return Run(libraries, backend, program, case, **settings)

            for case in ("healthy", "threads-alone"):
                yield f"asan.{name}.{backend}.{case}", run(case).expect()
            yield f"asan.{name}.{backend}.openssl-twice", run("openssl-twice").expect(TWICE)
            yield f"asan.{name}.{backend}.free-live", run("free-live").expect(NOT_MALLOCED, status=1)
            if name == "gcc":  # the library in front of the runtime: needs verify_asan_link_order=0
                behind = {"libraries": (lib, runtime), "ASAN_OPTIONS": "verify_asan_link_order=0"}
                for case in ("healthy", "threads-alone"):
                    yield f"asan.behind.{backend}.{case}", run(case, **behind).expect()
                yield f"asan.behind.{backend}.free-live", run("free-live", **behind).expect(MIXED)


def check_tsan(lib, folder):
    """Threads pass memory to each other; TSan reports nothing, as without the library."""
    for compiler in ("gcc", "clang"):
        program = folder / f"tsan-{compiler}"
        argv = [compiler, "-g", "-O1", "-fsanitize=thread", "-o", program, HERE / "handed_over.c", "-lcrypto"]
        if shutil.which(compiler) is None or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
            print(f"not tried: {compiler} -fsanitize=thread does not work here")
            continue
        # TSan needs the addresses of programs in Linux before 6.6.
        for backend in ("auto", "libc"):
            run = Run([lib], backend, "setarch", "-R", program, FREEONCE_QUARANTINE="1M")
            yield f"tsan.{compiler}.{backend}", run.expect()


def check_valgrind(lib, cases, handshake):
    """valgrind replaces each free, the library's included."""
    if shutil.which("valgrind") is None:
        print("not tried: no valgrind on this machine")
        return
    valgrind = ["valgrind", "-q", "--error-exitcode=9"]
    for backend in BACKENDS:
        yield f"valgrind.{backend}.handshake", Run([lib], backend, *valgrind, handshake, "--count", "1").expect()
        yield f"valgrind.{backend}.twice", Run([lib], backend, *valgrind, cases, "openssl-twice").expect(TWICE)
        found = Run([lib], backend, *valgrind, cases, "free-live")
        yield f"valgrind.{backend}.free-live", found.expect("Invalid free()", status=9)


def check_others(options):
    for backend in BACKENDS:
        yield f"own.{backend}", Run([options.lib], backend, options.own).expect()
        yield f"deep.{backend}", Run([options.lib], backend, options.cases, "deep", options.deep).expect()
        # "timeout" ends a program that hangs
        loading = ["timeout", "60", options.load, options.loading]
        yield f"loading.{backend}", Run([options.lib], backend, *loading).expect()


def checks(options, folder):
    yield from check_others(options)
    yield from check_asan(options.lib, folder)
    yield from check_tsan(options.lib, folder)
    yield from check_valgrind(options.lib, options.cases, options.handshake)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("lib", "cases", "own", "deep", "load", "loading", "handshake"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, problems in checks(options, pathlib.Path(folder)):
            failed += bool(problems)
            print("FAILED" if problems else "ok", name, flush=True)
            for problem in problems:
                print("   ", problem)
    print(f"{failed} failed")
    sys.exit(failed != 0)


main()
