"""Do the figures of scripts/bench --peers say what was measured?

Arithmetic, limits and tables, on made up samples: no program is run.
"""

import pathlib
import random
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import competitors
import document
import limits
import main
import profiles
import readme
import results
import runner
import unfinished


def measured(name, values, at=None, derive=None):
    """Results of one group: {competitor: [value of each round]}."""
    groups = [results.Group(name, f"title of {name}", "unit", at_title="size" if at else "")]
    made = results.Results(groups + ([results.Group(derive, "derived", "times")] if derive else []))
    for competitor, rounds in values.items():
        for number, value in enumerate(rounds):
            made.add(name, at, competitor, number, value)
    return made


def complete(made, openssl="3.0.22"):
    kinds = {row.name: {"title": row.title, "kind": row.kind} for row in competitors.TABLE}
    facts = {"competitors": kinds, "versions": {"OpenSSL": openssl}, "quiet": True}
    facts |= dict.fromkeys(("command", "date", "processor", "memory", "system", "kernel"), "-")
    return {"machine": facts | {"load_before": 0}, "left_out": {}, "groups": made.summary()}


def row_of(made, competitor):
    rows = made.summary()[0]["rows"]
    return next(row for row in rows if row["competitor"] == competitor)


class Summary(unittest.TestCase):
    def test_quartiles_are_linear_between_neighbours(self):
        self.assertEqual(
            results.quartiles([4, 1, 3, 2]), {"lower": 1.75, "median": 2.5, "upper": 3.25}
        )

    def test_ratio_is_taken_within_a_round(self):
        made = measured("g", {"stock": [1, 10, 100], "libc": [2, 20, 200]})
        self.assertEqual(row_of(made, "libc")["ratio"], {"lower": 2, "median": 2, "upper": 2})

    def test_a_difference_within_the_spread_is_noise(self):
        made = measured("g", {"stock": [10, 10, 10], "libc": [9, 10.5, 11], "ci": [11, 12, 13]})
        self.assertTrue(row_of(made, "libc")["noise"])
        self.assertFalse(row_of(made, "ci")["noise"])

    def test_a_single_run_is_never_noise(self):
        self.assertFalse(row_of(measured("g", {"stock": [1], "libc": [1]}), "libc")["noise"])

    def test_derived_group_divides_within_a_round(self):
        made = measured("g", {"stock": [2, 4]}, at=1, derive="growth")
        made.add("g", 8, "stock", 0, 6)
        made.add("g", 8, "stock", 1, 8)
        made.derive("growth", "g", 8, 1)
        self.assertEqual(made.samples["growth"][None]["stock"], {0: 3, 1: 2})


class Rounds(unittest.TestCase):
    def bench(self, *names):
        bench = runner.Bench.__new__(runner.Bench)  # without looking for programs
        bench.rows = [row for row in competitors.TABLE if row.name in names]
        bench.random, bench.failures = random.Random(1), []
        bench.results = results.Results([results.Group("g", "title", "unit")])
        return bench

    def test_a_pair_has_its_own_run_of_stock(self):
        bench, runs = self.bench("stock", "libc", "arena"), []

        def sample(row):
            runs.append(row.name)
            return len(runs)

        bench.rounds("g", 2, sample, paired=True)
        self.assertEqual([runs[at : at + 2].count("stock") for at in (0, 2, 4, 6)], [1] * 4)
        self.assertEqual(len(bench.results.samples["g"][None]["stock"]), 4)

    def test_a_competitor_that_fails_is_left_out_and_the_others_go_on(self):
        bench, runs = self.bench("stock", "arena", "scudo", "jemalloc"), []

        def sample(row):
            runs.append(row.name)
            if row.name == "scudo" or row.name == "arena" and runs.count("arena") == 2:
                raise runner.Failed("broken")
            return 1

        bench.rounds("g", 4, sample)
        self.assertEqual(set(bench.results.samples["g"][None]), {"stock", "jemalloc"})
        self.assertEqual(set(bench.results.left_out["g"]), {"arena", "scudo"})
        self.assertEqual(len(bench.failures), 1)  # of this project only


