#!/usr/bin/env python3
"""freeonce --ci --leaks in front of healthy programs (programs.py): no finding, and each process that ended by exit was
looked at.  docs/leaks.md compares with valgrind: scripts/leaks-beside-valgrind."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cli")]
import programs
import tools


class Healthy(tools.Case):
    def check(self, name, unlooked=0):
        if not programs.is_there(name):
            self.skipTest(f"{programs.NEEDS[name]} is not installed")
        self.freeonce("--ci", "--leaks", "--library", tools.arguments.lib, "--format", "text", "--format", "json", "-o", self.dir / "json",
                      "--", sys.executable, "-B", HERE / "programs.py", name, expect=0)
        lines = [json.loads(line) for line in (self.dir / "json").read_text(encoding="ascii").splitlines()]
        self.assertEqual([], [line["headline"] for line in lines if line["type"] == "finding"])
        guarded = [line for line in lines if line["type"] == "process" and line["guard"] == "guarded"]
        self.assertEqual(unlooked, len([line for line in guarded if line["leaks"] != "looked"]), guarded)
        return {line["program"] for line in guarded}

    def test_openssl(self):
        self.assertIn("openssl", self.check("openssl commands"))

    def test_openssl_server_and_client(self):
        self.assertIn("openssl", self.check("openssl s_server, s_client"))

    def test_curl(self):
        self.assertIn("curl", self.check("curl", unlooked=1))  # its server is ended by a signal

    def test_python(self):
        self.assertIn("python3", self.check("python3"))

    def test_nginx(self):
        self.assertIn("nginx", self.check("nginx"))


if __name__ == "__main__":
    tools.main(lambda parser: parser.add_argument("--leaking", required=True))
