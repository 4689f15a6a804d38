"""freeonce systemd: are units found, read, written and refused as they should be?"""

import os
import pathlib
import random
import re
import shutil
import stat
import subprocess
import unittest

import tools
import mounts
from unit_case import EXEC, LIBC, MARKER, PRELOAD, Case

UNITS = pathlib.Path("/lib/systemd/system")


class Syntax(Case):
    """The file is read as systemd reads it."""

    def user(self, text, **options):
        said = self.run_on(text + "\n[Service]\nExecStart=/bin/cat\n", "--journal",
                           self.dir / "j", **options)[2]
        found = re.search(r"writable by (\S+) \(User=", said)
        return found.group(1) if found else None

    def test_lines(self):
        for text, user in (
            ("[Service]\nUser=nobody", "nobody"),
            ("\ufeff[Service]\r\n  User  =  nobody  \r", "nobody"),
            ("[Service]\nUser=root\nUser=nobody", "nobody"),
            ("[Service]\nUser=nobody\nUser=", None),
            ("[Service]\n# User=nobody\n;User=nobody", None),
            ("[Unit]\nUser=nobody", None),
            ("User=nobody\n[Service]", None),
            ("[Service]\n[X-Service]\nUser=nobody", None),
            ("[Service]\nDescription=a \\\n# a comment between\n;another\n  b \\\nUser=nobody", None),
            ("[Service]\nDescription=a \\\\\nUser=nobody", "nobody"),
            ("[Service]\nUser=\\\nnobody", "nobody"),
            ("[Service]\nUser=%p", "x"),
            ("[Service]\n=x\nUser\n]\nUser=nobody", "nobody"),
        ):
            with self.subTest(text):
                self.assertEqual(user, self.user(text))

    def test_specifiers(self):
        for text, directory in (
            ("%n", "a-b@c-d.service"), ("%N", "a-b@c-d"), ("%p", "a-b"), ("%i", "c-d"),
            ("%I", "c/d"), ("%j", "b"), ("%f", "/c/d"), ("%%", "%"), ("%t%S%C%L", None),
        ):
            with self.subTest(text):
                lines = self.run_on(EXEC + f"LogsDirectory=x{text}y\n", name="a-b@c-d.service")[0]
                expect = directory or "/run/var/lib/var/cache/var/log"
                name = f"x{expect}y".replace("%", "%%")
                self.assertIn(f"/var/log/{name}/freeonce-", lines[1])
        self.assertIn("%m", self.said("ReadOnlyPaths=/a/%m\n"))

    def test_a_pipe(self):
        """A pipe with a slow writer, and one without a writer."""
        argv = [tools.arguments.freeonce, "systemd", "--unit-file", "/dev/stdin", "y"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(argv, env=tools.clean_environment(), text=True, **pipes) as run:
            opened = pathlib.Path(f"/proc/{run.pid}/fd/3")
            self.wait_until("the unit is opened", lambda: run.poll() is not None or opened.exists())
            out, errors = run.communicate(EXEC, timeout=300)
        self.assertEqual((0, ""), (run.returncode, errors))
        self.assertIn("LogsDirectory=freeonce/y\n", out)
        os.mkfifo(self.dir / "empty")
        done = self.freeonce("systemd", self.dir / "empty", expect=65)
        self.assertIn("no [Service] section", done.stderr)

    def test_dropins_beside_the_file(self):
        folder = self.dir / "x.service.d"
        folder.mkdir()
        (folder / "20-b.conf").write_text("[Service]\nLogsDirectory=second\n")
        for n in range(19, 10, -1):
            text = f"[Service]\nLogsDirectory=\nLogsDirectory=n{n}\n"
            (folder / f"{n}.conf").write_text(text)
        (folder / "19z.conf").write_text("[Service]\nLogsDirectory=\nLogsDirectory=first\n")
        (folder / "ignored.txt").write_text("[Service]\nLogsDirectory=\n")
        ours = f"{MARKER} x\n[Service]\nEnvironment=LD_PRELOAD=/gone.so\nLogsDirectory=\n"
        (folder / "50-freeonce.conf").write_text(ours)
        lines = self.settings("LogsDirectory=zeroth\n")
        self.assertEqual(f"Environment=LD_PRELOAD={PRELOAD}", lines[0])
        self.assertIn("/var/log/first/", lines[1])


class Found(Case):
    """The unit is found as systemd finds it."""

    def system(self, **files):
        root = self.dir / "root"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    def test_load_path(self):
        root = self.system(**{
            "usr/lib/systemd/system/a-b@.service": EXEC,
            "etc/systemd/system/a-b@.service.d/1.conf": "[Service]\nLogsDirectory=t\n",
            "usr/lib/systemd/system/a-b@i.service.d/0.conf": "[Service]\nLogsDirectory=i\n",
            "etc/systemd/system/a-@.service.d/9.conf": "[Service]\nStandardError=null\n",
            "etc/systemd/system/service.d/5.conf": "[Service]\nMemoryDenyWriteExecute=1\n",
        })
        done = self.freeonce("systemd", "--root", root, "a-b@i", expect=0)
        self.assertIn("/var/log/i/freeonce-a-b@i.journal", done.stdout)
        self.assertIn("FREEONCE_LOG=syslog", done.stdout)
        self.assertIn("MemoryDenyWriteExecute= is fine", done.stderr)

    def test_masked_missing_linked(self):
        root = self.system(**{"lib/systemd/system/a.service": EXEC,
                              "lib/systemd/system/b.service": ""})
        folder = root / "lib/systemd/system"
        (folder / "c.service").symlink_to("/dev/null")
        (folder / "d.service").symlink_to("a.service")
        (folder / "a.service.d").mkdir()
        (folder / "a.service.d" / "x.conf").write_text("[Service]\nLogsDirectory=a\n")
        for name, status, word in (("b", 65, "masked"), ("c", 65, "masked"), ("e", 66, "no unit"),
                                   ("d", 0, "")):
            done = self.freeonce("systemd", "--root", root, name, expect=status)
            self.assertIn(word, done.stderr)
        self.assertIn("/var/log/a/", done.stdout)
        done = self.freeonce("systemd", "--root", root, "e", expect=66)
        self.assertIn(f"looked in {root}/etc/systemd/system, {root}/run/systemd/system, ", done.stderr)

    def test_a_misspelt_unit(self):
        root = self.system(**{f"lib/systemd/system/{name}.service": EXEC for name in ("kamailio", "ssh", "a|b", "n" * 40)})
        for name, hint in (("kamalio", "did you mean kamailio?"), ("kamailoi.service", "did you mean kamailio?"),
                           ("nginx", None), ("n" * 41, None)):
            done = self.freeonce("systemd", "--root", root, name, expect=66)
            self.assertIn("there is no unit", done.stderr)
            if hint is None:
                self.assertNotIn("did you mean", done.stderr)
            else:
                self.assertIn(hint, done.stderr)

    def test_notes_are_there_once(self):
        """Notes are not repeated if drop-in and messages go to one file; why a drop-in has no effect is always printed."""
        unit = self.unit(EXEC + "MemoryDenyWriteExecute=yes\n")
        both = self.dir / "both"
        script = f'"$@" >{both} 2>&1; "$@" >{both}.1 2>{both}.2'
        argv = ["sh", "-c", script, "sh", tools.arguments.freeonce, "systemd", "--library", LIBC, unit]
        self.run_program(*argv, expect=0)
        self.assertEqual(1, both.read_text().count("MemoryDenyWriteExecute= is fine"))
        for name in ("both.1", "both.2"):
            self.assertEqual(1, (self.dir / name).read_text().count("MemoryDenyWriteExecute= is fine"))
        unit.write_text(EXEC + "InaccessiblePaths=/usr\n")
        self.run_program(*argv, expect=78)
        self.assertRegex(both.read_text(), "(?m)^freeonce: InaccessiblePaths=/usr hides the library")

    def systemctl(self, script):
        folder = self.dir / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "systemctl").write_text("#!/bin/sh\n" + script)
        (folder / "systemctl").chmod(0o755)
        return {"PATH": f"{folder}:/usr/bin:/bin"}

    def test_systemctl(self):
        env = self.systemctl(
            'test "$1 $4" = "cat a.service" || exit 9\n'
            "printf '# /lib/systemd/system/a.service\\n%s\\n' '" + EXEC + "LogsDirectory=a'\n"
            "printf '\\n# /etc/systemd/system/a.service.d/50-freeonce.conf\\n'\n"
            f"printf '{MARKER} a\\n[Service]\\nEnvironment=LD_PRELOAD=/x\\nLogsDirectory=\\n'\n"
            "printf '\\n# /etc/systemd/system/a.service.d/60.conf\\n[Service]\\nLogsDirectory=b\\n'\n"
        )
        done = self.freeonce("systemd", "a", expect=0, env=env)
        self.assertIn("/var/log/a/freeonce-a.journal", done.stdout)
        self.assertNotIn("LD_PRELOAD=/x", done.stdout)
        self.assertNotIn(":/x", done.stdout)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_a_running_systemd(self):
        if mounts.namespace() is None:
            self.skipTest("needs a mount namespace that nobody else sees")
        booted = [*mounts.namespace(), "sh", "-c",
                  'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$@"', "sh"]
        command = [*booted, tools.arguments.freeonce, "systemd"]
        env = self.systemctl("echo 'No files found for a.service.' >&2; exit 1\n")
        done = self.run_program(*command, "a", env=env, expect=66)
        self.assertIn("No files found for a.service.", done.stderr)
        env = self.systemctl("yes | head -c 9000000\n")
        self.assertIn("larger", self.run_program(*command, "a", env=env, expect=65).stderr)
        (self.dir / "bin" / "systemctl").unlink()
        tool = {"PATH": str(self.dir / "bin")}
        for name in "unshare", "sh", "mount", "mkdir":
            (self.dir / "bin" / name).symlink_to(shutil.which(name))
        done = self.run_program(*command, "a", env=tool, expect=66)
        self.assertIn("systemctl is not there", done.stderr)


