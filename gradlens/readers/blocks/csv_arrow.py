"""Blocks of clean numbers by pyarrow's CSV parser, which is several times as fast as numpy on them.

Only for large logs, since loading it takes as long as reading some megabytes. A block that it refuses, or whose meaning
could differ (quotes), is left to `CsvBlockParser`, so that the result is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.blocks import text_blocks
from gradlens.readers.blocks.arrow_columns import arrays_of
from gradlens.readers.blocks.block_table import Table
from gradlens.readers.blocks.csv_blocks import CsvBlockParser, Header
from gradlens.readers.blocks.decimals import PADDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.readers.blocks.decimal_commas import DecimalCommas
    from gradlens.readers.blocks.text_blocks import Block

_NEWLINE, _QUOTE = ord("\n"), ord('"')


class ArrowCsvParser:
    """Parses the blocks below one header: pyarrow where it can, the slower parser where it must."""

    in_threads = True

    def __init__(self, header: Header, commas: DecimalCommas) -> None:
        import pyarrow as pa
        from pyarrow import csv

        self._names = header.names
        self._slow = CsvBlockParser(header, commas)
        self._pa, self._csv = pa, csv
        self._is_clean = True
        # A block at once, so that its columns are in one piece.
        self._read = csv.ReadOptions(column_names=list(header.names), use_threads=False, block_size=1 << 30)
        self._parse = csv.ParseOptions(delimiter=header.separator)
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(header.names, pa.float64()), null_values=[""], strings_can_be_null=False
        )

    @staticmethod
    def block_size() -> int:
        """The size of block it is fastest with."""
        return text_blocks.ARROW_BLOCK

    def parse(self, block: Block) -> Table:
        """The table of one block.

        Raises
        ------
        QuotedLinesError
            A line with an odd number of quotes.
        """
        text = block.text[PADDING:]
        # The first block tells whether there are columns of text; a line without an end may be cut off.
        if block.position == 0 or text[-1:].tobytes() != b"\n" or not self._is_clean or (text == _QUOTE).any():
            table = self._slow.parse(block)
            if block.position == 0 and table.texts:
                self._is_clean = False
            return table
        found = self._arrow_table(text)
        return self._slow.parse(block) if found is None else found

    def _arrow_table(self, text: NDArray[np.uint8]) -> Table | None:
        n_lines = int(np.count_nonzero(text == _NEWLINE))
        source = self._pa.BufferReader(self._pa.py_buffer(text))
        try:
            found = self._csv.read_csv(
                source, read_options=self._read, parse_options=self._parse, convert_options=self._convert
            )
        except self._pa.ArrowInvalid:
            return None
        # Blank lines, or rows without a number, are not rows: rare, and left to the parser that knows.
        if found.num_rows != n_lines:
            return None
        columns = {name: arrays_of(found.column(name)) for name in self._names}
        absent = [present for _, present in columns.values() if present is not None]
        if len(absent) == len(columns) and not np.logical_or.reduce(absent).all():
            return None
        table = Table(n_lines=n_lines, n_rows=n_lines)
        for name, (value, present) in columns.items():
            if present is None:
                table.columns[name] = (value, None)
            elif present.any():
                rows = np.flatnonzero(present)
                table.columns[name] = (value[rows], rows)
        return table
