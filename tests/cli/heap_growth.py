"""freeonce heap --save, --diff, --watch and --by object: what grew is what the program allocated meanwhile; a file that holds anything
is refused in words; a leak in a TLS server is named."""

import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import sys

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


class Objects(Case):
    """freeonce heap --by object: SSL_CTX, SSL and others, as the program made them."""

    def known(self, document):
        if not document["objects_known"]:
            self.skip_or_fail("the table has not this OpenSSL: run scripts/object-sites")

    def test_counts(self):
        for backend in ("arena", "libc"):
            process = self.start("objects", BACKEND=backend)
            shown = json.loads(self.freeonce("heap", "--by", "object", "--json", process.pid, expect=0).stdout)
            self.known(shown)
            counts = {row["object"]: row["blocks"] for row in shown["rows"] if row["object"]}
            self.assertEqual((7, 5, 4, 3), tuple(counts[kind] for kind in ("SSL_CTX", "SSL", "EVP_PKEY", "X509")))
            self.assertEqual(shown["blocks"]["live"]["blocks"], sum(row["blocks"] for row in shown["rows"]))
            known = [row["object"] is not None for row in shown["rows"]]
            self.assertEqual(sorted(known, reverse=True), known)
            text = self.freeonce("heap", "--by", "object", "--rows=0", process.pid, expect=0).stdout
            self.assertRegex(text, r"(?m)^ +7 +[\d,]+  SSL_CTX \(6 in use by no SSL\)$")
            self.assertRegex(text, r"(?m)^ +\d+ +[\d,]+  other, crypto/.*\.c:\d+$")

    def test_contexts_of_no_connection(self):
        """Of 7 SSL_CTX one is in use by 5 SSL; then three are, then none."""
        for backend in ("arena", "libc", "shm"):
            process = self.start("objects", BACKEND=backend)
            for unused in (6, 4, 7):
                shown = json.loads(self.freeonce("heap", "--by", "object", "--json", process.pid, expect=0).stdout)
                self.known(shown)
                self.assertEqual(unused, shown["ssl_ctx_in_use_by_no_ssl"], backend)
                text = self.freeonce("heap", "--by", "object", "--rows=0", process.pid, expect=0).stdout
                self.assertRegex(text, rf"(?m)^ +7 +[\d,]+  SSL_CTX \({unused} in use by no SSL\)$")
                if unused != 7:
                    self.go_on(process)

    def test_what_is_no_object(self):
        """... has its line; so has a block of an object's line with another size."""
        shown = json.loads(self.freeonce("heap", "--by", "object", "--json", self.start("steps=1").pid, expect=0).stdout)
        rows = {(row["file"], row["line"]): row["blocks"] for row in shown["rows"] if row["object"] is None}
        self.assertEqual(10, rows["step.c", 10])

    def test_diff(self):
        process = self.start("steps=2")
        older = self.save(process, "older", "--by", "object")
        self.go_on(process)
        newer = self.save(process, "newer", "--by", "object")
        text = self.freeonce("heap", "--diff", older, newer, expect=0).stdout
        self.assertRegex(text, r"(?m)^ +\+10 +\+100\.0 % +\+400 +\+100\.0 %  other, step\.c:10$")

    def test_no_version(self):
        """Without OpenSSL, or with one that is not in the table, that is said."""
        process = subprocess.Popen(["cat"], env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        process.stdin.write(b"it has started\n")
        process.stdin.flush()
        process.stdout.readline()
        self.assertIn("lines are shown", self.freeonce("heap", "--by", "object", process.pid, expect=0).stdout)


class Watch(Case):
    """freeonce heap --watch: which lines get more blocks that stay?"""

    def watch(self, process, *more):
        watch = subprocess.Popen([tools.arguments.freeonce, "heap", "--watch=0.05", "--json", *more, str(process.pid)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(watch.communicate)
        self.addCleanup(watch.kill)
        return watch

    def look(self, watch):
        """What is old now was live two looks ago."""
        shown = json.loads(watch.stdout.readline())
        watch.live = [*getattr(watch, "live", []), shown["blocks"]["live"]["blocks"]]
        if len(watch.live) > 2:
            self.assertLessEqual(shown["old"]["blocks"], watch.live[-3])
        return shown

    def grown(self, watch, key, wanted):
        """The looks up to one in which the growth of rows is as wanted."""
        for _ in range(400):
            shown = self.look(watch)
            rows = {key(row): row["to"]["blocks"] - row["from"]["blocks"] for row in shown["rows"]}
            if all(rows.get(name) == count for name, count in wanted.items()):
                return shown, rows
        self.fail(f"not {wanted}, but {rows}")

    def test_blocks_that_stay(self):
        """... are old after three looks; those that are freed never grow."""
        process = self.start("steps=5")
        watch = self.watch(process)
        self.assertEqual((1, 0, 0, []), tuple(self.look(watch)[key] for key in ("look", "compared", "not_followed", "rows")))
        for _ in range(4):
            self.go_on(process)
        shown, rows = self.grown(watch, lambda row: (row["file"], row["line"]),
                                 {("step.c", line): 4 * line for line in range(3, 11)} | {("new.c", 1): 5})
        self.assertEqual(set(), set(rows) - {("step.c", line) for line in range(3, 11)} - {("new.c", 1)})
        self.assertEqual({"blocks": 10, "bytes": 400}, [row for row in shown["rows"] if row["line"] == 10][0]["from"])
        self.assertEqual(shown["blocks"]["live"], shown["old"])
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate()
        self.assertEqual((0, ""), (watch.returncode, err))
        for line in out.splitlines():
            json.loads(line)

    def test_a_process_that_ends(self):
        process = self.start("steps=1")
        watch = self.watch(process)
        self.look(watch)
        process.kill()
        process.wait()
        err = watch.communicate()[1]
        self.assertIn("has ended", err)
        self.assertEqual(66, watch.returncode)

    def test_text(self):
        process = self.start("steps=1")
        lines = self.freeonce("heap", "--watch=0.01", "--count=4", "--old=2", process.pid, expect=0).stdout.splitlines()
        self.assertEqual(5, len(lines))
        self.assertIn("a block is old when 2 looks in a row have seen it", lines[0])
        self.assertRegex(lines[4], r"^look 4, \d\d:\d\d:\d\d: [\d,]+ live blocks, [\d,]+ bytes \(0, 0\); old: [\d,]+ blocks, [\d,]+ bytes$")

    def test_command_line(self):
        for argv, words in ((["--watch=0", "1"], "needs seconds"), (["--watch=x", "1"], "needs seconds"), (["--watch=nan", "1"], "needs seconds"),
                            (["--count=3", "1"], "belong to --watch"), (["--watch=1", "--count=0", "1"], "from 1 on"),
                            (["--watch=1", "--old=1", "1"], "from 2 on"), (["--watch=1", "core"], "follows a process"),
                            (["--watch=1", "--save=a", "1"], "follows a process")):
            self.assertIn(words, self.freeonce("heap", *argv, expect=64).stderr)

    def test_an_x509_for_each_client(self):
        """A TLS server that keeps the certificates of its clients: named, exactly, by line and by object."""
        self.run_program("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.dir / "key.pem", "-out",
                         self.dir / "cert.pem", "-subj", "/CN=localhost", expect=0)
        leaking = pathlib.Path(__file__).with_name("leaking.py")
        server = subprocess.Popen([sys.executable, "-B", leaking, self.dir], stdout=subprocess.PIPE, text=True,
                                  env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib))
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        port = int(server.stdout.readline())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.dir / "cert.pem")
        context.load_cert_chain(self.dir / "cert.pem", self.dir / "key.pem")

        def clients(count):
            for _ in range(count):
                with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as tls:
                    tls.sendall(b"x")
                    self.assertEqual(b"x", tls.recv(1))

        clients(3)
        by_object, by_line = self.watch(server, "--by", "object"), self.watch(server)
        for watch in (by_object, by_line):
            for _ in range(3):
                self.look(watch)
        clients(20)
        shown, rows = self.grown(by_line, lambda row: row["file"], {"crypto/x509/x_pubkey.c": 20})
        shown, rows = self.grown(by_object, lambda row: row["object"], {})
        if shown["objects_known"]:
            shown, rows = self.grown(by_object, lambda row: row["object"], {"X509": 20, "EVP_PKEY": 20})
            self.assertEqual((0, 0, 0), tuple(rows.get(name, 0) for name in ("SSL", "SSL_CTX", "SSL_SESSION")))


tools.main(lambda parser: parser.add_argument("--inspected", required=True))
