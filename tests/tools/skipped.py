"""Does scripts/skipped give the reason of each test, and of each part of a test, that was left out?"""

import pathlib
import subprocess
import sys
import tempfile

SKIPPED = pathlib.Path(__file__).resolve().parents[2] / "scripts/skipped"

OUTPUTS = {
    "servers.sshd": "ok: something\nSKIP: no sshd on this machine\n",
    "package.install": "skipped: apt's sources do not have sid\n",
    "odd": "gave up here\n",
    "silent": "",
    "cases.sandbox": "passed   a\nskipped  arena.chroot: needs root\n1 passed\n",
    "cli.run": "test_a (run.Status.test_a) ... ok\ntest_b (run.Status.test_b) ... skipped 'only root can'\n",
    "unit.conf": "[ RUN      ] a_test\nskipped: needs root\n[  SKIPPED ] a_test\n",
    "unit.set": "the rest is skipped: no\n[  PASSED  ] 3 test(s).\n",
}
WHOLE = ["servers.sshd", "package.install", "odd", "silent"]
EXPECTED = """\
cases.sandbox, arena.chroot: needs root
cli.run, test_b: only root can
odd: gave up here
package.install: apt's sources do not have sid
servers.sshd: no sshd on this machine
silent: it gave no reason
unit.conf: needs root
"""


def log_of(number, name, output):
    """As ctest writes it to LastTest.log."""
    line = "-" * 58
    return (
        f"{number}/9 Testing: {name}\n{number}/9 Test: {name}\nCommand: \"x\"\nDirectory: /\n"
        f'"{name}" start time: Nov 28 16:44 UTC\nOutput:\n{line}\n{output}<end of output>\n'
        f"Test time =   0.04 sec\n{line}\nTest Passed.\n\n"
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        (build / "Testing/Temporary").mkdir(parents=True)
        log = "".join(log_of(number, *row) for number, row in enumerate(OUTPUTS.items(), 1))
        (build / "Testing/Temporary/LastTest.log").write_text(log)
        console = build / "console"
        console.write_text("".join(f"1/9 Test  #1: {name} .....***Skipped   0.04 sec\n" for name in WHOLE))
        seen = subprocess.run([SKIPPED, build, console], stdout=subprocess.PIPE, text=True, check=True).stdout
    if seen != EXPECTED:
        sys.exit(f"expected:\n{EXPECTED}seen:\n{seen}")


if __name__ == "__main__":
    main()
