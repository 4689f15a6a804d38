"""freeonce heap --save and --diff: what grew is what the program allocated meanwhile; a file that holds anything is refused in words."""

import json
import os
import random
import signal
import subprocess

import tools


class Case(tools.Case):
    def start(self, *argv, **settings):
        """The program of heap.py, stopped."""
        env = {f"FREEONCE_{name}": str(value) for name, value in settings.items()}
        process = subprocess.Popen([tools.arguments.inspected, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib, **env))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_for_stop(process.pid)
        return process

    def wait_for_stop(self, pid):
        _, status = os.waitpid(pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status), f"the program ended: {status}")

    def go_on(self, process):
        os.kill(process.pid, signal.SIGCONT)
        self.wait_for_stop(process.pid)

    def save(self, process, name, *more):
        self.freeonce("heap", "--save", self.dir / name, *more, process.pid, expect=0)
        return self.dir / name


class Diff(Case):
    def test_what_grew(self):
        """Line n gets n more blocks of 40 bytes with each step; lines below 3 lose theirs."""
        process = self.start("steps=2")
        older = self.save(process, "older")
        self.go_on(process)
        newer = self.save(process, "newer")
        shown = json.loads(self.freeonce("heap", "--diff", "--json", older, newer, expect=0).stdout)
        rows = {row["line"]: row for row in shown["rows"] if row["file"] == "step.c"}
        for line in range(3, 11):
            self.assertEqual(({"from": line, "to": 2 * line}, {"from": 40 * line, "to": 80 * line}),
                             (rows[line]["blocks"], rows[line]["bytes"]))
        self.assertEqual({"from": 2, "to": 0}, rows[2]["blocks"])
        self.assertEqual({"from": 0, "to": 5}, {row["line"]: row for row in shown["rows"] if row["file"] == "new.c"}[1]["blocks"])
        growth = [row["bytes"]["to"] - row["bytes"]["from"] for row in shown["rows"]]
        self.assertEqual(sorted(growth, reverse=True), growth)
        text = self.freeonce("heap", "--diff", older, newer, expect=0).stdout
        lines = text.splitlines()
        self.assertRegex(lines[0], rf"^from .*older: process {process.pid} \(inspected\), 20\d\d-.*Z: [\d,]+ live blocks, [\d,]+ bytes$")
        self.assertRegex(lines[3], r"^ +\+5 +new +\+5,000 +new  new\.c:1$")
        self.assertRegex(lines[4], r"^ +\+10 +\+100\.0 % +\+400 +\+100\.0 %  step\.c:10$")
        self.assertRegex(lines[-1], r"^2 shrank, \d+ stayed the same$")
        text = self.freeonce("heap", "--diff", "--rows=2", older, newer, expect=0).stdout
        self.assertIn("\n7 others grew (--rows 0 shows all)\n", text)
        back = self.freeonce("heap", "--diff", newer, older, expect=0).stdout
        self.assertRegex(back, r"(?m)^ +\+2 +new +\+80 +new  step\.c:2$")
        self.assertIn("nothing grew", self.freeonce("heap", "--diff", older, older, expect=0).stdout)

    def test_every_count(self):
        """... of --by can be saved and compared."""
        process = self.start("steps=2")
        names = ("size", "process")
        older = {by: self.save(process, f"{by}.a", "--by", by) for by in names}
        self.go_on(process)
        newer = {by: self.save(process, f"{by}.b", "--by", by) for by in names}
        text = {by: self.freeonce("heap", "--diff", older[by], newer[by], expect=0).stdout for by in names}
        self.assertRegex(text["size"], r"(?m)^ +\+5 .*  1000$")
        self.assertRegex(text["process"], rf"(?m)^ +\+54 .*  pid {process.pid} \(inspected\)$")
        done = self.freeonce("heap", "--diff", older["size"], newer["process"], expect=65)
        self.assertIn("save both with the same --by", done.stderr)


