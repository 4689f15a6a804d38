#!/usr/bin/env python3
"""suite.py in front of a source folder with three files of tests, of which one may end otherwise
with the library, or find something.

    suite_test.py --lib L --healthy COMMAND --plant COMMAND

Standard library only.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77  # SKIP_RETURN_CODE of ctest
SUITE = pathlib.Path(__file__).with_name("suite.py")
MAKEFILE = """
build_sw:
run_tests:
\t@echo "00-prep_a.t ................ ok"
\t@echo "01-test_a.t ................ ok"
\t@echo "02-test_b.t ................ skipped: not here"
\t@{run}
\t@[ -n "$$LD_PRELOAD" ] && echo "03-test_c.t ................ {end}" || echo "03-test_c.t ................ ok"
"""


def run(arguments, folder, program, end, on="arena"):
    """(status, what suite.py prints)"""
    source = folder / "source"
    (source / "test" / "recipes").mkdir(parents=True, exist_ok=True)
    (source / "VERSION.dat").write_text("MAJOR=3\nMINOR=9\nPATCH=7\n")
    (source / "Makefile").write_text(MAKEFILE.format(run=program, end=end))
    command = [sys.executable, "-B", SUITE, "--lib", arguments.lib, "--source", source]
    command += ["--keep", folder / "kept", "--on", f"plain,{on}"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expect(ended, status, *words):
    for word in words:
        if ended[0] != status or word not in ended[1]:
            sys.exit(f"expected status {status} and {word!r}, seen {ended[0]}:\n{ended[1]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lib", required=True)
    parser.add_argument("--healthy", required=True, help="a program that uses OpenSSL")
    parser.add_argument("--plant", required=True, help="one that frees a block twice")
    arguments = parser.parse_args()
    if shutil.which("make") is None:
        print("SKIP: no make here, which OpenSSL's suite runs by")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="freeonce-suite-") as name:
        folder = pathlib.Path(name)
        good = run(arguments, folder, arguments.healthy, "ok")
        expect(good, 0, "OpenSSL 3.9.7", "plain  3 of 3", "arena  3 of 3", "1 processes guarded, 0 fi")
        other = run(arguments, folder, arguments.healthy, "Failed 1/2 subtests")
        expect(other, 1, "arena  2 of 3", "arena: 03-test_c.t: Failed 1/2", "(without the library: ok)")
        silent = run(arguments, folder, "printf 'not ok 1'", "\\\\nDubious, test returned 1")
        expect(silent, 1, "arena  2 of 3", "arena: 03-test_c.t: failed")
        speed = f"case '$(TESTS)' in test_speed) {arguments.plant};; *) {arguments.healthy};; esac"
        true = run(arguments, folder, speed, "ok", "shm")
        expect(true, 0, "shm    3 of 3", ", 0 findings", "1 true findings in test_speed: ", "no difference")
        speed = f"case '$(TESTS)' in *alltests*) {arguments.plant};; *) {arguments.healthy};; esac"
        expect(run(arguments, folder, speed, "ok", "shm"), 1, "shm: found 1 times: double free")
        found = run(arguments, folder, f"[ -z \"$$LD_PRELOAD\" ] || {arguments.plant}", "ok")
        expect(found, 1, "1 findings", "arena: found 1 times: double free")
        idle = run(arguments, folder, "true", "ok")
        expect(idle, 1, "arena: no process was guarded")


main()
