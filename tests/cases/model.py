"""What is a case, on which backends does it run, and what exactly must it print?

A case names a program and its arguments; what the program tells on stdout ("name value" lines, the
facts) fills the expected report: addresses, source lines, pids.  The report is then compared as it
is, to the byte.
"""

import dataclasses
import re
import string

# name: (arguments of `faults`, FREEONCE_BACKEND, name in the line at load).  A new backend joins
# with one line; {plugin} is the example plug-in.
BACKENDS = {
    "libc": ([], "libc", "libc"),
    "arena": ([], "arena", "arena"),
    "shm": ([], "shm", "shm"),
    "host": (["--host"], "auto", "host"),
    "host8": (["--host=8"], "auto", "host"),
    "shared": (["--host=shared"], "auto", "host"),
    "plugin": ([], "{plugin}", "counting"),
    "guard": (["--guarded"], "guard", "guard"),
}
EVERY = tuple(BACKENDS)
MAIN = ("libc", "arena", "shm", "host", "plugin", "guard")
PRIVATE = ("libc", "arena", "host", "host8", "plugin", "guard")
SHARED = ("shared", "shm")
# Guarded blocks cost system calls each, and address space.
UNGUARDED = tuple(name for name in BACKENDS if name != "guard")
ANY = ("auto",)  # the case brings what it needs: nothing is added


@dataclasses.dataclass
class Case:
    name: str
    run: str  # program and arguments; {crypto}, {lib}, {dir}, {programs}, {plugin} are known
    report: str = ""  # see expected(); empty: nothing may be printed
    backends: tuple = MAIN
    env: dict = dataclasses.field(default_factory=dict)
    status: object = 0  # negative: the signal; a tuple: one of these
    facts: dict = dataclasses.field(default_factory=dict)  # what the program must tell
    log: str = ""  # a file that has the report; stderr stays empty
    check: object = None  # check(outcome): a complaint or None, instead of the comparison
    same_without: bool = False  # stdout is the same without the library
    preload: bool = True
    optional: bool = False  # its program is not built everywhere
    space: int = 0  # limit of the address space, in MiB
    chance: bool = False  # check bits fit by chance in one run of 1,000: it may be tried again
    needs: object = None  # needs(): what is missing here, or None


@dataclasses.dataclass
class Outcome:
    """What a run did."""

    case: Case
    backend: str
    status: int
    facts: dict
    output: str
    errors: str  # stderr, or the log
    values: dict  # what templates may use
    log: str = ""

    def report_text(self):
        return self.log or self.errors


class Template(string.Formatter):
    def get_value(self, key, args, kwargs):
        if key not in kwargs:
            raise KeyError(f"the program did not tell {key!r}")
        return kwargs[key]

    def format_field(self, value, spec):
        return str(value)


def fill(text, values):
    return Template().vformat(text, (), values)


def place(label, site, who):
    """A line of a report: columns as src/report/text.c lays them out."""
    padding = " " * max(1, 26 - len(site))
    return f"  {label:<13}{site}{padding}{who}"


def expected(report, values):
    """The text of a report.  Lines with two leading blanks are places: label, site and process,
    separated by two blanks or more.  All others follow "freeonce: "."""
    lines = []
    for line in filter(None, report.splitlines()):
        line = fill(line, values)
        if not line.startswith("  "):
            lines.append(f"freeonce: {line}")
            continue
        columns = re.split(r" {2,}", line.strip())
        lines.append(place(*columns) if len(columns) == 3 else "  " + "  ".join(columns))
    return "".join(line + "\n" for line in lines)


def comparable(text, facts):
    """The program tells where its function fork_told() starts: a place in it becomes its name."""

    def name_place(match):
        start = int(facts.get("fork-told", "0"), 16)
        inside = start < int(match[2], 16) < start + 64
        return f"{match[1]}+fork_told" if inside else match[0]

    return re.sub(r"(?<= at )(\S+)\+(0x[0-9a-f]+)$", name_place, text, flags=re.M)


def derived(facts, pid, program, backend):
    """What templates may name besides the facts themselves."""
    name = program[:15]
    values = dict(facts, pid=pid, program=name, main=f"pid {pid} ({name})")
    if "thread" in facts:
        values["threaded"] = f"{values['main']} thread {facts['thread']}"
    if "child" in facts:
        cloned = f"pid {facts['child']} ({name}), forked from {pid}"
        values.update(cloned=cloned, forked=f"{cloned} at {program}+fork_told")
    if "grandchild" in facts:
        values["grandforked"] = (
            f"pid {facts['grandchild']} ({name}), forked from {facts['child']}"
            f" at {program}+fork_told"
        )
    if backend in BACKENDS:
        values["backend"] = BACKENDS[backend][2]
        values["memory"] = "shared" if backend in SHARED else "private"
    return values


def unguarded(outcome):
    """On backend `guard`: is the block of the report one that is not guarded?  Guarded blocks end
    where a page ends, as far as 16-byte alignment allows."""
    block = re.search(r"\bblock (0x[0-9a-f]+) \((\d+) bytes\)", outcome.report_text())
    if outcome.backend != "guard" or block is None or block[2] == "0":  # a race: its size is not known
        return None
    end = int(block[1], 16) + int(block[2]) + 15 & ~15
    return None if end % 4096 == 0 else f"block {block[1]} is not guarded"


def totals(text):
    """Findings of a text by what makes them the same: (headline's kind, sites): last count."""
    seen, count = {}, 1
    for record in re.split(r"^freeonce: ", text, flags=re.M)[1:]:
        counted = re.fullmatch(r"seen (\d+) times in all processes:\n", record)
        if counted:
            count = int(counted[1])
            continue
        sites = re.findall(r"^  (\D+?) {2,}(\S.*?) {2,}pid", record, flags=re.M)
        key = (record.split(" ")[0], tuple(sites), "at this moment" in record)
        seen[key] = max(seen.get(key, 0), count)
        count = 1
    return seen
