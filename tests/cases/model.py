"""What is a case, on which backends does it run, and what must it print?

A case names a program and its arguments.  The program prints facts on stdout ("name value" lines:
addresses, source lines, pids), which fill the expected report.  The report is then compared byte
for byte.
"""

import dataclasses
import re
import string

# name: (arguments of `faults`, FREEONCE_BACKEND, name in the line at load).  A new backend is one
# line here; {plugin} is the example plug-in.
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
# Each guarded block costs system calls and address space.
UNGUARDED = tuple(name for name in BACKENDS if name != "guard")
ANY = ("auto",)  # the case sets all that it needs: nothing is added


@dataclasses.dataclass
class Case:
    name: str
    run: str  # program and arguments; {crypto}, {lib}, {dir}, {programs}, {plugin} are known
    report: str = ""  # see expected(); empty: nothing may be printed
    backends: tuple = MAIN
    env: dict = dataclasses.field(default_factory=dict)
    status: object = 0  # negative: the signal; a tuple: one of these
    facts: dict = dataclasses.field(default_factory=dict)  # facts that the program must print
    log: str = ""  # the file with the report; stderr stays empty
    check: object = None  # check(outcome): a complaint or None, instead of the comparison
    same_without: bool = False  # stdout is the same without the library
    preload: bool = True
    optional: bool = False  # its program is not built everywhere
    space: int = 0  # limit of the address space, in MiB
    chance: bool = False  # check bits fit by chance in one run of 1,000: then it runs again
    needs: object = None  # needs(): what is missing here, or None


@dataclasses.dataclass
class Outcome:
    """The result of a run."""

    case: Case
    backend: str
    status: int
    facts: dict
    output: str
    errors: str  # stderr, or the log
    values: dict  # for templates
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
    """A line of a report, with the columns of src/report/text.c."""
    padding = " " * max(1, 26 - len(site))
    return f"  {label:<13}{site}{padding}{who}"


def expected(report, values):
    """The text of a report.  Lines with two leading blanks are places: label, site and process,
    separated by two blanks or more.  "freeonce: " is put in front of all others."""
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
    """A place in the function fork_known() becomes its name; a fact has the start of the function."""

    def name_place(match):
        start = int(facts.get("fork-known", "0"), 16)
        inside = start < int(match[2], 16) < start + 64
        return f"{match[1]}+fork_known" if inside else match[0]

    return re.sub(r"(?<= at )(\S+)\+(0x[0-9a-f]+)$", name_place, text, flags=re.M)


def derived(facts, pid, program, backend):
    """The values for templates: the facts and what follows from them."""
    name = program[:15]
    values = dict(facts, pid=pid, program=name, main=f"pid {pid} ({name})")
    if "thread" in facts:
        values["threaded"] = f"{values['main']} thread {facts['thread']}"
    if "child" in facts:
        cloned = f"pid {facts['child']} ({name}), forked from {pid}"
        values.update(cloned=cloned, forked=f"{cloned} at {program}+fork_known")
    if "grandchild" in facts:
        values["grandforked"] = (
            f"pid {facts['grandchild']} ({name}), forked from {facts['child']}"
            f" at {program}+fork_known"
        )
    if backend in BACKENDS:
        values["backend"] = BACKENDS[backend][2]
        values["memory"] = "shared" if backend in SHARED else "private"
    return values


def unguarded(outcome):
    """A complaint if the block of a report on backend `guard` is not guarded.  Guarded blocks end
    where a page ends, as far as 16-byte alignment allows."""
    block = re.search(r"\bblock (0x[0-9a-f]+) \((\d+) bytes\)", outcome.report_text())
    if outcome.backend != "guard" or block is None or block[2] == "0":  # after a race the size is not known
        return None
    end = int(block[1], 16) + int(block[2]) + 15 & ~15
    return None if end % 4096 == 0 else f"block {block[1]} is not guarded"


def totals(text):
    """The findings of a text, each with its last count: {(kind in the headline, sites): count}."""
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
