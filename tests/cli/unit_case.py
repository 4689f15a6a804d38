"""What the tests of freeonce systemd share: a unit in, settings and words out."""

import glob
import os
import re

import tools

LIBC = next(iter(glob.glob("/usr/lib/*-linux-gnu/libc.so.6")), "/lib64/libc.so.6")
PRELOAD = f"/usr/$LIB/{os.path.basename(LIBC)}" if LIBC.startswith("/usr/") else tools.TO_ROOT + LIBC
MARKER = "# Made by freeonce systemd"
EXEC = "[Service]\nExecStart=/usr/bin/openssl version\n"


class Case(tools.Case):
    def unit(self, text, name="x.service"):
        path = self.dir / name
        path.write_text(text)
        return path

    def run_on(self, text, *more, expect=0, name="x.service", library=LIBC, **options):
        """The drop-in's settings, its whole text, and the messages on stderr."""
        path = self.unit(text, name)
        done = self.freeonce(
            "systemd", path, "--library", library, *more, expect=expect, **options
        )
        lines = [line for line in done.stdout.splitlines() if line and line[0] not in "#["]
        return lines, done.stdout, done.stderr

    def settings(self, text, *more, **options):
        return self.run_on(EXEC + text, *more, **options)[0]

    def said(self, text, *more, **options):
        """The messages on stderr; the drop-in has the same as comments."""
        _, dropin, errors = self.run_on(EXEC + text, *more, **options)
        comments = " ".join(
            line.lstrip("# ") for line in dropin.splitlines() if line.startswith("#")
        )
        for line in errors.splitlines():
            printed = re.sub(r"^freeonce: (note: |warning: )?", "", line)
            self.assertIn(" ".join(printed.split()), comments)
        return errors
