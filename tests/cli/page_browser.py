"""How a browser shows the page: Chromium without a screen, with a journal of a program that has a bug, and with the models of
tests/cli/formats/made.c.  --pictures FOLDER keeps the pictures of a screen, light and dark, a phone and paper.

The browser is started once: that costs most of the time.
"""

import pathlib
import subprocess
import tempfile

import tools  # first: it adds tests/tools to the path
import chromium
import snapshots

STATES = {
    "light": {"width": 1200, "height": 900},
    "dark": {"width": 1200, "height": 900, "dark": True},
    "phone": {"width": 390, "height": 800},
    "print": {"width": 794, "height": 1123, "paper": True},
}
SHOWN = "Array.from(document.querySelectorAll('.finding')).filter(f => f.checkVisibility()).map(f => f.id)"
# Each text on the page: the colour of its element against the colour behind it, which is opaque on all elements of the page.
CONTRAST = """(() => {
  const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const behind = e => {
    for (; e !== null; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n !== null; n = walk.nextNode()) {
    const e = n.parentElement;
    if (n.data.trim() === "" || !e.checkVisibility() || e.tagName === "SCRIPT" || e.tagName === "OPTION") continue;
    const style = getComputedStyle(e), a = light(numbers(e.closest("svg") ? style.fill : style.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push([n.data.trim().slice(0, 40), ratio]);
  }
  return bad;
})()"""


