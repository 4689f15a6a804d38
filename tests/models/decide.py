"""Can the condition of a model hold?  All executions are tried, each against the axioms of C11 (Lahav and others 2017,
"Repairing sequential consistency in C/C++11") or of ARMv8 (Arm's aarch64.cat, without what no model here uses).

An execution: for each thread the values that its reads have, for each read the write from which it has it, and an order of
the writes to each place.  What a thread computes is known by then, so that the axioms are about reads and writes alone."""

import collections
import itertools
import re

import relation as rel
from arm import ACQUIRES, RELEASES

Event = collections.namedtuple("Event", "kind name value order reads_for controls thread single is_load")
# kind: R, W, F; reads_for: of the write of a read-modify-write, its read; controls: reads on which a branch before depends;
# single: of a read-modify-write that is one instruction; is_load: a read of a load


# --- what a thread does, for each value that its reads may have -------------------------------------------------------


class Path:
    """One way through a thread's statements, as far as it has come."""

    def __init__(self, thread, way):
        self.thread, self.way = thread, way
        self.events, self.registers, self.sources, self.controls = [], {}, {}, frozenset()

    def copy(self):
        other = Path(self.thread, self.way)
        other.events, other.registers = list(self.events), dict(self.registers)
        other.sources, other.controls = dict(self.sources), self.controls
        return other

    def add(self, kind, s, value, order, reads_for=None):
        single = reads_for is not None and self.way != "llsc"
        self.events.append(Event(kind, s.name, value, order, reads_for, self.controls, self.thread, single,
                                 s.kind == "load"))
        return len(self.events) - 1

    def set(self, register, value, sources=()):
        self.registers[register] = value
        self.sources[register] = frozenset(sources)


def changed(s, seen):
    return {"exchange": s.value, "fetch_or": seen | s.value, "fetch_and": seen & s.value, "fetch_add": seen + s.value}[s.kind]


def step(path, s, seen):
    """Of a statement that reads: the value is `seen`."""
    succeeds = s.kind == "compare" and seen == s.expected
    order = s.failure if s.kind == "compare" and not succeeds and path.way == "c11" else s.order
    read = path.add("R", s, seen, order)
    if s.kind == "compare":
        if path.way == "llsc":
            path.controls |= {read}
        path.set(s.to, int(succeeds), {read})
    else:
        path.set(s.to, seen, {read})
    if succeeds:
        path.add("W", s, s.value, s.order, read)
    elif s.kind not in ("load", "compare"):
        path.add("W", s, changed(s, seen), s.order, read)


def paths(statements, path, domain):
    """All ways to the end of these statements."""
    if not statements:
        yield path
        return
    s, rest = statements[0], statements[1:]
    if s.kind == "if":
        taken = (path.registers[s.to] == s.value) != s.differs
        path.controls |= path.sources[s.to]
        yield from paths(list(s.body) + rest if taken else rest, path, domain)
    elif s.kind in ("store", "fence", "set"):
        if s.kind == "set":
            path.set(s.to, s.value)
        else:
            path.add("W" if s.kind == "store" else "F", s, s.value, s.order)
        yield from paths(rest, path, domain)
    else:
        for seen in sorted(domain[s.name]):
            other = path.copy()
            step(other, s, seen)
            yield from paths(rest, other, domain)


def domain_most(statements):
    """No value of the models is larger: each place is added to once at most."""
    return max([s.value or 0 for s in statements] + [domain_most(s.body) for s in statements if s.body])


def all_paths(program, way):
    """The paths of each thread; reads have any value that is written somewhere."""
    domain = {name: {value} for name, value in program.values.items()}
    most = max(domain_most(statements) for statements in program.threads) + max(program.values.values())
    while True:
        found = [list(paths(list(statements), Path(number, way), domain))
                 for number, statements in enumerate(program.threads)]
        before = sum(map(len, domain.values()))
        for path in itertools.chain(*found):
            for event in path.events:
                if event.kind == "W" and event.value <= most:
                    domain[event.name].add(event.value)
        if sum(map(len, domain.values())) == before:
            return found


# --- executions -------------------------------------------------------------------------------------------------------


