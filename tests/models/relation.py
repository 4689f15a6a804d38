"""Relations over the events 0 to n - 1, as the axioms of memory models need them: a tuple with a mask of successors for each
event."""


def empty(n):
    return (0,) * n


def make(n, pairs):
    rows = [0] * n
    for a, b in pairs:
        rows[a] |= 1 << b
    return tuple(rows)


def identity(n, members):
    return tuple(1 << i if members >> i & 1 else 0 for i in range(n))


def either(*relations):
    rows = list(relations[0])
    for relation in relations[1:]:
        rows = [a | b for a, b in zip(rows, relation)]
    return tuple(rows)


def both(a, b):
    return tuple(x & y for x, y in zip(a, b))


def without(a, b):
    return tuple(x & ~y for x, y in zip(a, b))


def inverse(a):
    return make(len(a), ((j, i) for i, row in enumerate(a) for j in bits(row)))


def bits(mask):
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def then(*relations):
    """Their composition, the first one first."""
    result = relations[0]
    for relation in relations[1:]:
        rows = []
        for row in result:
            mask = 0
            while row:
                low = row & -row
                mask |= relation[low.bit_length() - 1]
                row ^= low
            rows.append(mask)
        result = rows
    return tuple(result)


def maybe(a):
    return tuple(row | 1 << i for i, row in enumerate(a))


def closure(a):
    """One step or more."""
    rows = list(a)
    for k in range(len(rows)):
        for i, row in enumerate(rows):
            if row >> k & 1:
                rows[i] |= rows[k]
    return tuple(rows)


def is_irreflexive(a):
    return not any(row >> i & 1 for i, row in enumerate(a))


def is_acyclic(a):
    return is_irreflexive(closure(a))


def starts(members, a):
    """[members]; a"""
    return tuple(row if members >> i & 1 else 0 for i, row in enumerate(a))


def ends(a, members):
    """a; [members]"""
    return tuple(row & members for row in a)
