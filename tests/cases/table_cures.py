"""Cures for OpenSSL in shared memory: applied there, and nowhere else."""

import re

import kernel
from model import ANY, PRIVATE, Case
from programs_openssl import openssl_version

NONE = {"FREEONCE_CURES": "none"}
NOT_SHARED = {"FREEONCE_SHARED": "0"}


def is_openssl_4():
    return openssl_version() >= (4, 0)


def cleans_up_at_the_end():
    return "OPENSSL_cleanup() of OpenSSL 4 frees nothing before the process ends" if is_openssl_4() else None


def has_no_common_blinding():
    """The case makes a blinding that processes share, as OpenSSL did before 3.6."""
    return "OpenSSL 4 has a blinding for each thread" if is_openssl_4() else None


def cure(name, run, applied, otherwise):
    """One effect of a cure in shared memory (with all cures, alone, left out, without cures, with
    FREEONCE_SHARED=0) and in private memory."""
    others = ",".join(each for each in ("state", "exit", "locks", "identity") if each != name)
    on_shm = {"FREEONCE_BACKEND": "shm"}
    shared = [
        ("", {}, applied),
        ("-alone", {"FREEONCE_CURES": name}, applied),
        ("-left-out", {"FREEONCE_CURES": others}, otherwise),
        ("-none", NONE, otherwise),
        ("-not-shared", NOT_SHARED, otherwise),
    ]
    return [
        *(
            Case(f"cure-{name}{how}", f"faults --host=shared {run}", "", ANY, env, facts=facts)
            for how, env, facts in shared
        ),
        *(
            Case(f"cure-{name}-on-shm{how}", f"faults {run}", "", ANY, env | on_shm, facts=facts)
            for how, env, facts in shared
            if env != NOT_SHARED
        ),
        Case(f"cure-{name}-private", f"faults {run}", backends=PRIVATE, facts=otherwise),
    ]


def locks(rwlock, sharing):
    return {"rwlock": rwlock, "mutex": sharing, "condition": sharing, "own": "private"}


def blinding_made_anew(outcome):
    """Not compared with a report: the test does not know the lock's address."""
    killed = outcome.facts.get("killed")
    if f"was left locked for writing by thread {killed}, which is gone" not in outcome.errors:
        return f"the lock of {killed} is not reported: {outcome.errors!r}"
    after = outcome.facts.get("after")
    return None if after == "right" else f"what is blinded after that is {after}"


def passed_is_told(function, type_of_object="SSL"):
    """Reported once.  The behaviour of OpenSSL after that is not checked."""

    def check(outcome):
        told = outcome.errors.count(f"{function}: this process has no {type_of_object} at 0x")
        told += outcome.errors.count("passed between processes need FREEONCE_BACKEND=shm")
        return None if (outcome.status, told) == (0, 2) else f"not told once: {outcome.errors!r}"

    return check


def passed(run, function, backends, *type_of_object):
    return Case(
        run,
        f"faults {run}",
        backends=backends,
        check=passed_is_told(function, *type_of_object),
    )


def context_freed_twice(outcome):
    """Both frees are calls of the program, which both lines name."""
    named = re.findall(r"^  freed (?:first|again) .* by faults\+0x", outcome.errors, flags=re.M)
    if "double free of SSL_CTX" not in outcome.errors or len(named) != 2:
        return f"the second free is not reported: {outcome.errors!r}"
    freed = outcome.facts.get("first-freed")
    return None if (outcome.status, freed) == (0, "1") else f"freed {freed} times"


QUARANTINE_0 = {"FREEONCE_QUARANTINE": "0"}
RELOADS = [
    *(
        Case(
            f"{run}{how}",
            f"faults {run}",
            backends=("shared",),
            env=QUARANTINE_0 | env,
            facts={"growth": "0", "first-freed": "1"},
        )
        for run in ("reload-by-a-worker", "reload-by-the-parent")
        for how, env in (("", {}), ("-uncured", NONE))
    ),
    Case(
        "reload-under-a-connection",
        "faults reload-under-a-connection",
        backends=("shared",),
        facts={"while-it-lives": "0", "afterwards": "1"},
    ),
    Case(
        "contexts-of-a-worker-that-ends",
        "faults contexts-of-a-worker-that-ends",
        backends=("shared", "shm"),
        facts={"by-workers": "0", "freed": "1"},
    ),
    Case(
        "method-of-a-worker", "faults method-of-a-worker", "", backends=("shm",), env=QUARANTINE_0
    ),
    Case(
        "context-freed-twice-by-a-worker",
        "faults context-freed-twice-by-a-worker",
        backends=("shared",),
        check=context_freed_twice,
    ),
]

