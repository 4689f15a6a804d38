"""Does the recipe for sshd work: do all its processes have the library, and no user's session?

sshd executes itself anew for each connection and on SIGHUP.  The process that talks to a client
before it has logged in is in an empty chroot, unprivileged, under a seccomp filter that kills for
most system calls, and may not write to files: what is found there must arrive all the same, and
must not cost the client its connection.
"""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading

import findings
import harness
import processes
import recipes

USER = "sshd"  # of the sandboxed process
AUTH = pathlib.Path("/usr/lib/openssh/sshd-auth")  # since OpenSSH 10 the sandboxed process is a program of its own
SANDBOXED = 2  # mode of seccomp: a filter
EMPTY_ROOT = pathlib.Path("/run/sshd")  # Debian's sshd has no other; systemd makes it
SESSIONS, AT_A_TIME = 104, 8
RESET = 255  # ssh's exit status when the connection ends

# HOME: the shell of a session reads the .bashrc there, which on a developer's machine may start a hundred programs.
CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host
AuthorizedKeysFile {dir}/user.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
PrintMotd no
PrintLastLog no
MaxStartups 100
SetEnv HOME={dir}
"""


@contextlib.contextmanager
def empty_root():
    """/run/sshd, made if it is missing; the last of several tests takes it away again.  The sticky
    bit tells that it is a test's."""
    while True:
        with contextlib.suppress(FileExistsError):
            EMPTY_ROOT.mkdir()
            EMPTY_ROOT.chmod(0o1755)
        folder = os.open(EMPTY_ROOT, os.O_DIRECTORY)
        fcntl.flock(folder, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(EMPTY_ROOT).st_ino == os.fstat(folder).st_ino:
                break
        os.close(folder)  # another test took it away meanwhile
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(folder).st_mode & stat.S_ISVTX:
                EMPTY_ROOT.rmdir()
        os.close(folder)


def make_keys(stage):
    for name in ("host", "user"):
        argv = [harness.need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", stage.dir / name]
        subprocess.run(argv, check=True)


def start(stage, values):
    port = stage.port()
    config = stage.file(f"sshd-{port}.conf", CONFIGURATION.format(port=port, dir=stage.dir))
    argv = [harness.need("sshd"), "-D", "-f", config, "-E", stage.dir / f"sshd-{port}.log"]
    log = stage.dir / f"sshd-{port}.log"
    return stage.start("sshd", argv, port, preload=bool(values), log=log, **values), port


def ssh(stage, port, words):
    """(exit status, output) of a command in a session.  The attempts to connect: sshd does not
    listen while it executes itself anew, with or without us."""
    argv = [harness.need("ssh"), "-F", "none", "-n", "-p", str(port), "-i", str(stage.dir / "user")]
    argv += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-q"]
    argv += ["-o", "BatchMode=yes", "-o", "ConnectionAttempts=20", "root@127.0.0.1", words]
    env = stage.environment(preload=False)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def check_session(stage, port):
    """A session works, and has nothing of the library."""
    status, text = ssh(stage, port, "echo session; env; cat /proc/self/maps")
    stage.check("exit status of ssh", 0, f"{status}: {text}", status == 0)
    stage.check("the session's output", "session", text.splitlines()[0])
    for word in ("LD_PRELOAD", "FREEONCE_", "libfreeonce"):
        stage.check(f"{word} in the session", False, word in text)


@contextlib.contextmanager
def before_login(stage, server, port):
    """A client that has said hello and no more; its sandboxed process."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"SSH-2.0-test\r\n")
        found = []

        def sandboxed():
            below = processes.descendants(server.pid)
            found[:] = [pid for pid in below if recipes.status_of(pid, "Seccomp") == SANDBOXED]
            return found

        stage.wait_until("sshd has a process in its sandbox", sandboxed)
        yield found[0]


def check_processes(stage, server, port, guarded):
    with before_login(stage, server, port) as sandboxed:
        uid = recipes.status_of(sandboxed, "Uid")
        stage.check("user of the sandbox", recipes.uid_of(USER), uid)
        below = processes.descendants(server.pid) | {server.pid}
        recipes.check_guarded(stage, "sshd", below, 3, guarded)


def stop(stage, server):
    stage.check("exit status of sshd", 0, stage.stop(server))
    stage.check_no_crash(server)
    for word in ("terminated by signal", "privsep_preauth", "SIGSYS"):
        stage.check(f"'{word}' in sshd's log", False, word in server.text())


def test_without(stage):
    server, port = start(stage, {})
    check_session(stage, port)
    check_processes(stage, server, port, guarded=False)
    stop(stage, server)
    harness.step("without the recipe no process has the library")


def test_sandbox(stage):
    """A finding in the sandbox goes to the journal."""
    server, port = start(stage, recipes.variables(stage, "sshd", USER))
    check_processes(stage, server, port, guarded=True)
    check_session(stage, port)
    stop(stage, server)
    recipes.check_journal(stage, True)
    recipes.forget(stage)
    harness.step("a finding in the sandbox arrives, the client is served, its session has nothing")


def test_sandbox_with_file(stage):
    """A log that is a file cannot take it, nor can stderr, which is one here too; the connection
    goes on."""
    values = recipes.variables(stage, "sshd", USER, verbose=True)
    server, port = start(stage, values)
    check_session(stage, port)
    stop(stage, server)
    if values:
        server, port = start(stage, values | {"FREEONCE_LOG": "stderr"})
        check_session(stage, port)
        stop(stage, server)
    if stage.lib is not None:
        stage.check("findings in a file", [], findings.parse(findings.read(stage.log)))
    recipes.check_journal(stage, True)
    stage.check_in_first()
    recipes.forget(stage)
    harness.step("with a file for a log, the journal alone has it, and the client is served")


def sessions(stage, port, failures, attempts):
    """SESSIONS sessions, AT_A_TIME at a time: the threads that make them."""

    def one():
        for _ in range(attempts):
            status, text = ssh(stage, port, "echo served")
            if status != RESET:
                break
        if (status, text) != (0, "served\n"):
            failures.append(f"{status}: {text}")

    def some():
        for _ in range(SESSIONS // AT_A_TIME):
            one()

    threads = [threading.Thread(target=some) for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    return threads


def finish(stage, threads, failures):
    for thread in threads:
        thread.join()
    stage.check("sessions that failed", [], failures)


def restart(stage, server):
    """SIGHUP: sshd executes itself anew, in the same process."""
    before = server.text().count("Server listening")
    server.send(signal.SIGHUP)
    stage.wait_until("sshd listens again", lambda: server.text().count("Server listening") > before)


def test_sessions(stage):
    server, port = start(stage, recipes.variables(stage))
    failures = []
    finish(stage, sessions(stage, port, failures, attempts=1), failures)
    harness.step(f"{SESSIONS} sessions of {SESSIONS}")

    # A connection that comes while sshd executes itself anew may be reset, with or without us.
    threads = sessions(stage, port, failures, attempts=5)
    during = 0
    for _ in range(3):
        restart(stage, server)
        during += any(thread.is_alive() for thread in threads)
    finish(stage, threads, failures)
    stage.check("restarts while clients came", "at least 1", during, during > 0)
    check_processes(stage, server, port, guarded=True)
    stop(stage, server)
    stage.check_silent()
    recipes.check_journal(stage, False)
    harness.step(f"{SESSIONS} more, {during} restarts meanwhile, in silence")


def test(stage, _):
    recipes.need_root("sshd's sandbox changes root and user")
    recipes.uid_of(USER)
    make_keys(stage)
    with empty_root():
        test_without(stage)
        if AUTH.exists():
            print(f"skipped  sandbox: plant.c finds no connection in {AUTH}")
        else:
            test_sandbox(stage)
            test_sandbox_with_file(stage)
        test_sessions(stage)


if __name__ == "__main__":
    harness.main(test, __doc__)