class Limits(unittest.TestCase):
    def verdict(self, group, values, **more):
        (verdict,) = limits.judge(complete(measured(group, values), **more))
        return verdict.must, verdict.goal

    def test_less_is_better(self):
        for value, expected in ((0.95, (False, False)), (0.91, (True, False)), (0.9, (True, True))):
            values = {"stock": [1], "arena": [value]}
            self.assertEqual(self.verdict("instructions", values), expected)

    def test_more_is_better(self):
        for value, expected in (
            (0.97, (False, False)),
            (1.02, (True, False)),
            (1.04, (True, True)),
        ):
            self.assertEqual(self.verdict("nginx_ec", {"stock": [1], "arena": [value]}), expected)

    def test_goal_includes_the_best_peer(self):
        values = {"stock": [1], "arena": [0.91], "jemalloc": [0.95]}
        self.assertEqual(self.verdict("cpu", values), (True, True))
        values["mimalloc"] = [0.9]
        self.assertEqual(self.verdict("cpu", values), (True, False))

    def test_checkers_are_no_peers(self):
        values = {"stock": [1], "arena": [0.91], "scudo": [0.5]}
        self.assertEqual(self.verdict("cpu", values), (True, True))

    def test_later_openssl_has_its_own_bound(self):
        values = {"stock": [1], "arena": [0.99]}
        self.assertEqual(self.verdict("instructions", values, openssl="3.5.7"), (True, True))

    def test_flat_is_said_of_the_growth_itself(self):
        values = {"stock": [10], "arena": [9]}
        self.assertEqual(self.verdict("live_growth", values), (True, False))
        self.assertEqual(self.verdict("live_growth", {"stock": [2], "arena": [1.1]}), (True, True))

    def test_a_goal_is_not_met_where_the_must_is_missed(self):
        values = {"stock": [0.9], "arena": [1.05]}
        self.assertEqual(self.verdict("live_growth", values), (False, False))

    def test_a_bound_within_the_spread_is_noise(self):
        for rounds, said in (
            ((0.96, 0.97, 0.99), "met, goal missed, by less than the noise"),
            ((0.93, 0.935, 0.94), "met, goal missed"),
            ((0.91, 0.925, 0.93), "met, goal missed, by less than the noise"),
            ((0.91, 0.915, 0.93), "goal met, by less than the noise"),
            ((0.97, 0.99, 1.01), "missed, by less than the noise"),
            ((0.8, 0.81, 0.82), "goal met"),
        ):
            # The quartiles of three values lie half way to the outer ones.
            low, middle, high = rounds
            low, high = 2 * low - middle, 2 * high - middle
            made = measured("cpu", {"stock": [1] * 3, "arena": [low, middle, high]})
            (verdict,) = limits.judge(complete(made))
            self.assertEqual(verdict.said, said)

    def test_stock_s_own_growth_stands_beside(self):
        made = measured("threads_same_growth", {"stock": [1.2], "arena": [1.25]})
        self.assertIn("1.250, glibc 1.20", document.document(complete(made), [], {}))

    def test_every_limit_names_what_exists(self):
        groups = {group.name for group in main.GROUPS}
        names = {row.name for row in competitors.TABLE}
        for limit in limits.TABLE:
            self.assertIn(limit.group, groups)
            self.assertIn(limit.competitor, names)


class Document(unittest.TestCase):
    def test_shows_noise_limits_and_who_is_left_out(self):
        made = measured("cpu", {"stock": [10, 10, 10], "arena": [9.9, 10.5, 11]})
        made.leave_out("cpu", "scudo", "a reason")
        text = document.document(complete(made), [], {})
        self.assertIn("1.050 (1.020 to 1.075)", text)
        self.assertIn("**missed**", text)
        self.assertIn("Scudo: left out, a reason.", text)

    def test_points_become_columns(self):
        made = measured("live", {"stock": [10]}, at=1000)
        made.add("live", 10000, "stock", 0, 20)
        text = document.document(complete(made), [], {})
        self.assertIn("| unit (ratio), size | 1,000 | 10,000 |", text)
        self.assertIn("| glibc (stock) | 10.0 | 20.0 |", text)

    def test_reasons_name_no_folder(self):
        said = "ERROR: object '/a/b-c/lib x.so' of /d/e.so"
        self.assertEqual(runner.without_paths(said), "ERROR: object 'lib x.so' of e.so")


