"""Copies of a run and runs that take up another, recognised across a fleet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from gradlens.fleet.row import Row

#: A run takes up another if it begins no later than this many of its log intervals after the other's end. Our own choice.
_GAP_INTERVALS = 2.0
#: ... and its first loss is no farther from the other's last than this share of the other's whole descent. Our own choice.
_LEVEL = 0.35


def relate(rows: Iterable[Row]) -> None:
    """Fill `copy_of` and `continues` of the rows, in place.

    A copy holds the same steps and losses to the last bit as a row before it, in order of name. A run continues another
    of the same folder or of the folder beside it, with the same configuration and format, if it begins after the other's
    first step and no later than about where the other ends, and its loss begins near where the other's ended.
    """
    ordered = sorted((row for row in rows if row.get("error") is None), key=lambda row: str(row["name"]))
    first_of: dict[str, str] = {}
    groups: dict[tuple[str, str | None, str | None], list[Row]] = {}
    for row in ordered:
        row["copy_of"] = row["continues"] = None
        digest = row.get("digest")
        if digest and row["steps"] > 1:
            original = first_of.setdefault(digest, row["name"])
            if original != row["name"]:
                row["copy_of"] = original
                continue
        groups.setdefault((_place(row), row.get("format"), row.get("config")), []).append(row)
    for group in groups.values():
        for row in group:
            row["continues"] = _taken_up(row, group)


def _place(row: Row) -> str:
    return str(PurePath(str(row["source"])).parent.parent)


def _taken_up(row: Row, group: Iterable[Row]) -> str | None:
    first = row.get("first_step")
    if first is None:
        return None
    fits = [other for other in group if other is not row and _follows(row, other)]
    # Of several, the one that ends nearest to where this one begins.
    return min(fits, key=lambda other: (abs(other["last_step"] - first), other["name"]))["name"] if fits else None


def _follows(row: Row, other: Row) -> bool:
    begin, end = other.get("first_step"), other.get("last_step")
    if begin is None or end is None or not begin < row["first_step"]:
        return False
    gap = _GAP_INTERVALS * max(other.get("log_interval") or 1.0, row.get("log_interval") or 1.0)
    if row["first_step"] > end + gap:
        return False
    start, last, again = other.get("loss_first"), other.get("loss_last"), row.get("loss_first")
    if start is None or last is None or again is None:
        return False
    return bool(abs(again - last) <= _LEVEL * abs(start - last))
