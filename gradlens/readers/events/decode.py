"""From windows of an event file to columns: values, steps and times gathered over whole groups of records."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.frozen import frozen
from gradlens.readers.base import MAX_COLUMNS, too_many_columns
from gradlens.readers.events.contents import Event, Histogram, Plugins
from gradlens.readers.events.crc32c import FOOTER, HEADER, damaged_rows, seal
from gradlens.readers.events.frames import FrameReader, Window
from gradlens.readers.events.layout import (
    Layout,
    Layouts,
    decode_steps,
    decode_values,
    decode_walls,
)
from gradlens.readers.events.places import read_places
from gradlens.run import HistogramSeries, Series

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradlens.readers.base import NoticeBook
    from gradlens.sources.files import Source

#: Where the bytes that tell one kind of record from another may begin: after wall time and step.
_NO_STEP, _AFTER_KEY = 9, 10
_STEP_KEY = 0x10
#: Groups of fewer records are parsed one at a time.
_WORTHWHILE = 8
#: Kinds of records of one length that are looked for one after the other.
_ROUNDS = 8


@frozen(eq=False)
class _Piece:
    """Points of one tag from one group of records, by place in the file."""

    position: NDArray[np.int64]
    step: NDArray[np.int64]
    wall: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(slots=True)
class _Tag:
    step: list[NDArray[np.int64]] = field(default_factory=list)
    wall: list[NDArray[np.float64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)


class EventDecoder:
    """Collects the columns of one run from its event files, in the order in which they are added."""

    def __init__(self, wanted: Callable[[str], bool], book: NoticeBook) -> None:
        self._wanted = wanted
        self._book = book
        self._plugins = Plugins()
        self._layouts = Layouts(self._plugins)
        self._tags: dict[str, _Tag] = {}
        self._pieces: dict[str, list[_Piece]] = defaultdict(list)
        self._odd: list[tuple[int, bytes]] = []
        self._single: dict[str, list[tuple[int, int, float, float]]] = defaultdict(list)
        self._is_wanted: dict[str, bool] = {}
        self._histograms: dict[str, list[tuple[int, Histogram]]] = defaultdict(list)
        self.config: dict[str, Any] = {}
        #: Records that were left out since TensorBoard's classes are not installed.
        self.n_unread = 0

    def add(self, source: Source, progress: Callable[[int], None]) -> None:
        """Read one file."""
        with source.open() as handle:
            for window in FrameReader(handle, self._layouts, self._book, source.file_name).windows():
                for cycle in window.cycles:
                    size = cycle.block.shape[1]
                    places = np.arange(len(cycle.block), dtype=np.int64) * size + cycle.position
                    for start, layout in zip(cycle.starts, cycle.layouts, strict=True):
                        self._decode(cycle.block, start + HEADER, layout, places + start)
                self._add_loose(window, source.file_name)
                self._flush()
                if len(self._is_wanted) > MAX_COLUMNS:
                    raise too_many_columns(source.name)
                progress(window.position + len(window.data))

    def counts(self) -> dict[str, int]:
        """How many points of each tag were read so far."""
        return {name: sum(map(len, tag.value)) for name, tag in self._tags.items()}

    def series(self) -> tuple[Series, ...]:
        """The scalars by tag, in the order in which the tags first came; may be called once."""
        found = []
        while self._tags:
            name = next(iter(self._tags))
            tag = self._tags.pop(name)
            found.append(
                Series(
                    name=name,
                    step=np.concatenate(tag.step),
                    value=np.concatenate(tag.value),
                    wall_time_s=np.concatenate(tag.wall),
                )
            )
        return tuple(found)

    def histograms(self) -> tuple[HistogramSeries, ...]:
        """The histograms by tag."""
        return tuple(
            HistogramSeries(
                name=name,
                step=np.array([step for step, _ in items], np.int64),
                limits=tuple(h.limits for _, h in items),
                counts=tuple(h.counts for _, h in items),
            )
            for name, items in self._histograms.items()
        )

    def _wants(self, tag: str) -> bool:
        wanted = self._is_wanted.get(tag)
        if wanted is None:
            wanted = self._is_wanted[tag] = self._wanted(tag)
        return wanted

    def _decode(self, block: NDArray[np.uint8], start: int, layout: Layout, position: NDArray[np.int64]) -> None:
        """Records of one layout, one per row, whose data begins at `start` of the row."""
        if not layout.is_plain:
            for row, place in zip(block[:, start : start + len(layout.mask)], position.tolist(), strict=True):
                self._odd.append((place, row.tobytes()))
            return
        scalars = [scalar for scalar in layout.scalars if self._wants(scalar.tag)]
        if not scalars:
            return
        step, wall = decode_steps(block, start, layout), decode_walls(block, start, layout)
        for scalar in scalars:
            value = decode_values(block, start, scalar)
            self._pieces[scalar.tag].append(_Piece(position=position, step=step, wall=wall, value=value))

    def _parse(self, record: bytes, position: int) -> None:
        """One record of any kind."""
        try:
            event = read_places(record, self._plugins)
            if event.is_irregular:
                event = self._irregular(record, position)
        except ValueError:
            self._book.add("malformed-record", "records that are not TensorBoard events, left out", f"byte {position}")
            return
        self._collect(event, position)

    def _irregular(self, record: bytes, position: int) -> Event:
        """A record that only the classes of TensorBoard can read; an empty event where they are not installed.

        Raises
        ------
        ValueError
            It is not such a message.
        """
        try:
            from gradlens.readers.events.messages import read_message
        except ImportError:
            self.n_unread += 1
            what = "histograms, settings and packed numbers were left out: they need gradlens[tensorboard]"
            self._book.add("missing-extra", what, f"byte {position}")
            return Event()
        return read_message(record, self._plugins)

    def _collect(self, event: Event, position: int) -> None:
        for scalar in event.scalars:
            if self._wants(scalar.tag):
                self._single[scalar.tag].append((position, event.step, event.wall_time, scalar.value))
        for histogram in event.histograms:
            self._histograms[histogram.tag].append((event.step, histogram))
        self.config.update(event.config)

    def _add_loose(self, window: Window, name: str) -> None:
        """The records outside of cycles, by length and then by kind."""
        if not window.starts:
            return
        starts, lengths = np.concatenate(window.starts), np.concatenate(window.lengths)
        order = np.argsort(lengths, kind="stable")
        starts, lengths = starts[order], lengths[order]
        edges = np.flatnonzero(np.diff(lengths, prepend=-1, append=-1))
        for first, last in pairwise(edges.tolist()):
            places = np.sort(starts[first:last])
            length = int(lengths[first])
            rows = np.lib.stride_tricks.as_strided(
                window.data, (len(window.data) - length - HEADER - FOOTER + 1, length + HEADER + FOOTER), (1, 1)
            )[places]
            seal(rows, (0,), (length,))
            bad = damaged_rows(rows)
            if bad:
                where = f"{name}: byte {window.position + int(places[bad[0]])}"
                self._book.add("damaged-record", "records whose checksum does not match, left out", where, len(bad))
                rows, places = np.delete(rows, bad, axis=0), np.delete(places, bad)
            if len(rows):
                self._by_kind(rows, places + window.position)

    def _by_kind(self, rows: NDArray[np.uint8], position: NDArray[np.int64]) -> None:
        """Verified records of one length, one per row: those with the same structure are decoded together."""
        for _ in range(_ROUNDS):
            if len(rows) < _WORTHWHILE:
                break
            left = self._take_kind(rows, position)
            # Where each kind is rare, one pass over all records for each would take long.
            is_worthwhile = left.sum() < len(rows) * (1 - 1 / _ROUNDS)
            rows, position = rows[left], position[left]
            if not is_worthwhile:
                break
        if len(rows) >= _WORTHWHILE:
            kinds = _structure(rows[:, HEADER:-FOOTER])
            order = np.argsort(kinds, kind="stable")
            edges = np.flatnonzero(np.diff(kinds[order], prepend=np.nan, append=np.nan))
            rest = []
            for first, last in pairwise(edges.tolist()):
                members = order[first:last]
                rest.append(members[self._take_kind(rows[members], position[members])])
            members = np.concatenate(rest)
            rows, position = rows[members], position[members]
        for row, place in zip(rows, position.tolist(), strict=True):
            self._odd.append((place, row[HEADER:-FOOTER].tobytes()))

    def _take_kind(self, rows: NDArray[np.uint8], position: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Decode the records that have the layout of the first; which ones are left: bool[n]."""
        data = rows[:, HEADER:-FOOTER]
        layout = self._layouts.of(data[0].tobytes())
        if not layout.is_plain:
            self._odd.append((int(position[0]), data[0].tobytes()))
            return np.arange(len(rows)) > 0
        left: NDArray[np.bool_] = ((data ^ data[0]) & ~layout.mask).any(axis=1)
        if left.any():
            rows, position = rows[~left], position[~left]
        self._decode(rows, HEADER, layout, position)
        return left

    def _flush(self) -> None:
        """Put the pieces of a window into the order of the file."""
        # Which plug-in a tag belongs to is said by its first record only: these are parsed in order.
        for place, record in sorted(self._odd):
            self._parse(record, place)
        self._odd.clear()
        for name, points in self._single.items():
            position, step, wall, value = zip(*sorted(points, key=itemgetter(0)), strict=True)
            self._pieces[name].append(
                _Piece(
                    position=np.array(position, np.int64),
                    step=np.array(step, np.int64),
                    wall=np.array(wall, np.float64),
                    value=np.array(value, np.float64),
                )
            )
        for name, pieces in self._pieces.items():
            tag = self._tags.setdefault(name, _Tag())
            pieces.sort(key=lambda piece: int(piece.position[0]))
            if any(a.position[-1] >= b.position[0] for a, b in pairwise(pieces)):
                order = np.argsort(np.concatenate([p.position for p in pieces]), kind="stable")
                tag.step.append(np.concatenate([p.step for p in pieces])[order])
                tag.wall.append(np.concatenate([p.wall for p in pieces])[order])
                tag.value.append(np.concatenate([p.value for p in pieces])[order])
            else:
                tag.step += [p.step for p in pieces]
                tag.wall += [p.wall for p in pieces]
                tag.value += [p.value for p in pieces]
        self._single.clear()
        self._pieces.clear()


def _structure(data: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A number for each record that is equal for records of one kind: float64[n].

    A random linear hash of the bytes between the step and the last value; the caller compares the bytes themselves.
    """
    n, length = data.shape
    result = np.zeros(n)
    if length <= _AFTER_KEY + 8:
        return result
    begin = np.where(data[:, _NO_STEP] == _STEP_KEY, _AFTER_KEY, _NO_STEP)
    is_open = begin == _AFTER_KEY
    for place in range(_AFTER_KEY, min(_AFTER_KEY + 10, length)):
        begin += is_open
        is_open &= data[:, place] >= 0x80
    width = np.where((data[:, -5] == 0x15) | (data[:, -5] == 0x04), 4, 8)
    factors = np.random.default_rng(0).random((length,))
    spans: NDArray[np.int64] = begin * 16 + width
    for span in set(spans.tolist()):
        rows = spans == span
        part = data[rows, span // 16 : length - span % 16]
        hashed: NDArray[np.float64] = part.astype(np.float64).dot(factors[: part.shape[1]])
        result[rows] = hashed + span
    return result
