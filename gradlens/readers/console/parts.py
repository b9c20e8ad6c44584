"""The text of a console log in parts of whole lines, so that no more than a part of it is in memory at a time."""

from __future__ import annotations

import codecs
import itertools
import tempfile
from typing import TYPE_CHECKING, BinaryIO, cast

from gradlens.readers.blocks.text_blocks import too_long
from gradlens.readers.console.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradlens.sources.files import Source

#: Bytes of a part. Only a line that is longer makes it longer.
PART = 1 << 20
#: Of words and numbers that no grammar knows each character takes two microseconds and more.
MAX_LINE = 4 << 20
_NEAR = 64
#: Parts of a text that are kept when they are read again.
_KEPT = 2
#: What is unpacked or fetched stays in memory up to this size.
_MAX_IN_MEMORY = 4 << 20
_UTF16 = frozenset({codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE})


class ConsoleText:
    """A log without colours and carriage returns, part by part, which may be read several times.

    Parts end where lines do, so that each can be decoded and cleaned by itself. Places are counted in characters of the
    clean text. `name` is what messages call the log. A line longer than any record raises `BeyondLimitError`.
    """

    def __init__(self, handle: BinaryIO, name: str = "<text>") -> None:
        self._handle, self._name = handle, name
        self._begin = handle.tell()
        #: Where the parts that were gone over begin and the last one ends: characters, and bytes of the file.
        self._edges: list[tuple[int, int]] = []
        #: Parts that were read again, by the bytes where they begin and end, the last one last.
        self._recent: dict[tuple[int, int], str] = {}

    @property
    def n_bytes(self) -> int:
        """The size of the log, colours included."""
        return self._handle.seek(0, 2) - self._begin

    def __iter__(self) -> Iterator[str]:
        place, at = 0, self._begin
        self._edges = [(place, at)]
        for data in self._parts():
            text = _text(data)
            place, at = place + len(text), at + len(data)
            self._edges.append((place, at))
            yield text

    def probe(self, size: int) -> tuple[str, ...]:
        """About `size` bytes of text from each of the start, the middle and the end."""
        n_bytes = self.n_bytes
        places = (0, n_bytes // 2, max(n_bytes - size, 0))
        return tuple(_text(self._bytes(self._begin + place, size)) + "\n" for place in places)

    def around(self, begin: int, end: int) -> tuple[str, int]:
        """The text of the parts that hold the places from `begin` to `end`, all having been gone over; its own place."""
        parts = [(a, b) for a, b in itertools.pairwise(self._edges) if a[0] < end and b[0] > begin]
        text = "".join(self._part(first, after) for (_, first), (_, after) in parts)
        return text, parts[0][0][0] if parts else begin

    def _part(self, first: int, after: int) -> str:
        """One part again: the last ones are kept, as hundreds of starts may stand in one."""
        text = self._recent.pop((first, after), None)
        if text is None:
            text = _text(self._bytes(first, after - first))
        self._recent[first, after] = text
        if len(self._recent) > _KEPT:
            del self._recent[next(iter(self._recent))]
        return text

    def _bytes(self, at: int, size: int) -> bytes:
        self._handle.seek(at)
        return self._handle.read(size)

    def _parts(self) -> Iterator[bytes]:
        self._handle.seek(self._begin)
        rest = b""
        while data := self._handle.read(max(PART, len(rest))):
            data = rest + data
            cut = _end_of_lines(data)
            if cut:
                yield data[:cut]
            rest = data[cut:]
            if len(rest) > MAX_LINE:
                raise too_long(self._name, self._handle.tell() - len(rest), MAX_LINE)
        if rest:
            yield rest


def _end_of_lines(data: bytes) -> int:
    """Where the last whole line of the data ends, 0 if there is none."""
    end, at = data.rfind(b"\n") + 1, len(data)
    while (at := data.rfind(b"\r", end, at)) >= 0:
        # It may belong to a line feed that comes next, once colours are taken away.
        if _text(data[at + 1 : at + _NEAR])[:1] not in {"", "\n", "\x1b"}:
            return at + 1
    return end


def _text(data: bytes) -> str:
    return clean(data.decode("utf-8", errors="replace"))


def open_log(source: Source) -> BinaryIO:
    """A log as UTF-8 without a byte order mark, in a file that can be read again: a temporary one where it must be.

    Raises
    ------
    MalformedLogError
        A damaged compressed file, or one that unpacks to more than any log does.
    """
    if source.head[:2] in _UTF16:
        return _kept(text.encode() for text in codecs.iterdecode(source.pieces(), "utf-16", errors="replace"))
    handle = source.open() if source.compression is None and source.url is None else _kept(source.pieces())
    if source.head.startswith(codecs.BOM_UTF8):
        handle.seek(len(codecs.BOM_UTF8))
    return handle


def _kept(pieces: Iterable[bytes]) -> BinaryIO:
    file = tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY)  # noqa: SIM115 -- the caller closes it
    try:
        file.writelines(pieces)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast("BinaryIO", file)
