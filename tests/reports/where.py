#!/usr/bin/env python3
"""A report goes only to what was opened for it and still is that, and waits for nobody: what cannot be
printed is counted."""

import contextlib
import functools
import os
import pathlib
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import tty

import harness

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import mounts  # noqa: E402

REPORT = "freeonce: double free of block"
MANY = 500  # findings, more than any pipe, socket or terminal holds


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="freeonce-reports-") as path:
        yield pathlib.Path(path)


def where(given, steps, backend="arena", options=None, **how):
    return harness.start(given, backend, ["where", *steps], options, **how)


def expect_in(what, wanted, text):
    if wanted not in text:
        raise harness.Failed(f"{what}: {wanted!r} is not in {text!r}")


def until_ready(process):
    harness.expect("the program's line", b"ready\n", process.stdout.readline())


# --- what descriptor 2 is ---------------------------------------------------------------------------


def unchanged(given, backend):
    expect_in("stderr", REPORT, harness.finish(where(given, ["find"], backend))[1])


def becomes_file(given, backend):
    with folder() as path:
        process = where(given, [f"file={path}/data", "find=3"], backend)
        harness.expect("stderr", "", harness.finish(process)[1])
        harness.expect("the file", "RECORD\n", (path / "data").read_text())


def becomes(given, steps):
    harness.expect("stderr", "", harness.finish(where(given, [*steps, "find=3"]))[1])


def closed_at_start(given):
    """A file that gets descriptor 2 later is not standard error."""
    with folder() as path:
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
        harness.finish(where(given, ["find", f"file={path}/data", "find"], prefix=command))
        harness.expect("the file", "RECORD\n", (path / "data").read_text())


def the_journal_has_it(given):
    with folder() as path:
        options = {"JOURNAL": f"{path}/journal"}
        process = where(given, [f"file={path}/data", "find"], options=options)
        harness.expect("stderr", "", harness.finish(process)[1])
        harness.expect("the file", "RECORD\n", (path / "data").read_text())
        harness.expect("found", True, b"double-free" in (path / "journal").read_bytes())


def a_socket(given):
    """As systemd's journal makes it, or a program that starts others."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = where(given, ["find"], stderr=theirs)
        harness.finish(process)
        expect_in("the socket", REPORT, ours.recv(4096).decode())


def a_clients_socket(given):
    """As inetd starts a server: its client's socket is 0, 1 and 2."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = where(given, ["find"], stdin=theirs, stdout=theirs, stderr=theirs)
        process.wait(harness.DEADLINE)
        harness.expect("the client gets", b"end\n", ours.makefile("rb").read())


def receive(daemon):
    try:
        return daemon.recv(4096).decode()
    except BlockingIOError:
        return ""


def to_syslog(given, steps):
    if os.geteuid() != 0:
        return "needs root, for chroot"
    with folder() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        (path / "dev").mkdir()
        daemon.bind(f"{path}/dev/log")
        process = where(given, [*steps, f"chroot={path}", "find"])
        harness.expect("stderr", "", harness.finish(process)[1])
        daemon.setblocking(False)
        line = receive(daemon)
        expect_in("syslog", f"]: {REPORT}", line)
        expect_in("syslog", "<27>reports[", line)
    return None


def a_name_in_syslog(given):
    """argv[0] ends no line of the log, and begins none."""
    if os.geteuid() != 0:
        return "needs root, for chroot"
    with folder() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        (path / "dev").mkdir()
        daemon.bind(f"{path}/dev/log")
        prefix = ["bash", "-c", 'exec -a "$0" "$@"', "x\x1b[2J\n<27>sshd"]
        harness.finish(where(given, ["close", f"chroot={path}", "find"], prefix=prefix))
        daemon.setblocking(False)
        expect_in("syslog", "<27>x?[2J?<27>sshd[", receive(daemon))
    return None


