"""Do the recipe's steps of docs/servers/ld-so-preload.md guard a whole system?

/etc/ld.so.preload and /etc/freeonce.conf in an /etc of the test's own: ordinary programs run as ever,
nginx of Debian works in silence, its finding arrives where the file says, a setuid program runs, and
a mistake in the preload file is taken back from a shell that is open.
"""

import os
import pathlib
import shutil
import subprocess

import findings
import harness
import nginx
import private_etc

BROKEN = "__attribute__((constructor)) static void begin(void) { _exit(127); }\n"


def outcome_of(etc, argv):
    """(exit status, output) of a program in that /etc, without anything in its environment."""
    answer = subprocess.run(
        etc.argv(argv),
        env={"PATH": harness.SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return answer.returncode, answer.stdout


class System:
    """A system in which every program has the library."""

    def __init__(self, stage):
        self.stage = stage
        self.etc = private_etc.PrivateEtc(stage.dir)
        self.lib = stage.dir / "libfreeonce.so"  # programs of all users must be able to read it
        shutil.copy(stage.lib, self.lib)
        self.log = stage.dir / "all.log"
        self.log.touch()
        self.log.chmod(0o622)  # for any user of the program

    def run(self, *argv):
        return outcome_of(self.etc, argv)

    def is_in(self, *argv):
        """Is the library mapped in a program started like this?"""
        return str(self.lib) in self.run(*argv, "cat", "/proc/self/maps")[1]


def test_programs(stage, system):
    """What runs without the library runs with it, and prints the same."""
    commands = (
        ["true"],
        ["ls", "/"],
        ["sh", "-c", "echo a | tr a b; exit 3"],
        ["openssl", "version", "-a"],
        ["openssl", "dgst", "-sha256", "/etc/passwd"],
        ["python3", "-c", "import ssl, hashlib; print(hashlib.sha256(b'').hexdigest())"],
    )
    before = [system.run(*argv) for argv in commands]
    system.etc.write_conf(f"FREEONCE_LOG={system.log}")
    system.etc.write_preload(system.lib)
    stage.check("the library is in every program", True, system.is_in())
    for argv, outcome in zip(commands, before):
        stage.check(" ".join(argv), outcome, system.run(*argv))
    stage.check("the log", "", findings.read(system.log))
    harness.step(f"{len(commands)} programs print the same, in silence")


def test_nginx(stage, system, command):
    journal = stage.dir / "nginx.journal"
    system.etc.write_preload(system.lib, stage.plant)
    system.etc.write_conf(
        f"FREEONCE_LOG={system.log}",
        "[nginx]",
        f"FREEONCE_JOURNAL={journal}",
        "FREEONCE_VERBOSE=1",
    )
    server, port = start_nginx(stage, system, "not-nginx")
    stage.check_served("mutual TLS", stage.result_of(stage.load(port, 200, "http", "mixed")))
    stage.stop(server)
    stage.check_no_crash(server)
    text = findings.read(system.log)
    stage.check("findings of a healthy nginx", [], findings.parse(text))
    line = "freeonce: /etc/freeonce.conf: VERBOSE (line 4), LOG (line 1), JOURNAL (line 3)"
    stage.check("the line at load", line, text, line in text)
    harness.step("nginx serves, in silence, with the options of its section")

    system.log.write_text("")
    server, port = start_nginx(stage, system, "nginx")
    stage.check_served("mutual TLS", stage.result_of(stage.load(port, 40, "http")))
    stage.stop(server)
    found = findings.parse(findings.read(system.log))
    stage.check("findings", "1 or more", found, len(found) > 0)
    stage.check("all three places", True, findings.is_complete(found[0]))
    stage.check("found in", "nginx", found[0].sites["freed again"].program)
    stage.check("a worker did it", True, found[0].sites["freed again"].pid != server.pid)
    if command:
        status, report = outcome_of(system.etc, [command, "report", journal])
        stage.check("exit status of freeonce report", 99, status)
        stage.check("the report", "double free", report, "double free of block" in report)
    harness.step("a double free in a worker is in the log and the journal that the file names")


def start_nginx(stage, system, planted):
    port = stage.port()
    folder = stage.folder(f"nginx-{port}")
    text = nginx.CONFIGURATION.format(dir=folder, certs=stage.certs, port=port)
    config = stage.file(f"{folder.name}/nginx.conf", text)
    argv = ["env", f"PLANT_PROGRAM={planted}", harness.need("nginx")]
    argv += ["-p", folder, "-e", "stderr", "-c", config]
    server = stage.start("nginx", system.etc.argv(argv), port, preload=False)
    return server, port


def test_setuid(stage, system):
    """Programs of every user, and those that run with more rights than their caller."""
    system.etc.write_preload(system.lib)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    stage.check("the library is in other users' programs", True, system.is_in(*nobody))
    program = shutil.which("chsh", path=harness.SYSTEM_PATH)
    if program and pathlib.Path(program).stat().st_mode & 0o4000:
        status, text = system.run(*nobody, program, "--help")
        stage.check("a setuid program runs", 0, f"{status}: {text}", status == 0)
        stage.check("and says nothing of us", False, "freeonce" in text or "ld.so" in text)
    harness.step("other users' and setuid programs run")


def test_way_back(stage, system):
    """A preload file that ends every program is emptied by a shell that is open: no program."""
    source = stage.file("broken.c", "#include <unistd.h>\n" + BROKEN)
    broken = stage.dir / "broken.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", broken, source], check=True)
    script = (
        f"echo {broken} > /etc/ld.so.preload; ls / > /dev/null; echo with it $?;"
        " : > /etc/ld.so.preload; ls / > /dev/null; echo without $?"
    )
    system.etc.write_preload()
    stage.check("the way back", (0, "with it 127\nwithout 0\n"), system.run("sh", "-c", script))

    system.etc.write_preload(stage.dir / "not-there.so")
    status, text = system.run("true")
    stage.check("a library that is gone", 0, f"{status}: {text}", status == 0)
    words = f"ERROR: ld.so: object '{stage.dir}/not-there.so' from /etc/ld.so.preload cannot be"
    stage.check("what ld.so says", words, text, words in text)
    harness.step("a mistake in the preload file is taken back")


def test(stage, arguments):
    if stage.lib is None:
        raise harness.Skipped("this test is about the library: --lib")
    reason = private_etc.missing()
    if reason:
        raise harness.Skipped(reason)
    os.umask(0o022)
    system = System(stage)
    test_programs(stage, system)
    test_nginx(stage, system, arguments.freeonce)
    test_setuid(stage, system)
    test_way_back(stage, system)


if __name__ == "__main__":
    harness.main(test, __doc__)
