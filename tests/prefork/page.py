"""What do the workers of tests/prefork's server do?  Reads the page of page.h."""

import mmap
import struct
import time

MAGIC = 0x70666B31
PHASES = (
    "none starting idle parked handshake read answer hand-over continue close leaving"
).split()
# In these phases a worker waits for OpenSSL and the kernel only; the others may last.
BUSY = ("handshake", "answer", "hand-over", "continue", "close", "leaving")
HEAD = "magic workers pause kills killed crashed left replaced hung restless stop_kills".split()
WALKED = "count state live live_bytes waiting back lost wrong where".split()
PLACE = (
    "pid phase since accepted handshakes resumptions failures answers handed continued kept"
).split()
WALKED_AT, WALK_TEXT_AT, PLACES_AT, PLACE_WORDS = 16, 25, 40, 16
STATES = ("none", "absent", "done", "not silent")


class Page:
    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        if self.word(0) != MAGIC:
            raise ValueError(f"{path}: not a page of prefork")

    def word(self, at):
        return struct.unpack_from("Q", self.map, 8 * at)[0]

    def head(self):
        return {name: self.word(i) for i, name in enumerate(HEAD)}

    def stop_kills(self):
        struct.pack_into("Q", self.map, 8 * HEAD.index("stop_kills"), 1)

    def walked(self):
        values = {name: self.word(WALKED_AT + i) for i, name in enumerate(WALKED)}
        values["state"] = STATES[values["state"]]
        text = self.map[8 * WALK_TEXT_AT : 8 * (WALK_TEXT_AT + 12)]
        values["text"] = text.split(b"\0")[0].decode(errors="replace")
        return values

    def places(self):
        for number in range(self.word(1)):
            at = PLACES_AT + number * PLACE_WORDS
            place = {name: self.word(at + i) for i, name in enumerate(PLACE)}
            place["phase"] = PHASES[place["phase"]]
            place["number"] = number
            place["seconds"] = time.monotonic() - place["since"] / 1e9
            yield place

    def late(self, limit):
        """The workers that have been in one busy phase for longer than so many seconds."""
        for place in self.places():
            if place["phase"] in BUSY and place["pid"] != 0 and place["seconds"] > limit:
                yield place
