"""Draws soak.csv's lines as an SVG: memory, address space and latency over time, a line for each nginx."""

WIDTH, HEIGHT, LEFT, TOP, GAP = 760, 150, 70, 40, 60
COLOURS = {"restless": "#c97b2a", "steady": "#0b6e4f"}
PANELS = (  # title, unit, column, divisor
    ("RSS of all processes", "MiB", "rss_kib", 1024),
    ("PSS of all processes", "MiB", "pss_kib", 1024),
    ("VmSize of all processes", "MiB", "vmsize_kib", 1024),
    ("99th percentile of a handshake and request", "ms", "p99_ms", 1),
    ("findings", "", "findings", 1),
)


def panel(rows, number, title, unit, column, divisor):
    """One diagram, from 0 to its highest value."""
    top = TOP + number * (HEIGHT + GAP)
    last = max(row["minute"] for row in rows) or 1
    most = max(row[column] for row in rows) / divisor or 1
    yield f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{title}{", " + unit if unit else ""}</text>'
    for part in (0, 0.5, 1):
        y = top + HEIGHT * (1 - part)
        yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:g}" y2="{y:g}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{most * part:.4g}</text>'
        x = LEFT + WIDTH * part
        yield f'<text x="{x:g}" y="{top + HEIGHT + 16}" text-anchor="middle">{last * part:.3g} min</text>'
    for name, colour in COLOURS.items():
        points = [(row["minute"] / last * WIDTH + LEFT, top + HEIGHT * (1 - row[column] / divisor / most))
                  for row in rows if row["nginx"] == name]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def write(path, rows):
    height = TOP + len(PANELS) * (HEIGHT + GAP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{height}" font-family="sans-serif" '
           'font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for number, (name, colour) in enumerate(COLOURS.items()):
        out.append(f'<text x="{LEFT + WIDTH - 160 + number * 90}" y="18" fill="{colour}">{name}</text>')
    for number, row in enumerate(PANELS):
        out += panel(rows, number, *row)
    path.write_text("\n".join([*out, "</svg>\n"]), encoding="ascii")
