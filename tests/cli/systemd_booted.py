"""freeonce systemd under a real systemd: does a guarded service keep a journal in each sandbox?

A systemd is started in namespaces of its own, on this machine's /usr and an otherwise empty root.  It
needs root and a cgroup2 to make a group in; without them the test is skipped.  PrivateDevices= is left
out: a manager in such a container cannot make device nodes.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import booted
import tools

HOME = "opt/freeonce"  # of the command and the library, inside

SERVICE = """[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/opt/freeonce/bin/planted fork bug
StandardOutput=null
StandardError=null
"""

USUAL = (
    "ProtectHome=yes\nPrivateTmp=yes\nNoNewPrivileges=yes\nMemoryDenyWriteExecute=yes\n"
    "RestrictAddressFamilies=AF_INET\nCapabilityBoundingSet=\nSystemCallErrorNumber=EPERM\n"
)


class Machine(booted.Machine):
    """A systemd on this machine's /usr and an otherwise empty root; removed by close()."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-booted-"))
        self.dir.chmod(0o755)
        self.log_path = self.dir / "log"
        super().__init__(self.dir / "root", usr=True, log=open(self.log_path, "w", encoding="utf-8"))

    def furnish(self):
        for name in ("usr etc/systemd/system var/log var/lib var/tmp proc sys dev run tmp root home "
                     f"srv {HOME}/bin {HOME}/lib").split():
            (self.root / name).mkdir(parents=True)
        for name in "bin", "sbin", "lib", "lib64":
            if os.path.islink(f"/{name}"):
                (self.root / name).symlink_to(os.readlink(f"/{name}"))
        for name in "passwd", "group", "ld.so.cache":
            shutil.copy(f"/etc/{name}", self.root / "etc")
        (self.root / "etc/machine-id").touch()
        given = tools.arguments
        shutil.copy(given.freeonce, self.root / HOME / "bin/freeonce")
        shutil.copy(given.planted, self.root / HOME / "bin/planted")
        shutil.copy(given.lib, self.root / HOME / "lib/libfreeonce.so.0")

    def run(self, *argv):
        return subprocess.run(
            self.enter(*argv, NO_COLOR="1", PATH=f"/{HOME}/bin:/usr/sbin:/usr/bin"),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        )

    def close(self):
        super().close()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Sandboxes(tools.Case):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(booted.MANAGER) or not os.path.islink("/lib"):
            raise unittest.SkipTest("needs systemd and a merged /usr")
        cls.machine = Machine()
        cls.addClassCleanup(cls.machine.close)
        cls.machine.furnish()
        try:
            cls.machine.boot()
        except booted.Impossible as error:
            path = cls.machine.log_path
            log = path.read_text(errors="replace") if path.exists() else ""
            raise unittest.SkipTest(f"no systemd can be started here: {error}\n{log[-500:]}") from error

    def guard(self, name, settings, *more, start=None):
        """Installs the drop-in and runs the service; returns the journal's text and the drop-in."""
        start = start or name
        self.machine.unit(f"{name}.service", SERVICE + settings)
        self.machine.run("systemctl", "daemon-reload")
        done = self.machine.run("freeonce", "systemd", "--install", name, *more)
        self.assertEqual(0, done.returncode, done.stderr)
        path = [line for line in done.stdout.splitlines() if line.startswith("  freeonce report ")]
        journal = path[0].split()[-1].replace("%N", start)
        self.machine.run("systemctl", "start", start)
        self.assertEqual("0", self.status(start))
        report = self.machine.run("freeonce", "report", journal)
        self.assertEqual(99, report.returncode, report.stderr)
        self.assertIn("double free of block", report.stdout)
        return journal

    def status(self, name):
        shown = self.machine.run("systemctl", "show", "-P", "ExecMainStatus", name)
        return shown.stdout.strip()

    def test_each(self):
        hidden = "/var/lib/freeonce/t-hidden/journal"
        own = "/var/log/own/freeonce-t-own.journal"
        for name, settings, journal in (
            ("plain", "", None),
            ("strict", "User=nobody\nProtectSystem=strict\nSystemCallFilter=@system-service\n"
             "SystemCallFilter=~@privileged @resources\n" + USUAL, None),
            ("dynamic", "DynamicUser=yes\nSystemCallFilter=@system-service\n" + USUAL, None),
            ("readonly", "User=nobody\nReadOnlyPaths=/\n", None),
            ("own", "User=nobody\nProtectSystem=strict\nLogsDirectory=own\n", own),
            ("hidden", "User=nobody\nInaccessiblePaths=/var/log\n", hidden),
            ("deny", "SystemCallFilter=~flock fallocate madvise @swap\n", None),
            ("allow", "SystemCallFilter=@basic-io @process @file-system\n", None),
            ("unset", "UnsetEnvironment=LD_PRELOAD FREEONCE_JOURNAL X\n", None),
            ("tmpfs", "TemporaryFileSystem=/:ro\nUser=nobody\n"
             f"BindReadOnlyPaths=/usr /lib /lib64 /etc /{HOME}/bin /run\n", None),
            ("noexec", f"NoExecPaths=/\nExecPaths=/usr /lib /lib64 /{HOME}/bin\n", None),
            ("ambient", "User=nobody\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n", None),
        ):
            with self.subTest(name):
                found = self.guard(f"t-{name}", settings)
                self.assertEqual(journal or f"/var/log/freeonce/t-{name}/journal", found)

    def test_a_root_of_its_own(self):
        inner = self.machine.root / "srv/inner"
        for name in "usr", "etc", f"{HOME}/bin", "var/log", "proc", "dev", "run", "sys", "tmp":
            (inner / name).mkdir(parents=True)
        for name in "bin", "sbin", "lib", "lib64":
            (inner / name).symlink_to(f"usr/{name}")
        shutil.copy(tools.arguments.planted, inner / HOME / "bin/planted")
        shutil.copy("/etc/passwd", inner / "etc")
        self.guard("t-root", "User=nobody\nRootDirectory=/srv/inner\nBindReadOnlyPaths=/usr\n"
                             "MountAPIVFS=yes\n")

    def test_an_instance_of_a_template(self):
        self.guard("t-tpl@", "User=nobody\n", start="t-tpl@one")

    def test_a_given_journal(self):
        folder = self.machine.root / "srv/given"
        folder.mkdir()
        shutil.chown(folder, "nobody")
        self.guard("t-given", "User=nobody\nProtectSystem=strict\n", "--journal", "/srv/given/j")

    def test_why_the_filter_is_opened(self):
        """Without the calls that the drop-in allows, the kernel kills the service, as its comment says."""
        self.guard("t-killed", "SystemCallFilter=~madvise\n")
        dropin = (self.machine.root / "etc/systemd/system/t-killed.service.d/50-freeonce.conf")
        text = dropin.read_text()
        self.assertIn("\nSystemCallFilter=madvise\n", text)
        dropin.write_text(text.replace("\nSystemCallFilter=madvise\n", "\n"))
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", "t-killed")
        self.assertEqual(str(int(signal.SIGSYS)), self.status("t-killed"))

    def test_status(self):
        """... of a unit that runs, by each of its names, and of one that does not."""
        service = SERVICE.replace("Type=oneshot", "Environment=LD_PRELOAD=/opt/freeonce/lib/libfreeonce.so.0")
        self.machine.unit("t-live.service", service.replace("fork bug", "alloc fork touch=/run/t-live pause"))
        (self.machine.root / "etc/systemd/system/t-alias.service").symlink_to("t-live.service")
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", "t-live")
        self.wait_until("the service", lambda: self.machine.run("test", "-e", "/run/t-live").returncode == 0)
        for word in "t-live", "t-live.service", "t-alias":
            done = self.machine.run("freeonce", "status", word)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertRegex(done.stdout, r"^unit t-live\.service: 2 processes, 2 guarded\n")
        done = self.machine.run("freeonce", "doctor", "t-live.service")
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)  # it names no journal
        self.assertIn("The service runs: 2 of its 2 processes are guarded", done.stdout)
        self.machine.run("systemctl", "stop", "t-live")
        done = self.machine.run("freeonce", "status", "t-live")
        self.assertEqual(66, done.returncode)
        self.assertIn("and no unit of that name runs", done.stderr)
        done = self.machine.run("freeonce", "status", "t-live.service")
        self.assertIn("unit t-live.service has no processes", done.stderr)

    def test_metrics(self):
        """The timer starts at once; what it writes is of a process of another user, in another unit."""
        folder = self.machine.root / "var/lib/prometheus/node-exporter"
        folder.mkdir(parents=True)
        here = self.machine.root / "srv/held"
        here.mkdir()
        shutil.chown(here, "nobody")
        for name in "service", "timer":  # nothing but the test's own units is started here
            dropin = self.machine.root / f"etc/systemd/system/freeonce-metrics.{name}.d"
            dropin.mkdir()
            (dropin / "test.conf").write_text("[Unit]\nDefaultDependencies=no\n")
        self.machine.unit("t-held.service", "[Unit]\nDefaultDependencies=no\n[Service]\nUser=nobody\n"
                          f"Environment=LD_PRELOAD=/{HOME}/lib/libfreeonce.so.0\n"
                          f"ExecStart=/{HOME}/bin/planted bug touch=/srv/held/yes pause\n")
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", "t-held")
        self.wait_until("the service waits", (here / "yes").exists)
        done = self.machine.run("freeonce", "systemd", "--metrics", "--install")
        self.assertEqual(0, done.returncode, done.stderr)
        metrics = folder / "freeonce.prom"
        self.wait_until("the metrics are written", metrics.exists)
        text = metrics.read_text()
        self.assertIn('freeonce_processes{unit="t-held.service",state="guarded"} 1\n', text)
        self.assertIn('freeonce_findings_total{unit="t-held.service",kind="double-free"} 1\n', text)
        self.machine.run("systemctl", "stop", "t-held")
        done = self.machine.run("freeonce", "systemd", "--metrics", "--remove")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual([], os.listdir(folder))
        shown = self.machine.run("systemctl", "show", "-P", "ActiveState", "freeonce-metrics.timer")
        self.assertEqual("inactive", shown.stdout.strip())

    def test_removed(self):
        journal = self.guard("t-gone", "")
        done = self.machine.run("freeonce", "systemd", "--remove", "t-gone")
        self.assertIn(f"kept: freeonce report {journal}", done.stdout)
        shown = self.machine.run("systemctl", "show", "-P", "Environment", "t-gone")
        self.assertEqual("", shown.stdout.strip())  # the manager was notified


tools.main()