class Execution:
    """Its events and the relations that all models have."""

    def __init__(self, events, initial, source, orders):
        n = self.n = len(events)
        self.events, self.all = events, (1 << n) - 1
        self.reads, self.writes, self.fences = (self.where(lambda e, k=k: e.kind == k) for k in "RWF")
        self.initial = (1 << initial) - 1
        own = [(i, j) for i in range(initial, n) for j in range(i + 1, n) if events[i].thread == events[j].thread]
        self.po = rel.make(n, own)
        self.same = rel.make(n, ((i, j) for i in range(n) for j in range(n)
                                 if events[i].name is not None and events[i].name == events[j].name))
        self.inside = rel.make(n, ((i, j) for i in range(n) for j in range(n) if events[i].thread == events[j].thread))
        self.rf = rel.make(n, ((w, r) for r, w in source.items()))
        self.co = rel.make(n, ((a, b) for order in orders for a, b in itertools.combinations(order, 2)))
        self.fr = rel.without(rel.then(rel.inverse(self.rf), self.co), rel.identity(n, self.all))
        self.rmw = rel.make(n, ((e.reads_for, i) for i, e in enumerate(events) if e.reads_for is not None))

    def where(self, test):
        return sum(1 << i for i, event in enumerate(self.events) if test(event))

    def outside(self, relation):
        return rel.without(relation, self.inside)

    def is_atomic(self):
        return not any(rel.both(self.rmw, rel.then(self.fr, self.co)))


def c11(x):
    """Is it consistent?  And is there a data race?  The names are those of the paper and of rc11.cat."""
    atomic = x.where(lambda e: e.order != "plain")
    release, acquire, sc = (x.where(lambda e, o=o: e.order in o) for o in (RELEASES, ACQUIRES, ("seq_cst",)))
    sb, rf, mo, rb = x.po, x.rf, x.co, x.fr
    rs = rel.ends(rel.starts(x.writes, rel.maybe(rel.both(sb, x.same))), x.writes & atomic)
    step_of_rs = rel.then(rf, x.rmw)
    rs = rel.then(rs, rel.maybe(rel.closure(step_of_rs)))
    fence_before = rel.maybe(rel.starts(x.fences, sb))
    fence_after = rel.maybe(rel.ends(sb, x.fences))
    sw = rel.ends(rel.starts(release, rel.then(fence_before, rs, rel.ends(rf, x.reads & atomic), fence_after)), acquire)
    hb = rel.closure(rel.either(sb, sw))
    eco = rel.closure(rel.either(rf, mo, rb))
    sbl, hbl = rel.without(sb, x.same), rel.both(hb, x.same)
    scb = rel.either(sb, rel.then(sbl, hb, sbl), hbl, mo, rb)
    fences = rel.identity(x.n, x.fences & sc)
    before = rel.either(rel.identity(x.n, sc), rel.then(fences, rel.maybe(hb)))
    after = rel.either(rel.identity(x.n, sc), rel.then(rel.maybe(hb), fences))
    psc = rel.either(rel.then(before, scb, after),
                     rel.then(fences, rel.either(hb, rel.then(hb, eco, hb)), fences))
    is_consistent = (rel.is_irreflexive(rel.then(hb, rel.maybe(eco))) and x.is_atomic()
                     and rel.is_acyclic(psc) and rel.is_acyclic(rel.either(sb, rf)))
    ordered = rel.either(hb, rel.inverse(hb))
    writes, plain = x.writes & ~x.initial, ~atomic
    conflicts = x.outside(x.same)
    races = any((plain >> i | plain >> j) & 1 for i in rel.bits(writes)
                for j in rel.bits(conflicts[i] & ~ordered[i] & ~x.initial))
    return is_consistent, races