def in_a_log_daemon(given, name):
    """Reports of a log daemon do not go to syslog, which it would read itself."""
    if os.geteuid() != 0:
        return "needs root, for chroot"
    with folder() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        (path / "dev").mkdir()
        daemon.bind(f"{path}/dev/log")
        daemon.setblocking(False)
        program = pathlib.Path(shutil.copy(given.reports, path / name))
        harness.finish(where(given, ["close", f"chroot={path}", "find"], program=program))
        harness.expect("syslog", "", receive(daemon))
        steps = [f"chroot={path}", "find"]
        errors = harness.finish(where(given, steps, program=program, options={"LOG": "syslog"}))[1]
        harness.expect("syslog", "", receive(daemon))
        expect_in("stderr", "is the log daemon itself", errors)
        expect_in("stderr", REPORT, errors)
    return None


# --- a report waits for nothing ---------------------------------------------------------------------


def count_after(given, fill, drain, **how):
    """While nothing can be printed, two findings; then one, with the count of the others."""
    steps = ["find", "wait", "find=2", "wait", "find", "blocking"]
    process = where(given, steps, stdin=subprocess.PIPE, **how)
    until_ready(process)
    fill()
    process.stdin.write(b"x")
    process.stdin.flush()
    until_ready(process)
    before = drain()
    output, _ = harness.finish(process, b"x")
    after = drain()
    expect_in("the first", "where:100", before)
    harness.expect("the second is there", False, "where:101" in before + after)
    expect_in("afterwards", "freeonce: 2 findings could not be printed", after)
    expect_in("afterwards", "where:103", after)
    return output


def read_all(fd):
    """All bytes that can be read without blocking."""
    data = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(fd, 65536):
            data += chunk
    return data.decode()


def fill_with(fd):
    """Through a separate descriptor, so that the shared one is still blocking."""
    own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(own, b"\n" * 4096)
    os.close(own)


def a_full_pipe(given):
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    count_after(given, lambda: fill_with(theirs), lambda: read_all(ours), stderr=theirs)
    os.close(theirs)
    os.close(ours)


@contextlib.contextmanager
def terminal():
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def a_stopped_terminal(given):
    with terminal() as (ours, theirs):
        os.set_blocking(ours, False)

        def drain():
            termios.tcflow(theirs, termios.TCOON)
            return read_all(ours)

        count_after(given, lambda: termios.tcflow(theirs, termios.TCOOFF), drain, stderr=theirs)


def a_terminal_that_nobody_reads(given):
    with terminal() as (_, theirs):
        harness.finish(where(given, [f"find={MANY}", "blocking"], stderr=theirs))


def a_socket_that_nobody_reads(given, kind):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, theirs:
        harness.finish(where(given, [f"find={2 * MANY}", "blocking"], stderr=theirs))


def a_pipe_that_is_inherited(given):
    """An inherited pipe is named by its number, and a report does not wait for it either."""
    for name in "/dev/fd/{}", "/proc/self/fd/{}":
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        how = {"options": {"LOG": name.format(theirs)}, "pass_fds": [theirs]}
        count_after(given, lambda fd=theirs: fill_with(fd), lambda fd=ours: read_all(fd), **how)
        os.close(theirs)
        os.close(ours)


def an_inherited_number_is_reused(given):
    """Another file that gets the number gets no report."""
    with folder() as path:
        ours, theirs = os.pipe()
        steps = ["find", "closefrom=3", f"open={path}/data", "find"]
        options = {"LOG": f"/dev/fd/{theirs}"}
        _, errors = harness.finish(where(given, steps, options=options, pass_fds=[theirs]))
        os.close(theirs)
        os.close(ours)
        expect_in("stderr", "where:101", errors)
        harness.expect("the file", "", (path / "data").read_text())


