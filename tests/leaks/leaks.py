#!/usr/bin/env python3
"""freeonce --leaks: each planted leak is named, what is still reachable is none, and a process that was not looked at is
named, too."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import tools

CLIENTS = 12
# The leak, its object, and the function that made the call.
PLANTED = {
    "x509": ("X509", "serve"),
    "session": ("SSL_SESSION", "serve"),
    "pkey": ("EVP_PKEY", "keep_key"),
    "bio": ("BIO", "keep_chain"),
    "reload": ("SSL_CTX", "make_context"),
}


class Case(tools.Case):
    def run_all(self, names, expect):
        """The same, of one after another in one run."""
        script = "; ".join(f"{tools.arguments.leaking} {name} {CLIENTS}" for name in names)
        return self.run_leaks("-c", script, program="/bin/sh", expect=expect)

    def run_leaks(self, *argv, program=None, options=("--ci", "--leaks"), expect=None, env=None):
        """The findings, the processes, the text of the summary, and the finished process."""
        done = self.freeonce(*options, "--format", "json", "-o", self.dir / "json", "--format", "text", "-o",
                             self.dir / "text", "--",
                             program or tools.arguments.leaking, *argv, expect=expect, env=env)
        lines = [json.loads(line) for line in (self.dir / "json").read_text(encoding="ascii").splitlines()]
        return ([line for line in lines if line["type"] == "finding"],
                [line for line in lines if line["type"] == "process"], (self.dir / "text").read_text(encoding="utf-8"), done)

    def check(self, name, findings, clients=CLIENTS):
        """One finding, of nearly all: a stale pointer on the stack may keep one."""
        kind, function = PLANTED[name]
        self.assertEqual([("leak", True)], [(f["kind"], kind in f["object"]) for f in findings], findings)
        leaked = clients - 1 if name == "reload" else clients
        self.assertTrue(leaked - 1 <= findings[0]["count"] <= leaked, findings)
        self.assertEqual(findings[0]["count"], findings[0]["leak"]["blocks"])
        self.assertEqual(findings[0]["count"] * findings[0]["size"], findings[0]["leak"]["bytes"])
        self.assertEqual(function, findings[0]["location"]["function"], findings)
        self.assertIn("leaking.c", findings[0]["location"]["file"])


class Planted(Case):
    def test_each_is_named(self):
        findings, _, text, _ = self.run_all(PLANTED, expect=99)
        self.assertEqual(len(PLANTED), len(findings), findings)
        for name, (kind, _) in PLANTED.items():
            with self.subTest(name):
                named = [f for f in findings if kind in f["object"].split(", ")]
                self.check(name, named)
                self.assertIn(f"freeonce: leak of {named[0]['count']} {kind} ", text)

    def test_on_every_backend(self):
        for settings in (("BACKEND=libc",), ("GUARD=1/10",)):
            with self.subTest(settings):
                options = ["--leaks", *(word for setting in settings for word in ("--set", setting))]
                findings, _, _, _ = self.run_leaks("x509", CLIENTS, options=options, expect=99)
                self.assertTrue(findings)
                self.assertTrue(all(f["kind"] == "leak" for f in findings), findings)
                self.assertTrue(any("X509" in f["object"] for f in findings), findings)

    def test_in_a_child(self):
        findings, _, _, _ = self.run_leaks("child-exit", CLIENTS, expect=99)
        self.check("x509", findings)

    def test_in_a_container(self):
        """A filter of system calls that was there from the start."""
        findings, processes, _, _ = self.run_leaks("in-container", "x509", CLIENTS, expect=99)
        self.check("x509", findings)
        self.assertEqual(["looked"], [p["leaks"] for p in processes if p["guard"] == "guarded"])

    def test_without_stacks(self):
        findings, _, _, _ = self.run_leaks("x509", CLIENTS, options=("--leaks", "--set", "STACKS=0"), expect=99)
        self.assertEqual([("leak", None)], [(f["kind"], f["location"]) for f in findings])

    def test_not_unless_asked(self):
        findings, processes, text, _ = self.run_leaks("x509", CLIENTS, options=("--ci",), expect=0)
        self.assertEqual([], findings)
        self.assertEqual([None], [p["leaks"] for p in processes])
        self.assertNotIn("not looked at", text)


class Healthy(Case):
    def test_what_is_freed_or_reachable(self):
        names = "healthy", "kept", "kept-below"
        findings, processes, _, _ = self.run_all(names, expect=0)
        self.assertEqual([], findings)
        self.assertEqual(["looked"] * len(names), [p["leaks"] for p in processes])

    def test_status_and_output_stay(self):
        plain = self.run_program(tools.arguments.leaking, "x509", CLIENTS, 7, expect=7)
        for log in "/dev/null", "stderr":
            done = self.run_program(tools.arguments.leaking, "x509", CLIENTS, 7, expect=7,
                                    env={"LD_PRELOAD": tools.arguments.lib, "FREEONCE_LEAKS": "1",
                                         "FREEONCE_ON_ERROR": "abort", "FREEONCE_LOG": log})
            self.assertEqual(plain.stdout, done.stdout)
            self.assertEqual(log == "stderr", "leak of" in done.stderr)


class Unlooked(Case):
    def check_unlooked(self, name, why, **options):
        findings, _, text, _ = self.run_leaks(name, CLIENTS, expect=0, **options)
        self.assertEqual([], findings)
        self.assertRegex(text, rf"freeonce: pid \d+ \(leaking\) was not looked at for leaks: {why}")

    def test_ended_by_exit_at_once(self):
        self.check_unlooked("child-_exit", "it ended by _exit or a signal")

    def test_ended_by_a_signal(self):
        self.check_unlooked("child-killed", "it ended by _exit or a signal")

    def test_in_a_sandbox_that_it_has_entered(self):
        self.check_unlooked("sandboxed", "its system calls are filtered")

    def test_shared_memory(self):
        self.check_unlooked("x509", "processes share", options=("--leaks", "--set", "BACKEND=shm"))


class Suppressed(Case):
    def test_by_object(self):
        known = self.dir / "known"
        known.write_text("[known]\nkind = leak\nobject = X509\n", encoding="ascii")
        options = ("--ci", "--leaks", "--suppressions", known)
        findings, _, _, _ = self.run_leaks("x509", CLIENTS, options=options, expect=0)
        self.assertEqual(["known"], [f["suppressed"]["name"] for f in findings])
        self.run_leaks("session", CLIENTS, options=options, expect=99)

    def test_by_what_was_generated(self):
        self.freeonce("--ci", "--leaks", "--journal", self.journal, "--", tools.arguments.leaking, "bio", CLIENTS, expect=99)
        done = self.report("--gen-suppressions", self.journal)
        known = self.dir / "known"
        known.write_text(done.stdout, encoding="ascii")
        options = ("--ci", "--leaks", "--suppressions", known)
        self.run_leaks("bio", CLIENTS, options=options, expect=0)


if __name__ == "__main__":
    tools.main(lambda parser: parser.add_argument("--leaking", required=True))
