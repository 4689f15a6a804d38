"""What the tests of the command share: the programs under test, and a folder for each test."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import mounts
import reachable

arguments = None  # set by main()


TO_ROOT = "/usr/$LIB" + "/.." * 8  # how the command writes the path of a library in LD_PRELOAD


def clean_environment(**more):
    """The environment of the test, without what would change the command's behaviour."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FREEONCE_", "LD_PRELOAD", "DEBUGINFOD", "GITHUB_"))
    }
    return {**kept, "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **more}


class Case(unittest.TestCase):
    """A test with a folder of its own, which all users may enter."""

    maxDiff = None

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-cli-"))
        self.dir.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.journal = self.dir / "journal"

    def freeonce(self, *argv, expect=None, **options):
        """Run the command; returns the finished process, output as text."""
        return self.run_program(arguments.freeonce, *argv, expect=expect, **options)

    def planted(self, *actions, journal=None, expect=0, wrap=(), **settings):
        """Run the planted program under the library alone."""
        environment = {"LD_PRELOAD": arguments.lib}
        environment["FREEONCE_JOURNAL"] = str(journal or self.journal)
        for name, value in settings.items():
            environment[f"FREEONCE_{name}"] = str(value)
        # env: a program that starts the guarded one need not be guarded itself
        pairs = [f"{name}={value}" for name, value in environment.items()]
        argv = [*wrap, "env", *pairs, arguments.planted, *actions]
        return self.run_program(*argv, expect=expect)

    def run_program(self, *argv, expect=None, env=None, timeout=300, **options):
        done = subprocess.run(
            [str(a) for a in argv],
            env=clean_environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            **options,
        )
        if expect is not None:
            printed = f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"
            self.assertEqual(expect, done.returncode, printed)
        return done

    def report(self, *argv, expect=None):
        return self.freeonce("report", *argv, expect=expect)

    def wait_until(self, what, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{what}: not within {seconds} s")
            time.sleep(0.01)

    def environment(self, *argv, env=None):
        """What a command sees that freeonce runs."""
        done = self.freeonce(*argv, "--", "env", env=env, expect=0)
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def unprivileged(self):
        """A command prefix that runs as nobody."""
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def in_namespace(self, script, *argv, **options):
        """Run a shell script in a mount namespace of its own."""
        enter = mounts.namespace() if os.geteuid() == 0 else None
        if enter is None:
            self.skipTest("needs root and a mount namespace that nobody else sees")
        return self.run_program(*enter, "sh", "-ec", script, "sh", *argv, **options)

    def skip_or_fail(self, why):
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            self.fail(f"CI needs this: {why}")
        self.skipTest(why)


def main(add=lambda parser: None):
    global arguments
    parser = argparse.ArgumentParser()
    for name in ("freeonce", "lib", "planted"):
        parser.add_argument(f"--{name}", required=True)
    add(parser)
    arguments, rest = parser.parse_known_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="freeonce-cli-") as folder:
        reachable.copy_under_test(arguments, folder)
        for name in ("freeonce", "lib", "planted"):
            setattr(arguments, name, str(getattr(arguments, name)))
        unittest.main(argv=[sys.argv[0], "-v", *rest], module="__main__")
