#!/usr/bin/env python3
"""The smallest set of libFuzzer's inputs that reaches the same edges of the program.  Inputs with a name instead of
a hash belong to faults that were fixed: they stay.

Usage: smallest.py CONTROL-FILE   (written by -set_cover_merge=1 -merge_control_file=...); prints the paths to keep"""
import os
import re
import sys

FEATURES_AN_EDGE = 8  # libFuzzer has a feature for each range of counts: once, twice, 4 times, ...


def read(path):
    """The inputs and their edges."""
    lines = open(path, encoding="utf-8", errors="replace").read().splitlines()
    files = lines[2:2 + int(lines[0])]
    edges = {}
    for line in lines[2 + len(files):]:
        words = line.split()
        if words[0] == "FT":
            edges[files[int(words[1])]] = {int(feature) // FEATURES_AN_EDGE for feature in words[2:]}
    return edges


def name_of(path):
    """The file's name.  Files with the same hash as name are equal: one is enough."""
    return os.path.basename(path)


def has_name(path):
    return not re.fullmatch(r"[0-9a-f]{40}", name_of(path))


def main():
    edges = {name_of(path): (path, reached) for path, reached in read(sys.argv[1]).items()}
    edges = dict(edges.values())
    kept = [path for path in edges if has_name(path)]
    left = set().union(*edges.values()).difference(*(edges[path] for path in kept))
    while left:
        best = max(edges, key=lambda path: (len(edges[path] & left), -os.path.getsize(path)))
        kept.append(best)
        left -= edges[best]
    print(*kept, sep="\n")


main()
