"""Is the page whole, and does it say what the models of made.c say, whatever names they have?
usage: page.py DOCUMENT   (the program of document.c)"""

import base64
import collections
import hashlib
import html.parser
import os
import pathlib
import re
import resource
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ET

PROGRAM = os.path.abspath(sys.argv[1])
MODELS = ["empty", "one", "three", "suppressed", "unknown", "nasty", "unprotected", "hostile", "many"]
RUN = ["7", "1.25", "make", '"><script>owned</script>']
SOURCE = pathlib.Path(__file__).resolve().parents[3] / "src/cli/html"
KEPT = {"title", "p", "li", "h3", "h4", "summary"}  # whose text tests ask for
VOID = {"meta", "input"}
ELEMENTS = set(
    "html head meta title style body a header h1 h2 h3 h4 h5 p nav main section ul ol li form label input select option button "
    "output details summary span div article strong code pre mark time table thead tbody tr th td svg line text circle desc polyline script".split()
)
ATTRIBUTES = set(
    "lang xmlns charset http-equiv content name class href id aria-label aria-labelledby hidden for type autocomplete placeholder "
    "value data-object data-kind data-program open start datetime role tabindex viewbox x1 y1 x2 y2 x y cx cy r text-anchor "
    "scope points aria-describedby".split()
)
MORE = 1000  # bytes of a name that are shown


