"""Options: the lines at load, the messages for wrong values, and the choice of a backend."""

import os
import pathlib
import re

from model import ANY, EVERY, SHARED, Case

# For the lines at load with FREEONCE_VERBOSE=1: the version and the defaults are in the sources.
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
VERSION = re.search(r"project\(freeonce VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text())[1]
DEFAULTS = dict(
    re.findall(
        r'^FO_OPTION\(\w+, (\w+), \w+,\s*"[^"]*",\s*"([^"]*)"',
        (SOURCE / "src/options/options.def").read_text(),
        flags=re.M,
    )
)


def options_line(**changed):
    values = {**DEFAULTS, **changed}
    words = " ".join(f"{name}={value}" for name, value in values.items())
    return f"options: {words}\n"


def load_line(how="linked", backend="{backend}", memory="{memory}"):
    return (
        f"freeonce {VERSION} in front of {{openssl}} ({how}), before its first allocation,"
        f" backend {backend}, memory {memory}, pid {{pid}}\n"
    )


def told(how="linked", backend="arena", memory="private", **changed):
    lines = load_line(how, backend, memory) + options_line(VERBOSE="1", **changed)
    return lines + (ALL_CURES if memory == "shared" else "")


ALL_CURES = "cures: state exit locks identity\n"
VERBOSE = {"FREEONCE_VERBOSE": "1"}
REQUIRE = {"FREEONCE_REQUIRE": "1"}
ENDED = "FREEONCE_REQUIRE=1: the program is ended (exit status 78)\n"


def loaded_on(backend):
    """The lines at load on each backend of the table."""
    names = {"libc": "libc", "arena": "arena", "shm": "shm", "plugin": "{plugin}", "guard": "guard"}
    return Case(
        f"verbose-on-{backend}",
        "faults tell-version",
        load_line()
        + options_line(VERBOSE="1", BACKEND=names.get(backend, "auto"))
        + (ALL_CURES if backend in SHARED else ""),
        (backend,),
        VERBOSE,
    )


def wrong(name, env, complaint):
    """A wrong option: one line, and the program runs without the option; with FREEONCE_REQUIRE=1 it
    ends."""
    return [
        Case(f"option-{name}", "faults tell-version", complaint, ANY, env),
        Case(
            f"option-{name}-required",
            "faults tell-version",
            complaint + ENDED,
            ANY,
            {**env, **REQUIRE},
            status=78,
        ),
    ]


def faulty(name, path, why):
    """A plug-in that cannot be used: one line, and the program runs on auto."""
    text = f"backend {path} cannot be used, running on auto: {why}\n"
    env = {"FREEONCE_BACKEND": path}
    return [
        Case(
            f"plugin-{name}",
            "faults tell-version",
            text + told(BACKEND=path),
            ANY,
            {**env, **VERBOSE},
        ),
        Case(
            f"plugin-{name}-required",
            "faults tell-version",
            text + ENDED,
            ANY,
            {**env, **REQUIRE},
            status=78,
        ),
    ]


def pages():
    """FREEONCE_DUMP and FREEONCE_LOCK work, or one line reports that they do not; FREEONCE_REQUIRE=1 ends the program."""
    asked = {
        "dump": {"FREEONCE_DUMP": "0"},
        "lock": {"FREEONCE_LOCK": "1"},
        "both": {"FREEONCE_DUMP": "0", "FREEONCE_LOCK": "1"},
    }
    own = {"": {}, "-sampled": {"FREEONCE_GUARD": "1/2"}, "-filled": {"FREEONCE_FILL": "1"}}
    cases = [Case("pages", "faults pages", "", ("arena", "shm", "guard"))]
    for name, env in asked.items():
        for how, more in own.items():
            backends = ("arena", "shm", "guard") if not more else ("arena",)
            wanted = {**env, **more, **REQUIRE}
            cases.append(Case(f"pages-{name}{how}", "faults pages", "", backends, wanted, needs=cannot_lock))
        words = " and ".join("=".join(pair) for pair in env.items())
        for backend, shown in {"libc": "libc", "host": "host", "shared": "host", "plugin": "counting"}.items():
            said = (
                f"{words} {'has' if len(env) == 1 else 'have'} no effect on the memory of backend {shown}; arena, shm"
                " and guard have pages of their own\n"
            )
            cases.append(Case(f"pages-{name}-on-{backend}", "faults tell-version", said, (backend,), env))
            env_required = {**env, **REQUIRE}
            cases.append(
                Case(
                    f"pages-{name}-on-{backend}-required",
                    "faults tell-version",
                    said + ENDED,
                    (backend,),
                    env_required,
                    status=78,
                )
            )
    return cases


def cannot_lock():
    return None if os.geteuid() == 0 else "needs root, for locked memory"


def choice(name, value, choices, nearest=None):
    hint = f"; did you mean FREEONCE_{name}={nearest}?" if nearest else ""
    return f"FREEONCE_{name}={value} is none of {choices}, ignored{hint}\n"


def no_bytes(value):
    return f"FREEONCE_QUARANTINE={value}: bytes are needed, as 16M, ignored\n"


def plugin_counts(outcome):
    pattern = r"^counting: (\d+) blocks, (\d+) given back, (\d+) bytes at most$"
    line = re.search(pattern, outcome.errors, flags=re.M)
    if line is None:
        return "the plug-in printed no counts"
    blocks, freed, most = (int(number) for number in line.groups())
    return None if blocks >= freed > 0 and most > 3000 else f"odd counts: {line[0]}"


WARNING = (
    "WARNING: this program's own functions return memory that its processes share; backend libc"
    " is private, so OpenSSL objects that move between processes will crash it. Unset"
    " FREEONCE_BACKEND, or take host\n"
)

CASES = [
    *pages(),
    *(loaded_on(backend) for backend in EVERY),
    Case("leaks-keep-stacks", "faults tell-version", told(LEAKS="1", STACKS="16"), ANY, {**VERBOSE, "FREEONCE_LEAKS": "1"}),
    Case("verbose-off", "faults tell-version", "", ANY, {"FREEONCE_VERBOSE": "0"}),
    Case(
        "verbose-lists-options",
        "faults tell-version",
        told(
            LOG="stderr",
            ON_ERROR="exit:3",
            FOREIGN="free",
            QUARANTINE="4M",
            TOMBSTONES="4096",
            SHARED="0",
            CURES="state,locks",
        ),
        ANY,
        {
            **VERBOSE,
            "FREEONCE_LOG": "stderr",
            "FREEONCE_ON_ERROR": "exit:3",
            "FREEONCE_FOREIGN": "free",
            "FREEONCE_QUARANTINE": "4M",
            "FREEONCE_TOMBSTONES": "4k",
            "FREEONCE_SHARED": "0",
            "FREEONCE_CURES": "locks,state",
        },
    ),
    *wrong(
        "unknown-name",
        {"FREEONCE_VERBOS": "1"},
        "there is no option FREEONCE_VERBOS, ignored; did you mean FREEONCE_VERBOSE?\n",
    ),
    *wrong(
        "unknown-name-far",
        {"FREEONCE_XYZZYXYZZY": "1"},
        "there is no option FREEONCE_XYZZYXYZZY, ignored\n",
    ),
    *wrong(
        "misspelt-log",
        {"FREEONCE_LOG": "sylog"},
        choice("LOG", "sylog", "stderr|syslog|syslog5424|journald|journal|/path/to/file", "syslog"),
    ),
    *wrong("bad-flag", {"FREEONCE_VERBOSE": "yes"}, choice("VERBOSE", "yes", "0|1")),
    *wrong(
        "bad-choice",
        {"FREEONCE_FOREIGN": "reprot"},
        choice("FOREIGN", "reprot", "report|free", "report"),
    ),
    *wrong(
        "bad-action",
        {"FREEONCE_ON_ERROR": "abrot"},
        choice("ON_ERROR", "abrot", "skip|abort|exit:N", "abort"),
    ),
    *wrong(
        "bad-cures",
        {"FREEONCE_CURES": "state,lock"},
        choice("CURES", "state,lock", "all|none|state,exit,locks,identity"),
    ),
    *wrong("bad-size", {"FREEONCE_QUARANTINE": "12X"}, no_bytes("12X")),
    *wrong("empty-size", {"FREEONCE_QUARANTINE": ""}, no_bytes("")),
    *wrong(
        "huge-size",
        {"FREEONCE_QUARANTINE": "99999999999999999999"},
        no_bytes("99999999999999999999"),
    ),
    *wrong(
        "bad-exit-status",
        {"FREEONCE_ON_ERROR": "exit:256"},
        choice("ON_ERROR", "exit:256", "skip|abort|exit:N"),
    ),
    *wrong(
        "unknown-backend",
        {"FREEONCE_BACKEND": "hots"},
        'there is no backend "hots", running on auto; did you mean FREEONCE_BACKEND=host?\n',
    ),
    *wrong(
        "unknown-backend-far",
        {"FREEONCE_BACKEND": "jemalloc5"},
        'there is no backend "jemalloc5", running on auto; FREEONCE_BACKEND is auto, host, arena, shm, libc, guard or'
        " the path of a plug-in\n",
    ),
    Case(
        "backend-host-without-functions",
        "faults tell-version",
        "FREEONCE_BACKEND=host, but this program registers no memory functions with OpenSSL;"
        " running on arena\n",
        ANY,
        {"FREEONCE_BACKEND": "host"},
    ),
    Case(
        "backend-host-without-functions-required",
        "faults tell-version",
        "FREEONCE_BACKEND=host, but this program registers no memory functions with OpenSSL;"
        " running on arena\n" + ENDED,
        ANY,
        {"FREEONCE_BACKEND": "host", **REQUIRE},
        status=78,
    ),
    Case(
        "backend-host-with-functions",
        "faults --host tell-version",
        told(backend="host", BACKEND="host"),
        ANY,
        {"FREEONCE_BACKEND": "host", **VERBOSE},
    ),
    # The program's functions are accepted, but the memory is libc's.
    Case(
        "backend-libc-with-functions",
        "faults hook-before",
        "",
        ANY,
        {"FREEONCE_BACKEND": "libc"},
        facts={"answer": "1", "served": "by others"},
    ),
    Case(
        "backend-libc-on-shared-memory",
        "faults --host=shared tell-version",
        WARNING + told(backend="libc", BACKEND="libc"),
        ANY,
        {"FREEONCE_BACKEND": "libc", **VERBOSE},
    ),
    Case(
        "shared-said",
        "faults --host tell-version",
        told(backend="host", memory="shared", SHARED="1"),
        ANY,
        {"FREEONCE_SHARED": "1", **VERBOSE},
    ),
    Case(
        "shared-denied",
        "faults --host=shared tell-version",
        told(backend="host", memory="private", SHARED="0"),
        ANY,
        {"FREEONCE_SHARED": "0", **VERBOSE},
    ),
    *faulty(
        "missing",
        "{dir}/no-such-plugin.so",
        "{dir}/no-such-plugin.so: cannot open shared object file: No such file or directory",
    ),
    *faulty("no-entry", "{programs}/faulty-no-entry.so", "it does not export freeonce_backend()"),
    *faulty(
        "refuses",
        "{programs}/faulty-refuses.so",
        "its freeonce_backend() refuses this version of the interface",
    ),
    *faulty(
        "abi",
        "{programs}/faulty-abi.so",
        "it is made for another version of freeonce/backend.h",
    ),
    *faulty(
        "small", "{programs}/faulty-small.so", "its struct freeonce_backend is too small"
    ),
    *faulty(
        "no-free",
        "{programs}/faulty-no-free.so",
        "its struct freeonce_backend lacks name, alloc or free",
    ),
    *faulty("start", "{programs}/faulty-start.so", "its start() says that it cannot work here"),
    *faulty(
        "no-memory",
        "{programs}/faulty-no-memory.so",
        "its alloc() has no memory for a first block of 32 bytes",
    ),
    *faulty(
        "misaligned", "{programs}/faulty-misaligned.so", "its blocks are not aligned to 16 bytes"
    ),
    Case(
        "plugin-counts",
        "faults healthy",
        backends=("plugin",),
        env={"COUNTING": "1"},
        check=plugin_counts,
    ),
]