class Installed(Case):
    def setUp(self):
        super().setUp()
        self.root = self.dir / "root"
        folder = self.root / "lib/systemd/system"
        folder.mkdir(parents=True)
        (folder / "a.service").write_text("[Service]\nExecStart=/bin/cat\n")
        (self.root / "bin").mkdir()
        shutil.copy("/bin/cat", self.root / "bin/cat")
        self.file = self.root / "etc/systemd/system/a.service.d/50-freeonce.conf"

    def do(self, *argv, expect=0, **options):
        return self.freeonce("systemd", "--root", self.root, "a", *argv, expect=expect, **options)

    def test_twice_and_away(self):
        printed = self.do().stdout
        installed = self.do("--install").stdout
        self.assertIn(f"Wrote {self.file}", installed)
        self.assertIn("systemctl restart a.service", installed)
        self.assertIn("freeonce report /var/log/freeonce/a/journal", installed)
        self.assertEqual(printed, self.file.read_text())
        self.assertEqual(0o644, stat.S_IMODE(self.file.stat().st_mode))
        before = self.file.stat()
        self.assertIn("Already there", self.do("--install").stdout)
        self.assertEqual(before.st_ino, self.file.stat().st_ino)
        self.do("--install", "-s", "FILL=1")
        self.assertIn("FREEONCE_FILL=1", self.file.read_text())
        self.assertEqual([self.file], list(self.file.parent.iterdir()))
        printed = self.do("--remove").stdout
        self.assertIn(f"Removed {self.file}", printed)
        self.assertIn("kept: freeonce report /var/log/freeonce/a/journal", printed)
        self.assertFalse(self.file.parent.exists())
        self.assertIn("nothing to remove", self.do("--remove").stdout)

    def ours_elsewhere(self):
        elsewhere = self.dir / "elsewhere"
        elsewhere.write_text(f"{MARKER} a.service\n[Service]\n")
        return elsewhere

    def test_only_ours(self):
        self.file.parent.mkdir(parents=True)
        for make in (
            lambda: self.file.write_text("[Service]\n"),
            lambda: self.file.write_text(""),
            lambda: self.file.symlink_to("/dev/null"),
            lambda: self.file.symlink_to(self.ours_elsewhere()),
            lambda: self.file.mkdir(),
            lambda: os.mkfifo(self.file),
        ):
            make()
            for what in "--install", "--remove":
                self.assertIn("not made by freeonce", self.do(what, expect=73).stderr)
            if self.file.is_dir():
                self.file.rmdir()
            else:
                self.file.unlink()

    def test_other_dropins_stay(self):
        self.file.parent.mkdir(parents=True)
        other = self.file.parent / "other.conf"
        other.write_text("[Service]\n")
        self.do("--install")
        self.do("--remove")
        self.assertTrue(other.exists())

    def test_no_effect_is_not_installed(self):
        (self.root / "lib/systemd/system/a.service").write_text(
            "[Service]\nExecStart=/bin/cat\nInaccessiblePaths=/\n")
        self.assertIn("nothing was written", self.do("--install", expect=78).stderr)
        self.assertFalse(self.file.exists())

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_nobody_may(self):
        self.file.parent.mkdir(parents=True)
        self.assertIn("run it as root", self.as_nobody("--install"))
        self.do("--install")
        self.assertIn("run it as root", self.as_nobody("--remove"))
        self.assertTrue(self.file.exists())

    def as_nobody(self, what):
        program = shutil.copy(tools.arguments.freeonce, self.dir / "freeonce")
        return self.run_program(*self.unprivileged(), program, "systemd", "--root", self.root,
                                "--library", LIBC, "a", what, expect=77).stderr

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_the_manager_reads_it_again(self):
        """If systemd runs, it is printed to reload; its answer is printed."""
        log, folder = self.dir / "log", self.dir / "bin"
        folder.mkdir()
        script = folder / "systemctl"
        script.write_text(f'#!/bin/sh\necho "$@" >>{log}\ntest ! -e {self.dir}/fail || exit 1\n'
                          'test "$1" != cat || printf "[Service]\\nExecStart=/bin/cat\\n"\n')
        script.chmod(0o755)
        booted = ("mount -t tmpfs none /run && mkdir -p /run/systemd/system && "
                  'mount -t tmpfs none /etc/systemd && "$@" --install a && '
                  "cat /etc/systemd/system/a.service.d/50-freeonce.conf && "
                  'touch "$0" && ! "$@" --remove a && rm "$0" && "$@" --remove a').replace(
                      "$0", str(self.dir / "fail"))
        env = {"PATH": f"{folder}:{os.environ['PATH']}"}
        done = self.in_namespace(booted, tools.arguments.freeonce, "systemd", env=env, expect=0)
        self.assertIn(MARKER, done.stdout)
        self.assertIn("daemon-reload ended with status 1", done.stderr)
        self.assertEqual(["cat --no-pager -- a.service", "daemon-reload", "daemon-reload"],
                         log.read_text().splitlines())

    def test_a_file_in_the_way(self):
        self.file.parent.parent.mkdir(parents=True)
        self.file.parent.write_text("")
        self.assertIn("Not a directory", self.do("--install", expect=73).stderr)


