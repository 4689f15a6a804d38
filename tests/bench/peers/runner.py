"""How is a program run in front of which something is preloaded, so that the figure can be trusted?

In an environment of its own, silent (a run that complains measured something else), and for our own
rows only after the library has said that it is in, with the backend that was asked for.
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import competitors

DEADLINE = 120  # seconds a run


class Failed(Exception):
    """A run that measured nothing."""


def progress(text):
    print(f"... {text}", file=sys.stderr, flush=True)


def without_paths(text):
    """What goes into the results says nothing of this machine's folders."""
    return re.sub(r"(?:/[\w.+-]+)+/", "", text).strip()


class Bench:
    """The programs, who takes part, and where the samples go."""

    def __init__(self, build, scratch, results, rows, quick, seed, systems=None):
        self.programs = build / "tests/bench"
        self.tlsload = build / "tests/tools/tlsload"
        self.scratch = scratch
        self.results = results
        self.quick = quick
        self.systems = systems  # the folder of other Debians
        self.random = random.Random(seed)
        self.preloads = {}  # competitor -> what LD_PRELOAD says
        self.left_out = {}  # competitor -> reason
        self.failures = []  # the others continue, and the exit status reports it
        self.skipped = {}  # measure -> why this machine cannot make it
        self.versions = {}  # versions of what took part
        self.profiles = {}  # name -> where time or instructions go
        self.shares = []  # what allocation has of it: {"what", "competitor", "share", ...}
        self.build = build
        self.rows = [row for row in rows if self._is_able(row)]

    # --- who takes part ---

    def _is_able(self, row):
        try:
            self.preloads[row.name] = ":".join(self._library(name) for name in row.preload)
            for word in row.launcher[:1]:
                if shutil.which(word) is None:
                    raise Failed(f"no {word} on this machine")
            if row.kind == "own":
                self._require_backend(row)
            self.run(row, "handshake", "--count", 1, "--warm-up", 0)
        except Failed as reason:
            if row.kind == "stock":
                raise
            self.left_out[row.name] = without_paths(str(reason))
            progress(f"{row.title}: left out: {self.left_out[row.name]}")
            return False
        return True

    def _library(self, name):
        if name in competitors.BUILT:
            return self._own_library(name)
        path = competitors.find_library(name)
        if path is None:
            raise Failed(f"no {name} on this machine")
        return path

    def _own_library(self, name):
        """A copy, so that a build during the run does not mix two libraries in one figure."""
        folder = competitors.BUILT[name]
        copy = self.scratch / name
        if not copy.exists():
            if not (self.build / folder / name).exists():
                raise Failed(f"{name} is not built")
            shutil.copy(self.build / folder / name, copy)
        if re.search(r"[ :]", str(copy)):
            raise Failed("a path with a space or a colon cannot be preloaded: set TMPDIR")
        return str(copy)

    def _require_backend(self, row):
        """A library that is not active costs nothing: that must never count as a good result."""
        backend = row.settings["FREEONCE_BACKEND"]
        argv = [self.programs / "handshake", "--count", "1", "--warm-up", "0"]
        env = {**self.environment(row), "FREEONCE_VERBOSE": "1"}
        said = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=DEADLINE)
        if not re.search(rf"before its first allocation, backend {backend}\b", said.stderr):
            first = said.stderr.partition("\n")[0].partition(";")[0]
            raise Failed(first or "the library does not say that it is in")

    def environment(self, row):
        """Nothing of the caller's: its size moves the stack, some variables change much more."""
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", **row.settings}
        if self.preloads.get(row.name):
            env["LD_PRELOAD"] = self.preloads[row.name]
        return env

    def skip(self, measure, reason):
        self.skipped[measure] = without_paths(str(reason))
        progress(f"{measure}: left out: {self.skipped[measure]}")

    # --- runs ---

    def run(self, row, program, *arguments, launcher=None):
        """Runs one of the bench's programs, and returns what it printed."""
        launcher = row.launcher if launcher is None else launcher
        argv = [*launcher, self.programs / (program + row.suffix), *arguments]
        return self.run_command(row.title, argv, self.environment(row))

    def run_command(self, title, argv, env):
        argv = [str(word) for word in argv]
        try:
            done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=DEADLINE)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{title}: no end within {DEADLINE} s: {' '.join(argv)}") from error
        except OSError as error:
            raise Failed(f"{title}: {pathlib.Path(argv[0]).name} cannot be run") from error
        if done.returncode != 0 or done.stderr:
            what = done.stderr.strip().partition("\n")[0] or f"exit status {done.returncode}"
            raise Failed(f"{pathlib.Path(argv[0]).name} failed or was not silent: {what}")
        return done.stdout

    def rounds(self, group, count, sample, companions=(), paired=False, rows=None, checkers=1000):
        """Calls sample(row), which returns the value or {point: value}, for every competitor in
        every round, in random order.  With companions it returns {group: ...} for all of them.
        Paired: with a run of stock of its own just before or after, which its ratio is to; "turns":
        in one run with stock, sample(both rows) returns what it would for each.
        Checkers are slow, and their differences large: so many rounds are enough for them."""
        rows = [row for row in rows or self.rows if row.takes_part(group)]
        stock = rows.pop(0) if paired and len(rows) > 1 else None
        for row in self.rows:
            if group in row.never:
                self.results.leave_out(group, row.name, "cannot be combined with valgrind")
        for number in range(count):
            progress(f"{group}: round {number + 1} of {count}")
            for row in self.random.sample(rows, len(rows)):
                if number >= min(row.most_rounds, checkers if row.kind == "checker" else count):
                    continue
                turns = [row] if stock is None else [stock, row] if number % 2 else [row, stock]
                key = number if stock is None else (number, row.name)
                runs = [turns] if paired == "turns" else [[who] for who in turns]
                if not all(self._sample(group, key, run, sample, companions) for run in runs):
                    rows.remove(row)

    def _sample(self, group, key, rows, sample, companions):
        """One run; says whether it went well.  Without stock there is nothing to compare with."""
        try:
            values = sample(*rows)
        except Failed as reason:
            row = next((row for row in rows if row.kind != "stock"), None)
            if row is None:
                raise
            if row.kind == "own":
                self.failures.append(f"{group}: {row.title}: {reason}")
            for name in (group, *companions):
                self.results.leave_out(name, row.name, without_paths(str(reason)))
            progress(f"{group}: {row.title}: left out: {reason}")
            return False
        for row, figures in zip(rows, values if len(rows) > 1 else [values]):
            self._keep(group, key, row, figures if companions else {group: figures})
        return True

    def _keep(self, group, key, row, figures):
        for name, points in figures.items():
            points = points if isinstance(points, dict) else {None: points}
            for at, value in points.items():
                self.results.add(name, at, row.name, key, value)


def field(text, name):
    """The number of "name=number" in what a program printed."""
    return float(re.search(rf"\b{name}=([-0-9.]+)", text).group(1))
