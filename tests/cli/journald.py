"""FREEONCE_LOG=journald: a finding is one entry of systemd-journald, with fields; nothing waits for it."""

import json
import os
import shutil
import sys

import tools

JOURNALD = "/lib/systemd/systemd-journald"
ID = "0123456789abcdef0123456789abcdef"

# A journald of our own: its /run and its machine's id are private.
REAL = f"""
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
echo {ID} >/run/machine-id
mount --bind /run/machine-id /etc/machine-id
{JOURNALD} >/dev/null 2>&1 &
journald=$!
trap 'kill $journald' EXIT
tries=0
until [ -S /run/systemd/journal/socket ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || exit 77
    sleep 0.05
done
export LD_PRELOAD=$1 FREEONCE_LOG=journald
wanted=$2
shift 2
"$@"
unset LD_PRELOAD
tries=0
until [ "$(journalctl -D /run/log/journal/{ID} -o json --no-pager MESSAGE_ID=d7a1f5f6f7e24c1d9f0b5c8e3a6b4d20 | tee /run/shown |
    grep -c FREEONCE_KIND)" -ge "$wanted" ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || exit 1
    sleep 0.05
done
cat /run/shown
"""

# A socket in its place, and a program that sends to it; what came, one line of hexadecimal for each datagram.
FAKE = """
import os, socket, subprocess, sys
os.makedirs("/run/systemd/journal")
there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
there.bind("/run/systemd/journal/socket")
done = subprocess.run(sys.argv[2:], env={**os.environ, "LD_PRELOAD": sys.argv[1], "FREEONCE_LOG": "journald"},
                      stderr=subprocess.PIPE, check=False, timeout=60)
there.setblocking(False)
try:
    while True:
        print(there.recv(1 << 18).hex())
except BlockingIOError:
    pass
sys.stderr.buffer.write(done.stderr)
sys.exit(done.returncode)
"""


def fields(datagram):
    """The native protocol: NAME=value, or NAME, a length of 64 bits and the value, each with a line end."""
    found = {}
    while datagram:
        name, datagram = datagram.split(b"\n", 1)
        if b"=" in name:
            name, value = name.split(b"=", 1)
        else:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8:8 + size], datagram[8 + size:]
            assert datagram[:1] == b"\n"
            datagram = datagram[1:]
        assert name.decode() not in found, name
        found[name.decode()] = value.decode()
    return found


class Case(tools.Case):
    def fake(self, *actions, wrap=(), expect=0):
        done = self.in_namespace('mount -t tmpfs tmpfs /run; exec "$@"', sys.executable, "-c", FAKE, tools.arguments.lib,
                                 *wrap, tools.arguments.planted, *actions, expect=expect)
        return [fields(bytes.fromhex(line)) for line in done.stdout.split()], done.stderr

    def check(self, entry):
        """The first bug of planted."""
        self.assertRegex(entry["MESSAGE"], r"\Afreeonce: double free of block 0x[0-9a-f]+ \(40 bytes\), skipped\n  allocated ")
        self.assertNotIn("\n", entry["MESSAGE"][-1:])
        for name, value in (
            ("PRIORITY", "3"), ("SYSLOG_IDENTIFIER", "planted"), ("FREEONCE_KIND", "double-free"),
            ("FREEONCE_OBJECT", "block"), ("FREEONCE_ANSWER", "skipped"), ("CODE_FILE", "planted.c"),
            ("FREEONCE_COUNT", "1"),
        ):
            self.assertEqual(value, entry[name], name)
        self.assertEqual(f"planted.c:{entry['CODE_LINE']}", entry["FREEONCE_NOW"])
        for place in "ALLOCATED", "FREED_FIRST":
            self.assertRegex(entry[f"FREEONCE_{place}"], r"\Aplanted\.c:\d+\Z")
            self.assertEqual(entry["FREEONCE_NOW_PID"], entry[f"FREEONCE_{place}_PID"])


class Real(Case):
    def test_entries(self):
        if not os.path.exists(JOURNALD) or shutil.which("journalctl") is None or not os.path.exists("/etc/machine-id"):
            self.skip_or_fail("needs systemd-journald and a machine-id")
        done = self.in_namespace(REAL, tools.arguments.lib, "2", tools.arguments.planted, "alloc", f"chroot={self.dir}", "bug",
                                 "object")
        if done.returncode == 77:
            self.skipTest("no journald can be started here")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("", done.stderr)
        block, x509 = sorted(map(json.loads, done.stdout.splitlines()), key=lambda entry: entry["FREEONCE_OBJECT"], reverse=True)
        self.check(block)
        self.assertEqual(block["_PID"], block["FREEONCE_NOW_PID"])
        self.assertEqual("X509", x509["FREEONCE_OBJECT"])
        self.assertRegex(x509["FREEONCE_FREED_FIRST"], r"\Acrypto/asn1/.*\.c:\d+ by planted\+0x[0-9a-f]+\Z")
        self.assertNotIn("CODE_FILE", x509)  # it was freed by the program, whose lines are not known


class Fake(Case):
    def test_one_datagram_for_each_finding(self):
        entries, errors = self.fake("bug", "bug", "fork", "object")
        self.assertEqual("", errors)
        findings = [entry for entry in entries if entry.get("FREEONCE_COUNT") == "1"]
        self.assertEqual(["block", "X509"], [entry["FREEONCE_OBJECT"] for entry in findings])
        self.check(findings[0])
        seen = [entry for entry in entries if entry.get("FREEONCE_COUNT") == "2"]
        self.assertTrue(seen and seen[0]["MESSAGE"].startswith("freeonce: seen 2 times in all processes:\n"), entries)

    def test_a_name_from_outside(self):
        entries, _ = self.fake("bug", wrap=("bash", "-c", 'exec -a "a\nPRIORITY=0" "$0" "$@"'))
        self.assertEqual({"a?PRIORITY=0"}, {entry["SYSLOG_IDENTIFIER"] for entry in entries})
        self.assertEqual("3", entries[0]["PRIORITY"])

    def test_other_messages(self):
        entries, _ = self.fake("alloc", wrap=("env", "FREEONCE_NONSENSE=1"))
        warnings = [entry for entry in entries if "FREEONCE_NONSENSE" in entry["MESSAGE"]]
        self.assertTrue(warnings, entries)
        self.assertEqual("4", warnings[0]["PRIORITY"])
        self.assertNotIn("MESSAGE_ID", warnings[0])

    def test_a_daemon_that_does_not_read_is_not_waited_for(self):
        entries, _ = self.fake("bugs=900")
        self.assertGreater(len(entries), 1)
        self.assertLess(len(entries), 900)

    def test_a_daemon_that_is_not_there(self):
        done = self.in_namespace('mount -t tmpfs tmpfs /run; LD_PRELOAD=$1 FREEONCE_LOG=journald "$2" bug', tools.arguments.lib,
                                 tools.arguments.planted, expect=0)
        self.assertIn("FREEONCE_LOG=journald: no daemon listens at /run/systemd/journal/socket (No such file or directory), "
                      "reports go to stderr\n", done.stderr)
        self.assertIn("freeonce: double free of block", done.stderr)


tools.main()
