"""freeonce doctor: is a program or process guarded, and if not, why?"""

import json
import os
import pathlib
import shutil
import subprocess

import doctor_case
import tools
from doctor_case import CRYPTO, SOURCE

DLOPEN = '#include <dlfcn.h>\nint main(void) { return dlopen("libm.so.6", RTLD_NOW) == 0; }\n'
# Of Debian's servers, those that are installed: what they are linked with.
SERVERS = {
    "/usr/sbin/nginx": "linked with libcrypto.so.3", "/usr/sbin/sshd": "linked with libcrypto.so.3",
    "/usr/sbin/haproxy": "linked with libcrypto.so.3", "/usr/bin/redis-server": "linked with libcrypto.so.3",
    "/usr/bin/stunnel4": "linked with libcrypto.so.3", "/usr/sbin/mariadbd": "linked with libcrypto.so.3",
    "/usr/sbin/named": "linked with libcrypto.so.3", "/usr/sbin/unbound": "linked with libcrypto.so.3",
    "/usr/sbin/vsftpd": "linked with libcrypto.so.3", "/usr/sbin/mosquitto": "linked with libcrypto.so.3",
    "/usr/lib/postgresql/15/bin/postgres": "linked with libcrypto.so.3", "/usr/sbin/squid": "linked with libcrypto.so.3",
    "/usr/lib/postfix/sbin/smtpd": "linked with libcrypto.so.3", "/usr/sbin/lighttpd": "later (dlopen)",
    "/usr/sbin/apache2": "later (dlopen)", "/usr/sbin/kamailio": "later (dlopen)", "/usr/sbin/dovecot": "later (dlopen)",
}


