"""What was measured, and what is a fair summary of it?

Every sample belongs to a group (a measure), a point of it (a size, a number of threads; None when
there is but one), a competitor and a round (or, where stock ran in pairs with each of the others, a
round and a pair).  Within it they ran close together, in changing order, so the ratio to stock is
taken round by round, and its quartiles tell a difference from noise.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Group:
    name: str
    title: str
    unit: str
    better: str = "less"
    at_title: str = ""  # what the points are; empty: a single one
    note: str = ""


def quantile(values, share):
    """Linear between the two neighbours, as bench_quartiles."""
    values = sorted(values)
    position = share * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (position - below)


def quartiles(values):
    names = ("lower", "median", "upper")
    return {
        name: round(quantile(values, share), 6) for name, share in zip(names, (0.25, 0.5, 0.75))
    }


class Results:
    """All samples of a run."""

    def __init__(self, groups):
        self.groups = {group.name: group for group in groups}
        self.samples = {}  # group -> point -> competitor -> round -> value
        self.left_out = {}  # group -> competitor -> reason

    def add(self, group, at, competitor, number, value):
        points = self.samples.setdefault(group, {})
        points.setdefault(at, {}).setdefault(competitor, {})[number] = value

    def note(self, group, note):
        self.groups[group] = dataclasses.replace(self.groups[group], note=note)

    def leave_out(self, group, competitor, reason):
        """What it did before it failed counts for nothing."""
        self.left_out.setdefault(group, {})[competitor] = reason
        for competitors in self.samples.get(group, {}).values():
            competitors.pop(competitor, None)

    def derive(self, group, source, above, below):
        """A group whose values are those of source at one point divided by those at another."""
        points = self.samples.get(source, {})
        for competitor, rounds in points.get(above, {}).items():
            others = points.get(below, {}).get(competitor, {})
            for number in rounds.keys() & others.keys():
                self.add(group, None, competitor, number, rounds[number] / others[number])
        if source in self.left_out:
            self.left_out[group] = dict(self.left_out[source])

    def summary(self):
        """What is written down: the groups, each with a row for every competitor and point."""
        return [
            {
                **dataclasses.asdict(group),
                "rows": list(self._rows(group.name)),
                "left_out": self.left_out.get(group.name, {}),
            }
            for group in self.groups.values()
            if group.name in self.samples
        ]

    def _rows(self, group):
        for at, competitors in self.samples[group].items():
            stock = competitors.get("stock", {})
            for competitor, rounds in competitors.items():
                row = {"competitor": competitor, "at": at, "rounds": len(rounds)}
                row["value"] = quartiles(rounds.values())
                ratios = [
                    value / stock[at_round]
                    for at_round, value in rounds.items()
                    if stock.get(at_round)
                ]
                if competitor != "stock" and ratios:
                    row["ratio"] = quartiles(ratios)
                    row["noise"] = is_noise(row["ratio"])
                yield row


def is_noise(ratio):
    """Is the difference to stock smaller than the spread?"""
    return ratio["lower"] < 1 < ratio["upper"]