class Page(tools.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if chromium.PROGRAM is None:
            return
        cls.browser = cls.enterClassContext(chromium.Browser())
        cls.pages = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="freeonce-pages-")))

    def setUp(self):
        if chromium.PROGRAM is None:
            self.skipTest("chromium is not installed")
        super().setUp()

    def page(self, model, after="", state="light"):
        path = self.pages / f"{model}.html"
        if not path.exists():
            with path.open("wb") as file:
                subprocess.run([tools.arguments.document, "html", model], stdout=file, check=True, timeout=300)
        self.show(path, after, state)

    def show(self, path, after="", state="light"):
        self.browser.look(**STATES[state])
        self.browser.open("about:blank")
        self.browser.open(f"{path.as_uri()}{after}")
        # only the file was requested, and the console is empty: no error, no violation of the policy
        self.assertEqual([f"{path.as_uri()}"], [one["request"]["url"] for one in self.browser.seen("Network.requestWillBeSent")])
        self.assertEqual([], self.browser.seen("Log.entryAdded") + self.browser.seen("Runtime.exceptionThrown"))

    def shown(self):
        return self.browser.run(SHOWN)

    def test_the_filter_shows_what_has_the_words(self):
        self.page("three")
        self.assertEqual(["f1", "f3", "f2"], self.shown())
        self.browser.run("document.getElementById('words').focus()")
        self.browser.type("PLUGIN.so 4122")
        self.assertEqual(["f3"], self.shown())
        self.assertEqual("1 of 3 shown", self.browser.run("document.getElementById('count').textContent"))
        self.assertEqual(1, self.browser.run("Array.from(document.querySelectorAll('h3')).filter(h => h.checkVisibility()).length"))
        self.browser.run("document.getElementById('words').value = ''")
        self.browser.run("{ const s = document.getElementById('kind'); s.value = 'overflow'; s.dispatchEvent(new Event('input', {bubbles: true})); }")
        self.assertEqual(["f2"], self.shown())
        self.browser.run("location.hash = '#f1'")  # from the time line: shows all again
        self.assertEqual("3 of 3 shown", self.browser.run("new Promise(f => setTimeout(() => f(document.getElementById('count').textContent)))"))

    def test_a_link_carries_the_filter(self):
        self.page("three", "#find=plugin.so")
        self.assertEqual(["f3"], self.shown())

    def test_fold_and_unfold(self):
        self.page("three")
        self.browser.run("document.getElementById('fold').click()")
        self.assertEqual([], self.shown())
        self.browser.run("document.getElementById('unfold').click()")
        self.assertEqual(["f1", "f3", "f2"], self.shown())
        self.assertEqual(0, self.browser.run("document.querySelectorAll('.object details:not([open])').length"))

    def test_the_page_is_complete_without_script(self):
        self.browser.ask("Emulation.setScriptExecutionDisabled", value=True)
        try:
            self.page("three")
            text = self.browser.ask("DOM.getDocument", depth=0) and self.browser.ask(
                "DOMSnapshot.captureSnapshot", computedStyles=["display"]
            )
        finally:
            self.browser.ask("Emulation.setScriptExecutionDisabled", value=False)
        names = text["strings"]
        layout = text["documents"][0]["layout"]
        drawn = {names[index] for index in layout["text"] if index >= 0}
        for word in ("worker_shutdown()", "setup()", "3 findings, seen 4,652 times; 3 processes guarded"):
            self.assertIn(word, drawn)
        self.assertNotIn("Unfold all", drawn)

    def test_a_hostile_name_runs_nothing(self):
        self.page("hostile")
        self.assertEqual("freeonce: 2 findings", self.browser.run("document.title"))
        self.assertEqual([1, 0, 2], self.browser.run("['script', 'img', '.finding'].map(s => document.querySelectorAll(s).length)"))
        self.assertTrue(self.browser.run("document.body.scrollWidth <= innerWidth"))

    def test_everything_is_reached_by_the_keyboard(self):
        self.page("three")
        reached = []
        for _ in range(60):
            self.browser.key("Tab", 9)
            at = self.browser.run(
                "(() => { const e = document.activeElement; if (e === document.body) return null;"
                " const s = getComputedStyle(e);"
                " return [e.className === 'skip' ? 'skip' : e.id || e.getAttribute('href') || e.tagName, s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth), e.getBoundingClientRect().width]; })()"
            )
            if at is None or (reached and at[0] == reached[0][0]):
                break
            reached.append(at)
        names = [name for name, _, _ in reached]
        self.assertEqual("skip", names[0])
        for name in ("words", "object", "kind", "program", "unfold", "fold", "SUMMARY", "#f1", "#p3"):
            self.assertIn(name, names)
        for name, outline, width in reached:
            self.assertGreaterEqual(outline, 1, f"{name}: where the focus is cannot be seen")
            self.assertGreater(width, 0, name)
        self.browser.run("document.querySelector('.stack summary').focus()")
        self.browser.key("Enter", 13)
        self.assertTrue(self.browser.run("document.querySelector('.stack').open"))

    def test_text_has_contrast_in_each_state(self):
        for state in STATES:
            for model in ("three", "suppressed"):
                self.page(model, state=state)
                self.browser.run("for (const d of document.querySelectorAll('details')) d.open = true")
                self.assertEqual([], self.browser.run(CONTRAST), f"{model}, {state}")

    def test_controls_have_names_and_parts_have_headings(self):
        self.page("three")
        self.browser.ask("Accessibility.enable")
        nodes = self.browser.ask("Accessibility.getFullAXTree")["nodes"]
        named = {"link", "textbox", "searchbox", "combobox", "button", "DisclosureTriangle", "region", "navigation", "image", "img"}
        for node in nodes:
            if not node["ignored"] and node["role"]["value"] in named:
                self.assertTrue(node.get("name", {}).get("value"), node)
        self.browser.ask("Accessibility.disable")

    def test_a_phone_scrolls_in_one_direction(self):
        for model in ("three", "hostile", "unprotected"):
            self.page(model, state="phone")
            self.assertEqual(390, self.browser.run("document.documentElement.scrollWidth"), model)

    def test_paper_has_what_is_folded(self):
        self.page("three", state="print")
        self.assertTrue(self.browser.run("document.querySelector('.stack li').checkVisibility()"))
        self.assertFalse(self.browser.run("document.getElementById('filter').checkVisibility()"))
        pages = self.browser.ask("Page.printToPDF", transferMode="ReturnAsBase64")["data"]
        self.assertTrue(pages.startswith("JVBERi"), "a PDF")

    def test_a_full_journal_is_shown_at_once(self):
        self.page("many")
        self.assertEqual("1024 of 1024 shown", self.browser.run("document.getElementById('count').textContent"))
        took = self.browser.run("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        print(f"1,024 findings: read after {took:.0f} ms", end=" ", flush=True)
        filtered = self.browser.run(
            "(() => { const w = document.getElementById('words'), t = performance.now(); w.value = 'function_9 x509';"
            " w.dispatchEvent(new Event('input', {bubbles: true})); return performance.now() - t; })()"
        )
        self.assertEqual("14 of 1024 shown", self.browser.run("document.getElementById('count').textContent"))
        print(f"filtered in {filtered:.0f} ms", end=" ", flush=True)

    def test_a_real_finding_has_its_source_lines(self):
        self.planted("object", "fork", "object", "bug", STACKS=16)
        path = self.dir / "report.html"
        self.report(self.journal, "--format", "html", "-o", path, expect=99)
        self.show(path)
        marked = self.browser.run("Array.from(document.querySelectorAll('mark')).map(m => m.textContent.trim())")
        self.assertTrue(any(line.endswith("X509_free(certificate);") for line in marked), marked)
        self.assertTrue(any(line.endswith("OPENSSL_free(p);") for line in marked), marked)
        tree = self.browser.run("document.querySelector('.tree').innerText")
        self.assertIn("forked from", tree)
        settings = self.browser.run("document.querySelector('.settings').innerText")
        self.assertIn("FREEONCE_STACKS\t16", settings)

    def heaps(self):
        """A page of saved heaps alone."""
        path = self.dir / "heaps.html"
        files = [f"--heap={file}" for file in snapshots.growing(self.dir, 6)]
        self.report("--format", "html", "-o", path, *files, expect=0)
        return path

    def test_the_chart_of_live_bytes_is_in_view(self):
        page = self.heaps()
        for state, shape in STATES.items():
            self.show(page, state=state)
            self.assertEqual([], self.browser.run(CONTRAST), state)
            box, drawn, width = self.browser.run(
                "(() => { const s = document.querySelector('svg.chart'), b = s.getBoundingClientRect();"
                " return [[b.left, b.width, b.height], Array.from(s.querySelectorAll('polyline, circle, text')).every(e => {"
                " const r = e.getBoundingClientRect(); return r.left >= b.left - 4 && r.right <= b.right + 4 && r.top >= b.top - 4 && r.bottom <= b.bottom + 4; }),"
                " document.documentElement.scrollWidth]; })()"
            )
            self.assertTrue(drawn, f"{state}: a part of the chart is cut off")
            self.assertEqual(shape["width"], width, "only the chart scrolls to the side")
            self.assertGreater(box[2], 100, state)
            if state != "phone":
                self.assertLessEqual(box[0] + box[1], shape["width"], state)
            colours = set(self.browser.run("Array.from(document.querySelectorAll('polyline')).map(l => getComputedStyle(l).stroke)"))
            self.assertEqual((9, False), (len(colours), "none" in colours), state)
            if tools.arguments.pictures:
                self.browser.picture(pathlib.Path(tools.arguments.pictures) / f"heaps-{state}.png")

    def test_the_chart_has_a_name_and_its_table_is_reached_by_the_keyboard(self):
        self.show(self.heaps(), state="phone")
        self.browser.ask("Accessibility.enable")
        nodes = self.browser.ask("Accessibility.getFullAXTree")["nodes"]
        self.browser.ask("Accessibility.disable")
        charts = [node for node in nodes if not node["ignored"] and node["role"]["value"] in ("image", "img")]
        self.assertEqual(["Live bytes by object over time"], [node["name"]["value"] for node in charts])
        self.assertIn("What grew most is X509: from 1,000 to 6,000 bytes.", charts[0]["description"]["value"])
        names = []
        for _ in range(4):
            self.browser.key("Tab", 9)
            names.append(self.browser.run("document.activeElement.getAttribute('aria-label') || document.activeElement.className"))
        self.assertEqual(["skip", "Chart 1 of live bytes", "Table 1 of live bytes and blocks"], names[:3])
        self.browser.run("document.querySelectorAll('.wide')[1].focus()")
        self.assertGreater(self.browser.run("parseFloat(getComputedStyle(document.activeElement).outlineWidth)"), 1)
        self.assertTrue(self.browser.run("document.activeElement.scrollWidth > document.activeElement.clientWidth"))

    def test_a_picture_of_each_state_has_its_width(self):
        self.planted("object", "fork", "bug", "fork", "object", STACKS=16)
        page = self.dir / "report.html"
        self.report(self.journal, "--format", "html", "-o", page, expect=99)
        for state, shape in STATES.items():
            self.show(page, state=state)
            picture = pathlib.Path(tools.arguments.pictures or self.dir) / f"{state}.png"
            self.browser.picture(picture)
            head = picture.read_bytes()[:24]
            self.assertEqual((b"\x89PNG", shape["width"]), (head[:4], int.from_bytes(head[16:20], "big")), state)


def add(parser):
    parser.add_argument("--document", required=True)
    parser.add_argument("--pictures")


if __name__ == "__main__":
    tools.main(add)
