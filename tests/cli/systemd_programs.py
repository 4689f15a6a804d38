"""freeonce systemd: does it detect what prevents the library from working?"""

import ctypes
import os
import re
import shutil
import unittest

import tools
from unit_case import LIBC, Case


class Syscalls(Case):
    def added(self, text, *more):
        found = [s for s in self.settings(text, *more) if s.startswith("SystemCallFilter=")]
        return found[0].split("=")[1].split() if found else []

    def test_lists(self):
        self.assertEqual([], self.added("SystemCallFilter=@system-service\n"))
        self.assertEqual(
            [], self.added("SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @mount\n")
        )
        self.assertEqual([], self.added("SystemCallFilter=~@mount @clock reboot\n"))
        self.assertEqual(["flock"], self.added("SystemCallFilter=~flock @swap\n"))
        self.assertEqual(["flock"], self.added("SystemCallFilter=~flock:EPERM @swap\n"))
        self.assertEqual([], self.added("SystemCallFilter=~flock\nSystemCallFilter=flock\n"))
        self.assertEqual([], self.added("SystemCallFilter=~flock\nSystemCallFilter=\n"))
        self.assertEqual(
            ["madvise", "flock", "poll"],
            self.added("SystemCallFilter=@basic-io @file-system @signal\nSystemCallFilter=@ipc\n"),
        )
        self.assertNotIn("socket", self.added("SystemCallFilter=@basic-io\n"))
        self.assertIn("socket", self.added("SystemCallFilter=@basic-io\n", "--log", "syslog"))
        self.assertIn("@made-up", self.said("SystemCallFilter=@made-up @system-service\n"))

    def test_what_would_happen(self):
        text = "SystemCallFilter=~flock\n"
        self.assertIn("kill the service", self.said(text))
        self.assertIn("EPERM", self.said(text + "SystemCallErrorNumber=EPERM\n"))

    def test_the_table_is_systemd_s(self):
        """Allowing one set must leave the same calls missing as systemd's own list of it."""
        if shutil.which("systemd-analyze") is None:
            self.skip_or_fail("no systemd-analyze")
        done = self.run_program("systemd-analyze", "syscall-filter")
        sets, members = {}, None
        for line in done.stdout.splitlines():
            if line.startswith("@"):
                members = sets.setdefault(line.strip(), set())
            elif line.startswith("    ") and not line.lstrip().startswith("#"):
                members.add(line.strip())

        def resolved(name):
            found = set()
            for member in sets[name]:
                found |= resolved(member) if member.startswith("@") else {member}
            return found

        needed = set(self.added("SystemCallFilter=brk\n", "--log", "syslog"))
        self.assertGreater(len(needed), 10)
        for name in sets:
            if name == "@known":
                continue
            with self.subTest(name):
                missing = set(self.added(f"SystemCallFilter={name}\n", "--log", "syslog"))
                self.assertEqual(needed - resolved(name) - resolved("@default"), missing)

    def test_the_table_is_what_the_library_calls(self):
        """strace shows no call of the library that is missing in the table and that a program without it does not make."""
        if shutil.which("strace") is None:
            self.skip_or_fail("no strace")

        def calls(*wrap, **environment):
            out = self.dir / "trace"
            pairs = [f"{k}={v}" for k, v in environment.items()]
            self.run_program("strace", "-f", "-o", out, "env", *pairs,
                             tools.arguments.planted, "fork", *wrap)
            return set(re.findall(r"^\d+ +(\w+)\(", out.read_text(), re.M))

        plain = calls("alloc")
        ours = calls("bug", LD_PRELOAD=tools.arguments.lib, FREEONCE_JOURNAL=self.journal,
                     FREEONCE_LOG="syslog")
        self.assertIn("flock", ours)
        known = set(self.added("SystemCallFilter=brk\n", "--log", "syslog"))
        known |= {"geteuid", "getpid", "getppid", "gettid"}  # of @default, which is always allowed
        self.assertEqual(set(), ours - plain - known)

    def test_no_memory_is_writable_and_executable(self):
        prctl = ctypes.CDLL(None, use_errno=True).prctl

        def deny():  # what MemoryDenyWriteExecute= does on Linux 6.3 and later
            if prctl(65, 1, 0, 0, 0) != 0:
                os._exit(77)

        done = self.run_program(
            "env", f"LD_PRELOAD={tools.arguments.lib}", f"FREEONCE_JOURNAL={self.journal}",
            "FREEONCE_GUARD=1/2", tools.arguments.planted, "fork", "bug", preexec_fn=deny,
        )
        if done.returncode == 77:
            self.skipTest("this kernel has no PR_SET_MDWE")
        self.assertIn("double free", done.stderr)
        self.report(self.journal, expect=99)
        self.assertIn("is fine", self.said("MemoryDenyWriteExecute=yes\n"))


