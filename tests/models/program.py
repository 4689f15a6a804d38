"""A model (*.litmus) as data: its threads' statements, its memory, the condition, and its weaker twins."""

import collections
import itertools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WEAK = re.compile(r"\s*// weak(?: ([a-z]))?: (\w+|\{.*\})(?: \((C11|ARMv8)\))?$")
THREAD = re.compile(r"^P\d+ \(([^)]*)\) \{")
SOURCE = re.compile(r"src/([\w/]+\.[ch]): ([\w, ]+)")
ARCHITECTURES = ("C11", "ARMv8")
FAILURE = {"acq_rel": "acquire", "release": "relaxed"}  # the second order of a compare-and-exchange, by the first

# kind: load, store, exchange, fetch_or, fetch_and, fetch_add, compare, fence, set, if; order: "plain" for *p.
Statement = collections.namedtuple("Statement", "kind to name value order expected failure body differs",
                                   defaults=(None, None, None, None, None, None, (), False))

ORDER = r"memory_order_(\w+)"
FORMS = (
    (rf"(?:int )?r(\d) = atomic_load_explicit\((\w+), {ORDER}\)",
     lambda m, _: Statement("load", int(m[1]), m[2], order=m[3])),
    (r"(?:int )?r(\d) = \*(\w+)", lambda m, _: Statement("load", int(m[1]), m[2], order="plain")),
    (rf"atomic_store_explicit\((\w+), (\d+), {ORDER}\)",
     lambda m, _: Statement("store", None, m[1], int(m[2]), m[3])),
    (r"\*(\w+) = (\d+)", lambda m, _: Statement("store", None, m[1], int(m[2]), "plain")),
    (rf"(?:int )?r(\d) = atomic_(exchange|fetch_or|fetch_and|fetch_add)_explicit\((\w+), (\d+), {ORDER}\)",
     lambda m, _: Statement(m[2], int(m[1]), m[3], int(m[4]), m[5])),
    (rf"(?:int )?r(\d) = atomic_compare_exchange_strong_explicit\((\w+), (\w+), (\d+), {ORDER}, {ORDER}\)",
     lambda m, values: Statement("compare", int(m[1]), m[2], int(m[4]), m[5], values[m[3]], m[6])),
    (rf"atomic_thread_fence\({ORDER}\)", lambda m, _: Statement("fence", order=m[1])),
    (r"(?:int )?r(\d) = (\d+)", lambda m, _: Statement("set", int(m[1]), value=int(m[2]))),
)
IF = re.compile(r"if \(r(\d) (==|!=) (\d+)\) \{")


def statement(text, values):
    """values: of all memory at first."""
    for form, make in FORMS:
        if m := re.fullmatch(form, text):
            return make(m, values)
    raise ValueError(f"not understood: {text}")


def block(lines, values):
    """The statements of these lines, which are used up, to the line that closes the block or to their end."""
    statements = []
    while lines:
        text = lines.pop(0)
        if text == "}":
            break
        if m := IF.fullmatch(text):
            statements.append(Statement("if", int(m[1]), value=int(m[3]), body=tuple(block(lines, values)),
                                        differs=m[2] == "!="))
        else:
            statements += [statement(part.strip(), values) for part in text.split(";") if part.strip()]
    return statements


Program = collections.namedtuple("Program", "name values shared threads exists")


class Model:
    """One file."""

    def __init__(self, path):
        self.name = path.stem
        self.head, _, rest = path.read_text().partition("\n{ ")
        self.lines = rest.split("\n")
        self.twins = {}  # by letter or line: what replaces which lines, and under which architectures it shows
        for number, line in enumerate(self.lines):
            if m := WEAK.search(line):
                twin = self.twins.setdefault(m[1] or f"line {number}", ([], set(ARCHITECTURES)))
                twin[0].append((number, m[2]))
                if m[3]:
                    twin[1].intersection_update({m[3]})

    def faults(self):
        """It must name what it stands for, and that must be there."""
        named = SOURCE.findall(self.head)
        if not named or "Never: " not in self.head:
            yield "its comment has no src/FILE: FUNCTION, or no Never:"
        for file, functions in named:
            path = ROOT / "src" / file
            text = path.read_text() if path.is_file() else ""
            for function in functions.split(", "):
                if not re.search(rf"\b{function}\b", text):
                    yield f"src/{file} has no {function}"
        if not self.twins:
            yield "it has no twin that must fail"

    def weakened(self, twin):
        """The lines, without remarks, and those of a twin changed; twin None: none is."""
        lines = [WEAK.sub("", line) for line in self.lines]
        for number, how in self.twins[twin][0] if twin else []:
            if how.startswith("{"):
                lines[number] = re.match(r" *", lines[number])[0] + how[1:-1].strip()
            else:
                orders = itertools.chain([how], itertools.repeat(FAILURE.get(how, how)))
                lines[number] = re.sub(r"memory_order_\w+", lambda _, o=orders: f"memory_order_{next(o)}", lines[number])
        return lines

    def text(self, twin):
        """For herd7."""
        return self.head + "\n{ " + "\n".join(self.weakened(twin))

    def program(self, twin):
        lines = self.weakened(twin)
        values = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+);", lines[0])}
        threads, shared, exists, inside = [], [], "", None
        for line in lines[1:]:
            text = line.partition("//")[0].strip()
            if m := THREAD.match(line):
                shared.append([p.split()[-1] for p in m[1].split(",")])
                inside = []
            elif line == "}":
                threads.append(block(inside, values))
                inside = None
            elif inside is not None:
                inside += [text] if text else []
            else:
                exists += " " + text
        return Program(self.name, values, shared, threads, re.fullmatch(r"\s*exists \((.*)\)\s*", exists)[1])