class Profile(unittest.TestCase):
    REPORT = """
     5.00%  ;libc.so.6        ;[.] cfree@GLIBC_2.2.5   ;-      -
     3.00%  ;libc.so.6        ;[.] unlink_chunk.constprop.0
     2.00%  ;libcrypto.so.3   ;[.] CRYPTO_zalloc
    60.00%  ;libcrypto.so.3   ;[.] 0x000000000022f925
    20.00%  ;libcrypto.so.3   ;[.] 0x000000000022f000
     6.00%  ;libc.so.6        ;[.] pthread_rwlock_rdlock@GLIBC_2.2.5
     4.00%  ;[kernel.kallsyms];[k] tcp_ack
"""

    def test_allocation_is_told_from_the_rest(self):
        self.assertAlmostEqual(profiles.share_of(profiles.read(self.REPORT)), 0.10)

    def test_functions_without_a_name_are_one(self):
        first = profiles.read(self.REPORT)[0]
        self.assertEqual(first, (80, "libcrypto.so.3", profiles.NAMELESS))


class Unfinished(unittest.TestCase):
    def run_of(self, folder, library="a"):
        groups = [results.Group("g", "title", "unit", note="old")]
        bench = types.SimpleNamespace(results=results.Results(groups), left_out={}, failures=[])
        bench.skipped, bench.versions, bench.profiles, bench.shares = {}, {}, {}, []
        return unfinished.Run(pathlib.Path(folder) / "u.json", bench, {"library": library})

    def test_what_was_measured_is_found_again(self):
        with tempfile.TemporaryDirectory() as folder:
            run = self.run_of(folder)
            made = run.bench.results

            def measure():
                made.add("g", 1000, "stock", (0, "arena"), 2.5)
                made.note("g", "new")
                made.leave_out("g", "scudo", "a reason")
                run.bench.profiles["arena"] = "text"

            run.measured("m", measure)
            again = self.run_of(folder)
            again.resume()
            self.assertEqual(again.bench.results.samples, made.samples)
            self.assertEqual(again.bench.results.groups, made.groups)
            self.assertEqual(again.bench.results.left_out, made.left_out)
            self.assertEqual(again.bench.profiles, {"arena": "text"})
            self.assertEqual(list(again.seconds), ["m"])

    def test_another_library_is_another_run(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_of(folder).measured("m", lambda: None)
            with self.assertRaises(runner.Failed):
                self.run_of(folder, library="b").resume()


class Readme(unittest.TestCase):
    def results(self, value):
        made = measured("cpu", {"stock": [1], "arena": [0.93], "ci": [value]})
        written = complete(made)
        written["machine"] |= {"system": "Debian GNU/Linux 12 (bookworm)", "processor": "X, 2 processors"}
        return written

    def test_claims_are_those_of_the_results(self):
        text = f"costs 99 % less processor time with the CI settings\n{readme.BEGIN}old{readme.END}rest"
        text = readme.written(text, self.results(1.4))
        self.assertIn("costs 40 % more processor time with the CI settings", text)
        self.assertNotIn("old", text)
        self.assertEqual(readme.written(text, self.results(1.4)), text)
        self.assertEqual(list(readme.contradictions(text, self.results(1.4))), [])
        self.assertEqual(len(list(readme.contradictions(text, self.results(1.5)))), 1)

    def test_figures_are_differences_to_glibc(self):
        for ratio, said in ((0.93, "7.0 % less"), (1.041, "4.1 % more"), (1.0004, "equal")):
            made = complete(measured("instructions", {"stock": [1], "arena": [ratio]}))
            made["machine"] |= self.results(1)["machine"]
            self.assertIn(f"| instructions of a TLS 1.3 handshake | {said} | `scripts/", readme.block(made))

    def test_no_time_by_default_is_a_claim(self):
        made = complete(measured("cpu", {"stock": [1], "arena": [1.1]}))
        made["machine"] |= self.results(1)["machine"]
        text = readme.written(f"{readme.NO_TIME} {readme.BEGIN}{readme.END}", made)
        self.assertEqual(len(list(readme.contradictions(text, made))), 1)


if __name__ == "__main__":
    unittest.main()
