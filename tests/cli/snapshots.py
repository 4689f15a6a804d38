"""Files as freeonce heap --save writes them, for pages with a chart."""

import json


def document(rows, second=0, by="object", pid=4120, name="server", **more):
    """A saved heap; rows is what a row is for, with its bytes: a name of an object, or (FILE, LINE)."""
    listed = []
    for key, size in rows.items():
        at = {"object": key} if isinstance(key, str) else {"object": None, "file": key[0], "line": key[1]}
        listed.append({**at, "blocks": size // 100, "bytes": size})
    live = {"blocks": sum(row["blocks"] for row in listed), "bytes": sum(row["bytes"] for row in listed)}
    return {
        "type": "heap",
        "version": 1,
        "process": {"pid": pid, "name": name},
        "blocks": {"live": live, "complete": True},
        "by": by,
        "rows": listed,
        "time": f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000000Z",
        **more,
    }


def write(folder, name, what):
    path = folder / name
    path.write_text(json.dumps(what))
    return path


def growing(folder, count):
    """So many files, a minute apart: an X509 for each client, beside 11 rows that stay."""
    stays = {("crypto/mem.c", line): 100 * line for line in range(10, 21)}
    return [write(folder, f"heap-{i:03}.json", document({"X509": 1000 * (i + 1), **stays}, 60 * i)) for i in range(count)]
