"""Blocks of clean JSON lines by pyarrow, for large logs of flat records that all have the same numbers.

A block that pyarrow refuses, or of which it might make something else than `json.loads` would, is left to `BlockParser`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers import text_blocks
from gradlens.readers.arrow_columns import arrays_of
from gradlens.readers.block_table import Table
from gradlens.readers.decimals import PADDING
from gradlens.readers.json_blocks import BlockParser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.readers.text_blocks import Block

_NEWLINE, _OPEN, _CLOSE, _RETURN = (ord(c) for c in "\n{}\r")
#: Blocks that pyarrow may refuse before it is no longer asked.
_PATIENCE = 2


class ArrowJsonParser:
    """Parses the blocks of one log: pyarrow where it can, the more tolerant parser where it must."""

    def __init__(self) -> None:
        import pyarrow as pa
        from pyarrow import json

        self._pa, self._json = pa, json
        self._tolerant = BlockParser()
        self._names: tuple[str, ...] = ()
        self._left = _PATIENCE

    @staticmethod
    def block_size() -> int:
        """The size of block it is fastest with."""
        return text_blocks.ARROW_BLOCK

    def parse(self, block: Block) -> Table:
        """The table of one block."""
        text = block.text[PADDING:]
        if self._names and self._left > 0 and _is_lines_of_objects(text):
            found = self._arrow_table(text, self._names)
            if found is not None:
                return found
            self._left -= 1
        table = self._tolerant.parse(block)
        if block.position == 0 and table.n_rows == table.n_lines and not table.problems and not table.config:
            # Where the first block has what is no plain number, so have the others.
            is_whole = all(rows is None for _, rows in table.columns.values())
            self._names = tuple(table.columns) if is_whole else ()
        return table

    def _arrow_table(self, text: NDArray[np.uint8], names: tuple[str, ...]) -> Table | None:
        n_lines = int(np.count_nonzero(text == _NEWLINE))
        pa = self._pa
        options = self._json.ParseOptions(
            explicit_schema=pa.schema([(name, pa.float64()) for name in names]), unexpected_field_behavior="error"
        )
        read = self._json.ReadOptions(use_threads=False, block_size=len(text) + 1)
        try:
            found = self._json.read_json(pa.BufferReader(pa.py_buffer(text)), read_options=read, parse_options=options)
        except pa.ArrowInvalid:
            return None
        if found.num_rows != n_lines:
            return None
        table = Table(n_lines=n_lines, n_rows=n_lines)
        for name in names:
            value, present = arrays_of(found.column(name))
            # JSON's -0 is an integer, which has no negative zero.
            if present is not None or (np.signbit(value) & (value == 0)).any():
                return None
            table.columns[name] = (value, None)
        return table


def _is_lines_of_objects(text: NDArray[np.uint8]) -> bool:
    """Whether each line begins with a brace and ends with one: pyarrow itself takes several objects a line, and more."""
    if not len(text) or text[-1] != _NEWLINE or text[0] != _OPEN:
        return False
    ends = np.flatnonzero(text == _NEWLINE)
    before = text[ends - 1]
    if (before == _RETURN).any():
        return False
    return bool((before == _CLOSE).all() and (text[ends[:-1] + 1] == _OPEN).all())
