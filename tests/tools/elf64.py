"""Changes to a little-endian ELF64 file: sections with other contents."""

import struct
import zlib


def deflated_zeros(megabytes):
    """A zlib stream of so many MB of zeros, in a thousandth of their size."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    checksum = (megabytes << 20) % 65521 << 16 | 1
    return b"\x78\xda" + one * megabytes + end + struct.pack(">I", checksum)


def replace_sections(source, target, contents, compressed=None):
    """Write `source` to `target` with other contents of the named sections.  `compressed`: bytes that
    each of them has when it is decompressed."""
    data = bytearray(source.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    (strings,) = struct.unpack_from("<Q", data, table + names * size + 0x18)
    left = dict(contents)
    for head in range(table, table + count * size, size):
        at = strings + struct.unpack_from("<I", data, head)[0]
        body = left.pop(bytes(data[at : data.index(0, at)]).decode(), None)
        if body is None:
            continue
        flags = 0
        if compressed is not None:
            flags, body = 0x800, struct.pack("<IIQQ", 1, 0, compressed, 1) + body
        struct.pack_into("<Q", data, head + 8, flags)
        struct.pack_into("<QQ", data, head + 0x18, len(data), len(body))
        data += body
    if left:
        raise KeyError(f"{source} has no section {', '.join(left)}")
    target.write_bytes(data)


def deep_scopes(low, high, depth):
    """Sections of debug information: a unit from low to high with so many blocks in each other."""
    abbreviations = b""
    for code, tag in ((1, 0x11), (2, 0x0B)):  # a compile unit, a lexical block; both have children
        abbreviations += bytes([code, tag, 1, 0x11, 0x01, 0x12, 0x07, 0, 0])
    entry = struct.pack("<QQ", low, high - low)
    body = b"\x04\x00" + struct.pack("<I", 0) + b"\x08" + b"\x01" + entry + (b"\x02" + entry) * depth
    return {
        ".debug_abbrev": abbreviations + b"\0",
        ".debug_info": struct.pack("<I", len(body)) + body,
    }