class Program(doctor_case.Case):
    def test_good(self):
        rows = self.doctor(tools.arguments.planted, expect=0)
        self.check(rows, "openssl", "ok", "is linked with libcrypto.so.")
        self.check(rows, "library", "ok", "as this command")
        done = self.freeonce("doctor", tools.arguments.planted, expect=0)
        self.assertRegex(done.stdout, r"(?m)^ok +openssl +\S+ is linked with libcrypto")
        self.assertIn("can be guarded", done.stdout)

    def test_static(self):
        self.check(self.doctor(self.compile("gcc", "-static"), expect=2), "program", "failure", "statically linked")

    def test_another_libc(self):
        self.check(self.doctor(self.compile("musl-gcc"), expect=2), "program", "failure", "is a program of musl")

    def test_32_bits_and_another_machine(self):
        program = bytearray(pathlib.Path(tools.arguments.planted).read_bytes())
        for at, value, words in ((4, 1, "32 bits"), (18, 2, "another processor")):
            changed = program[:]
            changed[at] = value
            (self.dir / "changed").write_bytes(changed)
            self.check(self.doctor(self.dir / "changed", expect=2), "program", "failure", words)

    def test_rights(self):
        wrap = self.unprivileged()
        self.dir.chmod(0o777)
        program = pathlib.Path(shutil.copy(tools.arguments.planted, self.dir / "owned"))
        for mode, words in ((0o4755, "is setuid"), (0o2755, "is setgid")):
            program.chmod(mode)
            self.check(self.doctor(program, expect=2, wrap=wrap), "rights", "failure", words)
            self.check(self.doctor(program, expect=1), "rights", "warning", "another user")

    def test_no_openssl(self):
        self.check(self.doctor(self.compile("gcc"), expect=2), "openssl", "failure", "nothing to guard")

    def test_loaded_later(self):
        program = self.compile("gcc", source=DLOPEN)
        self.check(self.doctor(program, expect=1), "openssl", "warning", "later (dlopen)")

    def test_openssl_1_1(self):
        self.check(self.doctor(tools.arguments.alone, expect=2), "openssl", "failure", "older than 3")

    def test_own_openssl(self):
        exporting = "int CRYPTO_set_mem_functions(void) { return 0; } int OPENSSL_version_major(void) { return 3; }\n"
        program = self.compile("gcc", "-rdynamic", source=exporting + SOURCE)
        self.check(self.doctor(program, expect=0), "openssl", "ok", "exports an OpenSSL of its own")
        program = self.compile("gcc", source='const char *volatile file = "crypto/ex_data.c";\n' + SOURCE)
        self.check(self.doctor(program, expect=2), "openssl", "failure", "does not export it")

    def test_a_library_is_missing(self):
        self.compile("gcc", "-shared", "-fPIC", source="int other(void) { return 0; }\n", name="libother.so")
        program = self.compile("gcc", source="int other(void);\nint main(void) { return other(); }\n",
                               libraries=["-L", self.dir, "-lother"])
        (self.dir / "libother.so").unlink()
        self.check(self.doctor(program, expect=2), "libraries", "warning", "libother.so")

    def test_runpath(self):
        """OpenSSL comes with a library that the program finds by $ORIGIN."""
        self.compile("gcc", "-shared", "-fPIC", source=CRYPTO.replace("main", "other"), name="libother.so",
                     libraries=["-lcrypto"])
        program = self.compile("gcc", source="int other(void);\nint main(void) { return other(); }\n",
                               libraries=["-L", self.dir, "-lother", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"])
        self.check(self.doctor(program, expect=0), "openssl", "ok", "by libother.so")

    def test_script(self):
        script = self.dir / "script"
        script.write_text(f"#!{tools.arguments.planted}\nexec env -i true\n")
        script.chmod(0o755)
        rows = self.doctor(script, expect=1)
        self.check(rows, "script", "ok", "is a script of")
        self.check(rows, "environment", "warning", "env -i empties the environment")
        script.write_text("#!/no/such/interpreter\n")
        self.check(self.doctor(script, expect=2), "program", "failure", "interpreter was not found")

    def test_names(self):
        """What is known of a server by its name."""
        for name, check, words in (("postfix", "environment", "import_environment"), ("php8.2", "deepbind", "RTLD_DEEPBIND")):
            program = shutil.copy(tools.arguments.planted, self.dir / name)
            self.check(self.doctor(program, expect=1), check, "warning", words)

    def test_preloads(self):
        for name, words in (("CRYPTO_free", "takes OpenSSL's functions"), ("__asan_init", "AddressSanitizer"),
                            ("nothing", "does not disturb")):
            library = self.compile("gcc", "-shared", "-fPIC", source=f"void {name}(void) {{}}\n", name=f"{name}.so")
            state = "ok" if name == "nothing" else "warning"
            rows = self.doctor(tools.arguments.planted, expect=int(state != "ok"), env={"LD_PRELOAD": str(library)})
            self.check(rows, "preload", state, words)
        malloc = self.compile("gcc", "-shared", "-fPIC", "-fno-builtin", name="malloc.so",
                              source="extern void *__libc_malloc(unsigned long);\n"
                                     "void *malloc(unsigned long n) { return __libc_malloc(n); }\n")
        self.check(self.doctor(tools.arguments.planted, expect=0, env={"LD_PRELOAD": str(malloc)}), "preload", "ok", "")
        behind = {"LD_PRELOAD": f"{tools.arguments.lib} {malloc}"}
        self.check(self.doctor(tools.arguments.planted, expect=0, env=behind), "preload", "ok", "does not disturb")
        rows = self.doctor(tools.arguments.planted, expect=1, env={"LD_PRELOAD": f"{malloc} {tools.arguments.lib}"})
        self.check(rows, "preload", "warning", "does not reach the library")

    def test_limits(self):
        for limit, state, words in (("-f 100", 1, "RLIMIT_FSIZE"), ("-n 10", 1, "RLIMIT_NOFILE")):
            wrap = ["bash", "-c", f'ulimit {limit}; exec "$@"', "sh"]
            rows = self.doctor(tools.arguments.planted, expect=state, wrap=wrap)
            self.check(rows, "limits", {1: "warning", 2: "failure"}[state], words)

    def test_library(self):
        library = self.dir / "libfreeonce.so"
        good = pathlib.Path(tools.arguments.lib).read_bytes()
        version = self.freeonce("--version", expect=0).stdout.split()[1].encode() + b"\0"
        library.write_bytes(good.replace(version, b"9" + version[1:]))
        env = {"FREEONCE_LIBRARY": str(library)}
        self.check(self.doctor(tools.arguments.planted, expect=1, env=env), "library", "warning", "same version")
        library.chmod(0o600)
        self.check(self.doctor(tools.arguments.planted, expect=1, env=env), "permissions", "warning", "Not every user")
        shutil.copy(tools.arguments.planted, library)
        self.check(self.doctor(tools.arguments.planted, expect=2, env=env), "library", "failure", "no library of freeonce")

    def test_damaged(self):
        """Any truncated or changed file gets an answer."""
        good = pathlib.Path(tools.arguments.planted).read_bytes()
        sizes = [64, 100, 700, 1000, 2000, len(good) // 4, len(good) // 2]
        damaged = [good[:size] for size in sizes]
        damaged += [good[:at] + b"\xff" * 8 + good[at + 8:] for at in range(32, 1000, 56)]
        for content in damaged:
            (self.dir / "damaged").write_bytes(content)
            (self.dir / "damaged").chmod(0o755)
            done = self.freeonce("doctor", self.dir / "damaged")
            self.assertIn(done.returncode, (0, 1, 2, 65), done.stderr)
        (self.dir / "damaged").write_bytes(good[:2000])
        self.check(self.doctor(self.dir / "damaged", expect=2), "elf", "failure", "damaged")

    def test_bad_input(self):
        for argv, status, words in ((["no-such-program"], 66, "there is no program"), (["/etc/passwd"], 65, "is no program"),
                                    ([], 64, "which program"), (["true", "false"], 64, "one at a time"),
                                    (["--jsno", "true"], 64, "did you mean --json?"), ([self.dir], 65, "is no root file system")):
            self.assertIn(words, self.freeonce("doctor", *argv, expect=status).stderr)

    def test_servers(self):
        """15 of Debian's, and what they are linked with."""
        found = 0
        for path, words in SERVERS.items():
            if not os.path.exists(path):
                continue
            found += 1
            with self.subTest(path):
                done = self.freeonce("doctor", "--json", path)
                rows = {row["check"]: row for row in json.loads(done.stdout)["rows"]}
                self.assertIn(words, rows["openssl"]["text"])
                self.assertIn(done.returncode, (0, 1))
        if found == 0:
            self.skipTest("no server is installed")


class Process(doctor_case.Case):
    def start(self, *argv, env=None):
        """A process that runs, ready when it has touched a file."""
        ready = self.dir / "ready"
        process = subprocess.Popen([tools.arguments.planted, *argv, f"touch={ready}", "pause"], env=tools.clean_environment(**(env or {})))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the process", ready.exists)
        return process.pid

    def test_guarded(self):
        pid = self.start("alloc", env={"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal)})
        rows = self.doctor(pid, expect=0)
        self.check(rows, "guarded", "ok", "before its first allocation")
        self.check(rows, "loaded", "ok", tools.arguments.lib)

    def test_guarded_with_a_title_over_its_environment(self):
        pid = self.start("alloc", "title", env={"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal)})
        self.assertNotIn(b"FREEONCE_JOURNAL", pathlib.Path(f"/proc/{pid}/environ").read_bytes())
        self.check(self.doctor(pid, expect=0), "guarded", "ok", "before its first allocation")

    def test_without_a_journal(self):
        pid = self.start("alloc", env={"LD_PRELOAD": tools.arguments.lib})
        self.check(self.doctor(pid, expect=1), "guarded", "warning", "no journal")

    def test_a_journal_that_cannot_be_written(self):
        pid = self.start("alloc", env={"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.dir / "no/journal")})
        self.check(self.doctor(pid, expect=1), "guarded", "warning", "is not there")

    def test_not_loaded(self):
        rows = self.doctor(self.start("alloc"), expect=2)
        self.check(rows, "loaded", "failure", "was started without LD_PRELOAD")
        self.assertIn("freeonce -- ", rows["loaded"]["next"])

    def test_preload_is_not_there(self):
        pid = self.start("alloc", env={"LD_PRELOAD": str(self.dir / "libfreeonce.so")})
        self.check(self.doctor(pid, expect=2), "loaded", "failure", "does not find")

    def test_not_handed_on(self):
        ready = self.dir / "ready"
        script = f"env -i {tools.arguments.planted} alloc touch={ready} pause & echo $!; wait"
        parent = subprocess.Popen(["sh", "-c", script], env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib), stdout=subprocess.PIPE)
        self.addCleanup(parent.stdout.close)
        self.addCleanup(parent.wait)
        pid = int(parent.stdout.readline())
        self.addCleanup(os.kill, pid, 9)
        self.wait_until("the process", ready.exists)
        self.check(self.doctor(pid, expect=2), "loaded", "failure", f"process {parent.pid}, which started this one")

    def test_replaced(self):
        library = shutil.copy(tools.arguments.lib, self.dir / "libfreeonce.so")
        pid = self.start("alloc", env={"LD_PRELOAD": str(library), "FREEONCE_JOURNAL": str(self.journal)})
        os.unlink(library)
        self.check(self.doctor(pid, expect=1), "loaded", "warning", "the old one")

    def test_unprotected(self):
        ready = self.dir / "ready"
        script = f"ulimit -v 30000; exec {tools.arguments.planted} alloc touch={ready} pause"
        env = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal), "FREEONCE_LOG": "journal"}
        process = subprocess.Popen(["sh", "-c", script], env=tools.clean_environment(**env))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the process", ready.exists)
        rows = self.doctor(process.pid, expect=2)
        self.check(rows, "guarded", "warning", "has no row")
        self.check(rows, "limits", "failure", "RLIMIT_AS")

    def test_of_another_user(self):
        wrap = self.unprivileged()
        done = self.run_program(*wrap, tools.arguments.freeonce, "doctor", self.start("alloc"), expect=77)
        self.assertIn("is not yours", done.stderr)

    def test_no_process(self):
        gone = subprocess.Popen(["true"])
        os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
        self.assertIn("has ended", self.freeonce("doctor", gone.pid, expect=66).stderr)
        gone.wait()
        for pid in (gone.pid, 2 ** 31 - 1, 10 ** 30):
            self.assertIn("there is no process", self.freeonce("doctor", pid, expect=66).stderr)


def add(parser):
    parser.add_argument("--alone", required=True, help="a program of OpenSSL 1.1")


tools.main(add)