def only_read(given):
    with folder() as path, (path / "data").open("w+") as data:
        read_only = os.open(path / "data", os.O_RDONLY)
        options = {"LOG": f"/dev/fd/{read_only}"}
        _, errors = harness.finish(where(given, ["find"], options=options, pass_fds=[read_only]))
        os.close(read_only)
        expect_in("stderr", "that descriptor is not open for writing", errors)
        harness.expect("the file", "", data.read())


# --- files that another user prepared ---------------------------------------------------------------


def refused(given, path, why, **how):
    """As log and as journal: a message with the reason, and the report on stderr."""
    for option, words in {"LOG": "cannot be opened (", "JOURNAL": "cannot be used: "}.items():
        _, errors = harness.finish(where(given, ["find"], options={option: str(path)}, **how))
        expect_in(option, f"FREEONCE_{option}={path} {words}{why}", errors)
        expect_in("stderr", REPORT, errors)


def a_symbolic_link(given):
    with folder() as path:
        (path / "data").touch()
        (path / "link").symlink_to("data")
        (path / "dangling").symlink_to("new")
        for name in "link", "dangling":
            refused(given, path / name, "it is a symbolic link")
        harness.expect("the file", b"", (path / "data").read_bytes())
        harness.expect("a new one", False, (path / "new").exists())


def a_hard_link(given):
    with folder() as path:
        (path / "data").touch()
        os.link(path / "data", path / "link")
        refused(given, path / "link", "it has several names (hard links)")
        harness.expect("the file", b"", (path / "data").read_bytes())