class Programs(Case):
    """What ExecStart= runs."""

    def start(self, line, more="", expect=0):
        _, _, errors = self.run_on(f"[Service]\nExecStart={line}\n{more}", expect=expect)
        return errors

    def compile(self, name, *flags):
        source, program = self.dir / "m.c", self.dir / name
        source.write_text("int main(void) { return 0; }\n")
        done = self.run_program("gcc", "-o", program, source, *flags)
        return program if done.returncode == 0 else self.skipTest(f"gcc cannot {flags}")

    def test_another_libc(self):
        linker = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"
        said = self.start(self.compile("m", linker), expect=78)
        self.assertIn("a program of musl (/lib/ld-musl-x86_64.so.1)", said)

    def test_static(self):
        for flags in (["-static"], ["-static-pie"]):
            with self.subTest(flags):
                self.assertIn("statically linked", self.start(self.compile("s", *flags), expect=78))
        self.assertEqual("", self.start(self.compile("d")))
        self.assertEqual("", self.start(self.compile("n", "-no-pie")))

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_setuid(self):
        program = self.compile("u")
        program.chmod(0o4755)
        self.assertEqual("", self.start(program))
        self.assertIn("is setuid", self.start(program, "User=nobody\n", expect=78))
        self.assertNotIn("setuid", self.start(program, "User=nobody\nNoNewPrivileges=yes\n"))
        self.assertNotIn("setuid", self.start(f"+{program}", "User=nobody\n"))

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_file_capabilities(self):
        program = self.compile("c")
        if self.run_program("setcap", "cap_net_bind_service+ep", program).returncode != 0:
            self.skip_or_fail("no file capabilities here")
        self.assertEqual("", self.start(program))
        for more in ("User=nobody\n", "User=nobody\nNoNewPrivileges=yes\n", "DynamicUser=yes\n"):
            self.assertIn("file capabilities", self.start(program, more, expect=78))
        program = self.compile("d")
        self.assertIn("is fine", self.start(program, "User=nobody\nAmbientCapabilities=CAP_CHOWN\n"))

    def test_wrappers(self):
        script = self.dir / "start"
        script.write_text("#!/bin/sh\n# sudo x\necho 'use sudo'\nexec env -i /usr/sbin/x\n")
        for line, word in (
            ("/usr/bin/env -i A=1 /x", "env -i"), ("/usr/bin/sudo -u x /x", "sudo removes"),
            ("/bin/sh -c 'exec /usr/bin/env - /x'", "env -"), ("/bin/su - x -c /x", "su -"),
            ("/sbin/runuser -l x -c /x", "runuser -l"), (script, "env -i"),
            ("/usr/bin/docker run x", "container"),
        ):
            with self.subTest(line):
                self.assertIn(word, self.start(line))
                self.assertIn("ld-so-preload.md", self.start(line))
        for line in ("/usr/bin/env A=1 /x", "/bin/sh -c 'x -i'", "/usr/bin/printf sudoers"):
            self.assertNotIn("ld-so-preload", self.start(line))

    def test_recipes(self):
        """Servers of which Debian has no package; the others: systemd_units.py, class Debian."""
        said = self.said("ExecStart=\nExecStart=/usr/sbin/opensips -P /run/opensips.pid\n")
        self.assertIn("memory that its processes share", said)
        self.assertIn("docs/servers/opensips.md", said)

    def test_prefixes(self):
        self.assertIn("outside the sandbox", self.start("-+/bin/cat"))
        for prefix in "-", "@", ":", "!", "!!", "-:":
            self.assertEqual("", self.start(f"{prefix}/bin/cat"), prefix)
        self.assertIn("could not be looked at", self.start("/none/such"))
        self.assertIn("no ExecStart", self.run_on("[Service]\nType=simple\n")[2])
        self.assertIn("runs no server itself", self.start("/bin/true", expect=78))

    def test_security_modules(self):
        self.assertIn("noatsecure", self.said("SELinuxContext=a:b:c\n"))
        self.assertIn(f"{LIBC} mr,", self.said("AppArmorProfile=p\n"))
        for limit in "1000000", "1M:2M", "4096K", "0":
            self.assertIn("8M", self.said(f"LimitFSIZE={limit}\n"))
        for limit in "infinity", "1G:2G", "8192K", "9000000", "16384P", "99999999999999999999E":
            self.assertEqual("", self.said(f"LimitFSIZE={limit}\n"))


tools.main()