def armv8(x, way):
    """Is it consistent?  The names are those of aarch64.cat."""
    release = x.where(lambda e: e.kind == "W" and e.order in RELEASES)
    acquire = x.where(lambda e: e.kind == "R" and e.order in ACQUIRES)
    pc = x.where(lambda e: e.kind == "R" and e.is_load and e.order == "acquire") if way == "rcpc" else 0
    acquire &= ~pc
    full = x.where(lambda e: e.kind == "F" and e.order != "acquire")
    loads = x.where(lambda e: e.kind == "F" and e.order == "acquire")
    single = x.where(lambda e: e.single)
    internal = rel.either(rel.both(x.po, x.same), x.fr, x.co, x.rf)
    if not rel.is_acyclic(internal) or not x.is_atomic():
        return False
    control = rel.make(x.n, ((c, i) for i, e in enumerate(x.events) for c in e.controls))
    observed = x.outside(rel.either(x.rf, x.fr, x.co))
    written = sum(1 << i for i, e in enumerate(x.events) if e.reads_for is not None)
    aob = rel.either(x.rmw, rel.ends(rel.starts(written, rel.both(x.rf, x.inside)), acquire | pc))
    bob = rel.either(rel.then(rel.ends(x.po, full), x.po),
                     rel.then(rel.ends(rel.starts(x.reads, x.po), loads), x.po),
                     rel.starts(single & release & x.where(lambda e: e.order in ACQUIRES), x.po),
                     rel.ends(rel.starts(release, x.po), acquire),
                     rel.starts(acquire | pc, x.po),
                     rel.ends(x.po, release))
    return rel.is_acyclic(rel.either(observed, rel.ends(control, x.writes), aob, bob))


# --- the condition ----------------------------------------------------------------------------------------------------


class Condition:
    """Conjunctions and disjunctions of 0:r1=2 (a register at the end) and x=2 (memory)."""

    def __init__(self, text):
        text = re.sub(r"(\d):r(\d)=(\d+)", r"(register(\1, \2) == \3)", text)
        text = re.sub(r"\b([a-z]\w*)=(\d+)", r"(memory('\1', \2))", text)
        self.code = compile(text.replace("/\\", " and ").replace("\\/", " or "), "condition", "eval")

    def holds(self, found, memory=lambda name, value: True):
        return eval(self.code, {"register": lambda p, r: found[p].registers.get(r, 0), "memory": memory})


def orders_of(writes, events, source):
    """Orders of the writes to one place, the initial one first, in which none comes between a read-modify-write and what it
    reads."""
    for order in itertools.permutations(writes[1:]):
        order = (writes[0], *order)
        at = {w: i for i, w in enumerate(order)}
        if all(events[w].reads_for is None or at[w] == at.get(source[events[w].reads_for], -9) + 1 for w in order):
            yield order


def executions(found, names, values):
    """All executions of these paths, one of each thread, and what memory has at the end."""
    events = [Event("W", name, values[name], "plain", None, frozenset(), -1 - i, False, False) for i, name in enumerate(names)]
    for path in found:
        base = len(events)
        events += [e._replace(reads_for=None if e.reads_for is None else e.reads_for + base,
                              controls=frozenset(c + base for c in e.controls)) for e in path.events]
    writes = {name: [i for i, e in enumerate(events) if e.kind == "W" and e.name == name] for name in names}
    reads = [i for i, e in enumerate(events) if e.kind == "R"]
    choices = [[w for w in writes[events[r].name] if events[w].value == events[r].value] for r in reads]
    for chosen in itertools.product(*choices):
        source = dict(zip(reads, chosen))
        for orders in itertools.product(*(list(orders_of(writes[name], events, source)) for name in names)):
            yield (Execution(events, len(names), source, orders),
                   {name: events[order[-1]].value for name, order in zip(names, orders)})


def can_hold(program, way):
    """way: c11, or one of arm.WAYS.  A data race counts as if it could: then C11 promises nothing."""
    condition = Condition(program.exists)
    names = sorted({name for shared in program.shared for name in shared})
    for found in itertools.product(*all_paths(program, way)):
        wanted = condition.holds(found)
        if not wanted and way != "c11":
            continue
        for x, memory in executions(found, names, program.values):
            if way == "c11":
                is_consistent, races = c11(x)
            else:
                is_consistent, races = armv8(x, way), False
            if is_consistent and (races or condition.holds(found, lambda n, v, m=memory: m[n] == v)):
                return True
    return False
