"""freeonce systemd: is the drop-in right for the unit and its sandbox?"""

import os
import re
import shutil

import tools
from unit_case import EXEC, LIBC, MARKER, PRELOAD, Case


class Dropin(Case):
    """What is printed, and where."""

    def test_the_plain_one(self):
        lines, text, errors = self.run_on(EXEC)
        self.assertTrue(text.startswith(MARKER + " x.service"), text)
        self.assertIn("freeonce report /var/log/freeonce/x/journal", text)
        self.assertIn("freeonce systemd --remove x.service", text)
        self.assertIn("\n[Service]\n", text)
        self.assertEqual("", errors)
        self.assertEqual(
            [
                f"Environment=LD_PRELOAD={PRELOAD}",
                "Environment=FREEONCE_JOURNAL=/var/log/freeonce/x/journal",
                "LogsDirectory=freeonce/x",
            ],
            lines,
        )

    def test_the_library_is_found(self):
        path = self.unit(EXEC)
        done = self.freeonce("systemd", path, expect=0)
        found = re.search(r"LD_PRELOAD=(.*)", done.stdout).group(1)
        self.assertTrue(found.startswith(tools.TO_ROOT + "/"), found)
        self.assertTrue(os.path.samefile(found.removeprefix(tools.TO_ROOT), tools.arguments.lib), found)
        other = self.dir / "other" / "libfreeonce.so"
        other.parent.mkdir()
        shutil.copy(tools.arguments.lib, other)
        done = self.freeonce("systemd", path, expect=0, env={"FREEONCE_LIBRARY": str(other)})
        self.assertIn(f"LD_PRELOAD={tools.TO_ROOT}{other}\n", done.stdout)

    def test_a_library_that_cannot_be(self):
        path = self.unit(EXEC)
        odd = self.dir / "a b.so"
        odd.write_bytes(b"")
        for value, word in ((self.dir / "none.so", "no library"), (odd, "spaces and colons")):
            for more in ({"env": {"FREEONCE_LIBRARY": str(value)}}, {}):
                argv = ["systemd", path] + ([] if more else ["--library", value])
                done = self.freeonce(*argv, expect=66, **more)
                self.assertIn(word, done.stderr)
                self.assertEqual("", done.stdout)
        done = self.run_program(shutil.copy(tools.arguments.freeonce, self.dir / "alone"),
                                "systemd", path, expect=66)
        self.assertIn("Looked for /", done.stderr)

    def test_options_of_the_library(self):
        lines = self.settings("", "-s", "FREEONCE_FILL=1", "--set", "BACKEND=/a b%/\"p\".so",
                              "-s", "JOURNAL=/var/log/j", "-s", "LOG=syslog")
        self.assertIn("Environment=FREEONCE_FILL=1", lines)
        self.assertIn('Environment="FREEONCE_BACKEND=/a b%%/\\"p\\".so"', lines)
        self.assertIn("Environment=FREEONCE_JOURNAL=/var/log/j", lines)
        self.assertIn("Environment=FREEONCE_LOG=syslog", lines)

    def test_log_is_a_word_or_a_path(self):
        path = self.unit(EXEC)
        for way in (["--log", "sylog"], ["--set", "LOG=sylog"]):
            done = self.freeonce("systemd", path, *way, expect=64)
            self.assertRegex(done.stderr, r"did you mean (FREEONCE_LOG=)?syslog\?")
        for word in ("stderr", "syslog", "journal", "/var/log/l"):
            done = self.freeonce("systemd", path, "--log", word, expect=0)
            self.assertIn(f"Environment=FREEONCE_LOG={word}\n", done.stdout)

    def test_values_that_the_library_would_not_understand(self):
        path = self.unit(EXEC)
        for setting, hint in (
            ("FREEONCE_FILL=2", "FREEONCE_FILL=2 is none of 0|1"),
            ("STACKS=33", "FREEONCE_STACKS=33: a number from 0 to 32 is needed"),
            ("BACKEND=shmm", "did you mean shm?"),
            ("BACKEND=mimalloc", "there is no such backend, see `freeonce options BACKEND`"),
        ):
            done = self.freeonce("systemd", path, "--set", setting, expect=64)
            self.assertIn(hint, done.stderr)
        for setting in ("BACKEND=shm", "BACKEND=/p.so", "QUARANTINE=16M", "STACKS=32"):
            self.assertIn(f"Environment=FREEONCE_{setting}", self.settings("", "-s", setting))

    def test_wrong_usage(self):
        path = self.unit(EXEC)
        for argv in (
            [], [path, "second"], [path, "--install", "--remove"], [path, "--journal", "j"],
            [path, "--log", "here"], [path, "-s", "FREEONCE_FILL"], [path, "-s", "FREEONCE_FIL=1"],
            [path, "-s", "FILL=1\nExecStart=/bin/sh"], [path, "--journal", "/a\nb"],
            [path, "--nonsense"], ["a.socket"], [""], ["a b"], ["@x"], ["a" * 300], ["/"],
        ):
            done = self.freeonce("systemd", *argv, expect=64)
            self.assertNotEqual("", done.stderr)
            self.assertEqual("", done.stdout)


