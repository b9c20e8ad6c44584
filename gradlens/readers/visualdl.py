"""VisualDL's record files (`vdlrecords.*.log`), without the VisualDL package.

Each record is its length in eight bytes, little-endian, and one protobuf `Record` of values: step, tag, time and a number.
There are no checksums, so that a length that leads beyond the end is the end of what can be read.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.protowire import BYTES, FIXED32, FIXED64, VARINT, fields, signed
from gradlens.run import Series
from gradlens.sources.files import Source

_LENGTH = struct.Struct("<Q")
#: Field numbers of record.proto: `Record.values`, and of a value its step, tag, time, number, settings and named number.
_VALUES = 1
_ID, _TAG, _TIME, _NUMBER, _HPARAM, _TAG_VALUE = 1, 2, 3, 4, 13, 14
#: Of `HParam`, `HparamInfo` and `TagValue`.
_INFOS, _INTEGER, _FLOAT, _TEXT, _NAME, _SUB_TAG, _SUB_VALUE = 1, 1, 2, 3, 4, 1, 2
_MARK = b"meta_data_tag"
_MAX_RECORD = 1 << 30


class VisualDLReader(Reader):
    """VisualDL's records (`vdlrecords.*.log`), without the VisualDL package. The files of a folder are one run."""

    name = "visualdl"
    settings_in = "its hyper-parameters"

    def sniff(self, source: Source) -> float:
        head = source.head
        if len(head) < 16:
            return 0.0
        (size,) = _LENGTH.unpack(head[:8])
        if head[8:9] == b"\x0a" and _MARK in head[8:48] and size < _MAX_RECORD:
            return 1.0
        return 0.9 if "vdlrecords" in source.file_name and head[8:9] == b"\x0a" and size < _MAX_RECORD else 0.0

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """The files of one folder are one run, in the order in which they were begun."""
        folders: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            folders[source.name.rpartition("/")[0]].append(source)
        return [sorted(files, key=lambda source: source.name) for files in folders.values()]

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        book, config = NoticeBook(), dict[str, Any]()
        points: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
        for source in sources:
            for place, record in _records(source, book):
                try:
                    for tag, point in _scalars(record, config):
                        if options.wanted(tag):
                            points[tag].append(point)
                except ValueError as error:
                    book.add("malformed-record", f"not a protobuf message, left out: {error}", f"byte {place}")
        if len(sources) > 1:
            book.add("files-joined", "record files of one folder read as one run", sources[0].name, len(sources))
        if not points and not config:
            raise MalformedLogError(f"{sources[0].name}: a VisualDL file without scalars")
        series = tuple(_series(tag, found) for tag, found in points.items())
        return [RawRun(series=series, config=config, notices=book.notices())]


def _records(source: Source, book: NoticeBook) -> Iterator[tuple[int, bytes]]:
    """The whole records and where they begin."""
    data = source.read_bytes()
    at = 0
    while at + 8 <= len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        if at + 8 + size > len(data):
            break
        yield at, data[at + 8 : at + 8 + size]
        at += 8 + size
    if at < len(data):
        book.add(
            "truncated-file",
            "the last record is cut off, or a length is damaged: what follows was not read",
            f"byte {at}",
        )


def _scalars(record: bytes, config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, float, float]]]:
    """Tag and step, number and time in milliseconds of each scalar of a record; settings go into `config`."""
    for outer in fields(record, 0, len(record)):
        if outer.number == _VALUES and outer.wire == BYTES:
            found = _scalar(record[outer.start : outer.end], config)
            if found is not None:
                yield found


def _scalar(message: bytes, config: dict[str, Any]) -> tuple[str, tuple[int, float, float]] | None:
    """The scalar in a `Value`, if it is one."""
    step, tag, time, number = 0, "", 0.0, None
    for f in fields(message, 0, len(message)):
        part = message[f.start : f.end]
        if (f.number, f.wire) == (_ID, VARINT):
            step = signed(f.value)
        elif (f.number, f.wire) == (_TAG, BYTES):
            tag = part.decode("utf-8", errors="replace")
        elif (f.number, f.wire) == (_TIME, VARINT):
            time = float(f.value)
        elif (f.number, f.wire) == (_NUMBER, FIXED32):
            number = float(struct.unpack("<f", part)[0])
        elif (f.number, f.wire) == (_TAG_VALUE, BYTES):
            name, number = _named(part)
            tag = f"{tag}/{name}" if name else tag
        elif (f.number, f.wire) == (_HPARAM, BYTES):
            config.update(_settings(part))
    return None if number is None else (tag, (step, number, time))


def _named(message: bytes) -> tuple[str, float]:
    """A number with a name of its own, as `add_scalars` writes; proto3 leaves out a 0."""
    name, number = "", 0.0
    for f in fields(message, 0, len(message)):
        part = message[f.start : f.end]
        if f.number == _SUB_TAG and f.wire == BYTES:
            name = part.decode("utf-8", errors="replace")
        elif f.number == _SUB_VALUE and f.wire == FIXED32:
            number = float(struct.unpack("<f", part)[0])
    return name, number


def _settings(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for outer in fields(message, 0, len(message)):
        if outer.number != _INFOS or outer.wire != BYTES:
            continue
        name = ""
        value: float | str | None = None
        for f in fields(message, outer.start, outer.end):
            part = message[f.start : f.end]
            if f.number == _NAME and f.wire == BYTES:
                name = part.decode("utf-8", errors="replace")
            elif f.number == _INTEGER and f.wire == VARINT:
                value = signed(f.value)
            elif f.number == _FLOAT and f.wire == FIXED64:
                value = struct.unpack("<d", part)[0]
            elif f.number == _TEXT and f.wire == BYTES:
                value = part.decode("utf-8", errors="replace")
        if name and value is not None:
            found[name] = value
    return found


def _series(tag: str, points: Sequence[tuple[int, float, float]]) -> Series:
    step, value, time = zip(*points, strict=True)
    return Series(
        name=tag,
        step=np.array(step, dtype=np.int64),
        value=np.array(value, dtype=np.float64),
        wall_time_s=np.array(time, dtype=np.float64) / 1000,
    )
