"""How are the results shown?  docs/bench/README.md is written from results.json, here alone."""

import limits

TITLE = """# What it costs

What OpenSSL programs cost with freeonce in front, all its checks of blocks and objects on, and with other
allocators and checkers instead. *Ratio to stock* compares with the same program alone, on glibc's allocator:
0.9 is a tenth less, 1.1 a tenth more. *Noise* marks a difference that is smaller than the spread.

Written by `{command}` from [results.json](results.json); do not edit. {date}, OpenSSL {openssl},
{processor}.{trial}{resumed} [How it was measured, and on what](#how-it-was-measured).
"""
METHOD = """
## How it was measured

| | |
|---|---|
| processor | {processor}, {memory} |
| system | {system}, {kernel} |
{versions}
| load average before | {load_before} |
| processor time of others meanwhile | {others_percent} % |
| duration | {minutes} minutes |

Each competitor is preloaded in front of the same unmodified programs, in a process of its own; in every
round all run in random order, stock among them; in the CPU time of handshakes each has a run of stock just
before or after its own. Of nginx two run at the same time, stock and the competitor, and their workers take turns
of 50 ms on one processor: what else the machine does meanwhile is the same for both. Each serves a quarter as many
before those that count. The ratio is to stock of that pair, or of that round: the median, and the quartiles in
brackets where there was more than one. What is slow has fewer rounds.

- "freeonce, arena" is the default, a heap of its own; "freeonce, libc" takes its memory from malloc; "freeonce,
  CI" is a test run's setting: `libc` beneath, 4 MiB of quarantine, fill and canary.
- jemalloc, mimalloc and tcmalloc check nothing.
- ASan preloaded watches the heap alone; compiled in, the program's own accesses too, not OpenSSL's. Its
  quarantine of 256 MB is full before time is taken in the handshake only; where it still fills, ASan is
  slower.
"""

GLANCE = (
    ("instructions", "instructions per handshake"),
    ("cpu", "CPU time per handshake"),
    ("parse", "`d2i_X509`, CPU time"),
    ("nginx_ec", "nginx, handshakes per CPU second (more is better)"),
    ("held", "2,000 handshakes held, memory"),
    ("nginx_idle", "nginx, 2,000 idle, memory"),
    ("slots", "bytes a block takes"),
    ("start_true", "start-up of `true`"),
    ("later_instructions", "OpenSSL 3.5, instructions per handshake"),
)


def number(value):
    """Three significant digits at least, no more than four where there are decimals."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def ratio(row):
    if "ratio" not in row:
        return "1"
    part = row["ratio"]
    text = f"{part['median']:.3f}"
    if row["rounds"] > 1:
        text += f" ({part['lower']:.3f} to {part['upper']:.3f})"
    return text + (", noise" if row["noise"] else "")


def table(head, rows, align="---:"):
    lines = [head, ["---"] + [align] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def single(group, names):
    """A row a competitor: value, quartiles, ratio."""

    def cells(row):
        value = row["value"]
        spread = (
            f"{number(value['lower'])} to {number(value['upper'])}" if row["rounds"] > 1 else ""
        )
        return [names[row["competitor"]], number(value["median"]), spread, ratio(row)]

    head = ["", group["unit"], "quartiles", "ratio to stock"]
    rows = [cells(row) for row in ordered(group["rows"], names)]
    if not any(row[2] for row in rows):
        head, rows = head[:2] + head[3:], [row[:2] + row[3:] for row in rows]
    return table(head, rows)


def several(group, names):
    """A row a competitor, a column a point: value and ratio."""
    points = list(dict.fromkeys(row["at"] for row in group["rows"]))
    cells = {(row["competitor"], row["at"]): row for row in group["rows"]}

    def cell(row):
        if row is None:
            return ""
        if "ratio" not in row:
            return number(row["value"]["median"])
        noise = " noise" if row["noise"] else ""
        return f"{number(row['value']['median'])} ({row['ratio']['median']:.2f}{noise})"

    who = [name for name in names if any((name, at) in cells for at in points)]
    rows = [[names[name]] + [cell(cells.get((name, at))) for at in points] for name in who]
    head = [f"{group['unit']} (ratio), {group['at_title']}"] + [f"{at:,}" for at in points]
    return table(head, rows)


def ordered(rows, names):
    order = list(names)
    return sorted(rows, key=lambda row: order.index(row["competitor"]))


def section(group, names):
    text = f"\n## {group['title']}\n\n"
    if group["note"]:
        text += f"{group['note']} "
    text += f"{'More' if group['better'] == 'more' else 'Less'} is better.\n\n"
    text += several(group, names) if group["at_title"] else single(group, names)
    for competitor, reason in group["left_out"].items():
        text += f"\n{names[competitor]}: left out, {reason}.\n"
    return text


def glance(results, names):
    """The ratios of the single figures that most people want, side by side."""
    groups = {group["name"]: group for group in results["groups"]}
    shown = [(groups[name], title) for name, title in GLANCE if name in groups]
    if not shown:
        return ""

    def cell(group, name):
        row = next((row for row in group["rows"] if row["competitor"] == name), None)
        if row is None:
            return ""
        if "ratio" not in row:
            return "1"
        return f"{row['ratio']['median']:.3f}" + (" noise" if row["noise"] else "")

    rows = [[title] + [cell(group, name) for group, _ in shown] for name, title in names.items()]
    rows = [row for row in rows if any(row[1:])]
    head = ["ratio to stock"] + [title for _, title in shown]
    return "\n## At a glance\n\n" + table(head, rows)


LIMITS = """
## Against the limits

