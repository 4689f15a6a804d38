"""freeonce doctor: units of systemd, root file systems, and what confines or limits a process."""

import ctypes
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess

import doctor_case
import tools
import unit_case

LIBC = pathlib.Path(unit_case.LIBC)


class Unit(doctor_case.Case):
    def unit(self, text, *, drop_in=False, library=None, expect=2, **options):
        path = self.dir / "x.service"
        path.write_text(f"[Service]\nExecStart={tools.arguments.planted} alloc\n{text}")
        folder = self.dir / "x.service.d"
        folder.mkdir(exist_ok=True)
        if drop_in:
            done = self.freeonce("systemd", path, "--library", library or LIBC, expect=0)
            (folder / "50-freeonce.conf").write_text(done.stdout)
        return self.doctor(path, "--library", library or tools.arguments.lib, expect=expect, **options)

    def preload(self, journal="/var/log/x/journal"):
        return f"Environment=LD_PRELOAD={tools.arguments.lib} FREEONCE_JOURNAL={journal}\nLogsDirectory=x\n"

    def test_without_the_drop_in(self):
        rows = self.unit("User=nobody\nSystemCallFilter=~madvise\nMemoryDenyWriteExecute=yes\n")
        self.check(rows, "unit", "ok", "runs as nobody")
        self.check(rows, "preload", "failure", "does not set LD_PRELOAD")
        self.assertEqual("freeonce systemd --install x.service && systemctl restart x.service", rows["preload"]["next"])
        self.check(rows, "seccomp", "ok", "--install adds SystemCallFilter=madvise")
        self.check(rows, "openssl", "ok", "is linked with libcrypto.so.")
        self.assertNotIn("MemoryDenyWriteExecute", str(rows))

    def test_with_the_drop_in(self):
        """... nothing is missing, whatever the unit's sandbox."""
        library = self.dir / "libfreeonce.so.0"
        shutil.copy(tools.arguments.lib, library)
        rows = self.unit("User=nobody\nSystemCallFilter=~madvise\nProtectSystem=strict\nUnsetEnvironment=LD_PRELOAD X\n",
                         drop_in=True, library=library, expect=0)
        self.check(rows, "preload", "ok", "libfreeonce.so")
        self.assertNotIn("seccomp", rows)

    def test_a_filter_that_kills(self):
        rows = self.unit(self.preload() + "SystemCallFilter=~madvise\n")
        self.check(rows, "seccomp", "failure", "needs SystemCallFilter=madvise")

    def test_hidden_library(self):
        hidden = f"TemporaryFileSystem={pathlib.Path(tools.arguments.lib).parent}\n"
        self.check(self.unit(self.preload() + hidden), "root", "failure", "needs BindReadOnlyPaths=")

    def test_no_executable_paths(self):
        self.check(self.unit(self.preload() + "NoExecPaths=/\nExecPaths=/usr\n"), "root", "failure", "needs ExecPaths=")

    def test_scrubbed(self):
        rows = self.unit(self.preload() + "UnsetEnvironment=LD_PRELOAD\n")
        self.check(rows, "preload", "failure", "takes LD_PRELOAD away")
        path = self.dir / "x.service"
        path.write_text("[Service]\nExecStart=/usr/bin/env -i /usr/bin/openssl version\n" + self.preload())
        self.check(self.doctor(path, expect=1), "environment", "warning", "env -i empties the environment")

    def test_another_file_sets_it(self):
        (self.dir / "env").write_text("LD_PRELOAD=/nowhere/libother.so\n")
        self.check(self.unit(f"EnvironmentFile={self.dir}/env\n"), "preload", "failure", "does not set LD_PRELOAD")

    def test_the_library_is_gone(self):
        rows = self.unit("Environment=LD_PRELOAD=/nowhere/libfreeonce.so.0\n")
        self.check(rows, "preload", "failure", "is not there")

    def test_addresses(self):
        for limit, state in (("16M", 2), ("16M:infinity", 2), ("64M", 0), ("infinity", 0)):
            rows = self.unit(self.preload() + f"LimitAS={limit}\n", expect=state)
            self.assertEqual(state != 0, "limits" in rows and rows["limits"]["state"] == "failure", limit)

    def test_a_journal_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        self.journal.touch(0o644)
        self.dir.chmod(0o777)
        unit = f"User=nobody\nEnvironment=LD_PRELOAD={tools.arguments.lib} FREEONCE_JOURNAL={self.journal}\n"
        self.check(self.unit(unit, expect=1), "journal", "warning", "belongs to user root, and nobody (User=) cannot write it")
        shutil.chown(self.journal, "nobody")
        self.check(self.unit(unit, expect=0), "journal", "ok", "can be written by nobody")

    def test_no_journal(self):
        rows = self.unit(f"Environment=LD_PRELOAD={tools.arguments.lib}\n", expect=1)
        self.check(rows, "journal", "warning", "names no journal")

    def test_the_program(self):
        path = self.dir / "x.service"
        for program, words in ((self.compile("gcc", "-static"), "statically linked"), ("/nowhere/program", "is not there")):
            path.write_text(f"[Service]\nExecStart=-{program}\n" + self.preload())
            self.check(self.doctor(path, expect=2), "program", "failure", words)

    def test_a_shell_and_no_server(self):
        path = self.dir / "x.service"
        path.write_text("[Service]\nExecStart=/bin/sh -c 'exec /usr/bin/openssl version'\n" + self.preload())
        self.check(self.doctor(path, expect=1), "program", "warning", "ExecStart= runs /bin/sh")
        path.write_text("[Service]\nExecStart=/bin/true\n" + self.preload())
        self.check(self.doctor(path, expect=2), "program", "failure", "runs no server itself")

    def test_a_root_directory(self):
        """The program is looked at below it."""
        root = self.dir / "inner"
        (root / "bin").mkdir(parents=True)
        shutil.copy(self.compile("gcc", "-static"), root / "bin/server")
        (self.dir / "x.service").write_text(f"[Service]\nRootDirectory={root}\nExecStart=/bin/server\n")
        self.check(self.doctor(self.dir / "x.service", expect=2), "program", "failure", "/bin/server is statically linked")

    def test_none(self):
        self.assertIn("there is no unit" if not os.path.isdir("/run/systemd/system") else "systemctl cat",
                      self.freeonce("doctor", "no-such-unit.service", expect=66).stderr)
        (self.dir / "x.service").write_text("[Unit]\n")
        self.assertIn("is no service", self.freeonce("doctor", self.dir / "x.service", expect=65).stderr)