CASES = [
    *RELOADS,
    passed("passed-and-freed", "SSL_free", ("host", "host8", "arena", "libc", "plugin")),
    passed("passed-and-given-a-descriptor", "SSL_set_fd", ("host", "arena", "libc", "plugin")),
    passed("passed-and-accepted", "SSL_accept", ("host", "arena", "libc", "plugin")),
    passed("passed-and-written", "SSL_write", ("host", "host8")),
    passed("passed-by-bio", "BIO_get_data", ("host",), "BIO"),
    Case("used-after-a-fork", "faults used-after-a-fork", "", PRIVATE),
    Case(
        "passed-where-memory-is-shared",
        "faults connection-passed-on",
        "",
        backends=("shm",),
        facts={"by-parent": "freed", "by-child": "freed"},
    ),
    *cure(
        "locks",
        "lock-attributes",
        locks("ours", "shared"),
        locks("glibc's", "private"),
    ),
    Case(
        "cure-locks-wait",
        "faults lock-between-processes",
        backends=("shared", "shm"),
        facts={"turns": "6000"},
    ),
    Case(
        "cure-locks-keep-attributes",
        "faults lock-attributes-kept",
        backends=("shared", "shm", "libc"),
    ),
    Case("cure-locks-contract", "faults lock-contract", backends=("shared", "shm", "arena", "libc")),
    Case("cure-locks-across-fork", "faults lock-read-across-fork", backends=("arena", "libc")),
    Case("cure-locks-dead-reader", "faults lock-of-dead-reader", backends=("shared", "shm")),
    Case(
        "cure-locks-dead-writer",
        "faults lock-of-dead-writer",
        """
a lock of OpenSSL ({lock}) was left locked for writing by thread {killed}, which is gone (killed?); pid {pid} took it over. What it guards may be half changed; no. 1 in these processes
""",
        ("shared", "shm"),
    ),
    Case(
        "cure-locks-dead-in-blinding",
        "faults killed-in-blinding",
        backends=("shared", "shm"),
        check=blinding_made_anew,
        needs=has_no_common_blinding,
    ),
    *cure(
        "identity",
        "identity",
        {"id": "its own", "self": "the same"},
        {"id": "the same", "self": "the same"},
    ),
    *cure(
        "state",
        "error-queue",
        {"child-queue": "empty", "parent-queue": "empty"},
        {"child-queue": "kept", "parent-queue": "kept"},
    ),
    *cure(
        "exit",
        "free-under-a-worker",
        {"while-it-lives": "0", "afterwards": "2"},
        {"while-it-lives": "1", "afterwards": "2"},
    ),
    Case(
        "cure-exit-in-callback",
        "faults free-in-callback-under-a-worker",
        backends=("shared", "shm"),
        facts={"while-it-lives": "0", "afterwards": "3"},
    ),
    Case(
        "cure-exit-own-reference",
        "faults reference-in-worker",
        backends=("shared", "shm"),
        facts={"before": "0", "freed": "1"},
    ),
    Case(
        "cure-exit-connection-of-a-child",
        "faults connection-of-a-child",
        backends=("shared", "shm"),
        facts={"while-the-child-lives": "0", "afterwards": "2"},
    ),
    Case(
        "cure-exit-connection-of-a-parent",
        "faults connection-of-a-parent",
        backends=("shared", "shm"),
        facts={"by-children": "0", "freed": "1"},
    ),
    Case(
        "cure-exit-connection-descriptor",
        "faults descriptor-of-a-connection",
        backends=("shared", "shm", "arena"),
        facts={"closed": "at once", "another-file": "open"},
    ),
    Case(
        "cure-exit-connection-descriptor-freed-twice",
        "faults descriptor-of-a-connection-freed-twice",
        backends=("shared", "shm"),
        facts={"closed": "at once", "another-file": "open"},
    ),
    Case(
        "cure-exit-connection-passed-on",
        "faults connection-passed-on",
        backends=("shared", "shm"),
        facts={"by-parent": "freed", "by-child": "freed"},
    ),
    Case(
        "cure-exit-explicit",
        "faults cleanup-in-child",
        backends=("shared",),
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"child-frees": "none"},
    ),
    Case(
        "cure-exit-explicit-private",
        "faults cleanup-in-child",
        backends=("host",),
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"child-frees": "some"},
        needs=cleans_up_at_the_end,
    ),
    Case(
        "cure-exit-at-exit",
        "faults cleanup-at-childs-exit",
        backends=("shared",),
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"frees": "none"},
    ),
    Case(
        "cure-exit-explicit-and-exit",
        "faults cleanup-before-childs-exit",
        backends=("shared",),
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"frees": "none"},
    ),
    Case(
        "cure-exit-generators",
        "faults generators-at-childs-exit",
        backends=("shared",),
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"left": "few"},
    ),
    Case(
        "cure-exit-generators-of-a-clone",
        "faults generators-at-clones-exit",
        backends=("shared", "shm"),
        needs=kernel.wipes_nothing,
    ),
    Case(
        "cure-exit-parent-cleans-up",
        "faults cleanup-in-parent",
        backends=("shared", "host"),
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"frees": "many"},
        needs=cleans_up_at_the_end,
    ),
]
