"""How do the results look?  SVG files by matplotlib, imported here alone; it may be missing."""

KINDS = {"stock": "glibc", "own": "freeonce", "peer": "checks nothing", "checker": "other checkers"}
COLOURS = {"stock": "#777777", "own": "#0b6e4f", "peer": "#3a6ea5", "checker": "#c97b2a"}
OWN_COLOURS = {"libc": "#4f9d7d", "arena": "#0b6e4f", "ci": "#6fa88f"}
BARS = (  # file, title, groups
    (
        "handshake",
        "One mutual TLS 1.3 handshake, against stock (less is better)",
        (("instructions", "instructions"), ("cpu", "CPU time")),
    ),
    (
        "nginx",
        "nginx, full handshakes per CPU second, against stock (more is better)",
        (("nginx_ec", "P-256"), ("nginx_rsa", "RSA-2048")),
    ),
    (
        "memory",
        "Resident memory, against stock (less is better)",
        (
            ("held", "2,000 handshakes held"),
            ("nginx_idle", "nginx, 2,000 idle"),
            ("nginx_closed", "nginx, after closing"),
        ),
    ),
)
LINES = (  # file, title, axis, groups
    ("handshake-threads", "A mutual TLS handshake", "threads", ("cpu_threads",)),
    ("live", "A block freed and replaced", "live blocks", ("live",)),
    ("threads", "A block made and freed", "threads", ("threads_same", "threads_other")),
)
MOST_SHOWN = 3.0  # bars of slower checkers are cut here, with their value written


def colour(name, machine):
    return OWN_COLOURS.get(name) or COLOURS[machine["competitors"][name]["kind"]]


# Of one kind, but with different markers.
SHADES = {"own": ("#7fc4a0", "#0b6e4f", "#5a9a3c", "#2bd18f"), "peer": ("#1f3b70", "#3a6ea5", "#7fb2e5")}
SHADES["checker"] = ("#7a3e0b", "#c97b2a", "#f0b35b", "#d1495b", "#8d6a9f", "#b08968")


def line_colour(name, kind, machine):
    same = [other for other, facts in machine["competitors"].items() if facts["kind"] == kind]
    shades = SHADES.get(kind, (COLOURS[kind],))
    return shades[same.index(name) % len(shades)]


def draw(results, folder):
    """Writes what can be drawn: [(name, title)]; nothing without matplotlib."""
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
    except ImportError:
        return None
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "freeonce", "font.size": 9, "svg.fonttype": "none"})
    groups = {group["name"]: group for group in results["groups"]}
    drawn = []
    for name, title, parts in BARS:
        if all(part in groups for part, _ in parts):
            save(bars(groups, parts, title, results["machine"]), folder, name)
            drawn.append((name, title))
    for name, title, axis, parts in LINES:
        if all(part in groups for part in parts):
            save(lines(groups, parts, axis, results["machine"]), folder, name)
            drawn.append((name, f"{title}, by the number of {axis}"))
    return drawn


def save(figure, folder, name):
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def figure_of(width, height, columns):
    from matplotlib import figure  # pylint: disable=import-outside-toplevel

    picture = figure.Figure(figsize=(width, height), layout="constrained")
    return picture, picture.subplots(1, columns, squeeze=False)[0]


def bars(groups, parts, title, machine):
    names = [
        name
        for name in machine["competitors"]
        if any(row["competitor"] == name for part, _ in parts for row in groups[part]["rows"])
    ]
    picture, axes = figure_of(3.3 * len(parts) + 1.5, 0.28 * len(names) + 1.3, len(parts))
    for axis, (part, subtitle) in zip(axes, parts):
        one_bar_chart(axis, groups[part], names, machine)
        axis.set_title(subtitle, fontsize=9)
    for axis in axes[1:]:
        axis.set_yticklabels([])
    picture.suptitle(title, fontsize=10)
    kinds = [kind for kind in KINDS if any(machine["competitors"][n]["kind"] == kind for n in names)]
    handles = [axes[0].barh(0, 0, color=COLOURS[kind], label=KINDS[kind]) for kind in kinds]
    place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}
    axes[-1].legend(handles=handles, fontsize=8, **place)
    return picture


def one_bar_chart(axis, group, names, machine):
    rows = {row["competitor"]: row for row in group["rows"]}
    for place, name in enumerate(reversed(names)):
        if name not in rows:
            axis.text(0.02, place, "not measured", va="center", color="#999999", fontsize=7)
            continue
        part = rows[name].get("ratio", {"lower": 1, "median": 1, "upper": 1})
        shown = min(part["median"], MOST_SHOWN)
        spread = [[part["median"] - part["lower"]], [part["upper"] - part["median"]]]
        axis.barh(
            place,
            shown,
            color=colour(name, machine),
            xerr=spread if shown == part["median"] else None,
            ecolor="#333333",
        )
        cut = "" if shown == part["median"] else " (bar cut)"
        axis.text(
            0.02, place, f"{part['median']:.3f}{cut}", va="center", color="white", fontsize=7
        )
    axis.axvline(1, color="#333333", linewidth=0.7)
    axis.set_ylim(-0.6, len(names) - 0.4)
    titles = [machine["competitors"][name]["title"] for name in reversed(names)]
    axis.set_yticks(range(len(names)), titles)


def lines(groups, parts, unit, machine):
    picture, axes = figure_of(4.2 * len(parts) + 1.5, 3.6, len(parts))
    for axis, part in zip(axes, parts):
        one_line_chart(axis, groups[part], machine)
        axis.set_xlabel(unit)
    axes[-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    return picture


def one_line_chart(axis, group, machine):
    points = list(dict.fromkeys(row["at"] for row in group["rows"]))
    for name, facts in machine["competitors"].items():
        rows = [row for row in group["rows"] if row["competitor"] == name]
        if rows:
            axis.plot(
                [row["at"] for row in rows],
                [row["value"]["median"] for row in rows],
                marker="o",
                markersize=3,
                label=facts["title"],
                linewidth=2.2 if facts["kind"] == "own" else 1,
                linestyle={"peer": "--", "checker": ":"}.get(facts["kind"], "-"),
                color=line_colour(name, facts["kind"], machine),
            )
    axis.set_title(group["title"].replace(", CPU time", ""), fontsize=7)
    axis.set_xscale("log")
    axis.set_xticks(points, [f"{at:,}" for at in points], fontsize=7)
    axis.minorticks_off()
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")
    axis.tick_params(axis="y", which="both", labelsize=7)
    axis.set_ylabel(f"{group['unit']}, CPU time", fontsize=8)