class Environment(Case):
    def preload(self, text, **options):
        return [s for s in self.settings(text, **options) if "LD_PRELOAD" in s]

    def test_an_own_preload_is_kept(self):
        text = "Environment=A=1 'LD_PRELOAD=/a.so /b.so' B=2\n"
        self.assertEqual([f"Environment=LD_PRELOAD={PRELOAD}:/a.so:/b.so"], self.preload(text))
        self.assertIn("is kept: /a.so:/b.so", self.said(text))

    def test_the_last_one_counts_and_nothing_resets(self):
        text = "Environment=LD_PRELOAD=/a.so\nEnvironment=LD_PRELOAD=/b.so\n"
        self.assertEqual([f"Environment=LD_PRELOAD={PRELOAD}:/b.so"], self.preload(text))
        self.assertEqual([f"Environment=LD_PRELOAD={PRELOAD}"], self.preload(text + "Environment=\n"))

    def test_a_sanitizer_stays_first(self):
        self.assertEqual(
            [f"Environment=LD_PRELOAD=/usr/lib/libasan.so.8:{PRELOAD}"],
            self.preload("Environment=LD_PRELOAD=/usr/lib/libasan.so.8\n"),
        )

    def test_another_path_of_the_library_is_replaced(self):
        text = "Environment=LD_PRELOAD=/old/libfreeonce.so.0:/a.so\n"
        self.assertEqual([f"Environment=LD_PRELOAD={PRELOAD}:/a.so"], self.preload(text))

    def test_a_file_wins(self):
        file = self.dir / "default"
        file.write_text("# LD_PRELOAD=/no.so\nLD_PRELOAD=\"/x.so\"\nFREEONCE_LOG=/var/log/l\n")
        text = f"EnvironmentFile=-{self.dir}/def*\nEnvironment=LD_PRELOAD=/e.so\n"
        said = self.said(text, expect=78)
        self.assertIn(f"LD_PRELOAD='{PRELOAD}:/x.so'", said)
        self.assertEqual([], self.preload(text, expect=78))
        file.write_text("LD_PRELOAD=/usr/lib/libfreeonce.so.0\n")
        self.assertIn("wins over the drop-in", self.said(text))

    def test_unset(self):
        text = "UnsetEnvironment=A LD_PRELOAD FREEONCE_LOG=x LD_PRELOADER LD\n"
        lines = self.settings(text)
        at = lines.index("UnsetEnvironment=")
        self.assertEqual("UnsetEnvironment=A LD_PRELOADER LD", lines[at + 1])

    def test_own_settings_are_kept(self):
        text = "Environment=FREEONCE_JOURNAL=/var/log/mine FREEONCE_LOG=syslog\n"
        lines = self.settings(text)
        self.assertEqual([f"Environment=LD_PRELOAD={PRELOAD}"], lines)

    def test_values_with_control_characters_are_refused(self):
        """The service's user can write its EnvironmentFile: no line of root's drop-in may come from there."""
        root = self.dir / "root"
        file = root / "srv" / "env"
        file.parent.mkdir(parents=True)
        evil = r"/var/lib/a\nExecStartPre=+/tmp/evil", "/var/lib/a\x1b[2Jb", r"/var/lib/a\x7fb", "/a\xc2\x9bb"
        for name in "LD_PRELOAD", "FREEONCE_JOURNAL", "FREEONCE_LOG", "FREEONCE_BACKEND":
            for value in evil:
                file.write_text(f'{name}="{value}"\n', encoding="latin-1")
                for unit in f'Environment="{name}={value}"\n', "EnvironmentFile=/srv/env\n":
                    for more in ([], ["--install"]):
                        with self.subTest(name, value=value, unit=unit[:16], more=more):
                            argv = ["--root", root, "--set", "BACKEND=libc", *more]
                            _, text, errors = self.run_on(EXEC + unit, *argv, expect=78)
                            self.assertRegex(errors, rf"sets {name} to a value with a control character")
                            self.assertNotRegex(text + errors, r"(?m)^ExecStartPre|\x1b|\x7f|\x9b")
                            self.assertFalse((root / "etc").exists())

    def test_files_are_read_with_a_bound_and_without_waiting(self):
        os.mkfifo(self.dir / "fifo")
        (self.dir / "zero").symlink_to("/dev/zero")
        with (self.dir / "large").open("w") as large:
            large.truncate(1 << 32)
        why = {"fifo": "no regular file", "zero": "no regular file", "large": "too large"}
        for name, words in why.items():
            said = self.said(f"EnvironmentFile={self.dir}/{name}\n", timeout=60)
            self.assertIn(f"{name} was not read: it is {words}", said)


