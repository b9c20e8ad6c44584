"""Records that share a line: two processes wrote at once, or a line end was lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.blocks.block_table import Problem, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_OPEN, _CLOSE, _NEWLINE = (ord(c) for c in "{}\n")


def glued_places(text: NDArray[np.uint8]) -> list[int]:
    """Where in the text of a block a record begins that is not the first of its line, though the line holds only records."""
    seams = np.flatnonzero((text[:-1] == _CLOSE) & (text[1:] == _OPEN)) + 1
    if not len(seams):
        return []
    edges = np.concatenate(([-1], np.flatnonzero(text == _NEWLINE), [len(text)]))
    places: list[int] = []
    for line in np.unique(np.searchsorted(edges, seams)).tolist():
        begin = int(edges[line - 1]) + 1
        places += [begin + place for place in _starts(text[begin : edges[line]].tobytes())[1:]]
    return places


def _starts(line: bytes) -> list[int]:
    """Where the objects begin that a line consists of; nothing where it holds anything else."""
    text, decoder, starts, at = line.decode("latin-1"), json.JSONDecoder(), list[int](), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            record, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        if not isinstance(record, dict):
            return []
        starts.append(at)
        at = end
    return starts


def told(table: Table, text: NDArray[np.uint8], places: Sequence[int]) -> Table:
    """The table of a block whose records were parted at `places` of its `text`, with a notice and the lines as written."""
    ends = np.flatnonzero(text == _NEWLINE)
    lines = np.searchsorted(ends, np.array(places))
    message = "records that shared a line with another (two processes, or a lost line end), read as rows of their own"
    # A line end was put in before each place, so the lines after it count one too many.
    parted = lines + np.arange(1, len(places) + 1)
    table.problems = [
        *(p._replace(line=p.line - int(np.searchsorted(parted, p.line, side="right"))) for p in table.problems),
        Problem("glued-records", message, int(lines[0]), len(places)),
    ]
    table.n_lines -= len(places)
    return table