PG_UNIT = "[Service]\nType=forking\nExecStart=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect %i start\n"


class Cluster(Case):
    """PostgreSQL of Debian: pg_ctlcluster empties the unit's environment, so the cluster's own file is written."""

    USERS = "# of the user\n\nPGTZ = 'UTC'\n"

    def setUp(self):
        super().setUp()
        self.root = self.dir / "root"
        units = self.root / "lib/systemd/system"
        self.file = self.root / "etc/postgresql/15/my-cluster/environment"
        for folder in units, self.file.parent:
            folder.mkdir(parents=True)
        (units / "postgresql@.service").write_text(PG_UNIT)
        (units / "postgresql.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
        self.file.write_text(self.USERS)

    def do(self, *argv, unit="postgresql@15-my-cluster", expect=0):
        library = [] if "--remove" in argv else ["--library", LIBC]
        return self.freeonce("systemd", *argv, *library, "--root", self.root, unit, expect=expect)

    def values(self):
        """As PgCommon.pm reads them."""
        pattern = r"^\s*([\w.-]+)\s*(?:=|\s)\s*'((?:[^']|''|(?:(?<=\\)'))*)'\s*(?:#.*)?$"
        found = re.findall(pattern, self.file.read_text(), re.M)
        return {name: re.sub(r"\\(.)", r"\1", value).replace("''", "'") for name, value in found}

    def test_in_and_out_again(self):
        self.file.chmod(0o640)
        done = self.do("--install")
        self.assertIn(f"Wrote {self.file}\nNext:\n  systemctl restart postgresql@15-my-cluster.service\n", done.stdout)
        self.assertIn("  freeonce report /var/log/postgresql/freeonce-15-my-cluster.journal\n", done.stdout)
        self.assertTrue(self.file.read_text().startswith(self.USERS))
        values = self.values()
        self.assertTrue(values.pop("LD_PRELOAD").endswith(LIBC.rsplit("/", 1)[1]))
        journal = "/var/log/postgresql/freeonce-15-my-cluster.journal"
        self.assertEqual({"PGTZ": "UTC", "FREEONCE_JOURNAL": journal}, values)
        self.assertEqual(0o640, self.file.stat().st_mode & 0o777)
        self.assertEqual([self.file], list(self.file.parent.iterdir()))
        self.assertIn("Already there", self.do("--install").stdout)
        self.do("--install", "-s", "FILL=1", "--log", "/it's \\ here")
        self.assertEqual(("1", "/it's \\ here"), (self.values()["FREEONCE_FILL"], self.values()["FREEONCE_LOG"]))
        done = self.do("--remove")
        self.assertIn(f"Removed the lines of freeonce from {self.file}", done.stdout)
        self.assertIn(f"freeonce report {journal}", done.stdout)
        self.assertEqual(self.USERS, self.file.read_text())
        self.assertEqual(0o640, self.file.stat().st_mode & 0o777)
        self.assertIn("nothing to remove", self.do("--remove").stdout)

    def test_nothing_of_the_user_is_lost(self):
        for users in "", "A = b", "A = b\n", "\n\n", "A = 'b'  # c\n  LD_PRELOADER = 'x'\n":
            with self.subTest(users):
                self.file.write_text(users)
                self.do("--install")
                self.do("--install", "-s", "FILL=1")
                self.do("--remove")
                self.assertEqual(users, self.file.read_text())
        self.file.write_text("A = b")  # lines that were added later, also between those of freeonce
        self.do("--install")
        text = self.file.read_text().replace("FREEONCE_JOURNAL", "MINE = 'x'\nFREEONCE_JOURNAL") + "FREEONCE_FILL = 1\n"
        self.file.write_text(text)
        self.do("--remove")
        self.assertEqual("A = b\nMINE = 'x'\nFREEONCE_FILL = 1\n", self.file.read_text())

    def test_own_values(self):
        self.file.write_text("LD_PRELOAD = '/a.so'\nFREEONCE_JOURNAL = '/mine'\n")
        self.assertIn("freeonce report /mine\n", self.do("--install").stdout)
        self.assertTrue(self.values()["LD_PRELOAD"].endswith(":/a.so"))
        self.assertEqual("/mine", self.values()["FREEONCE_JOURNAL"])
        users = "LD_PRELOAD = 'libfreeonce.so.0'\n"
        self.file.write_text(users)
        self.assertIn("remove it first", self.do("--install", expect=78).stderr)
        self.assertEqual(users, self.file.read_text())

    def test_what_is_refused(self):
        """What the cluster's owner writes there must not make root read or write another file."""
        secret = self.dir / "secret"
        secret.write_text("of root\n")
        for make in (lambda: self.file.symlink_to(secret), lambda: os.link(secret, self.file),
                     lambda: os.mkfifo(self.file), self.file.mkdir,
                     lambda: self.file.write_bytes(b"A = b\n\0"), lambda: self.file.write_text(f"{MARKER} x\nA = b\n")):
            self.file.unlink()
            make()
            self.assertNotEqual("", self.do("--install", expect=None).stderr)
            self.assertNotEqual(0, self.do("--install", expect=None).returncode)
            self.assertEqual("of root\n", secret.read_text())
            self.assertEqual([self.file], list(self.file.parent.iterdir()))
            if self.file.is_dir() and not self.file.is_symlink():
                self.file.rmdir()
                self.file.touch()
        self.assertIn("no such cluster", self.do("--install", unit="postgresql@16-main", expect=66).stderr)

    def test_units_that_guard_nothing(self):
        for unit, words in ("postgresql@.service", "Name the cluster"), ("postgresql", "runs no server itself"):
            done = self.do("--install", unit=unit, expect=78)
            self.assertIn(words, done.stderr)
            self.assertIn("nothing was written", done.stderr)
        self.assertFalse((self.root / "etc/systemd").exists())

    def test_only_printed(self):
        done = self.do()
        self.assertIn("\nFREEONCE_JOURNAL = '/var/log/postgresql/freeonce-15-my-cluster.journal'\n", done.stdout)
        self.assertIn(f"these lines belong into {self.file}", done.stderr)
        self.assertEqual(self.USERS, self.file.read_text())


class Debian(Case):
    """The units of Debian's packages."""

    UNITS = {
        "kamailio.service": "kamailio.md", "nginx.service": "nginx.md",
        "apache2.service": "apache.md", "haproxy.service": "haproxy.md",
        "dovecot.service": "dovecot.md", "postfix@-.service": "postfix.md", "ssh.service": "sshd.md",
        "squid.service": "squid.md",
        "named.service": "", "stunnel@x.service": "",
    }

    def test_each(self):
        seen = 0
        for name, page in self.UNITS.items():
            file = UNITS / name
            if "@" in name:
                file = UNITS / (name.split("@")[0] + "@.service")
            if not file.exists():
                continue
            seen += 1
            with self.subTest(name):
                folder = self.dir / f"{name}.d"
                folder.mkdir()
                shutil.copy(file, self.dir / name)
                done = self.freeonce("systemd", name, "--unit-file", file, expect=0)
                self.assertIn(page, done.stderr)
                stem = name.removesuffix(".service")
                self.assertIn(f"LogsDirectory=freeonce/{stem}\n", done.stdout)
                (folder / "50-freeonce.conf").write_text(done.stdout)
                self.verify(self.dir / name)
        if seen == 0:
            self.skip_or_fail("none of them is installed")

    def verify(self, unit):
        if shutil.which("systemd-analyze") is None:
            self.skip_or_fail("no systemd-analyze")
        done = self.run_program("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
        printed = [line for line in done.stderr.splitlines() if str(self.dir) in line or ".conf" in line]
        self.assertEqual([], printed)
        self.assertEqual(0, done.returncode, done.stderr)

    def test_verify_of_the_sandboxed(self):
        library = tools.arguments.lib
        text = EXEC + (
            "ProtectSystem=strict\nNoExecPaths=/\nExecPaths=/usr\n"
            f"TemporaryFileSystem={os.path.dirname(library)}\nSystemCallFilter=@basic-io\nUnsetEnvironment=A LD_PRELOAD\n"
            'Environment="LD_PRELOAD=/a.so" B=1\nStandardError=null\n'
        )
        done = self.freeonce("systemd", self.unit(text), "--library", library, "--journal",
                             "/var/a b/%x/j", "-s", "BACKEND=/x y/\"z\".so", expect=0)
        for word in "BindReadOnlyPaths=", "ReadWritePaths=", "SystemCallFilter=", "ExecPaths=":
            self.assertIn(f"\n{word}", done.stdout)
        (self.dir / "x.service.d").mkdir()
        (self.dir / "x.service.d" / "50-freeonce.conf").write_text(done.stdout)
        self.verify(self.dir / "x.service")

    def test_all_that_are_there(self):
        """Every unit of a package gets a drop-in, or a reason why not."""
        for path in sorted(UNITS.glob("*.service")):
            if path.stat().st_size > 0:
                done = self.freeonce("systemd", path)
                self.assertIn(done.returncode, (0, 65, 78), f"{path}\n{done.stderr}")


class Damaged(Case):
    """Bad input is a clear error, never a crash."""

    def refuse(self, data, status=65):
        path = self.dir / "x.service"
        path.write_bytes(data)
        done = self.freeonce("systemd", path, expect=status)
        self.assertEqual("", done.stdout)
        self.assertTrue(done.stderr.startswith("freeonce: "), done.stderr)
        return done.stderr

    def test_no_unit(self):
        self.assertIn("no service", self.refuse(b""))
        self.assertIn("no service", self.refuse(b"[Unit]\nDescription=x\n"))
        self.assertIn("binary", self.refuse(pathlib.Path("/bin/cat").read_bytes()))
        self.assertIn("binary", self.refuse(EXEC.encode() + b"\0"))
        self.assertIn("larger", self.refuse(b"[Service]\n" + b"#" * (5 << 20)))
        done = self.freeonce("systemd", self.dir / "none.service", expect=66)
        self.assertIn("no such unit file", done.stderr)
        folder = self.dir / "d.service"
        folder.mkdir()
        self.assertIn("directory", self.freeonce("systemd", folder, expect=65).stderr)
        loop = self.dir / "l.service"
        loop.symlink_to("l.service")
        self.assertIn("symbolic", self.freeonce("systemd", loop, expect=66).stderr)
        os.mkfifo(self.dir / "f.service")
        self.assertIn("no service", self.freeonce("systemd", self.dir / "f.service", expect=65).stderr)
        endless = self.dir / "z.service"
        endless.symlink_to("/dev/zero")
        self.assertIn("larger", self.freeonce("systemd", endless, expect=65).stderr)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_unreadable(self):
        path = self.unit(EXEC)
        path.chmod(0)
        program = shutil.copy(tools.arguments.freeonce, self.dir / "freeonce")
        done = self.run_program(*self.unprivileged(), program, "systemd", path, expect=77)
        self.assertIn("Permission denied", done.stderr)

    def test_large_but_right(self):
        for text in (
            "ReadOnlyPaths=" + "/a " * 300000, "Environment=A=" + "x" * (1 << 20),
            "Environment=" + "\\\n" * 100000 + "A=1", "Environment=" + "%n" * 100000,
            "\n".join(f"LogsDirectory=a{i}" for i in range(20000)), "Environment='" + "\\" * 99999,
        ):
            self.assertTrue(self.settings(text + "\n"))

    def test_noise(self):
        """Truncated and changed units; the seed is printed when one fails."""
        seed = int(os.environ.get("FREEONCE_TEST_SEED", random.randrange(1 << 30)))
        dice = random.Random(seed)
        good = (EXEC + "".join(
            f"{key}=-+/a:%n:'b c'\\x41 @x ~y \\\n  more\n" for key in (
                "Environment", "EnvironmentFile", "ReadOnlyPaths", "BindPaths", "SystemCallFilter",
                "TemporaryFileSystem", "LogsDirectory", "User", "RootDirectory", "ExecStart",
                "UnsetEnvironment", "RestrictAddressFamilies", "NoExecPaths", "LimitFSIZE",
                "ProtectSystem", "StandardError")
        )).encode()
        for turn in range(300):
            data = bytearray(good[: dice.randrange(len(good) + 1)])
            for _ in range(dice.randrange(20)):
                if data:
                    data[dice.randrange(len(data))] = dice.choice(b"\\%'\"[]=:~\n \xff\x01@-+aA")
            path = self.dir / "x.service"
            path.write_bytes(data)
            done = self.freeonce("systemd", path, "--library", LIBC)
            self.assertIn(done.returncode, (0, 65, 78), f"seed {seed}, turn {turn}: {done.stderr}")
            for line in done.stdout.splitlines():
                self.assertRegex(line, r"^(#|\[Service\]|[A-Za-z]+=|$)", f"seed {seed}, turn {turn}")


tools.main()