class Journal(Case):
    """The journal is where the sandbox lets it be."""

    def place(self, text, *more, **options):
        lines = self.settings(text, *more, **options)
        found = [s.split("JOURNAL=")[1] for s in lines if "FREEONCE_JOURNAL=" in s]
        return found[0] if found else None, [s for s in lines if not s.startswith("Environment=")]

    DEFAULT = ("/var/log/freeonce/x/journal", ["LogsDirectory=freeonce/x"])

    def test_sandboxes_that_systemd_opens(self):
        for text in (
            "User=www-data", "DynamicUser=yes", "ProtectSystem=strict", "ProtectSystem=full",
            "ProtectSystem=yes", "ReadOnlyPaths=/", "ReadOnlyPaths=/var", "PrivateTmp=yes",
            "ProtectHome=yes\nPrivateDevices=yes\nPrivateMounts=yes\nMountAPIVFS=yes",
            "ProtectProc=invisible\nProtectKernelTunables=yes\nPrivateIPC=yes",
        ):
            with self.subTest(text):
                self.assertEqual(self.DEFAULT, self.place(text))

    def test_an_own_logs_directory_is_used_as_it_is(self):
        text = "LogsDirectory=redis other\nProtectSystem=strict\n"
        self.assertEqual(("/var/log/redis/freeonce-x.journal", []), self.place(text))
        text += "LogsDirectory=\n"
        self.assertEqual(self.DEFAULT, self.place(text))
        self.assertIn("LogsDirectoryMode=0500", self.said("LogsDirectoryMode=0500\n"))

    def test_hidden_logs(self):
        self.assertEqual(
            ("/var/lib/freeonce/x/journal", ["StateDirectory=freeonce/x"]),
            self.place("InaccessiblePaths=-/var/log\n"),
        )
        self.assertEqual(
            ("/var/lib/redis/freeonce-x.journal", []),
            self.place("InaccessiblePaths=/var/log\nStateDirectory=redis\n"),
        )
        self.assertEqual((None, []), self.place("InaccessiblePaths=/var\n"))
        self.assertIn("no journal", self.said("InaccessiblePaths=/var\n"))

    def test_a_given_place(self):
        place = self.dir / "j"
        self.assertEqual((str(place), []), self.place("", "--journal", place))
        for text in ("ProtectSystem=strict\n", f"ReadOnlyPaths={self.dir.parent}\n"):
            self.assertEqual(
                (str(place), [f"ReadWritePaths=-{self.dir}"]), self.place(text, "--journal", place)
            )
        for text, word in (
            (f"ReadOnlyPaths={self.dir}\n", "no other setting"),
            (f"ReadOnlyPaths={self.dir}\nReadWritePaths={self.dir}\n", "no other setting"),
            (f"InaccessiblePaths={self.dir.parent}\n", "hides"),
            (f"TemporaryFileSystem={self.dir}:ro\n", "a place of its own"),
            ("User=nobody\n", "must be writable by nobody"),
        ):
            with self.subTest(text):
                self.assertIn(word, self.said(text, "--journal", place))
        said = self.said("ProtectSystem=strict\nReadOnlyPaths=/home\n", "--journal", "/home/j")
        self.assertIn("no other setting", said)
        self.assertIn("is not there", self.said("", "--journal", self.dir / "none" / "j"))
        self.assertIn("a place of its own", self.said("PrivateTmp=1\n", "--journal", "/tmp/j"))
        self.assertNotIn(
            "own", self.said(f"ProtectSystem=strict\nReadWritePaths={self.dir}\n", "--journal", place)
        )

    def test_templates(self):
        for name, directory in (
            ("a@.service", "%N"), ("a@b.service", "a@b"), ("a@b\\x2dc.service", "a@b_x2dc"),
        ):
            with self.subTest(name):
                lines = self.settings("", name=name)
                self.assertIn(f"LogsDirectory=freeonce/{directory}", lines)

    def test_root_directory(self):
        said = self.said("RootDirectory=/srv/x\n")
        self.assertIn("glibc 2.28", said)
        self.assertEqual(
            ("/var/log/freeonce/x/journal", [f"BindReadOnlyPaths={LIBC}", "LogsDirectory=freeonce/x"]),
            self.place("RootDirectory=/srv/x\nProtectSystem=strict\n"),
        )
        self.assertEqual(self.DEFAULT, self.place("RootDirectory=/s\nBindReadOnlyPaths=/usr /lib\n"))
        self.assertEqual(self.DEFAULT, self.place("RootDirectory=/\n"))
        self.assertIn("inside RootImage=/i", self.said("RootImage=/i\n", "--journal", "/j"))

    def test_the_library_is_shown(self):
        lib = tools.arguments.lib
        for text in ("TemporaryFileSystem=/:ro\n", f"TemporaryFileSystem={os.path.dirname(lib)}\n"):
            self.assertIn(f"BindReadOnlyPaths={lib}", self.settings(text, library=lib))
        self.assertIn(f"ExecPaths={LIBC}", self.settings("NoExecPaths=/\nExecPaths=/usr/bin\n"))
        self.assertNotIn(f"ExecPaths={LIBC}", self.settings("NoExecPaths=/\nExecPaths=/usr\n"))
        self.assertIn("hides the library", self.said("InaccessiblePaths=/usr\n", expect=78))

    def test_the_library_must_be_readable(self):
        hidden = self.dir / "hidden"
        hidden.mkdir(mode=0o700)
        shutil.copy(LIBC, hidden / "l.so")
        self.assertIn("read it", self.said("User=nobody\n", library=hidden / "l.so"))


