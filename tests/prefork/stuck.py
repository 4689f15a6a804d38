"""What does a hanging process wait for, and which process owns it?  Reads /proc; the memory around a futex is
read as the library's rwlock, as glibc's (OpenSSL's locks), or as plain words.  x86-64 and arm64."""

import os
import pathlib
import platform
import struct

FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), -1)
# The calls in which a worker waits for a client or for work, not for another worker.
WAITS = {
    "x86_64": {0: "read", 1: "write", 7: "poll", 45: "recvfrom", 271: "ppoll", 47: "recvmsg"},
    "aarch64": {63: "read", 64: "write", 73: "ppoll", 207: "recvfrom", 212: "recvmsg"},
}.get(platform.machine(), {})


def read(pid, name):
    try:
        return pathlib.Path("/proc", str(pid), name).read_text(errors="replace").strip()
    except OSError as error:
        return f"({error.strerror})"


def state_of(tid):
    """'gone', or the state of a thread."""
    text = read(tid, "stat")
    return text.rpartition(")")[2].split()[0] if ")" in text and text[0] != "(" else "gone"


def mappings(pid):
    for line in read(pid, "maps").splitlines():
        parts = line.split(None, 5)
        if len(parts) < 5 or "-" not in parts[0]:
            continue
        start, end = (int(word, 16) for word in parts[0].split("-"))
        yield start, end, parts[1], int(parts[2], 16), parts[5] if len(parts) > 5 else ""


def name_of(pid, address):
    """module+offset, for addr2line; or the kind of memory."""
    for start, end, mode, offset, path in mappings(pid):
        if start <= address < end:
            kind = os.path.basename(path) or ("shared" if "s" in mode else "anonymous")
            return f"{kind}+{address - start + offset:#x}"
    return f"{address:#x}"


def memory(pid, address, size):
    try:
        with open(f"/proc/{pid}/mem", "rb") as file:
            file.seek(address)
            return file.read(size)
    except (OSError, OverflowError, ValueError):
        return b""


def rwlock_at(pid, address):
    """The words of the glibc rwlock around a futex that a thread waits on, or None.

    readers 0, writers 4, wrphase_futex 8, writers_futex 12, 16, 20, cur_writer 24, shared 28."""
    for inside in (8, 12):
        if (address - inside) % 8 != 0:
            continue  # the other futex of the lock
        words = memory(pid, address - inside, 56)
        if len(words) == 56:
            readers, writers, _, _, pad, _, writer, shared = struct.unpack_from("<8I", words)
            if shared in (0, 1) and pad == 0 and writers < 1 << 20 and (readers or writers):
                return {"readers": readers >> 3, "writers": writers, "owner": writer,
                        "shared": shared}
    return None


def own_rwlock_at(pid, address):
    """The word of the library's rwlock (src/shared/rwlock.h) whose futex this is, or None."""
    words = memory(pid, address - 8, 16)
    if len(words) != 16 or struct.unpack_from("<I", words)[0] != 0x4F466B63:
        return None
    return struct.unpack_from("<Q", words, 8)[0]


def callers(pid, stack, most=10):
    """The addresses on the stack that lie in code: roughly, the callers."""
    code = [(s, e) for s, e, mode, _, _ in mappings(pid) if "x" in mode]
    words = memory(pid, stack, 4096)
    found = []
    for (word,) in struct.iter_unpack("<Q", words[: len(words) & ~7]):
        if any(s <= word < e for s, e in code):
            found.append(name_of(pid, word))
            if len(found) == most:
                break
    return found


def look(pid):
    """The state of this process, as text; and whether it waits for a dead owner."""
    fields = read(pid, "syscall").split()
    seen = [f"state {state_of(pid)}", f"wchan {read(pid, 'wchan')}"]
    dead = False
    if len(fields) == 9:
        number, *arguments = [int(word, 0) for word in fields]
        seen.append(f"syscall {WAITS.get(number, number)}")
        if number == FUTEX:
            address = arguments[0]
            lock, own = rwlock_at(pid, address), own_rwlock_at(pid, address)
            seen[-1] = f"futex {name_of(pid, address)}"
            if own is not None:
                seen.append(f"the library's rwlock, its word {own:#x}")
            elif lock is not None:
                owner = lock["owner"]
                lives = state_of(owner) if owner else "none"
                dead = lives in ("gone", "Z")
                seen.append(f"rwlock {lock}, its writer {owner} is {lives}")
            else:
                words = memory(pid, address, 16)
                seen.append(f"no rwlock; the words there: {words.hex(' ', 4)}")
        seen.append("called by " + " ".join(callers(pid, arguments[6])))
    else:
        seen.append("it runs" if fields[:1] == ["running"] else f"syscall: {' '.join(fields)}")
    kernel = read(pid, "stack").split("\n")
    seen.append("kernel " + " ".join(line.split("] ")[-1] for line in kernel[:4]))
    return "; ".join(seen), dead


def waits_for_client(pid):
    fields = read(pid, "syscall").split()
    return bool(fields) and fields[0].isdigit() and int(fields[0]) in WAITS
