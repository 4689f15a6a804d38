"""A model as the instructions that gcc makes of it for arm64: what herd7 is given to decide by ARMv8's memory model.

Three ways, since the processor decides at run time which of the first two is taken (-moutline-atomics):
  lse    one instruction for each read-modify-write (SWPAL, CASAL, ...)
  llsc   a pair of exclusive instructions, which a processor of ARMv8.0 needs
  rcpc   as lse, and a weaker load to acquire (LDAPR), which -march=armv8.3-a or newer permits
"""

import re

WAYS = ("lse", "llsc", "rcpc")
ACQUIRES = ("acquire", "acq_rel", "seq_cst")
RELEASES = ("release", "acq_rel", "seq_cst")
FIRST_STATUS, TEMPORARY, FIRST_ADDRESS, MASK = 10, 15, 17, 0xff
NAMES = {"exchange": "SWP", "fetch_or": "LDSET", "fetch_and": "LDCLR", "fetch_add": "LDADD"}
OPERATIONS = {"fetch_or": "ORR", "fetch_and": "AND", "fetch_add": "ADD"}


class Thread:
    """One thread's instructions."""

    def __init__(self, number, shared, way):
        self.number, self.way = number, way
        self.address = {name: FIRST_ADDRESS + i for i, name in enumerate(shared)}
        self.lines = []
        self.labels = self.statuses = 0

    def put(self, *lines):
        self.lines += lines

    def label(self):
        self.labels += 1
        return f"L{self.number}{self.labels}"

    def at(self, s):
        return f"[X{self.address[s.name]}]"

    def load(self, s):
        name = "LDR" if s.order in ("relaxed", "plain") else "LDAPR" if s.order == "acquire" and self.way == "rcpc" else "LDAR"
        self.put(f"{name} W{s.to},{self.at(s)}")

    def store(self, s):
        name = "STR" if s.order in ("relaxed", "plain") else "STLR"
        self.put(f"MOV W{TEMPORARY},#{s.value}", f"{name} W{TEMPORARY},{self.at(s)}")

    def exclusive(self, s, to, between):
        """The pair; a store that fails ends the thread, and the run does not count (see condition())."""
        status = FIRST_STATUS + self.statuses
        self.statuses += 1
        if status >= TEMPORARY:
            raise ValueError("a thread has too many read-modify-writes")
        self.put(f"LD{'A' if s.order in ACQUIRES else ''}XR W{to},{self.at(s)}", *between,
                 f"ST{'L' if s.order in RELEASES else ''}XR W{status},W{TEMPORARY},{self.at(s)}",
                 f"CBNZ W{status},END{self.number}")

    def suffix(self, s):
        return ("A" if s.order in ACQUIRES else "") + ("L" if s.order in RELEASES else "")

    def change(self, s):
        if self.way == "llsc":
            move = f"MOV W{TEMPORARY},#{s.value}"
            self.exclusive(s, s.to, [move if s.kind == "exchange" else
                                     f"{OPERATIONS[s.kind]} W{TEMPORARY},W{s.to},#{s.value}"])
            return
        value = ~s.value & MASK if s.kind == "fetch_and" else s.value  # LDCLR is given the bits to clear
        self.put(f"MOV W{TEMPORARY},#{value}", f"{NAMES[s.kind]}{self.suffix(s)} W{TEMPORARY},W{s.to},{self.at(s)}")

    def compare(self, s):
        seen, compare = TEMPORARY + 1, f"CMP W{TEMPORARY + 1},#{s.expected}"
        if self.way == "llsc":
            done = self.label()
            self.exclusive(s, seen, [compare, f"B.NE {done}", f"MOV W{TEMPORARY},#{s.value}"])
            self.put(f"{done}:")
        else:
            self.put(f"MOV W{seen},#{s.expected}", f"MOV W{TEMPORARY},#{s.value}",
                     f"CAS{self.suffix(s)} W{seen},W{TEMPORARY},{self.at(s)}", compare)
        self.put(f"CSET W{s.to},EQ")

    def branch(self, s):
        end = self.label()
        self.put(f"CMP W{s.to},#{s.value}", f"B.{'EQ' if s.differs else 'NE'} {end}")
        self.all(s.body)
        self.put(f"{end}:")

    def all(self, statements):
        simple = {"load": self.load, "store": self.store, "compare": self.compare, "if": self.branch}
        for s in statements:
            if s.kind == "fence":
                self.put("DMB ISHLD" if s.order == "acquire" else "DMB ISH")
            elif s.kind == "set":
                self.put(f"MOV W{s.to},#{s.value}")
            else:
                simple.get(s.kind, self.change)(s)


def condition(exists, threads):
    """The registers' names, and no exclusive store has failed."""
    held = "".join(f" /\\ {thread.number}:X{FIRST_STATUS + i}=0" for thread in threads for i in range(thread.statuses))
    return "exists (" + re.sub(r"(\d):r(\d)=", r"\1:X\2=", exists) + ")" + held


def translate(program, way):
    threads = []
    for number, statements in enumerate(program.threads):
        threads.append(Thread(number, program.shared[number], way))
        threads[-1].all(statements)
        threads[-1].put(f"END{number}:")
    init = [f"{name}={program.values[name]};" for name in sorted({n for names in program.shared for n in names})]
    init += [f"{t.number}:X{register}={name};" for t in threads for name, register in t.address.items()]
    out = [f"AArch64 {program.name}", "{ " + " ".join(init) + " }", " | ".join(f"P{t.number}" for t in threads) + " ;"]
    for row in range(max(len(t.lines) for t in threads)):
        out.append(" | ".join(t.lines[row] if row < len(t.lines) else "" for t in threads) + " ;")
    return "\n".join(out + [condition(program.exists, threads), ""])
