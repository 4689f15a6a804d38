"""What do README.md and docs/ci.md claim about speed?  Their figures are written from docs/bench/results.json, so
that a claim is what was measured last.  tests/docs compares.
"""

import json
import pathlib
import re

from document import table

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs/bench"
README, CI = ROOT / "README.md", ROOT / "docs/ci.md"
BEGIN, END = "<!-- scripts/bench --peers writes this: begin -->\n", "<!-- end -->\n"
BLOCK = re.compile(re.escape(BEGIN) + r"(.*?)" + re.escape(END), re.S)
# Figures within the text: what stands behind the figure, and where it is from.
NO_TIME = "costs no time by default"
PROSE = (
    (r"(\d+ % \w+)( processor time with the CI settings)", "cpu", "ci"),
    (r"(\d+ % \w+)( processor time than glibc for a handshake)", "cpu", "asan-built"),
)
HEAD = """Debian {debian}, OpenSSL {openssl}, {processors}, {date}. Compared with glibc's `malloc`, median and quartiles of pairs:

"""
ROWS = (  # title, group, what the command has to be asked for, digits
    ("instructions of a TLS 1.3 handshake", "instructions", "instructions", 1),
    ("full handshakes (P-256) of an nginx worker in a CPU second", "nginx_ec", "nginx", 0),
    ("memory of an nginx worker, 2,000 idle connections", "nginx_idle", "nginx-memory", 0),
)


class Figures:
    def __init__(self, results):
        self.groups = {group["name"]: group["rows"] for group in results["groups"]}

    def row(self, group, competitor):
        rows = self.groups.get(group, [])
        return next((row for row in rows if row["competitor"] == competitor), None)

    def difference(self, group, competitor, digits=0):
        """"4 % fewer" and the like: a median compared with glibc's."""
        row = self.row(group, competitor)
        return percent(row["ratio"]["median"], digits) if row and "ratio" in row else "-"

    def spread(self, group, competitor, digits):
        row = self.row(group, competitor)
        said = self.difference(group, competitor, digits)
        if said == "-" or row["rounds"] == 1:
            return said
        lower, upper = (percent(row["ratio"][name], digits) for name in ("lower", "upper"))
        return said if lower == upper else f"{said} ({lower} to {upper})"


def percent(ratio, digits):
    far = round(abs(ratio - 1) * 100, digits)
    if far == 0:
        return "equal"
    return f"{far:.{digits}f} % {'more' if ratio > 1 else 'less'}"


def block(results):
    """The section's text between its marks."""
    figures, machine = Figures(results), results["machine"]
    debian = re.search(r"Debian[^(]*?(\d+)", machine["system"])
    text = HEAD.format(
        debian=debian.group(1) if debian else machine["system"],
        openssl=machine["versions"].get("OpenSSL", "?"),
        processors=re.search(r"\d+ processors?$", machine["processor"]).group(),
        date=machine["date"],
    )
    rows = [
        [title, figures.spread(group, "arena", digits), f"`scripts/bench --peers --only {measure}`"]
        for title, group, measure, digits in ROWS
        if figures.row(group, "arena")
    ]
    return text + table(["", "with freeonce", "command"], rows)


def written(text, results):
    """A page with its claims as the results say."""
    text = BLOCK.sub(lambda _: BEGIN + block(results) + END, text)
    for pattern, group, competitor in PROSE:
        figure = Figures(results).difference(group, competitor)
        text = re.sub(pattern, lambda found, figure=figure: figure + found.group(2), text)
    return text


def rewrite(results):
    for page in README, CI:
        page.write_text(written(page.read_text(), results))


def claims():
    """What is wrong with the claims, a sentence each."""
    text, path = README.read_text(), FOLDER / "results.json"
    if len(BLOCK.findall(text)) != 1:
        yield "README.md: the marks around what scripts/bench --peers writes are not there"
    elif not path.exists():
        if "docs/bench" in text:
            yield "README.md: claims something from docs/bench, which is not there"
    else:
        results = json.loads(path.read_text())
        for pattern, _, _ in PROSE:
            if not re.search(pattern, CI.read_text()):
                yield f"docs/ci.md: has no figure {pattern}"
        for page in README, CI:
            yield from (f"{page.name}: {wrong}" for wrong in contradictions(page.read_text(), results))


def contradictions(text, results):
    if written(text, results) != text:
        yield "is not what docs/bench says: scripts/bench --peers --redraw"
    row = Figures(results).row("cpu", "arena")
    if NO_TIME in text and row and row["ratio"]["lower"] > 1:
        yield f"{NO_TIME!r} is not what docs/bench says"
