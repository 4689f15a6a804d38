"""FREEONCE_LOG=syslog5424: a finding is one message in the format of RFC 5424, with structured data that rsyslog reads; syslog without a
number is what it was."""

import json
import os
import re
import shutil
import socket
import subprocess

import tools

# A rsyslogd of our own, with its folder and a /dev/log that only this mount namespace has.
CONFIGURATION = """
global(workDirectory="{dir}")
module(load="imuxsock" SysSock.Use="off")
module(load="mmpstrucdata")
input(type="imuxsock" Socket="{dir}/log" CreatePath="on" UseSpecialParser="off" ParseHostname="on" RateLimit.Interval="0")
template(name="all" type="list") {{
    constant(value="{{")
    property(outname="app" name="app-name" format="jsonf") constant(value=",")
    property(outname="pid" name="procid" format="jsonf") constant(value=",")
    property(outname="id" name="msgid" format="jsonf") constant(value=",")
    property(outname="host" name="hostname" format="jsonf") constant(value=",")
    property(outname="severity" name="syslogseverity-text" format="jsonf") constant(value=",")
    property(outname="version" name="protocol-version" format="jsonf") constant(value=",")
    property(outname="text" name="msg" format="jsonf") constant(value=",\\"data\\":")
    property(name="$!rfc5424-sd") constant(value="}}\\n")
}}
action(type="mmpstrucdata")
action(type="omfile" file="{dir}/messages" template="all")
"""


class Case(tools.Case):
    def planted_in(self, log, *actions, wrap=()):
        """The planted program with another /dev; returns what it printed on stderr."""
        script = ('mkdir -p "$1/dev" && mount --rbind /dev "$1/dev" && mount -t tmpfs none /dev && for n in null zero urandom; do '
                  'touch /dev/$n; mount --bind "$1/dev/$n" /dev/$n; done; ln -s "$1/log" /dev/log; export LD_PRELOAD=$2 FREEONCE_LOG=$3; '
                  'shift 3; exec "$@"')
        done = self.in_namespace(script, self.dir, tools.arguments.lib, log, *wrap, tools.arguments.planted, *actions)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stderr


class Sent(Case):
    """To a socket of the test."""

    def setUp(self):
        super().setUp()
        self.there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.there.close)
        self.there.bind(str(self.dir / "log"))
        self.there.setblocking(False)

    def datagrams(self):
        found = []
        try:
            while True:
                found.append(self.there.recv(1 << 16).decode())
        except BlockingIOError:
            return found

    def test_a_finding(self):
        self.assertEqual("", self.planted_in("syslog5424", "bug"))
        (one,) = self.datagrams()
        self.assertRegex(one, r'\A<27>1 - [^ ]+ planted (\d+) finding \[freeonce@32473 kind="double-free" object="block" answer="skipped" count="1" '
                              r'allocated="planted\.c:\d+" allocatedPid="\1" freedFirst="planted\.c:\d+" freedFirstPid="\1" now="planted\.c:\d+" '
                              r'nowPid="\1"\] freeonce: double free of block 0x[0-9a-f]+ \(40 bytes\), skipped; allocated +planted\.c:\d+ ')
        self.assertNotIn("\n", one)

    def test_names_from_outside(self):
        """... end no value, no element and no line."""
        self.planted_in("syslog5424", "bug", wrap=("bash", "-c", 'exec -a "a b\n]\\"x" "$0" "$@"'))
        (one,) = self.datagrams()
        self.assertRegex(one, r'\A<27>1 - [^ ]+ a\?b\?\]\\?"x \d+ finding \[freeonce@32473 ')
        self.assertNotIn("\n", one)

    def test_a_message(self):
        self.planted_in("syslog5424", "alloc", wrap=("env", "FREEONCE_NONSENSE=1"))
        self.assertRegex(self.datagrams()[0], r"\A<28>1 - [^ ]+ planted \d+ message - freeonce: there is no option FREEONCE_NONSENSE")

    def test_plain_syslog(self):
        """One datagram a line, with nothing of RFC 5424."""
        self.planted_in("syslog", "bug")
        sent = self.datagrams()
        self.assertRegex(sent[0], r"\A<27>planted\[\d+\]: freeonce: double free of block ")
        self.assertTrue(all(re.match(r"<27>planted\[\d+\]: ", one) for one in sent) and len(sent) >= 4, sent)


class Rsyslog(Case):
    def test_fields(self):
        rsyslogd = shutil.which("rsyslogd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if rsyslogd is None:
            self.skip_or_fail("rsyslog is missing")
        configuration = self.dir / "rsyslog.conf"
        configuration.write_text(CONFIGURATION.format(dir=self.dir))
        daemon = subprocess.Popen([rsyslogd, "-n", "-f", configuration, "-i", self.dir / "pid"], stderr=subprocess.PIPE, text=True,
                                  stdout=subprocess.DEVNULL, env=tools.clean_environment())
        self.addCleanup(daemon.communicate)
        self.addCleanup(daemon.kill)
        self.wait_until("rsyslogd listens", lambda: daemon.poll() is not None or (self.dir / "log").exists())
        if daemon.poll() is not None and "mmpstrucdata" in daemon.stderr.read():
            self.skip_or_fail("this rsyslog has no mmpstrucdata")
        self.assertEqual("", self.planted_in("syslog5424", "alloc", "bug", "object"))
        messages = self.dir / "messages"
        self.wait_until("two messages", lambda: messages.exists() and messages.read_text().count("\n") >= 2)
        shown = [json.loads(line) for line in messages.read_text().splitlines()]
        block, x509 = sorted(shown, key=lambda one: one["data"]["freeonce@32473"]["object"], reverse=True)
        for one in shown:
            self.assertEqual((os.uname().nodename, "planted", "finding", "err", "1"),
                             tuple(one[key] for key in ("host", "app", "id", "severity", "version")), one)
            self.assertEqual(one["pid"], one["data"]["freeonce@32473"].get("nowpid", one["data"]["freeonce@32473"].get("nowPid")))
        self.assertEqual(("double-free", "block", "1"), tuple(block["data"]["freeonce@32473"][key] for key in ("kind", "object", "count")))
        self.assertEqual("X509", x509["data"]["freeonce@32473"]["object"])
        self.assertRegex(block["text"].strip(), r"\Afreeonce: double free of block ")


tools.main()