class Root(doctor_case.Case):
    def furnish(self, *, crypto="libcrypto.so.3", library=True, shell="/bin/sh", libc=LIBC.read_bytes):
        root = self.dir / "root"
        shutil.rmtree(root, ignore_errors=True)
        folder = root / "lib"
        folder.mkdir(parents=True)
        (root / "bin").mkdir()
        shutil.copy(shell, root / "bin/sh")
        if libc is not None:
            (folder / "libc.so.6").write_bytes(libc())
        if crypto is not None:
            (folder / crypto).write_bytes((LIBC.parent / "libcrypto.so.3").read_bytes())
        if library:
            (root / "usr/lib").mkdir(parents=True)
            shutil.copy(tools.arguments.lib, root / "usr/lib/libfreeonce.so.0")
        return root

    def test_good(self):
        rows = self.doctor(self.furnish(), expect=0)
        version = re.search(r"2\.(\d+)", subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=True).stdout)
        self.check(rows, "libc", "ok", f"Its glibc is {version[0]}.")
        self.check(rows, "openssl", "ok", "libcrypto.so.3")
        self.check(rows, "inside", "ok", "/usr/lib/libfreeonce.so.0 in it is version")
        self.check(rows, "machine", "ok", "/bin/sh")

    def test_musl(self):
        self.check(self.doctor(self.furnish(shell=self.compile("musl-gcc")), expect=2), "libc", "failure", "is a program of musl")

    def test_another_machine(self):
        program = bytearray(pathlib.Path("/bin/sh").read_bytes())
        program[18] = 2
        (self.dir / "sh").write_bytes(program)
        self.check(self.doctor(self.furnish(shell=self.dir / "sh"), expect=2), "machine", "failure", "another processor")

    def test_an_old_glibc(self):
        old = lambda: re.sub(rb"GLIBC_2\.(2[89]|[3-9]\d)\0", lambda name: b"x" * (len(name[0]) - 1) + b"\0", LIBC.read_bytes())
        self.check(self.doctor(self.furnish(libc=old), expect=2), "libc", "failure", "is 2.27, and the library needs 2.28")
        self.check(self.doctor(self.furnish(libc=None), expect=2), "libc", "failure", "no glibc")
        self.check(self.doctor(self.furnish(libc=lambda: b"\x7fELF"), expect=2), "libc", "failure", "damaged")

    def test_openssl(self):
        self.check(self.doctor(self.furnish(crypto="libcrypto.so.1.1"), expect=2), "openssl", "failure", "older than OpenSSL 3")
        self.check(self.doctor(self.furnish(crypto=None), expect=1), "openssl", "warning", "no libcrypto")

    def test_the_library(self):
        rows = self.doctor(self.furnish(library=False), expect=1)
        self.check(rows, "inside", "warning", "is not in it")
        self.assertIn("docker run -v ", rows["inside"]["next"])
        root = self.furnish()
        for path, mode in (("usr/lib/libfreeonce.so.0", 0o600), ("usr/lib", 0o700)):
            (root / path).chmod(mode)
            self.check(self.doctor(root, expect=1), "inside", "warning", "Not every user can read")
            (root / path).chmod(0o755)
        (root / "usr/lib/libfreeonce.so.0").write_text("no library")
        self.check(self.doctor(root, expect=2), "inside", "failure", "no library of freeonce")

    def test_a_link_does_not_lead_out(self):
        root = self.furnish(crypto=None)
        (root / "lib/libcrypto.so.3").symlink_to(os.path.relpath(LIBC.parent / "libcrypto.so.3", root / "lib"))
        self.check(self.doctor(root, expect=1), "openssl", "warning", "no libcrypto")

    def test_none(self):
        (self.dir / "empty").mkdir()
        self.assertIn("is no root file system", self.freeonce("doctor", self.dir / "empty", expect=65).stderr)