Each measure has a must and a goal. *By less than the noise*: the bound lies between the quartiles of what
was measured, and another run may fall on its other side. The last column has the same figure of allocators that
check nothing.

"""
WHAT = {"ratio": "to stock", "value": "itself"}


def limit_cells(verdict, names):
    limit = verdict.limit
    sign = "≥" if limit.at_least else "≤"
    measured = f"{verdict.value:.3f}"
    if verdict.spread:
        measured += f" ({verdict.spread[0]:.3f} to {verdict.spread[1]:.3f})"
    must, goal = f"{sign} {limit.must:g}", f"{sign} {limit.goal:g}"
    if limit.goal_of:
        measured += f" {WHAT[limit.of]}; {verdict.goal_value:.2f} {WHAT[limit.goal_of]}"
        must, goal = f"{must} {WHAT[limit.of]}", f"{goal} {WHAT[limit.goal_of]}"
    if verdict.peer:
        goal += f", and no more than {verdict.peer}"
    if verdict.stock is not None:
        measured += f", glibc {verdict.stock:.2f}"
    said = verdict.said if verdict.goal else f"**{verdict.said}**"
    others = ", ".join(f"{title} {value:.3f}" for title, value in verdict.peers)
    return [f"{names[limit.competitor]}: {verdict.title}", measured, must, goal, said, others]


def limits_table(results, names):
    rows = [limit_cells(verdict, names) for verdict in limits.judge(results)]
    if not rows:
        return ""
    return LIMITS + table(["measure", "measured", "must", "goal", "verdict", "unguarded"], rows, "---")


def reasons(results, names, profiles):
    """Why goals are missed: what allocation has at all, and what the memory alone costs."""
    shares = results.get("shares", [])
    if not shares and not profiles:
        return ""
    text = "\n## Where it goes\n\n"
    if shares:
        text += (
            "How much of the work is allocation. In the handshake: malloc and free for OpenSSL, with all that "
            "they call. In nginx: malloc, free, OpenSSL's functions that call them, and for freeonce all of the "
            "library, its checks of objects included. What stock spends is what an allocator that costs "
            "nothing would save.\n\n"
        )
        rows = [[row["what"], names[row["competitor"]], f"{100 * row['share']:.1f} %"] for row in shares]
        text += table(["of", "with", "allocation"], rows, "---")
        text += free_allocator(shares)
    return text + touch_sentence(results) + profiles_section(profiles)


def free_allocator(shares):
    """What nothing can exceed."""
    found = [row for row in shares if row["competitor"] == "stock" and "CPU time" in row["what"]]
    if not found:
        return ""
    most = 1 / (1 - found[0]["share"])
    return (
        f"\nAn allocator that costs nothing would let nginx's worker make {most:.3f} times stock's P-256 "
        "handshakes, and fewer of RSA, where the same allocations stand beside more arithmetic.\n"
    )


def touch_sentence(results):
    """What a walk through many blocks costs without any allocator."""
    group = next((group for group in results["groups"] if group["name"] == "live_touch"), None)
    rows = [row for row in group["rows"] if row["competitor"] == "stock"] if group else []
    if len(rows) < 2:
        return ""
    first, last = (rows[place]["value"]["median"] for place in (0, -1))
    return (
        f"\nA block drawn at random out of {rows[-1]['at']:,} and only written to costs {number(last)} ns, out "
        f"of {rows[0]['at']:,} {number(first)} ns, {last / first:.1f} times as much without any allocator: "
        "no cost per operation is flat that looks at the block.\n"
    )


def plots_section(plots):
    return "".join(f"\n![{title}]({name}.svg)\n" for name, title in plots)


def profiles_section(profiles):
    if not profiles:
        return ""
    links = ", ".join(f"[{name}](profile-{name}.txt)" for name in sorted(profiles))
    return (
        "\nFunction by function, of the handshake's instructions (no prefix) and of the "
        f"time of nginx and of the programs whose cost grows: {links}.\n"
    )


def left_out(results, names):
    reasons = [f"{names[name]}: {reason}" for name, reason in results["left_out"].items()]
    reasons += results.get("skipped", {}).values()
    return "".join(f"\nLeft out of this run: {reason}.\n" for reason in reasons)


def document(results, plots, profiles):
    machine = results["machine"]
    names = {name: row["title"] for name, row in machine["competitors"].items()}
    facts = {
        **machine,
        "openssl": machine["versions"].get("OpenSSL", "?"),
        "versions": "\n".join(f"| {name} | {what} |" for name, what in machine["versions"].items()),
        "others_percent": round(100 * machine.get("others", 0), 1),
        "minutes": round(sum(machine.get("seconds", {}).values()) / 60),
        "trial": "" if machine["quiet"] else " **A trial: others were using the machine.**",
        "resumed": " It was cut off and resumed." if machine.get("resumed") else "",
    }
    text = TITLE.format(**facts) + left_out(results, names)
    text += glance(results, names) + limits_table(results, names) + plots_section(plots)
    text += reasons(results, names, profiles) + METHOD.format(**facts)
    return text + "".join(section(group, names) for group in results["groups"])
