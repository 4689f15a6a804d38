"""Reports of restricted processes, and the files that reports go to."""

import os

from model import EVERY, UNGUARDED, Case
from table_doubles import double, seen


def not_root():
    return None if os.geteuid() == 0 else "needs root, for chroot and setuid"


def syslog_listens():
    return "a daemon listens at /dev/log" if os.path.exists("/dev/log") else None


NO_SPACE = (
    "limits leave less than 32 MB of addresses (ulimit -v; ulimit -l, if all memory is locked); this process runs "
    "unprotected\n"
)
ENDED = "FREEONCE_REQUIRE=1: the program is ended (exit status 78)\n"
LOG = {"FREEONCE_LOG": "{dir}/report.log"}
LOG_OF_PID = {"FREEONCE_LOG": "{dir}/report.%p.log"}
UNOPENED = (
    "FREEONCE_LOG={dir}/no-such-folder/log cannot be opened (No such file or directory), reports go to stderr\n"
)

# For `guard`, tests/guard tests little address space.
LITTLE = tuple(name for name in UNGUARDED if name != "shared")

CASES = [
    Case("chroot", "faults in-chroot", double(40), needs=not_root),
    Case(
        "chroot-log",
        "faults in-chroot",
        double(40),
        env=LOG,
        log="{dir}/report.log",
        needs=not_root,
    ),
    Case("descriptors-closed", "faults closed-descriptors", double(40)),
    Case(
        "descriptors-closed-log",
        "faults closed-descriptors",
        double(40),
        env=LOG,
        log="{dir}/report.log",
    ),
    Case(
        "descriptors-reused-log",
        "faults reused-descriptors",
        double(40),
        env=LOG,
        log="{dir}/report.log",
    ),
    # The file cannot be opened again: stderr gets the report.
    Case(
        "descriptors-closed-in-chroot-log",
        "faults closed-in-chroot",
        double(40),
        env=LOG,
        needs=not_root,
    ),
    Case("privileges-dropped", "faults dropped-privileges", double(40), needs=not_root),
    Case(
        "privileges-dropped-log",
        "faults dropped-privileges",
        double(40),
        env=LOG,
        log="{dir}/report.log",
        needs=not_root,
    ),
    Case("seccomp", "faults in-seccomp", double(40), UNGUARDED),
    Case(
        "seccomp-log",
        "faults in-seccomp",
        double(40),
        UNGUARDED,
        LOG,
        log="{dir}/report.log",
    ),
    Case("seccomp-at-first-free", "faults first-free-in-seccomp", double(40), UNGUARDED),
    Case(
        "seccomp-in-child", "faults child-in-seccomp", double(40, again="{forked}"), UNGUARDED
    ),
    Case(
        "seccomp-in-child-descriptors-closed-log",
        "faults closed-then-child-in-seccomp",
        double(40, again="{forked}"),
        UNGUARDED,
        LOG,
        log="{dir}/report.log",
    ),
    # The file cannot be written: stderr gets the report.
    Case("size-of-files-limited-log", "faults in-limit-of-files", double(40), env=LOG),
    Case("sandbox-of-sshd-log", "faults in-sandbox-of-sshd", double(40), UNGUARDED, LOG),
    Case(
        "sandbox-of-sshd-stderr-is-file",
        "faults stderr-is-file-in-sandbox-of-sshd",
        backends=UNGUARDED,
    ),
    Case(
        "sandbox-of-sshd-descriptors-closed-log",
        "faults closed-in-sandbox-of-sshd",
        double(40),
        UNGUARDED,
        LOG,
    ),
    Case(
        "seccomp-foreign",
        "faults foreign-in-seccomp",
        """
free of {pointer}, which OpenSSL never allocated (static data), skipped
  freed now    {now}  {main}
""",
        UNGUARDED,
    ),
    Case(
        "signal-handler",
        "faults in-signal-handler",
        env={"FREEONCE_QUARANTINE": "64M"},  # the block waits until the end
        backends=EVERY,
        check=lambda outcome: count_is(outcome, outcome.facts["signals"]),
    ),
    Case("signal-stack", "faults on-signal-stack", double(40)),
    Case("stderr-closed", "faults closed-stderr"),
    Case("stderr-broken", "faults broken-stderr"),
    Case("log", "faults double-free", double(40), EVERY, LOG, log="{dir}/report.log"),
    Case(
        "log-with-pid",
        "faults double-free",
        double(40),
        env=LOG_OF_PID,
        log="{dir}/report.{pid}.log",
    ),
    Case(
        "log-with-pid-of-child",
        "faults double-free-in-child",
        double(40, first="{forked}", again="{forked}"),
        env=LOG_OF_PID,
        log="{dir}/report.{child}.log",
    ),
    Case("log-of-healthy-stays-empty", "faults healthy", env=LOG, log="{dir}/report.log"),
    Case(
        "log-cannot-be-opened",
        "faults double-free",
        UNOPENED + double(40),
        env={"FREEONCE_LOG": "{dir}/no-such-folder/log"},
    ),
    Case(
        "log-is-stderr", "faults double-free", double(40), env={"FREEONCE_LOG": "stderr"}
    ),
    Case(
        "syslog-without-daemon",
        "faults double-free",
        "FREEONCE_LOG=syslog: no daemon listens at /dev/log (No such file or directory), reports go to stderr\n"
        + double(40),
        env={"FREEONCE_LOG": "syslog"},
        needs=syslog_listens,
    ),
    Case("address-space-of-200-mib", "faults double-free", double(40), LITTLE, space=200),
    Case("address-space-of-20-mib", "faults healthy", NO_SPACE, ("libc",), space=20),
    Case(
        "address-space-of-20-mib-required",
        "faults healthy",
        NO_SPACE + ENDED,
        ("libc",),
        {"FREEONCE_REQUIRE": "1"},
        space=20,
        status=78,
    ),
    Case(
        "on-error-abort",
        "faults double-free",
        double(40),
        EVERY,
        {"FREEONCE_ON_ERROR": "abort"},
        status=-6,
    ),
    Case(
        "on-error-exit",
        "faults double-free",
        double(40),
        EVERY,
        {"FREEONCE_ON_ERROR": "exit:7"},
        status=7,
    ),
    Case(
        "on-error-exit-0", "faults double-free", double(40), env={"FREEONCE_ON_ERROR": "exit:0"}
    ),
    Case(
        "on-error-skip", "faults double-free", double(40), env={"FREEONCE_ON_ERROR": "skip"}
    ),
    Case(
        "on-error-exit-healthy", "faults healthy", env={"FREEONCE_ON_ERROR": "exit:7"}
    ),
    Case(
        "count-goes-to-log",
        "faults double-free-thrice",
        double(40) + seen(3, double(40)),
        env=LOG,
        log="{dir}/report.log",
    ),
]


def count_is(outcome, wanted):
    """The last count in the report."""
    last = [line for line in outcome.errors.splitlines() if " times in all processes:" in line][-1:]
    wanted = f"freeonce: seen {wanted} times in all processes:"
    # A power of ten was reported when it was reached.
    return None if last == [wanted] else f"expected {wanted!r}, seen {last}"
