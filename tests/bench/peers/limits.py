"""Which figures must be reached?  One row a limit.

Those in instructions are held by scripts/bench --check as well, which has them in its limit_of.
"""

import dataclasses
from typing import Optional


@dataclasses.dataclass(frozen=True)
class Limit:
    competitor: str
    group: str
    must: float
    goal: float
    of: str = "ratio"  # ratio to stock, or the value itself
    goal_of: str = ""  # the same of the goal, where it is another
    at_least: bool = False  # more is better
    best_peer: bool = False  # the goal is also to be as good as the best peer
    later: Optional[float] = None  # with OpenSSL 3.5 and later, that allocate far less: both bounds

    def keeps(self, value, bound):
        return value >= bound if self.at_least else value <= bound


TABLE = (
    Limit("arena", "instructions", 0.920, 0.900, later=1.00),
    Limit("arena", "cpu", 0.98, 0.92, best_peer=True, later=1.00),
    Limit("arena", "nginx_ec", 0.98, 1.03, at_least=True),
    Limit("arena", "nginx_rsa", 0.98, 1.03, at_least=True),
    Limit("arena", "held", 0.90, 0.80),
    Limit("arena", "held_one_ticket", 0.90, 0.80),
    Limit("arena", "nginx_idle", 1.00, 0.90),
    Limit("arena", "nginx_closed", 1.05, 1.00),
    # Cost at 10^6 blocks / at 10^3: no worse than glibc's own growth; "flat" is the growth itself.
    Limit("arena", "live_growth", 1.00, 1.10, goal_of="value"),
    Limit("arena", "threads_same_growth", 1.3, 1.1, of="value"),
    Limit("arena", "threads_other_growth", 2, 1.5, of="value"),
    Limit("libc", "instructions", 1.045, 1.04),
    Limit("libc", "cpu", 1.10, 1.04),
    Limit("arena", "later_instructions", 1.00, 1.00),
    Limit("arena", "later_cpu", 1.00, 1.00),
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    limit: Limit
    title: str
    value: float  # what the must is about
    goal_value: float  # what the goal is about
    stock: Optional[float]  # stock's own, where it is no ratio to stock
    must: bool
    goal: bool
    noise: bool  # a bound that decides lies within the quartiles
    spread: Optional[tuple]  # those quartiles, of more than one round
    peer: Optional[str]  # the best peer and its value, if that is part of the goal
    peers: tuple  # what the must is about, of those that check nothing: (title, value)

    @property
    def said(self):
        reached = "missed" if not self.must else "goal met" if self.goal else "met, goal missed"
        return reached + (", by less than the noise" if self.noise else "")


def row_of(group, competitor):
    return next((row for row in group["rows"] if row["competitor"] == competitor), None)


def best_peer(group, kinds, limit):
    ratios = [
        (row["ratio"]["median"], row["competitor"])
        for row in group["rows"]
        if kinds[row["competitor"]]["kind"] == "peer" and "ratio" in row
    ]
    return (max if limit.at_least else min)(ratios, default=None)


def peers(group, kinds, limit):
    for row in group["rows"]:
        kind = kinds[row["competitor"]]
        if kind["kind"] == "peer" and limit.of in row:
            yield kind["title"], row[limit.of]["median"]


def judge(results):
    """A verdict for each limit whose figure was measured."""
    openssl = results["machine"]["versions"].get("OpenSSL", "0.0")
    later = [int(part) for part in openssl.split(".")[:2]] >= [3, 5]
    groups = {group["name"]: group for group in results["groups"]}
    for limit in TABLE:
        if later and limit.later is not None:
            limit = dataclasses.replace(limit, must=limit.later, goal=limit.later, best_peer=False)
        group = groups.get(limit.group)
        row = group and row_of(group, limit.competitor)
        if row and limit.of in row:
            yield _verdict(limit, group, row, results["machine"]["competitors"])


def _verdict(limit, group, row, kinds):
    goal_of = limit.goal_of or limit.of
    value, goal_value = row[limit.of]["median"], row[goal_of]["median"]
    peer = best_peer(group, kinds, limit) if limit.best_peer else None
    must = limit.keeps(value, limit.must)
    goal = limit.keeps(goal_value, limit.goal)
    goal = must and goal and (peer is None or limit.keeps(value, peer[0]))
    spread = (row[limit.of]["lower"], row[limit.of]["upper"]) if row["rounds"] > 1 else None
    deciding = [(limit.of, limit.must)]
    if must:
        deciding += [(goal_of, limit.goal)] + ([(limit.of, peer[0])] if peer else [])
    stock = row_of(group, "stock") if "value" in (limit.of, goal_of) else None
    return Verdict(
        limit,
        group["title"],
        value,
        goal_value,
        stock["value"]["median"] if stock else None,
        must,
        goal,
        any(row[of]["lower"] < bound < row[of]["upper"] for of, bound in deciding),
        spread,
        f"{kinds[peer[1]]['title']} {peer[0]:.3f}" if peer else None,
        tuple(peers(group, kinds, limit)),
    )