class Saved(Case):
    """A file of --save is written whole or not at all, and read as input of a stranger."""

    def test_what_is_there_stays(self):
        process = self.start("steps=1")
        kept = self.dir / "kept"
        kept.write_text("before")
        os.symlink(kept, self.dir / "link")
        os.mkfifo(self.dir / "pipe")
        for name in ("link", "pipe", "."):
            done = self.freeonce("heap", "--save", self.dir / name, process.pid, expect=73)
            self.assertIn("is no regular file", done.stderr)
        self.assertIn("No such file", self.freeonce("heap", "--save", self.dir / "none/a", process.pid, expect=73).stderr)
        self.assertEqual("before", kept.read_text())
        done = self.run_program("prlimit", "--fsize=100", "sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", tools.arguments.freeonce, "heap",
                                "--save", kept, process.pid, expect=73)
        self.assertIn("File too large", done.stderr)
        self.assertEqual("before", kept.read_text())
        self.assertEqual({"kept", "link", "pipe"}, {path.name for path in self.dir.iterdir()})
        self.save(process, "kept")
        self.assertEqual("heap", json.loads(kept.read_text())["type"])
        self.assertEqual({"kept", "link", "pipe"}, {path.name for path in self.dir.iterdir()})

    def refuse(self, change, words, status=65):
        document = json.loads(self.good.read_text())
        change(document)
        bad = self.dir / "bad"
        bad.write_text(json.dumps(document))
        for pair in ((bad, self.good), (self.good, bad)):
            done = self.freeonce("heap", "--diff", *pair, expect=status)
            self.assertIn(words, done.stderr)
            self.assertEqual("", done.stdout)

    def test_other_documents(self):
        self.good = self.save(self.start("steps=1"), "good")
        self.refuse(lambda d: d.update(type="status"), "it is another document")
        self.refuse(lambda d: d.update(version=2), "has another version of the format")
        self.refuse(lambda d: d.update(by="colour"), "does not say what its blocks are counted by")
        self.refuse(lambda d: d["blocks"].pop("live"), "has no numbers of live blocks")
        self.refuse(lambda d: d["blocks"].update(live=7), "has no numbers of live blocks")
        self.refuse(lambda d: d.update(rows={}), "it has no rows")
        self.refuse(lambda d: d.update(rows=d["rows"] * 2), "a row is there twice")
        for number in (-1, 1 << 47, 1.5, "1", None):
            self.refuse(lambda d, n=number: d["rows"][0].update(blocks=n), "a row is damaged")
        self.refuse(lambda d: d["rows"].append(7), "a row is damaged")
        for text in (b"", b"{", b"[]", b"\0", self.good.read_bytes()[:-20], b"[" * 100000):
            bad = self.dir / "bad"
            bad.write_bytes(text)
            self.assertIn("is no heap", self.freeonce("heap", "--diff", bad, self.good, expect=65).stderr)
        self.assertIn("No such file", self.freeonce("heap", "--diff", self.dir / "none", self.good, expect=66).stderr)
        self.assertIn("Is a directory", self.freeonce("heap", "--diff", self.dir, self.good, expect=66).stderr)

    def test_hostile_names(self):
        """... reach no terminal."""
        good = self.save(self.start("steps=1"), "good")
        document = json.loads(good.read_text())
        document["process"]["name"] = document["time"] = document["rows"][0]["file"] = "\x1b[31m\n"
        document["rows"][0]["blocks"] += 1
        bad = self.dir / "bad"
        bad.write_text(json.dumps(document))
        text = self.freeonce("heap", "--diff", good, bad, expect=0).stdout
        self.assertNotIn("\x1b", text)
        self.assertIn("?[31m?", text)

    def test_anything(self):
        good = self.save(self.start("steps=1"), "good")
        data, rng, bad = good.read_bytes(), random.Random(26), self.dir / "bad"
        for _ in range(60):
            damaged = bytearray(data)
            for _ in range(rng.randrange(1, 20)):
                at = rng.randrange(len(damaged))
                damaged[at:at + rng.randrange(3)] = rng.choice((b"", b"-", b"9", b"null", b"{", b'"', bytes([rng.randrange(256)])))
            bad.write_bytes(damaged)
            self.assertIn(self.freeonce("heap", "--diff", bad, good).returncode, (0, 65))

    def test_command_line(self):
        for argv, words in ((["--diff"], "two files"), (["--diff", "a"], "two files"), (["--diff", "a", "b", "c"], "two files"),
                            (["--diff", "--save", "c", "a", "b"], "one of them at a time")):
            self.assertIn(words, self.freeonce("heap", *argv, expect=64).stderr)


tools.main(lambda parser: parser.add_argument("--inspected", required=True))
