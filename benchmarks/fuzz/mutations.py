"""Ways in which logs are broken: bytes, tokens, lines, structure, and other logs in between."""

from __future__ import annotations

import gzip
import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from benchmarks.fuzz.samples import Sample

#: Numbers at the edges of what floats, integers and readers of C and JSON can hold.
NUMBERS = (
    b"NaN", b"nan", b"-nan(ind)", b"1.#QNAN", b"1.#INF", b"inf", b"-Infinity", b"1e308", b"-1e308", b"1e309", b"1e-308", b"5e-324",
    b"3.4028236e38", b"1e-46", b"0", b"-0.0", b"-1", b"9007199254740993", b"9223372036854775808", b"18446744073709551616",
    b"9" * 400, b"9" * 5000, b"1e999999999", b"1_000", b"0x1p3", b"1,5", b"1,000", b"1/3", b"null", b"None", b"true", b"",
    b'""', b'"1e3"', b"[1, 2]", b"{}", b"[]", b"1.5.2", b"--1", b"+", b"tensor(1.5)", b"np.float64(2.)", b"1e15", b"0.1e",
)  # fmt: skip
#: What terminals, parsers and pages take for more than text.
TOKENS = (
    b"\0", b"\r", b"\n", b"\r\n", b"\n\n\n", b"\x1b[31m", b"\x1b]8;;http://x\x07y\x1b]8;;\x07", b"\xe2\x80\xae", b"\xff\xfe", b"\xfe\xff",
    b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b'"', b"'", b",", b";", b"\t", b"{", b"}", b"[", b"]", b":", b"|", b"=", b"#", b"//",
    b"<script>", b"]]>", b"&amp;", b"=cmd|' /C calc'!A0", b"::error::", b"%s%n", b"\\", b"\\u0000", b"\\ud800", b"[" * 2000,
    b'{"a":' * 2000, b"loss", b"grad_norm", b"step", b"epoch", b"lr", b"Traceback (most recent call last):", b"overflow",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_MAX_BYTES = 1 << 20


def mutated(sample: Sample, others: Sequence[Sample], random: random.Random) -> bytes:
    """The sample with one to eight things wrong; of a packed one mostly inside."""
    data, is_packed = sample.data, sample.file.endswith(".gz")
    inside = is_packed and random.random() < 0.8
    if inside:
        data = gzip.decompress(data)
    for _ in range(min(1 + int(random.expovariate(0.5)), 8)):
        change = random.choice(_CHANGES) if random.randrange(_FLOODS) else _flooded
        data = change(data, random) if change is not _spliced else _spliced(data, random, random.choice(others).data)
        data = data[:_MAX_BYTES]
    return gzip.compress(data, 1, mtime=0) if inside else data


def _flipped(data: bytes, random: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.randint(1, 8) if out else 0):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _place(data: bytes, random: random.Random) -> int:
    return random.randint(0, len(data)) if random.random() < 0.8 else random.randint(0, min(len(data), 200))


def _inserted(data: bytes, random: random.Random) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice((*TOKENS, *NUMBERS, random.randbytes(random.randint(1, 30)))) + data[at:]


def _removed(data: bytes, random: random.Random) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.randint(1, 60) :]


def _cut(data: bytes, random: random.Random) -> bytes:
    return data[: _place(data, random)] if random.random() < 0.7 else data[_place(data, random) :]


def _repeated(data: bytes, random: random.Random) -> bytes:
    at, size = _place(data, random), random.randint(1, 400)
    return data[:at] + data[at : at + size] * random.choice((2, 3, 40)) + data[at + size :]


def _flooded(data: bytes, random: random.Random) -> bytes:
    """A token, or a piece of the log, so often that whatever takes the square of its length takes long."""
    at = _place(data, random)
    piece = random.choice((*TOKENS, *NUMBERS, data[at : at + random.randint(1, 40)] or b" "))
    return data[:at] + piece * (random.randint(1000, 10_000) // max(len(piece), 1)) + data[at:]


def _other_number(data: bytes, random: random.Random) -> bytes:
    """A number, or every one like it, becomes another."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return _flipped(data, random)
    chosen, new = random.choice(found), random.choice(NUMBERS)
    if random.random() < 0.2:
        return data.replace(chosen[0], new)
    return data[: chosen.start()] + new + data[chosen.end() :]


def _other_lines(data: bytes, random: random.Random) -> bytes:
    """Lines are repeated, moved, left out, joined, shuffled or turned round."""
    lines = data.split(b"\n")
    kind, at, size = random.randrange(7), random.randrange(len(lines)), random.randint(1, 12)
    part = lines[at : at + size]
    if kind == 0:
        lines[at:at] = part * random.choice((1, 2, 30))
    elif kind == 1:
        del lines[at : at + size]
    elif kind == 2:
        to = random.randrange(len(lines))
        del lines[at : at + size]
        lines[to:to] = part
    elif kind == 3:
        lines[at : at + size] = [b"".join(part)]
    elif kind == 4:
        random.shuffle(lines)
    elif kind == 5:
        lines.reverse()
    else:
        lines[at : at + size] = [line[: random.randint(0, len(line))] for line in part]
    return b"\n".join(lines)


def _other_length(data: bytes, random: random.Random) -> bytes:
    """Four or eight bytes become a length that no file has."""
    at = _place(data, random)
    size = random.choice((2**63 - 1, 2**63, 2**64 - 1, 2**31, 2**31 - 1, 0, 1, 255, len(data), len(data) - at))
    new = struct.pack(random.choice(("<Q", ">Q")), max(size, 0) % 2**64)
    new = new if random.random() < 0.5 else struct.pack("<I", size % 2**32)
    return data[:at] + new + data[at + len(new) :]


def _spliced(data: bytes, random: random.Random, other: bytes) -> bytes:
    at, begin = _place(data, random), _place(other, random)
    return data[:at] + other[begin : begin + random.randint(1, 2000)] + data[at:]


def _recoded(data: bytes, random: random.Random) -> bytes:
    """Another encoding, other line ends."""
    kind = random.randrange(4)
    if kind == 0:
        return data.decode("utf-8", errors="replace").encode("utf-16")
    if kind == 1:
        return data.replace(b"\n", b"\r\n")
    if kind == 2:
        return data.replace(b"\n", b"\r")
    return b"\xef\xbb\xbf" + data


#: One in so many changes is a flood, which takes longer to read than all else.
_FLOODS = 200
_CHANGES: tuple[Callable[..., bytes], ...] = (
    _flipped, _inserted, _inserted, _removed, _cut, _repeated, _other_number, _other_number, _other_number, _other_lines,
    _other_lines, _other_length, _spliced, _recoded,
)  # fmt: skip