def a_fifo(given):
    """With and without a process that reads it."""
    with folder() as path:
        os.mkfifo(path / "fifo")
        refused(given, path / "fifo", "it is a FIFO")
        ours = os.open(path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        refused(given, path / "fifo", "it is a FIFO")
        harness.expect("the FIFO", b"", os.read(ours, 4096))
        os.close(ours)


def a_device(given):
    refused(given, "/dev/full", "it is no regular file")
    _, errors = harness.finish(where(given, ["find"], options={"LOG": "/dev/null"}))
    harness.expect("stderr", "", errors)


def standard_error_by_name(given):
    """It may be a socket, which cannot be opened."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = where(given, ["find"], options={"LOG": "/dev/stderr"}, stderr=theirs)
        harness.finish(process)
        text = ours.recv(4096).decode()
    harness.expect("the first words", REPORT, text[: len(REPORT)])


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def need_users(given):
    if os.geteuid() != 0:
        return "needs root, for files of several users"
    if subprocess.run([given.reports], preexec_fn=as_nobody, check=False, capture_output=True).returncode < 0:
        return "nobody cannot run the program"
    return None


def a_file_of_another_user(given):
    """Root does not write to a file of the user nobody, nor that user to a file of a third; both write to one of root."""
    if why := need_users(given):
        return why
    with folder() as path:
        path.chmod(0o755)
        for name, owner in {"root": 0, "nobody": 65534, "third": 1234}.items():
            (path / name).touch()
            os.chown(path / name, owner, owner)
            (path / name).chmod(0o666)
        for name, how in ("nobody", {}), ("third", {}), ("third", {"preexec_fn": as_nobody}):
            refused(given, path / name, "it belongs to another user", **how)
            harness.expect(name, b"", (path / name).read_bytes())
        for name, how in ("root", {}), ("root", {"preexec_fn": as_nobody}), ("nobody", {"preexec_fn": as_nobody}):
            (path / name).write_text("")
            logged(given, path / name, {}, **how)
    return None


def logged(given, path, options, **how):
    options = {"LOG": str(path)} | options
    harness.expect("stderr", "", harness.finish(where(given, ["find"], options=options, **how))[1])
    expect_in(str(path), REPORT, (how.get("cwd", pathlib.Path()) / path).read_text())


def kept(given, path, **how):
    """As log, and as journal beside it."""
    journal = path.with_suffix(".journal")
    logged(given, path, {"JOURNAL": str(journal)}, **how)
    files = [how.get("cwd", pathlib.Path()) / file for file in (path, journal)]
    harness.expect("found", True, b"double-free" in files[1].read_bytes())
    return [file.stat().st_uid for file in files]


def make_folders(path, owners):
    path.chmod(0o755)
    for name, (owner, group, mode) in owners.items():
        (path / name).mkdir(parents=True)
        os.chown(path / name, owner, group)
        (path / name).chmod(mode)


def a_folder_that_others_can_write(given):
    """Root makes files for the owner of the folder, and accepts that owner's; in a folder like /tmp its own."""
    if why := need_users(given):
        return why
    with folder() as path:
        folders = {
            "theirs": (65534, 65534, 0o755),
            "group": (0, 65534, 0o775),
            "sticky": (0, 0, 0o1777),
            "sticky of theirs": (65534, 0, 0o1777),
            "all": (0, 0, 0o777),
        }
        make_folders(path, folders)
        make_folders(path, {f"{name}/inner": (0, 0, 0o755) for name in folders})
        for name, (owner, _, mode) in folders.items():
            if mode == 0o777:
                refused(given, path / name / "log", "a folder on its way can be written by all users")
                refused(given, path / name / "inner/log", "a folder on its way can be written by all users")
                harness.expect("a file", False, (path / name / "log").exists())
                kept(given, path / name / "nobody", preexec_fn=as_nobody)
                continue
            owner = owner if mode != 0o1777 else 0
            harness.expect(name, [owner, owner], kept(given, path / name / "log"))
            harness.expect(name, [owner, owner], kept(given, path / name / "log"))
            harness.expect(name, [0, 0], kept(given, path / name / "inner/log"))
            (path / name / "third").touch()
            os.chown(path / name / "third", 1234, 1234)
            refused(given, path / name / "third", "it belongs to another user")
        harness.expect("relative", [65534] * 2, kept(given, pathlib.Path("theirs/relative"), cwd=path))
    return None


def a_link_to_a_folder(given):
    """Such a link is followed if only root can have made it."""
    if why := need_users(given):
        return why
    with folder() as path:
        folders = {"ours": (0, 0, 0o755), "theirs": (65534, 65534, 0o755), "group": (0, 65534, 0o775)}
        make_folders(path, folders)
        for name in folders:
            for link in "roots", "nobodys", "twice":
                (path / name / link).symlink_to(f"{path}//ours/../ours" if name == "group" else "../ours")
            os.chown(path / name / "nobodys", 65534, 65534, follow_symlinks=False)
            os.link(path / name / "twice", path / name / "again", follow_symlinks=False)
            kept(given, path / name / "roots/log")
            for link in "nobodys", "twice":
                if name == "ours":
                    kept(given, path / name / link / "log")
                else:
                    refused(given, path / name / link / "new", "a symbolic link on its way may be another user's")
        (path / "loop").symlink_to("loop")
        refused(given, path / "loop/log", "Too many levels of symbolic links")
        (path / "far").symlink_to("a" * 250 + "/" + "b" * 250)
        refused(given, path / "far/log", "No such file or directory")
        (path / "long").symlink_to("./" * 600)
        refused(given, path / "long/log", "its name is too long")
        refused(given, path / "ours/none/log", "No such file or directory")
        refused(given, path / "ours/log/log", "Not a directory")
        harness.expect("a new one", [], list(path.rglob("new")))
    return None


def alone_in_a_namespace(given):
    """Root of a user namespace is an ordinary user, to whom "/" does not belong."""
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode != 0:
        return "no user namespaces here"
    with folder() as path:
        options = {"LOG": f"{path}/log"}
        process = where(given, ["find"], options=options, prefix=["unshare", "-Ur"])
        harness.expect("stderr", "", harness.finish(process)[1])
        expect_in("the log", REPORT, (path / "log").read_text())
    return None


def nobody_in_a_namespace(given):
    """In a namespace in which root has no number, root's links are still followed."""
    enter = ["unshare", "-Ur"]
    if why := need_users(given):
        return why
    if subprocess.run([*enter, "true"], preexec_fn=as_nobody, capture_output=True, check=False).returncode != 0:
        return "no user namespaces here"
    with folder() as path:
        make_folders(path, {"theirs": (65534, 65534, 0o755)})
        (path / "link").symlink_to("theirs")
        kept(given, path / "link/log", prefix=enter, preexec_fn=as_nobody)
    return None


def opened_again(given):
    """A daemon closed the log's descriptor, and the log's name was given to another file."""
    with folder() as path:
        (path / "data").touch()
        steps = ["find", "closefrom=3", "find", "wait", "closefrom=3", "find"]
        options = {"LOG": f"{path}/log"}
        process = where(given, steps, options=options, stdin=subprocess.PIPE)
        until_ready(process)
        text = (path / "log").read_text()
        expect_in("the log", "where:101", text)
        (path / "log").unlink()
        (path / "log").symlink_to("data")
        errors = harness.finish(process, b"x")[1]
        expect_in("stderr", "where:102", errors)
        harness.expect("the file", "", (path / "data").read_text())


def a_log_daemon_that_does_not_read(given):
    if os.geteuid() != 0 or mounts.namespace() is None:
        return "needs root and a mount namespace, for /dev/log"
    with folder() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(f"{path}/log")
        daemon.setblocking(False)
        prefix = [*mounts.namespace(), "sh", "-c", f'mount --bind {path} /dev && exec "$@"', "sh"]

        def drain():
            return "".join(iter(lambda: receive(daemon), ""))

        process = where(
            given, [f"find={MANY}", "wait", "find"], options={"LOG": "syslog"}, prefix=prefix, stdin=subprocess.PIPE
        )
        until_ready(process)
        drain()
        harness.finish(process, b"x")
        expect_in("syslog", "findings could not be printed", drain())
    return None


def cases(given):
    listed = {}
    for backend in harness.BACKENDS:
        listed[f"{backend}.unchanged"] = functools.partial(unchanged, given, backend)
        listed[f"{backend}.becomes-a-file"] = functools.partial(becomes_file, given, backend)
    for kind in ("socket", "pipe"):
        listed[f"becomes-a-{kind}"] = functools.partial(becomes, given, [kind])
    listed["becomes-dev-null"] = functools.partial(becomes, given, ["file=/dev/null"])
    listed["becomes-closed"] = functools.partial(becomes, given, ["close"])
    for name, steps in {"pipe": ["pipe"], "closed": ["close"], "dev-null": ["file=/dev/null"]}.items():
        listed[f"{name}-then-syslog"] = functools.partial(to_syslog, given, steps)
    for name in ("rsyslogd", "syslog-ng", "systemd-journald"):
        listed[f"in-{name}"] = functools.partial(in_a_log_daemon, given, name)
    for kind in ("STREAM", "DGRAM", "SEQPACKET"):
        listed[f"a-socket-that-nobody-reads-{kind}"] = functools.partial(
            a_socket_that_nobody_reads, given, socket.SocketKind[f"SOCK_{kind}"]
        )
    for case in (
        closed_at_start,
        the_journal_has_it,
        a_socket,
        a_clients_socket,
        a_full_pipe,
        a_stopped_terminal,
        a_terminal_that_nobody_reads,
        a_pipe_that_is_inherited,
        an_inherited_number_is_reused,
        only_read,
        a_symbolic_link,
        a_hard_link,
        a_fifo,
        a_device,
        standard_error_by_name,
        a_file_of_another_user,
        a_folder_that_others_can_write,
        a_link_to_a_folder,
        alone_in_a_namespace,
        nobody_in_a_namespace,
        opened_again,
        a_log_daemon_that_does_not_read,
        a_name_in_syslog,
    ):
        listed[case.__name__.replace("_", "-")] = functools.partial(case, given)
    return listed


if __name__ == "__main__":
    harness.main(cases, for_all_users=True)
