"""A headless Chromium, driven over two pipes by its DevTools protocol: nothing listens, no library is needed."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile

PROGRAM = shutil.which("chromium")
FLAGS = [
    "--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--no-default-browser-check", "--hide-scrollbars",
    "--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--force-color-profile=srgb",
]  # fmt: skip


class Broken(Exception):
    pass


class Browser:
    """One page.  With `with`; the browser is ended and its profile removed at the end."""

    def __init__(self, seconds=60):
        self.seconds = seconds
        self.number = 0
        self.session = None
        self.buffer = b""
        self.events = []

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        try:
            folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="freeonce-chromium-", ignore_cleanup_errors=True))
            from_us, self.to_browser = os.pipe()
            self.from_browser, to_us = os.pipe()
            self.stack.callback(os.close, self.to_browser)
            self.stack.callback(os.close, self.from_browser)
            self.start(folder, from_us, to_us)
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for part in ("Page", "Runtime", "Network", "Log"):
                self.ask(f"{part}.enable")
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, folder, from_us, to_us):
        """The browser reads its descriptor 3 and writes its descriptor 4."""
        script = f"exec {PROGRAM} \"$@\" 3<&{from_us} 4>&{to_us}"
        command = ["bash", "-c", script, "chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        environment = {**os.environ, "HOME": folder, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        environment.pop("LD_PRELOAD", None)
        browser = subprocess.Popen(
            command, env=environment, pass_fds=(from_us, to_us), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(from_us)
        os.close(to_us)
        self.stack.callback(self.end, browser)

    def end(self, browser):
        with contextlib.suppress(Broken, OSError):
            self.session = None
            self.ask("Browser.close")
        try:
            browser.wait(20)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()

    def message(self):
        while b"\0" not in self.buffer:
            if not select.select([self.from_browser], [], [], self.seconds)[0]:
                raise Broken(f"no answer in {self.seconds} s")
            piece = os.read(self.from_browser, 1 << 20)
            if not piece:
                raise Broken("the browser has ended")
            self.buffer += piece
        one, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, **parameters):
        self.number += 1
        question = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            question["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(question).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Broken(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, address):
        """Load a page; returns what went over the network, and what the console said."""
        self.events = []
        self.ask("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def seen(self, method):
        return [event["params"] for event in self.events if event["method"] == method]

    def run(self, script):
        """The value of an expression of JavaScript."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise Broken(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def key(self, name, code):
        text = {"text": "\r"} if name == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, windowsVirtualKeyCode=code, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)

    def type(self, text):
        self.ask("Input.insertText", text=text)

    def look(self, width, height, dark=False, paper=False):
        """How the page is shown from now on."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.ask(
            "Emulation.setEmulatedMedia", media="print" if paper else "screen",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )  # fmt: skip

    def picture(self, path):
        """The whole page as a PNG file, at most 16,000 pixels high."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        data = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