class Page(html.parser.HTMLParser):
    """A page as a browser reads it: the elements with their text, by identifier and by name."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.names, self.headings, self.links = [], {}, collections.Counter(), [], []
        self.texts = collections.defaultdict(list)
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert tag in ELEMENTS, f"an element from outside: {tag}"
        assert set(attributes) <= ATTRIBUTES, f"an attribute from outside: {attributes}"
        self.names[tag] += 1
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag not in VOID:
            self.open.append((tag, attributes, []))
        if "id" in attributes:
            assert attributes["id"] not in self.elements, attributes["id"]
            self.elements[attributes["id"]] = (tag, attributes, self.open[-1][2])

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        name, _, text = self.open.pop()
        assert name == tag, f"{name} is closed by {tag}"
        self.texts[tag].append("".join(text))

    def handle_data(self, data):
        for name, attributes, text in self.open:
            if "id" in attributes or name in KEPT:
                text.append(data)

    def text(self, identifier):
        return " ".join("".join(self.elements[identifier][2]).split())


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class Html(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pages = {name: cls.write(name) for name in MODELS}
        cls.pages["run"] = cls.write("one", RUN)
        cls.read = {name: Page(text) for name, text in cls.pages.items()}

    @staticmethod
    def write(model, run=()):
        environment = {"PATH": os.environ["PATH"], "TZ": "UTC"}
        done = subprocess.run([PROGRAM, "html", model, *run], capture_output=True, timeout=300, check=True, env=environment)
        assert done.stderr == b""
        return done.stdout.decode("utf-8")

    def test_every_page_is_well_formed_as_html_and_as_xml(self):
        for name, text in self.pages.items():
            with self.subTest(name):
                page = self.read[name]
                ET.fromstring(text)
                self.assertEqual(1, page.names["script"])
                self.assertEqual(1, page.names["style"])
                self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f]")

    def test_nothing_is_loaded_from_elsewhere(self):
        for name, text in self.pages.items():
            with self.subTest(name):
                self.assertEqual([], [link for link in self.read[name].links if not re.fullmatch("#[a-z]+[0-9]*", link)])
                for word in (" src=", "url(", "@import", "https:", "fetch(", "eval("):
                    known = text.count("&lt;img src=") if word == " src=" else 0
                    self.assertEqual(known, text.count(word), word)
                addresses = set(re.findall(r"http://[^\"'<> ]*", text))
                self.assertLessEqual(addresses, {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"})  # names of languages

    def test_only_the_pages_own_script_may_run(self):
        policy = re.search(r'"Content-Security-Policy" content="([^"]*)"', self.pages["one"])[1]
        script = self.pages["one"].split("<script>")[1].split("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        self.assertIn("default-src 'none';", policy)
        self.assertIn(f"script-src 'sha256-{digest}';", policy, "SCRIPT_HASH of src/cli/html/html.c")

    def test_each_link_leads_to_a_place_in_the_page(self):
        for name in self.pages:
            page = self.read[name]
            self.assertLessEqual({link[1:] for link in page.links}, set(page.elements), name)

    def test_headings_are_in_order(self):
        for name in self.pages:
            headings = self.read[name].headings
            self.assertEqual((1, 1), (headings[0], headings.count(1)), name)
            for before, after in zip(headings, headings[1:]):
                self.assertLessEqual(after, before + 1, name)

    def test_a_finding_has_its_places_processes_and_stack(self):
        page = self.read["three"]
        self.assertEqual(
            "1 double free of SSL_CTX 0x7f12a4c01040 (1072 bytes) double-free skipped worker "
            "allocated ssl/ssl_lib.c:3168 by setup() at /src/set up.c:20 in pid 4120 (server) "
            "freed first ssl/ssl_lib.c:3457 in pid 4121 (server), forked from 4120 by start() at /src/server.c:7 "
            "freed again ssl/ssl_lib.c:3457 by worker_shutdown() at src/worker.c:41 in pid 4122 (worker), thread 77, "
            "forked from 4120 by start() at /src/server.c:7 "
            "Stack: 2 frames libssl.so.3+0x99 worker_shutdown() at src/worker.c:41 "
            "Seen 1 time, 2026-01-01 00:00:03 +0000.",
            page.text("f1"),
        )
        second = page.text("f2")
        self.assertIn("freed first at this moment, by another thread or process", second)
        self.assertIn("overwritten from block 0x4f00 (64 bytes) in front, allocated crypto/bio/bio_lib.c:83", second)
        self.assertIn("Seen 4,650 times, first 2026-01-01 00:00:03 +0000, last 2026-01-01 00:01:00 +0000.", second)
        self.assertEqual(3, page.names["article"])
        self.assertIn("3 findings, seen 4,652 times; 3 processes guarded", page.texts["p"])

    def test_findings_are_grouped_by_object_and_caller(self):
        page = self.read["three"]
        self.assertEqual(["SSL_CTX", "X509", "block"], page.texts["h3"])
        self.assertEqual(["by worker_shutdown() in src/worker.c", "by plugin.so+0x777", "by src/mine.c:12"], page.texts["h4"])
        page = self.read["many"]
        self.assertEqual(8, page.names["h3"])
        self.assertEqual("SSL_CTX 227 findings", page.texts["summary"][0].strip(), "most findings first")
        self.assertEqual(8 * 16, page.names["h4"])

    def test_processes_are_a_tree_with_their_part(self):
        page = self.read["three"]
        self.assertEqual("4122 worker guarded forked from 4120 by start() at /src/server.c:7, since 2026-01-01 00:00:01 +0000", page.text("p3"))
        self.assertIn("freed again: 1; referenced: 3", page.texts["p"])
        self.assertIn("allocated: 1 2 3; freed: 2", page.texts["p"])
        tree = ET.fromstring(self.pages["three"])
        inner = [item for item in tree.iter("{http://www.w3.org/1999/xhtml}li") if item.find(".//*[@id='p3']") is not None]
        self.assertEqual(2, len(inner), "a child is in its parent's item")

    def test_workers_without_a_finding_are_folded(self):
        text = self.pages["many"]
        page = self.read["many"]
        self.assertIn("8159 processes without a finding", page.texts["summary"])
        self.assertEqual(33, sum(re.fullmatch("p[0-9]+", name) is not None for name in page.elements))
        for pid in (4120, 4121, 4153, 4120 + 8191):
            self.assertRegex(text, rf"\b{pid}\b")

    def test_the_time_line_has_each_finding(self):
        for name, count in (("three", 3), ("many", 1024), ("hostile", 1)):
            self.assertEqual(count, self.read[name].names["circle"], name)
        self.assertNotIn("<svg", self.pages["empty"])
        places = re.findall(r'<circle class="dot" cx="(\d+)"', self.pages["many"])
        self.assertEqual(("170", "930"), (places[0], places[-1]))
        self.assertEqual(places, sorted(places, key=int))

    def test_what_is_missing_is_explained(self):
        for name, said in (
            ("three", "2 more findings are not in the journal"),
            ("suppressed", "a name, module or process had no room in the journal 7 times, and is missing from the findings"),
            ("unprotected", "at least 1 process could not write the journal (--any-user?), and what they found is not in it"),
            ("unprotected", "pid 9 (static) used OpenSSL unprotected: OpenSSL is linked statically"),
        ):
            self.assertIn(said, self.read[name].texts["li"])
        self.assertIn("All findings of all guarded processes are in this page.", self.read["one"].texts["p"])

    def test_the_settings_are_shown(self):
        tree = ET.fromstring(self.pages["three"])
        set_, every = (
            [["".join(cell.itertext()) for cell in row] for row in table.iter("{http://www.w3.org/1999/xhtml}tr")]
            for table in tree.iter("{http://www.w3.org/1999/xhtml}table")
            if table.get("class") == "settings"
        )
        self.assertEqual([["FREEONCE_LOG", "/var/log/a b"], ["FREEONCE_QUARANTINE", "4194304"]], set_)
        self.assertEqual([["FREEONCE_BACKEND", "auto"], *set_], every)
        self.assertIn("Of the first guarded process; 2 had others.", self.read["three"].texts["p"])
        self.assertIn("The journal does not have them.", self.read["empty"].texts["p"])

    def test_a_suppressed_finding_names_its_entry(self):
        page = self.read["suppressed"]
        self.assertIn("Suppressed by [bug 123], known.txt:3.", page.text("f1"))
        self.assertIn("2 findings, seen 4,652 times, 1 suppressed; 3 processes guarded", page.texts["p"])

    def test_the_run_is_shown(self):
        page = self.read["run"]
        self.assertIn('Command: make "><script>owned</script>, ended with status 7 after 1.2 s', page.texts["p"])

    def test_a_hostile_name_stays_text(self):
        page = self.read["hostile"]
        shown = "\"'><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"></title></style>&lt;?[2J????-->]]>"
        self.assertEqual("freeonce: 2 findings", page.texts["title"][0])
        self.assertEqual(shown, page.elements["f1"][1]["data-kind"])
        self.assertIn(f"pid 4120 ({shown}) used OpenSSL unprotected: {shown}", page.texts["li"])
        for identifier in ("f1", "f2"):
            self.assertGreater(page.text(identifier).count(shown), 8)

    def test_a_long_name_does_not_bury_the_page(self):
        text = self.pages["hostile"]
        self.assertEqual(MORE, max(map(len, re.findall("w{50,}", text))))
        self.assertIn("w" * MORE + "…", text)
        self.assertIn("<h3>" + "w" * 120 + "…</h3>", text)

    def test_each_process_is_shown_once_in_a_circle_of_parents(self):
        page = self.read["hostile"]
        self.assertLessEqual({"p1", "p2", "p3"}, set(page.elements))

    def test_a_full_journal_is_not_large(self):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = self.write("many")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"1,024 findings, 8,192 processes: {took:.2f} s of CPU, {len(text) / 1e6:.1f} MB", end=" ", flush=True)
        self.assertEqual(1024, text.count("<article "))
        self.assertLess(len(text), 8_000_000)

    def test_text_has_contrast_in_each_palette(self):
        palettes = re.findall(r":root \{(.*?)\}", (SOURCE / "page.css").read_text(), re.DOTALL)
        self.assertEqual(3, len(palettes))  # light, dark, print
        for palette in palettes:
            colour = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", palette))
            pairs = [(text, ground) for text in ("text", "soft", "link", "bad") for ground in ("page", "card")]
            pairs += [("bad", "badpage"), ("good", "goodpage"), ("text", "markpage")]
            for text, ground in pairs:
                self.assertGreaterEqual(contrast(colour[text], colour[ground]), 4.5, (text, ground, palette))
            for line in range(1, 10):  # of the chart: WCAG 1.4.11
                self.assertGreaterEqual(contrast(colour[f"c{line}"], colour["page"]), 3, (line, palette))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
