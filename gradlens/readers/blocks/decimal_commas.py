"""Tables whose numbers have a decimal comma, as spreadsheets write them in many countries: `1;4,206;0,0003`.

Only tables that separate their cells by something else can have them. There a comma may still group thousands: `4,2061`
and `0,123` cannot, `1,234,567` and `1,234.5` must. What `4,206` is, the other cells of its column tell, or else the
separator: a semicolon is used because the comma is taken.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE_COMMA = re.compile(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*")
_EITHER = re.compile(r"\s*[-+]?[1-9]\d{0,2},\d{3}\s*")
_THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(?:(?:,\d{3})+\.\d*|(?:,\d{3}){2,})\s*")
_COMMA, _POINT, _ZERO, _NINE = (ord(c) for c in ",.09")


class DecimalCommas:
    """Which columns of a table have decimal commas, told by its first rows.

    Attributes
    ----------
    columns
        bool[width].
    message
        For the notice.
    """

    def __init__(self, head: str, separator: str, width: int) -> None:
        self.columns = np.zeros(width, np.bool_)
        self.message = "the comma in numbers was read as a decimal comma"
        # A cell that is cut off has too few digits.
        head = head[: head.rfind("\n") + 1]
        if separator == "," or (separator == "\t" and "," not in head):
            return
        certain, either, thousands = (np.zeros(width, np.bool_) for _ in range(3))
        for row in _rows(head, separator):
            for column, cell in enumerate(row[:width]):
                if "," in cell:
                    is_open = _EITHER.fullmatch(cell) is not None
                    either[column] |= is_open
                    certain[column] |= not is_open and _ONE_COMMA.fullmatch(cell) is not None
                    thousands[column] |= _THOUSANDS.fullmatch(cell) is not None
        self.columns = certain | (~thousands & (separator == ";" or certain.any()))
        if (either & self.columns & ~certain).any():
            self.message += "; the cell separator or other columns rule out grouped thousands"

    def with_point(self, column: int, cell: str) -> str:
        """A cell with the point that a parser of numbers wants."""
        is_one = self.columns[column] and cell.count(",") == 1 and "." not in cell
        return cell.replace(",", ".") if is_one and re.search(r",[0-9]", cell) else cell

    def with_points(
        self, text: NDArray[np.uint8], first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The text with points in the cells from `first` to `last`, both int64[width, n]; and which cells changed.

        The cells are counted column by column. What `with_point` does, for many lines.
        """
        changed: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        if not self.columns.any() or not (text == _COMMA).any():
            return text, changed[0]
        found = text.copy()
        commas = np.cumsum(text == _COMMA)
        points = np.cumsum(text == _POINT)
        places = np.flatnonzero(text == _COMMA)
        for column in np.flatnonzero(self.columns):
            start, end = first[column], last[column]
            has_one = (
                (end > start) & (commas[end - 1] - commas[start - 1] == 1) & (points[end - 1] == points[start - 1])
            )
            lines = np.flatnonzero(has_one)
            comma = places[commas[start[lines] - 1]]
            following = text[np.minimum(comma + 1, len(text) - 1)]
            good = (comma + 1 < end[lines]) & (following >= _ZERO) & (following <= _NINE)
            found[comma[good]] = _POINT
            changed.append(column * first.shape[1] + lines[good])
        return found, np.concatenate(changed)


def _rows(head: str, separator: str) -> Sequence[Sequence[str]]:
    rows: list[list[str]] = []
    # What the csv module refuses costs the rows behind it.
    with contextlib.suppress(csv.Error):
        rows.extend(csv.reader(io.StringIO(head.replace("\0", ""), newline=""), delimiter=separator))
    return rows
