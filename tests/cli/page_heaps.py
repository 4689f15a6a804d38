"""freeonce report --format html --heap: a chart of live bytes over time and the table behind it; what cannot be shown is said in words, and a
file that holds anything changes nothing else of the page."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import snapshots
import tools

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "formats"))
import page as formats

HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


def text(element):
    return " ".join("".join(element.itertext()).split())


class Case(tools.Case):
    def make(self, *argv, expect=0):
        """The page as a browser reads it, with the document, its text and the finished command."""
        path = self.dir / "page.html"
        done = self.freeonce("report", "--format", "html", "-o", path, *argv, env={"TZ": "UTC"}, expect=expect)
        page = formats.Page(path.read_text())  # no element or attribute is from outside
        page.tree, page.err = ET.fromstring(path.read_text()), done.stderr
        for element in page.tree.iter():
            for name in ("aria-labelledby", "aria-describedby"):
                self.assertIn(element.get(name, "heaps" if "heaps" in page.elements else "findings"), page.elements)
            if element.get("class") == "wide":
                self.assertEqual(("region", "0"), (element.get("role"), element.get("tabindex")))
                self.assertTrue(element.get("aria-label"))
        page.said = [text(element) for name in ("p", "li", "h3") for element in page.tree.iter(f"{HTML}{name}")]
        self.assertLessEqual({link[1:] for link in page.links}, set(page.elements))
        return page

    def of(self, files, *more, expect=0):
        return self.make("--heap", *files, *more, expect=expect)

    def table(self, page, number=0):
        rows = [[text(cell) for cell in row] for row in list(page.tree.iter(f"{HTML}table"))[number].iter(f"{HTML}tr")]
        return rows[0], {row[0]: row[1:] for row in rows[1:]}

    def write(self, name, what):
        return snapshots.write(self.dir, name, what)


class Chart(Case):
    def test_the_table_has_the_numbers_of_the_files(self):
        """... of a real process: the 8 greatest lines, the others and all."""
        process = subprocess.Popen([tools.arguments.inspected, "steps=3"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        files = [self.dir / f"heap-{i}.json" for i in range(3)]
        for file in files:
            self.assertTrue(os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]))
            self.freeonce("heap", "--save", file, process.pid, expect=0)
            os.kill(process.pid, signal.SIGCONT)
        saved = [json.loads(file.read_text()) for file in files]
        rows = [{f"{row['file']}:{row['line']}": row for row in one["rows"]} for one in saved]
        peak = {name: max(one[name]["bytes"] for one in rows if name in one) for one in rows for name in one}
        greatest = sorted(peak, key=lambda name: (-peak[name], name))[:8]
        none = {"bytes": 0, "blocks": 0}

        page = self.of(files)
        head, table = self.table(page)
        self.assertEqual(5, len(head))
        self.assertEqual([*greatest, f"others ({len(peak) - 8})", "all"], list(table))
        for name in greatest:
            for i, one in enumerate(rows):
                row = one.get(name, none)
                self.assertEqual(f"{row['bytes']:,} {row['blocks']:,} block{'' if row['blocks'] == 1 else 's'}", table[name][i])
        first, last = rows[0].get("step.c:10", none), rows[2]["step.c:10"]
        self.assertIn("step.c:10", greatest)
        self.assertEqual(f"{last['bytes'] - first['bytes']:+,} {last['blocks'] - first['blocks']:+,} blocks", table["step.c:10"][3])
        self.assertEqual([one["blocks"]["live"]["bytes"] for one in saved], [int(cell.split()[0].replace(",", "")) for cell in table["all"][:3]])
        self.assertIn(f"By line: process {process.pid} (inspected), 3 snapshots", page.said)

    def test_a_line_for_each_row(self):
        page = self.of(snapshots.growing(self.dir, 4))
        chart = next(page.tree.iter(f"{SVG}svg"))
        lines = {line.get("class"): line.get("points").split() for line in chart.iter(f"{SVG}polyline")}
        self.assertEqual({f"line c{i}" for i in range(1, 10)}, set(lines))
        self.assertEqual({4}, {len(points) for points in lines.values()})
        points = [tuple(map(int, point.split(","))) for point in lines["line c1"]]  # X509
        self.assertEqual([70, 280, 490, 700], [x for x, _ in points])
        self.assertEqual(sorted((y for _, y in points), reverse=True), [y for _, y in points])
        names = [text(element) for element in chart.iter(f"{SVG}text")]
        for name in ("X509", "others", "other, crypto/mem.c:20", "00:00:00", "00:03:00", "0", "5", "kB"):
            self.assertIn(name, names)
        self.assertEqual("Live bytes by object over time", text(chart.find(f"{SVG}title")))
        self.assertIn("What grew most is X509: from 1,000 to 4,000 bytes.", text(chart.find(f"{SVG}desc")))
        self.assertEqual(36, page.names["circle"])

    def test_many_snapshots(self):
        """... have a table with some of them, the first and the last, and no dots."""
        page = self.of(snapshots.growing(self.dir, 100))
        head, table = self.table(page)
        self.assertEqual(10, len(head))
        self.assertEqual(("1,000 10 blocks", "100,000 1,000 blocks", "+99,000 +990 blocks"), tuple(table["X509"][i] for i in (0, -2, -1)))
        self.assertIn("8 of 100 snapshots are in the table; all are in the chart.", page.said)
        self.assertEqual({100}, {len(line.get("points").split()) for line in page.tree.iter(f"{SVG}polyline")})
        self.assertEqual(0, page.names["circle"])

    def test_with_a_journal(self):
        self.planted("bug")
        files = snapshots.growing(self.dir, 2)
        for argv in (("--heap", files[0], self.journal, files[1]), (self.journal, "--heap", files[0], "--heap", files[1])):
            page = self.make(*argv, expect=99)
            self.assertEqual(9, page.names["polyline"])
            self.assertIn("#heaps", page.links)
            self.assertIn("f1", page.elements)
            self.assertEqual("freeonce: 1 finding", page.texts["title"][0])
        self.assertNotIn("heaps", self.make(self.journal, expect=99).elements)


class Words(Case):
    def test_one_snapshot(self):
        page = self.of(snapshots.growing(self.dir, 1))
        self.assertIn("One snapshot has no course: save another one later, and name both.", page.said)
        self.assertEqual((0, 2), (page.names["svg"], len(self.table(page)[0])))

    def test_out_of_order(self):
        files = snapshots.growing(self.dir, 3)
        page = self.of([files[2], files[0], files[1]])
        self.assertIn("The files were not named in the order of their times; they are shown in it.", page.said)
        self.assertEqual(["1,000 10 blocks", "2,000 20 blocks", "3,000 30 blocks", "+2,000 +20 blocks"], self.table(page)[1]["X509"])

    def test_what_cannot_be_compared(self):
        """... other processes, and other things that blocks are counted by, has a chart of its own."""
        files = snapshots.growing(self.dir, 2)
        for i in range(2):
            files.append(self.write(f"pid-{i}", snapshots.document({"SSL": 100}, i, pid=7)))
            files.append(self.write(f"by-{i}", snapshots.document({("a.c", 1): 100}, i, by="line")))
        page = self.of(files)
        for said in ("By object: process 4120 (server), 2 snapshots", "By object: process 7 (server), 2 snapshots",
                     "By line: process 4120 (server), 2 snapshots"):
            self.assertIn(said, page.said)
        self.assertTrue(any("different processes, or count blocks by different things" in said for said in page.said))
        self.assertEqual(3, page.names["svg"])
        self.assertFalse([said for said in page.said if "in the order of their times" in said])
        files += [self.write(f"more-{i}", snapshots.document({"SSL": 1}, i, pid=100 + i)) for i in range(6)]
        page = self.of(files)
        self.assertIn("1 other processes or ways to count are not shown: name fewer files.", page.said)
        self.assertEqual(8, page.names["table"])

    def test_what_is_left_out(self):
        good = snapshots.growing(self.dir, 2)
        cut = self.dir / "cut"
        cut.write_bytes(good[0].read_bytes()[:-20])
        timeless = self.write("timeless", snapshots.document({}, time="yesterday"))
        page = self.of([*good, cut, timeless, good[0]], "--heap", self.dir / "none", expect=66)
        for said in (f"{cut}: it is damaged, or no heap that freeonce heap --save wrote", f"{timeless}: it does not say when it was saved",
                     f"{good[0]}: another file has the same time", f"{self.dir}/none: it cannot be opened"):
            self.assertIn(said, page.said)
        self.assertEqual(4, len(page.err.splitlines()), page.err)
        self.assertEqual(9, page.names["polyline"])

    def test_not_read_whole(self):
        files = snapshots.growing(self.dir, 2)
        self.write(files[1].name, snapshots.document({"X509": 3}, 60, blocks={"live": {"blocks": 1, "bytes": 3}, "complete": False}))
        page = self.of(files)
        self.assertIn("1 of them was not read whole: the process changed meanwhile, and has more.", page.said)
        self.assertRegex(self.table(page)[0][2], "not read whole$")

    def test_nothing_in_use(self):
        page = self.of([self.write(f"{i}", snapshots.document({}, i)) for i in range(2)])
        self.assertIn("No block was in use.", page.said)

    def test_the_command_line(self):
        file = snapshots.growing(self.dir, 1)[0]
        page = self.dir / "page.html"
        page.write_text("older")
        many = ["--format=html", *(f"--heap={file}" for _ in range(513))]
        for argv, words, status in (
            (["--heap", file], "add --format html", 64),
            (["--format=html", "--format=json", "--heap", file], "saved heaps have no findings", 64),
            (["--format=html", "--gen-suppressions", "--heap", file], "saved heaps have no findings", 64),
            (["--format=html"], "which journal?", 64),
            (many, "more than 512 saved heaps", 64),
            (["--format=html", "--heap", self.dir / "none"], "No such file", 66),
        ):
            done = self.report(*argv, "-o", page, expect=status)
            self.assertIn(words, done.stderr)
            self.assertEqual("older", page.read_text())


class Hostile(Case):
    def test_names_stay_text(self):
        name = "\"'></desc></svg><script>document.title='owned'</script><img src=x>&lt;\x1b[2J\u202e-->]]>"
        files = [self.write(f"{i}-<b>.json", snapshots.document({name: 1 << 45, name + "w" * 5000: 5, (name, 7): 9}, i, name=name)) for i in range(2)]
        page = self.of([*files, self.write("<i>", {"{": name})], expect=65)
        self.assertEqual((1, 0, 1, 0), (page.names["script"], page.names["img"], page.names["svg"], page.names["b"]))
        shown = name.replace("\x1b", "?").replace("\u202e", "?")
        self.assertTrue(any(row.startswith(shown[:100]) for row in self.table(page)[1]), self.table(page)[1])
        self.assertNotRegex((self.dir / "page.html").read_text(), "w{1001}|[\x00-\x09\x0b-\x1f\x7f]")

    def test_the_greatest_numbers(self):
        most = {"blocks": 1 << 46, "bytes": 1 << 46}
        rows = [{"object": f"o{i}", **most} for i in range(2000)]
        files = [self.write(f"{i}", {**snapshots.document({}, i), "rows": rows}) for i in range(2)]
        head, table = self.table(self.of(files))
        self.assertEqual(f"{1992 << 46:,} {1992 << 46:,} blocks", table["others (1992)"][0])
        page = self.of([self.write(f"{i}", {**snapshots.document({}, i), "rows": [{"object": "o", **most}]}) for i in range(2)])
        self.assertIn("TB", [text(element) for element in page.tree.iter(f"{SVG}text")])

    def test_a_sum_that_is_less_than_the_rows(self):
        less = {"blocks": {"live": {"blocks": 1, "bytes": 1}, "complete": True}}
        files = [self.write(f"{i}", snapshots.document({"SSL": 900, "X509": 500}, i, **less)) for i in range(2)]
        page = self.of(files)
        self.assertEqual(["SSL", "X509", "all"], list(self.table(page)[1]))
        self.assertEqual("1,400 14 blocks", self.table(page)[1]["all"][0])
        self.assertEqual(2, page.names["polyline"])

    def test_anything(self):
        good = snapshots.growing(self.dir, 2)
        data, rng = good[1].read_bytes(), random.Random(26)
        for _ in range(40):
            damaged = bytearray(data)
            for _ in range(rng.randrange(1, 12)):
                at = rng.randrange(len(damaged))
                damaged[at:at + rng.randrange(3)] = rng.choice((b"", b"-", b"9", b"null", b"{", b'"', b"<", bytes([rng.randrange(256)])))
            good[1].write_bytes(damaged)
            self.assertIn(self.report("--format=html", "-o", self.dir / "page", *(f"--heap={file}" for file in good)).returncode, (0, 65))
            ET.parse(self.dir / "page")


def add(parser):
    parser.add_argument("--inspected", required=True)


if __name__ == "__main__":
    tools.main(add)
