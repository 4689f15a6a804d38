"""What the tests of freeonce doctor share: its rows, by their check."""

import json
import os
import pathlib
import shutil

import tools
import mounts

SOURCE = "int main(void) { return 0; }\n"
CRYPTO = "int OPENSSL_version_major(void);\nint main(void) { return OPENSSL_version_major() == 0; }\n"


class Case(tools.Case):
    def doctor(self, *argv, expect, wrap=(), env=None, **options):
        """The rows, by their check."""
        done = self.run_program(*wrap, tools.arguments.freeonce, "doctor", "--json", *argv, expect=expect, env=env, **options)
        said = json.loads(done.stdout)
        self.assertEqual({0: "ok", 1: "warning", 2: "failure"}[expect], said["state"])
        for row in said["rows"]:
            self.assertEqual(row["state"] == "ok", row["next"] is None, row)
        rows = {}
        for row in said["rows"]:
            rows.setdefault(row["check"], row)
        return rows

    def check(self, rows, name, state, words):
        self.assertIn(name, rows)
        self.assertEqual(state, rows[name]["state"], rows[name])
        self.assertIn(words, rows[name]["text"])

    def compile(self, *compiler, source=SOURCE, libraries=(), name="program"):
        path = self.dir / name
        path.with_suffix(".c").write_text(source)
        if shutil.which(compiler[0]) is None:
            self.skip_or_fail(f"no {compiler[0]}")
        self.run_program(*compiler, "-o", path, path.with_suffix(".c"), *libraries, expect=0)
        return path

    def in_namespace_prefix(self, script):
        """A command prefix: a mount namespace of its own, in which the script was run."""
        enter = mounts.namespace() if os.geteuid() == 0 else None
        if enter is None:
            self.skipTest("needs root and a mount namespace that nobody else sees")
        return [*enter, "sh", "-ec", f'{script}; exec "$@"', "sh"]
