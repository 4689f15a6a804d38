#!/usr/bin/env python3
"""A worker that gave up its rights shares pages with its master: whatever it writes there, the master goes
on, and prints nothing but what it found itself.  And a report tells no secret of the process."""

import contextlib
import functools
import pathlib
import re
import shutil
import struct
import tempfile

import harness

PROCESS = r"pid \d+ \((reports|\?)\)(, forked from \d+( at (reports|[\w.-]+)\+0x[0-9a-f]+)?)?"
SITE = r"neighbours:\d+"
LINES = re.compile(
    rf"""freeonce:\ double\ free\ of\ block\ 0x[0-9a-f]+\ \(40(000)?\ bytes\),\ skipped
    |freeonce:\ free\ of\ 0x[0-9a-f]+,\ 16\ bytes\ inside\ block\ 0x[0-9a-f]+\ \(40\ bytes\),\ skipped
    |freeonce:\ free\ of\ 0x[0-9a-f]+,\ which\ OpenSSL\ never\ allocated\ \(static\ data\),\ skipped
    |freeonce:\ realloc\ of\ freed\ block\ 0x[0-9a-f]+\ \(40\ bytes\),\ answered\ NULL
    |\ \ (allocated|freed\ first|freed\ again|freed\ now|realloc)\ +{SITE}\ +{PROCESS.replace(" ", chr(92) + " ")}
    |\ \ what\ to\ do\ \ \ (It\ was\ freed|The\ pointer\ was|It\ points\ to)\ [A-Za-z0-9 ,.:;?'_()]+
    |\ {{4}}\#\d+\ [\w.-]+\+0x[0-9a-f]+(\ build-id\ [0-9a-f]+)?
    |freeonce:\ seen\ \d+\ times\ in\ all\ processes:
    |freeonce:\ findings\ of\ other\ processes\ were\ seen\ \d+\ more\ times?
    |freeonce:\ (\d+\ findings?)?(\ and\ )?(\d+\ messages?)?\ could\ not\ be\ printed
    |freeonce:\ \d+\ findings?\ (was|were)\ left\ out:\ of\ those\ beyond\ the\ first\ 1,024\ [a-z,0-9 ]+
    |freeonce:\ FREEONCE_JOURNAL=\S+\ was\ truncated;\ findings\ are\ not\ kept\ there\ any\ more""",
    re.VERBOSE,
)
SETTINGS = {
    "default": ("arena", {}),
    "stacks": ("arena", {"STACKS": "8"}),
    "journal": ("arena", {"JOURNAL": "{}/journal"}),
    "guard": ("guard", {}),
    "libc": ("libc", {}),
    "shm": ("shm", {"JOURNAL": "{}/journal", "STACKS": "8"}),
    "everything": ("arena", {"JOURNAL": "{}/journal", "STACKS": "8", "CANARY": "1"}),
}


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="freeonce-neighbours-") as path:
        yield pathlib.Path(path)


def errors_of(given, setting, argv, **how):
    backend, options = SETTINGS[setting]
    with folder() as path:
        options = {name: value.format(path) for name, value in options.items()}
        return harness.finish(harness.start(given, backend, ["neighbours", *argv], options, **how))[1]


def only_own_lines(errors):
    odd = [line for line in errors.splitlines() if not LINES.fullmatch(line)]
    harness.expect("lines that the master cannot have meant", [], odd)


def writes(given, setting, way, seeds):
    for seed in seeds:
        errors = errors_of(given, setting, [way, str(seed)])
        try:
            only_own_lines(errors)
            harness.expect("its own finding", True, "freeonce: double free of block" in errors)
        except harness.Failed as error:
            raise harness.Failed(f"seed {seed}: {error}") from None


def truncated(given, how):
    errors = errors_of(given, "journal", ["truncate", how])
    only_own_lines(errors)
    for line in (3, 4, 5):
        harness.expect(f"line {line}", True, f"freed again  neighbours:{line} " in errors)
    told = errors.count("was truncated")
    harness.expect("how often the journal's loss was told: by parent and child", 2, told)