class Confined(doctor_case.Case):
    def start(self, *actions, program=None, before=None, **env):
        ready = self.dir / "ready"
        process = subprocess.Popen([program or tools.arguments.planted, *actions, f"touch={ready}", "pause"], preexec_fn=before,
                                   env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib, **env))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the process", ready.exists)
        return process.pid

    def doctor_in(self, script, *argv, expect, env=None):
        """The rows, in a mount namespace in which the script has put something over files of /proc."""
        wrap = self.in_namespace_prefix(script)
        return self.doctor(*argv, expect=expect, wrap=wrap, env=env)

    def test_seccomp(self):
        """A filter that allows everything, with and without a journal."""
        def confine():
            code = (ctypes.c_uint64 * 1)(struct.unpack("<Q", struct.pack("<HBBI", 6, 0, 0, 0x7fff0000))[0])
            program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 1, ctypes.addressof(code)))
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
            assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, a filter

        rows = self.doctor(self.start("alloc", before=confine, FREEONCE_JOURNAL=str(self.journal)), expect=0)
        self.check(rows, "seccomp", "ok", "A filter of system calls is in force")
        (self.dir / "ready").unlink()
        rows = self.doctor(self.start("alloc", before=confine), expect=1)
        self.check(rows, "seccomp", "warning", "without a journal write, fstat and poll")
        (self.dir / "ready").unlink()
        self.check(self.doctor(self.start("alloc", FREEONCE_JOURNAL=str(self.journal)), expect=0), "seccomp", "ok", "No filter")

    def test_apparmor(self):
        """A profile in force; without AppArmor in the kernel, by a file over the process's own."""
        pid = self.start("alloc", FREEONCE_JOURNAL=str(self.journal))
        (self.dir / "profile").write_text("/usr/sbin/planted (enforce)\n")
        script = f"mount --bind {self.dir}/profile /proc/{pid}/attr/current"
        rows = self.doctor_in(script, pid, expect=0)
        self.check(rows, "profile", "ok", '"/usr/sbin/planted (enforce)" confines it, and the library is loaded')
        bare = subprocess.Popen([tools.arguments.planted, "alloc", f"touch={self.dir}/bare", "pause"], env=tools.clean_environment())
        self.addCleanup(bare.wait)
        self.addCleanup(bare.kill)
        self.wait_until("the process", (self.dir / "bare").exists)
        rows = self.doctor_in(script.replace(f"/{pid}/", f"/{bare.pid}/"), bare.pid, expect=2)
        self.check(rows, "profile", "warning", "must allow the library and the journal")
        (self.dir / "profile").write_text("unconfined\n")
        self.check(self.doctor_in(script, pid, expect=0), "profile", "ok", "No profile")

    def test_file_capabilities(self):
        wrap = self.unprivileged()
        program = shutil.copy(tools.arguments.planted, self.dir / "capable")
        try:  # VFS_CAP_REVISION_2, effective: CAP_NET_BIND_SERVICE
            os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
        except OSError as error:
            self.skip_or_fail(f"no file capabilities here: {error}")
        self.dir.chmod(0o777)
        self.check(self.doctor(program, expect=2, wrap=wrap), "rights", "failure", "capabilities")
        become = lambda: (os.setgroups([]), os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534))
        rows = self.doctor(self.start("alloc", program=program, before=become), expect=2)
        self.check(rows, "loaded", "failure", "AT_SECURE")

    def test_locked_memory(self):
        lock = self.compile("gcc", "-shared", "-fPIC", name="liblock.so", source="#include <sys/mman.h>\nstatic char page[8192];\n"
                            "__attribute__((constructor)) static void lock(void) { mlock(page, sizeof page); }\n")
        bound = lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 20, 1 << 20))
        ready = self.dir / "ready"
        process = subprocess.Popen([tools.arguments.planted, "alloc", f"touch={ready}", "pause"], preexec_fn=bound,
                                   env=tools.clean_environment(LD_PRELOAD=f"{tools.arguments.lib}:{lock}"))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the process", ready.exists)
        rows = self.doctor(process.pid, expect=1)
        self.check(rows, "limits", "warning", "RLIMIT_MEMLOCK leaves 10")

    def test_mappings(self):
        (self.dir / "count").write_text("1000\n")
        script = f"mount --bind {self.dir}/count /proc/sys/vm/max_map_count"
        rows = self.doctor_in(script, tools.arguments.planted, expect=1, env={"FREEONCE_GUARD": "1/10"})
        self.check(rows, "mappings", "warning", "is 1000: backend guard guards 375 blocks")
        (self.dir / "count").write_text("65530\n")
        rows = self.doctor_in(script, tools.arguments.planted, expect=0, env={"FREEONCE_BACKEND": "guard"})
        self.check(rows, "mappings", "ok", "65530")
        self.assertNotIn("mappings", self.doctor_in(script, tools.arguments.planted, expect=0))

    def test_an_old_glibc(self):
        """A program whose libc is older than 2.28, by its DT_RUNPATH."""
        old = re.sub(rb"GLIBC_2\.28\0", b"GLIBC_x.xx\0", LIBC.read_bytes())
        (self.dir / "old").mkdir()
        (self.dir / "old/libc.so.6").write_bytes(old)
        program = self.compile("gcc", source=doctor_case.CRYPTO, libraries=["-lcrypto", f"-Wl,-rpath,{self.dir}/old"])
        self.check(self.doctor(program, expect=2), "libc", "failure", "older than glibc 2.28")


if __name__ == "__main__":
    tools.main()
