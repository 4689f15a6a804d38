"""What does README.md claim?  Its section on measurements is written from docs/bench/results.json, so
that a claim is what was measured last.  tests/docs compares.
"""

import json
import pathlib
import re
import textwrap

from document import table

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs/bench"
README = ROOT / "README.md"
BEGIN, END = "<!-- scripts/bench --peers writes this: begin -->\n", "<!-- end -->\n"
BLOCK = re.compile(re.escape(BEGIN) + r"(.*?)" + re.escape(END), re.S)
# A figure within the text: what stands before and behind it, and where it is from.
NO_TIME = "costs no time by default"
PROSE = ((r"([\d.]+)( times with the CI settings)", "cpu", "ci"),)

ROWS = (
    ("arena", "default settings, backend `arena` (own heap), objects on"),
    ("libc", "backend `libc`, objects on"),
    ("ci", "CI settings of the recipe above"),
    ("asan-built", "AddressSanitizer, in a warm run"),
    ("jemalloc", "jemalloc, which checks nothing"),
    ("mimalloc", "mimalloc, which checks nothing"),
    ("tcmalloc", "tcmalloc, which checks nothing"),
)
HEAD = """Debian {debian}, OpenSSL {openssl}, {processors}, {date}; a full mutual TLS 1.3 EC handshake, both ends in
one process. All of it, with other allocators and checkers beside it, plots and what the limits were, is in
[docs/bench](docs/bench/README.md), which `scripts/bench --peers` writes in one run:

"""


class Figures:
    def __init__(self, results):
        self.groups = {group["name"]: group["rows"] for group in results["groups"]}

    def row(self, group, competitor):
        rows = self.groups.get(group, [])
        return next((row for row in rows if row["competitor"] == competitor), None)

    def ratio(self, group, competitor, digits=2):
        row = self.row(group, competitor)
        return f"{row['ratio']['median']:.{digits}f}" if row and "ratio" in row else "-"

    def value(self, group, competitor):
        row = self.row(group, competitor)
        return row and row["value"]["median"]

    def spread(self, group, competitor):
        row = self.row(group, competitor)
        if not row or "ratio" not in row:
            return "-"
        lower, median, upper = (row["ratio"][name] for name in ("lower", "median", "upper"))
        if row["rounds"] == 1:
            return f"{median:.2f}"
        noise = ", noise" if row["noise"] else ""
        return f"{median:.2f} ({lower:.2f} to {upper:.2f}{noise})"


def paragraph(text):
    return "\n" + textwrap.fill(text, 118) + "\n"


def handshake_table(figures):
    rows = [
        [title, figures.ratio("instructions", name, 3), figures.spread("cpu", name)]
        for name, title in ROWS
        if figures.row("cpu", name)
    ]
    return table(["", "instructions, of stock", "CPU time, of stock (median, quartiles)"], rows)


def server_table(figures):
    measures = (
        ("nginx_ec", "nginx, full handshakes per CPU second, P-256 (more is better)"),
        ("nginx_rsa", "the same, RSA-2048"),
        ("nginx_idle", "nginx worker's memory with 2,000 idle connections"),
        ("nginx_closed", "the same after they were closed"),
        ("held", "memory with 2,000 handshakes kept open in one process"),
        ("later_instructions", "OpenSSL 3.5: instructions per handshake"),
        ("later_cpu", "OpenSSL 3.5: CPU time per handshake"),
    )
    rows = [
        [title, figures.spread(name, "arena")] for name, title in measures if name in figures.groups
    ]
    return table(["backend `arena`", "of stock"], rows)


def threads_sentence(figures):
    """The most threads: what all of them have in common costs most there."""
    rows = figures.groups.get("cpu_threads", [])
    most = max((row["at"] for row in rows), default=0)
    ratios = {
        row["competitor"]: row["ratio"]["median"]
        for row in rows
        if row["at"] == most and "ratio" in row
    }
    if not {"arena", "mimalloc"} <= set(ratios):
        return ""
    return paragraph(
        f"With {most} threads that use one SSL_CTX, a handshake takes {ratios['arena']:.2f} of stock's CPU time "
        f"(mimalloc {ratios['mimalloc']:.2f})."
    )


def start_sentence(figures):
    own, empty, stock = (figures.value("start_true", name) for name in ("arena", "empty", "stock"))
    if None in (own, empty, stock):
        return ""
    return paragraph(
        f"A program without OpenSSL (`true`) starts {own - stock:.2f} ms later, of which any preloaded library "
        f"costs {empty - stock:.2f} ms."
    )


def slots_sentence(figures, note):
    asked = re.search(r"on average ([\d.]+) bytes", note)
    names = ("arena", "stock", "jemalloc", "mimalloc")
    bytes_of = {name: figures.value("slots", name) for name in names}
    if not asked or None in bytes_of.values():
        return ""
    return paragraph(
        f"Size classes: of the {asked.group(1)} bytes that OpenSSL asks for in an average block of a handshake "
        f"`arena` makes {bytes_of['arena']:.1f}, 16 of them its header (glibc {bytes_of['stock']:.1f}, jemalloc "
        f"{bytes_of['jemalloc']:.1f}, mimalloc {bytes_of['mimalloc']:.1f}, with no header to check)."
    )


def block(results):
    """The section's text between its marks."""
    figures, machine = Figures(results), results["machine"]
    note = next((group["note"] for group in results["groups"] if group["name"] == "slots"), "")
    debian = re.search(r"Debian[^(]*?(\d+)", machine["system"])
    text = HEAD.format(
        debian=debian.group(1) if debian else machine["system"],
        openssl=machine["versions"].get("OpenSSL", "?"),
        processors=re.search(r"\d+ processors?$", machine["processor"]).group(),
        date=machine["date"],
    )
    text += handshake_table(figures) + "\n" + server_table(figures)
    text += threads_sentence(figures)
    return text + start_sentence(figures) + slots_sentence(figures, note)


def written(text, results):
    """The README with its claims as the results say."""
    text = BLOCK.sub(lambda _: BEGIN + block(results) + END, text)
    for pattern, group, competitor in PROSE:
        figure = Figures(results).ratio(group, competitor)
        text = re.sub(pattern, lambda found, figure=figure: figure + found.group(2), text)
    return text


def rewrite(results):
    README.write_text(written(README.read_text(), results))


def claims():
    """What is wrong with the README's claims, a sentence each."""
    text, path = README.read_text(), FOLDER / "results.json"
    if len(BLOCK.findall(text)) != 1:
        yield "README.md: the marks around what scripts/bench --peers writes are not there"
    elif not path.exists():
        if "docs/bench" in text:
            yield "README.md: claims something from docs/bench, which is not there"
    else:
        yield from contradictions(text, json.loads(path.read_text()))


def contradictions(text, results):
    if written(text, results) != text:
        yield "README.md: is not what docs/bench says: scripts/bench --peers --redraw"
    row = Figures(results).row("cpu", "arena")
    if NO_TIME in text and row and row["ratio"]["lower"] > 1:
        yield f"README.md: {NO_TIME!r} is not what docs/bench says"