class Reports(Case):
    """Where stderr goes, and when syslog is better."""

    def log(self, text, *more):
        return [s.split("=", 2)[2] for s in self.settings(text, *more) if "FREEONCE_LOG" in s]

    def test_table(self):
        for text, log, word in (
            ("", [], ""),
            ("StandardError=null\n", ["syslog"], "journalctl"),
            ("StandardOutput=null\n", ["syslog"], "journalctl"),
            ("StandardOutput=null\nStandardError=journal\n", [], ""),
            ("StandardError=inherit\nStandardOutput=file:/var/log/o\n", [], "file:/var/log/o"),
            ("Type=forking\n", ["syslog"], "journalctl"),
            ("Type=forking\nPrivateDevices=yes\n", ["syslog"], ""),
            ("Type=forking\nRootDirectory=/srv\n", [], "keeps syslog away"),
            ("Type=forking\nRestrictAddressFamilies=AF_INET\n", [], "AF_UNIX"),
            ("Type=forking\nRestrictAddressFamilies=~AF_UNIX\n", [], "AF_UNIX"),
            ("Type=forking\nRestrictAddressFamilies=none\n", [], "AF_UNIX"),
            ("Type=forking\nRestrictAddressFamilies=AF_INET\nRestrictAddressFamilies=AF_UNIX\n",
             ["syslog"], ""),
        ):
            with self.subTest(text):
                self.assertEqual(log, self.log(text))
                self.assertIn(word, self.said(text))

    def test_a_log_daemon(self):
        """A log daemon would receive its own reports."""
        for program in "/usr/sbin/rsyslogd -n", "/usr/sbin/syslog-ng -F", "/lib/systemd/systemd-journald":
            text = f"[Service]\nExecStart={program}\nStandardOutput=null\n"
            lines, _, errors = self.run_on(text)
            self.assertEqual([], [line for line in lines if "FREEONCE_LOG" in line])
            self.assertIn("syslog is the service itself", errors)

    def test_a_given_one(self):
        self.assertEqual(["stderr"], self.log("Type=forking\n", "--log", "stderr"))
        self.assertIn("AF_UNIX", self.said("RestrictAddressFamilies=AF_INET\n", "--log", "syslog"))
        self.assertIn("/dev/log", self.said("RootDirectory=/s\n", "--log", "syslog"))
        self.assertIn("FREEONCE_LOG=/l", self.said("ProtectSystem=strict\n", "--log", "/l"))


tools.main()
