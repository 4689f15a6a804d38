"""Which allocators and checkers are compared?  One row a competitor: what is preloaded in front of the unmodified program.

Stock is glibc alone, and every ratio is relative to it.  A competitor that this machine cannot run is
left out, with the reason in the results.
"""

import dataclasses
import glob
import pathlib
import platform
import re

LIBRARY = "libfreeonce.so"  # of this project, from the build
EMPTY_LIBRARY = "empty.so"
BUILT = {LIBRARY: "src", EMPTY_LIBRARY: "tests/bench"}  # and where
FOLDERS = ("/usr/lib/*-linux-gnu", "/lib/*-linux-gnu", "/usr/lib/llvm-*/lib/clang/*/lib/linux")
SCUDO = f"libclang_rt.scudo_standalone-{platform.machine()}.so"
CALLGRIND = frozenset({"instructions", "pairs_instructions", "parse_instructions"})


@dataclasses.dataclass(frozen=True)
class Competitor:
    name: str
    title: str  # in tables and plots
    kind: str  # stock, own, peer (an allocator without checks) or checker
    preload: tuple = ()  # names of libraries; the newest that matches
    settings: dict = dataclasses.field(default_factory=dict)  # environment variables
    packages: tuple = ()  # of Debian; several: the first that the release has
    launcher: tuple = ()  # a command in front of the program
    suffix: str = ""  # of the program's name, where it is another build
    warm_up: int = 20  # handshakes before those that are timed
    only: frozenset = frozenset()  # groups of measures that it takes part in; empty: all
    never: frozenset = frozenset()  # groups that it cannot take part in
    most_rounds: int = 1000

    def takes_part(self, group):
        return group not in self.never and (not self.only or group in self.only)


def own(name, title, *more_libraries, backend=None, **settings):
    settings = {"FREEONCE_BACKEND": backend or name, **settings}
    libraries = (LIBRARY, *more_libraries)
    return Competitor(name, title, "own", libraries, settings)


def peer(name, title, library, *packages, **more):
    return Competitor(name, title, "peer", (library,), packages=packages, **more)


TABLE = (
    Competitor("stock", "glibc (stock)", "stock"),
    own("libc", "freeonce, libc"),
    own("arena", "freeonce, arena"),
    own(
        "ci",
        "freeonce, CI",
        backend="libc",
        FREEONCE_QUARANTINE="4M",
        FREEONCE_FILL="1",
        FREEONCE_CANARY="1",
    ),
    peer("jemalloc", "jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    peer("mimalloc", "mimalloc", "libmimalloc.so.*", "libmimalloc2.0", "libmimalloc3"),
    peer(
        "tcmalloc",
        "tcmalloc",
        "libtcmalloc_minimal.so.4",
        "libtcmalloc-minimal4",
        "libtcmalloc-minimal4t64",
    ),
    Competitor(
        "tcmalloc-debug",
        "tcmalloc debug",
        "checker",
        ("libtcmalloc_minimal_debug.so.4",),
        packages=("libtcmalloc-minimal4", "libtcmalloc-minimal4t64"),
    ),
    Competitor(
        "scudo", "Scudo", "checker", (SCUDO,), packages=("libclang-rt-14-dev", "libclang-rt-19-dev")
    ),
    Competitor(
        "malloc-check",
        "MALLOC_CHECK_=3",
        "checker",
        ("libc_malloc_debug.so.0",),
        {"MALLOC_CHECK_": "3"},
    ),
    # Its quarantine is 256 MB; while that fills, all memory comes fresh from the system, at more
    # than twice the time: nothing that lasts, so it would be unfair to count it.
    Competitor(
        "asan",
        "ASan (preloaded)",
        "checker",
        ("libasan.so.*",),
        {"ASAN_OPTIONS": "detect_leaks=0"},
        packages=("libasan8",),
        warm_up=400,
        never=CALLGRIND,
        most_rounds=9,
    ),
    Competitor(
        "asan-built",
        "ASan (compiled in)",
        "checker",
        settings={"ASAN_OPTIONS": "detect_leaks=0"},
        suffix="-asan",
        warm_up=400,
        only=frozenset({"cpu"}),
        most_rounds=9,
    ),
    # What any preloaded library costs at the start of a program.
    Competitor(
        "empty",
        "an empty library",
        "peer",
        (EMPTY_LIBRARY,),
        only=frozenset({"start_true", "start_openssl"}),
    ),
    Competitor(
        "valgrind",
        "valgrind",
        "checker",
        packages=("valgrind",),
        warm_up=2,
        launcher=("valgrind", "-q"),
        only=frozenset({"cpu"}),
        most_rounds=3,
    ),
)


def find_library(name):
    """Its path, or None."""
    found = [path for folder in FOLDERS for path in glob.glob(f"{folder}/{name}")]
    return max(found, key=_version, default=None)


def _version(path):
    return [int(number) for number in re.findall(r"\d+", pathlib.Path(path).name)], -len(path)


def chosen(names):
    """The rows of these names, stock always among them; all without names."""
    unknown = set(names) - {row.name for row in TABLE}
    if unknown:
        raise ValueError(f"no such competitor: {', '.join(sorted(unknown))}")
    return [row for row in TABLE if not names or row.name in names or row.kind == "stock"]
