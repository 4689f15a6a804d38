#!/usr/bin/env python3
"""Writes the part of the test program's table that can be derived: for every row X_free of objects.def
whose header also declares `T *X_new(void)`, a line GENERIC(X, "type").  Constructors that take
arguments are in objects.c by hand.

    constructors.py [--root DIR] OUT      writes OUT/generic.def, and OUT/generic.h: all headers
"""

import argparse
import importlib.machinery
import importlib.util
import pathlib
import re

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "objects"
# Whose constructor does not return a block of its own.
NO_BLOCK = {
    "ASN1_NULL": "the number 1",
    "ASN1_OBJECT": "NULL in OpenSSL 4",
    "X509_POLICY_NODE": "declared, never defined",
}


def load(path):
    loader = importlib.machinery.SourceFileLoader("objects", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("objects", loader))
    loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("/"))
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()

    objects = load(SCRIPT)
    table = objects.Table(SCRIPT.parents[1] / "src" / "load" / "objects.def")
    openssl = objects.OpenSSL(arguments.root)
    constructed = set(re.findall(r"\*\s*(\w+)_new\s*\(void\)\s*;", openssl.preprocess()))
    rows = []
    for name in sorted(set(openssl.declared()) & set(openssl.exported) & set(table.rows)):
        stem = name.removesuffix("_free")
        if name.endswith("_free") and stem in constructed and stem not in NO_BLOCK:
            rows.append(f'GENERIC({stem}, "{table.rows[name][0]}")\n')
    (arguments.out / "generic.def").write_text("".join(rows))
    (arguments.out / "generic.h").write_text(openssl.source)


if __name__ == "__main__":
    main()
