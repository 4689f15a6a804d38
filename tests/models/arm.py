"""A model in C11's terms (*.litmus) as the instructions that gcc makes of it for arm64: what scripts/models gives herd7
to decide by the architecture's own memory model.

Three ways, since the processor decides at run time which of the first two is taken (-moutline-atomics):
  lse    one instruction for each read-modify-write (SWPAL, CASAL, ...)
  llsc   a pair of exclusive instructions, which a processor of ARMv8.0 needs
  rcpc   as lse, and a weaker load to acquire (LDAPR), which -march=armv8.3-a or newer permits
"""

import re

WAYS = ("lse", "llsc", "rcpc")

LOAD = re.compile(r"(?:int )?r(\d) = atomic_load_explicit\((\w+), memory_order_(\w+)\)")
STORE = re.compile(r"atomic_store_explicit\((\w+), (\d+), memory_order_(\w+)\)")
CHANGE = re.compile(r"(?:int )?r(\d) = atomic_(exchange|fetch_or|fetch_and|fetch_add)_explicit"
                    r"\((\w+), (\d+), memory_order_(\w+)\)")
COMPARE = re.compile(r"(?:int )?r(\d) = atomic_compare_exchange_strong_explicit"
                     r"\((\w+), (\w+), (\d+), memory_order_(\w+), memory_order_(\w+)\)")
FENCE = re.compile(r"atomic_thread_fence\(memory_order_(\w+)\)")
SET = re.compile(r"(?:int )?r(\d) = (\d+)")
IF = re.compile(r"if \(r(\d) (==|!=) (\d+)\) \{")

ACQUIRES = ("acquire", "acq_rel", "seq_cst")
RELEASES = ("release", "acq_rel", "seq_cst")
FIRST_STATUS, TEMPORARY, FIRST_ADDRESS, MASK = 10, 15, 17, 0xff


class Thread:
    """One thread's instructions."""

    def __init__(self, number, parameters, values, way):
        self.number = number
        self.way = way
        self.values = values  # of all memory at first
        self.address = {name: FIRST_ADDRESS + i for i, name in enumerate(parameters)}
        self.lines = []
        self.open = []  # labels where an `if` ends
        self.labels = self.statuses = 0

    def put(self, *lines):
        self.lines += lines

    def label(self):
        self.labels += 1
        return f"L{self.number}{self.labels}"

    def at(self, name):
        return f"[X{self.address[name]}]"

    def suffix(self, order):
        return ("A" if order in ACQUIRES else "") + ("L" if order in RELEASES else "")

    def load(self, to, name, order):
        plain = "LDAPR" if order == "acquire" and self.way == "rcpc" else "LDAR"
        self.put(f"{'LDR' if order == 'relaxed' else plain} W{to},{self.at(name)}")

    def store(self, name, value, order):
        self.put(f"MOV W{TEMPORARY},#{value}", f"{'STR' if order == 'relaxed' else 'STLR'} W{TEMPORARY},{self.at(name)}")

    def exclusive(self, to, name, order, between):
        """The pair; a store that fails ends the thread, and the run does not count (see condition())."""
        status = FIRST_STATUS + self.statuses
        self.statuses += 1
        if status >= TEMPORARY:
            raise ValueError("a thread has too many read-modify-writes")
        self.put(f"LD{'A' if order in ACQUIRES else ''}XR W{to},{self.at(name)}", *between,
                 f"ST{'L' if order in RELEASES else ''}XR W{status},W{TEMPORARY},{self.at(name)}", f"CBNZ W{status},END{self.number}")

    def change(self, to, how, name, value, order):
        value = int(value)
        if self.way == "llsc":
            operation = {"exchange": f"MOV W{TEMPORARY},#{value}", "fetch_or": f"ORR W{TEMPORARY},W{to},#{value}",
                         "fetch_and": f"AND W{TEMPORARY},W{to},#{value}", "fetch_add": f"ADD W{TEMPORARY},W{to},#{value}"}
            self.exclusive(to, name, order, [operation[how]])
            return
        name_of = {"exchange": "SWP", "fetch_or": "LDSET", "fetch_and": "LDCLR", "fetch_add": "LDADD"}
        value = ~value & MASK if how == "fetch_and" else value  # LDCLR is given the bits to clear
        self.put(f"MOV W{TEMPORARY},#{value}",
                 f"{name_of[how]}{self.suffix(order)} W{TEMPORARY},W{to},{self.at(name)}")

    def compare(self, to, name, expected, value, order):
        seen, wanted = TEMPORARY + 1, self.values[expected]
        done = self.label()
        if self.way == "llsc":
            self.put(f"MOV W{to},#0")
            self.exclusive(seen, name, order, [f"CMP W{seen},#{wanted}", f"B.NE {done}", f"MOV W{TEMPORARY},#{value}"])
        else:
            self.put(f"MOV W{to},#0", f"MOV W{seen},#{wanted}", f"MOV W{TEMPORARY},#{value}",
                     f"CAS{self.suffix(order)} W{seen},W{TEMPORARY},{self.at(name)}", f"CMP W{seen},#{wanted}", f"B.NE {done}")
        self.put(f"MOV W{to},#1", f"{done}:")

    def statement(self, text):
        if m := LOAD.fullmatch(text):
            self.load(*m.groups())
        elif m := STORE.fullmatch(text):
            self.store(*m.groups())
        elif m := CHANGE.fullmatch(text):
            self.change(*m.groups())
        elif m := COMPARE.fullmatch(text):
            self.compare(*m.groups()[:5])
        elif m := FENCE.fullmatch(text):
            self.put("DMB ISHLD" if m[1] == "acquire" else "DMB ISH")
        elif m := SET.fullmatch(text):
            self.put(f"MOV W{m[1]},#{m[2]}")
        else:
            raise ValueError(f"not understood: {text}")

    def line(self, text):
        if m := IF.fullmatch(text):
            self.open.append(self.label())
            self.put(f"CMP W{m[1]},#{m[3]}", f"B.{'NE' if m[2] == '==' else 'EQ'} {self.open[-1]}")
        elif text == "}":
            self.put(f"{self.open.pop()}:")
        else:
            for statement in filter(None, text.split(";")):
                self.statement(statement.strip())

    def end(self):
        self.put(f"END{self.number}:")
        return self.lines


def condition(text, threads):
    """The registers' names, and no exclusive store has failed."""
    text = re.sub(r"(\d):r(\d)=", r"\1:X\2=", text)
    held = "".join(f" /\\ {number}:X{FIRST_STATUS + i}=0" for number, thread in enumerate(threads)
                   for i in range(thread.statuses))
    return f"exists ({text}){held}"


def translate(name, values, bodies, exists, way):
    """values: of all memory at first; bodies: for each thread its parameters and its lines; exists: the condition."""
    threads = []
    for number, (parameters, lines) in enumerate(bodies):
        thread = Thread(number, parameters, values, way)
        for line in lines:
            thread.line(line)
        thread.end()
        threads.append(thread)
    shared = sorted({p for parameters, _ in bodies for p in parameters})
    init = [f"{p}={values[p]};" for p in shared]
    init += [f"{number}:X{x}={p};" for number, thread in enumerate(threads) for p, x in thread.address.items()]
    rows = max(len(thread.lines) for thread in threads)
    out = [f"AArch64 {name}", "{ " + " ".join(init) + " }", " | ".join(f"P{i}" for i in range(len(threads))) + " ;"]
    for row in range(rows):
        out.append(" | ".join(thread.lines[row] if row < len(thread.lines) else "" for thread in threads) + " ;")
    return "\n".join(out + [condition(exists, threads), ""])
