"""Is the output valid by the standard's schema of SARIF, and does the schema of this project allow no more than that one?

The standard's schema comes from the npm registry's package @microsoft/jest-sarif, into a temporary folder.
Without npm, or without the registry, the test is skipped."""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

import documents
import jsonschema
import sarif_broken
import tools

PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
MEMBER = "package/lib/schemas/sarif-2.1.0-rtm.5.json"
MODELS = ["empty", "one", "three", "suppressed", "unknown", "nasty", "unprotected"]
RUNS = [[], ["7", "1.25", "make", "test"], ["139", "0.5", "crash"], ["127", "0", "x"]]


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def fetch():
    """What checks documents against the standard's schema."""
    npm = shutil.which("npm") or skip("npm is not installed, which fetches the standard's schema")
    with tempfile.TemporaryDirectory(prefix="freeonce-sarif-") as folder:
        try:
            packed = subprocess.run(
                [npm, "pack", "--silent", "--fetch-retries=1", PACKAGE],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120, check=False,
            )
        except subprocess.TimeoutExpired:
            skip(f"npm did not fetch {PACKAGE} within 120 s")
        if packed.returncode != 0:
            skip(f"npm cannot fetch {PACKAGE} (status {packed.returncode})")
        with tarfile.open(pathlib.Path(folder) / packed.stdout.split()[-1]) as archive:
            schema = json.load(archive.extractfile(MEMBER))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


class Standard(tools.Case):
    def check(self, text):
        """Valid by both schemas; returns the log."""
        log = json.loads(text)
        error = jsonschema.exceptions.best_match(STANDARD.iter_errors(log))
        self.assertIsNone(error, error and f"{list(error.absolute_path)}: {error.message[:500]}")
        documents.sarif(text)
        return log

    def run_and_check(self, *flags, actions, expect):
        out = self.dir / "sarif"
        self.freeonce(
            *flags, "--format", "sarif", "-o", out, "--", tools.arguments.planted, *actions,
            expect=expect, cwd=self.dir,
        )
        return self.check(out.read_text())

    def with_stacks(self):
        return self.run_and_check("--set", "STACKS=16", actions=["fork", "bug"], expect=99)

    def test_without_findings(self):
        log = self.run_and_check(actions=["alloc"], expect=0)
        self.assertEqual([], log["runs"][0]["results"])

    def test_a_finding_with_stacks(self):
        result, = self.with_stacks()["runs"][0]["results"]
        self.assertEqual(3, len(result["stacks"]))

    def test_a_finding_that_is_suppressed(self):
        known = self.dir / "known"
        known.write_text("[bug 123]\nkind = double-free\nobject = block\n")
        actions = ["object", "bug"]
        log = self.run_and_check("--suppressions", known, actions=actions, expect=99)
        counts = sorted(len(result["suppressions"]) for result in log["runs"][0]["results"])
        self.assertEqual([0, 1], counts)

    def test_a_command_that_a_signal_ended(self):
        log = self.run_and_check(actions=["bug", "kill=9"], expect=99)
        self.assertEqual(9, log["runs"][0]["invocations"][0]["exitSignalNumber"])

    def test_a_report_of_a_journal(self):
        self.planted("bug")
        self.check(self.report("--format", "sarif", self.journal, expect=99).stdout)

    def test_models(self):
        """What findings rarely have all at once."""
        for model in MODELS:
            for run in RUNS:
                with self.subTest(model=model, run=run):
                    done = self.run_program(
                        tools.arguments.document, "sarif", model, *run, expect=0, cwd=self.dir
                    )
                    self.check(done.stdout)

    def test_both_refuse_what_is_forbidden(self):
        log = self.with_stacks()
        for name, change in sarif_broken.FORBIDDEN.items():
            with self.subTest(name):
                wrong = sarif_broken.broken(log, change)
                self.assertFalse(STANDARD.is_valid(wrong), "the standard's schema allows it")
                with self.assertRaises(AssertionError, msg="our schema allows it"):
                    documents.validate(wrong, documents.SARIF)

    def test_ours_refuses_more(self):
        log = self.with_stacks()
        for name, change in sarif_broken.NOT_OURS.items():
            with self.subTest(name):
                wrong = sarif_broken.broken(log, change)
                self.assertTrue(STANDARD.is_valid(wrong), "this belongs to what is forbidden")
                with self.assertRaises(AssertionError, msg="our schema allows it"):
                    documents.validate(wrong, documents.SARIF)


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument("--document", required=True)


STANDARD = fetch()  # or all is skipped, before any test
tools.main(add_arguments)