def stale(given, backend):
    errors = harness.finish(harness.start(given, backend, ["neighbours", "stale"]))[1]
    harness.expect("findings", True, "freeonce: double free of block" in errors)
    harness.expect("the secret", False, "SECRET" in errors)


def name_is_cleaned(given):
    """argv[0] is chosen by the process that starts the program."""
    name = "x\x1b[2J\nfreeonce"
    argv = ["bash", "-c", 'exec -a "$0" "$@"', name]
    with folder() as path:
        journal = path / "journal"
        options = {"JOURNAL": str(journal)}
        process = harness.start(given, "arena", ["neighbours", "stale"], options, prefix=argv)
        errors = harness.finish(process)[1]
        harness.expect("the name", True, "(x?[2J?freeonce)" in errors)
        harness.expect("escapes", False, "\x1b" in errors)
        harness.expect("escapes in the journal", False, b"\x1b[2J" in journal.read_bytes())


def without_headers(path, out):
    """The library, its program headers far behind all else, where nothing maps them."""
    data, end = bytearray(path.read_bytes()), 64 << 30
    (offset,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    headers = data[offset : offset + size * count]
    struct.pack_into("<Q", data, 0x20, end)
    with out.open("wb") as file:
        file.write(data)
        file.seek(end)
        file.write(headers)


def loaded(given, odd):
    original = given.reports.parent / "libloaded.so"
    with folder() as path:
        library, journal = path / "libnew\x1b[2J.so", path / "journal"
        if odd:
            without_headers(original, library)
        else:
            shutil.copy(original, library)
        options = {"STACKS": "8", "JOURNAL": str(journal)}
        argv = ["neighbours", "load", str(library)]
        errors = harness.finish(harness.start(given, "arena", argv, options))[1]
        harness.expect("the finding", True, "freeonce: double free of block" in errors)
        harness.expect("its place", True, f"freed again  {'?' if odd else 'loaded:3'} " in errors)
        frame = re.search(r"#0 libnew\?\[2J\.so\+0x[0-9a-f]+( build-id [0-9a-f]{40})?\n", errors)
        harness.expect("the innermost frame", True, frame is not None)
        harness.expect("its build-id", odd, frame[1] is None)
        harness.expect("escapes", False, "\x1b" in errors)


def sparse(given):
    """A program with holes between its segments: names of files and build-ids are found as in other programs."""
    program = given.reports.parent / "sparse"
    argv = ["neighbours", "random", "1"]
    errors = harness.finish(harness.start(given, "arena", argv, {"STACKS": "8"}, program=program))[1]
    harness.expect("the place", True, "freed again  neighbours:3 " in errors)
    harness.expect("a build-id", True, re.search(r"#0 sparse\+0x[0-9a-f]+ build-id [0-9a-f]{40}\n", errors) is not None)


def cases(given):
    listed = {}
    for setting in SETTINGS:
        seeds = range(1, given.runs + 1)
        listed[f"random.{setting}"] = functools.partial(writes, given, setting, "random", seeds)
        listed[f"racing.{setting}"] = functools.partial(writes, given, setting, "racing", range(1, 7))
    for how in ("emptied", "shortened", "begun"):
        listed[f"truncated.{how}"] = functools.partial(truncated, given, how)
    for backend in ("arena", "libc", "shm"):  # backend guard ends the program at the write
        listed[f"stale.{backend}"] = functools.partial(stale, given, backend)
    listed["loaded.odd"] = functools.partial(loaded, given, True)
    listed["loaded.plain"] = functools.partial(loaded, given, False)
    listed["loaded.sparse"] = functools.partial(sparse, given)
    listed["name"] = functools.partial(name_is_cleaned, given)
    return listed


if __name__ == "__main__":
    harness.main(cases)
