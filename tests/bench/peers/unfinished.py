"""What is left of a run that was interrupted?  After each measure everything is written down, so that
--resume finds it.  Only a run of the same library and the same competitors goes on.
"""

import json
import time

import runner


class Run:
    def __init__(self, path, bench, identity):
        self.path, self.bench, self.identity = path, bench, identity
        self.seconds = {}  # measure -> how long it took: those that are done
        self.resumed = False

    def measured(self, name, measure):
        started = time.monotonic()
        try:
            measure()
        except runner.Failed as reason:
            self.bench.failures.append(f"{name}: {reason}")
        self.seconds[name] = round(time.monotonic() - started)
        runner.progress(f"{name}: {self.seconds[name]} s, {sum(self.seconds.values())} s so far")
        self._save()

    def _save(self):
        bench = self.bench
        state = {
            "identity": self.identity,
            "seconds": self.seconds,
            "samples": list(self._samples()),
            "notes": {name: group.note for name, group in bench.results.groups.items()},
            "left_out": bench.results.left_out,
            "failures": bench.failures,
            "skipped": bench.skipped,
            "versions": bench.versions,
            "profiles": bench.profiles,
            "shares": bench.shares,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self.path)

    def _samples(self):
        for group, points in self.bench.results.samples.items():
            for at, competitors in points.items():
                for competitor, rounds in competitors.items():
                    for key, value in rounds.items():
                        yield group, at, competitor, key, value

    def resume(self):
        try:
            state = json.loads(self.path.read_text())
        except (OSError, ValueError) as reason:
            raise runner.Failed("there is no run to go on with") from reason
        if state["identity"] != self.identity:
            raise runner.Failed("the run that was cut off was one of another library or other options")
        bench, results = self.bench, self.bench.results
        for group, at, competitor, key, value in state["samples"]:
            key = tuple(key) if isinstance(key, list) else key
            results.add(group, at, competitor, key, value)
        for name, note in state["notes"].items():
            results.note(name, note)
        results.left_out = state["left_out"]
        for name in ("failures", "skipped", "versions", "profiles", "shares"):
            setattr(bench, name, state[name])
        self.seconds, self.resumed = state["seconds"], True
        runner.progress(f"already measured: {', '.join(self.seconds)}")
