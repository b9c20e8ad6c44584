"""One kind of record of a console log: where it begins, and the fields and the step that it holds."""

from __future__ import annotations

import re
from functools import cache

from gradlens.readers.base import NoticeBook
from gradlens.readers.console.grammar import Fields, Line, compiled
from gradlens.readers.console.shapes import Cutter
from gradlens.readers.console.text import LAUNCHER, json_fields, number_of

_CONTINUES = re.compile(r"^(?!\s*(?:validation|time|-{3}|\[|```|iteration\s+\d+\s*/))[^\n|]{0,80}\|")
#: A trainer's line has a thousand characters, with the norms of all layers fifty thousand.
MAX_BODY = 1 << 18
#: Groups of a pattern that are not fields.
_PLACING = frozenset({"step", "epoch", "iter", "iters"})


@cache
def pattern_of(text: str) -> re.Pattern[str]:
    """A pattern of a grammar, compiled once."""
    return compiled(text)


class RecordKind:
    """The records that a line of a grammar describes. It learns the shapes of the ones that it cuts."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.pattern = pattern_of(line.pattern)
        self._groups = frozenset(self.pattern.groupindex)
        #: Whether records may be counted by epoch and batch.
        self.has_counter = "epoch" in self._groups
        self._named = tuple(name for name in self.pattern.groupindex if name not in _PLACING)
        self._cutter = Cutter(line.fields)
        self._step_places: dict[tuple[str, ...], int] = {}

    def fields(
        self, text: str, match: re.Match[str], limit: int, book: NoticeBook
    ) -> tuple[tuple[str, ...], list[float]]:
        """The names and values of the fields of the record that begins with `match` and ends before `limit`."""
        line, row = self.line, dict[str, float]()
        for name in self._named:
            if (token := match[name]) is not None:
                value = number_of(token)
                if value is not None:
                    row[name] = value
        if line.block is not None:
            row.update(self.block(text, match.end(), limit)[0])
        elif line.fields is not Fields.NAMED:
            begin = match.end()
            end = text.find("\n", begin, limit)
            end = limit if end < 0 else end
            body = text[begin:end]
            if len(body) > MAX_BODY:
                body = body[: body.rfind(" ", 0, MAX_BODY) + 1]
                book.add("long-record", "fields beyond the first 256 KiB of a line, left out")
            if line.ends_with and not body.rstrip().endswith(line.ends_with):
                body = _unwrap(text, body, end, limit, line.ends_with, book)
            if line.fields is Fields.JSON:
                row.update(json_fields(body))
            else:
                names, values = self._cutter.cut(body.partition("}")[0] if line.fields is Fields.DICT else body, book)
                if not row:
                    return names, values
                row.update(zip(names, values, strict=True))
        return tuple(row), list(row.values())

    def block(self, text: str, start: int, limit: int) -> tuple[dict[str, float], int]:
        """The fields in the lines below the one at `start`, and where they end: at `limit` if they may go on there."""
        pattern, section, blanks = pattern_of(self.line.block or ""), "", 0
        row: dict[str, float] = {}
        at = start
        if at == 0 or text[at - 1] != "\n":
            at = text.find("\n", at, limit) + 1 or limit
        while at < limit:
            end = text.find("\n", at, limit)
            end = limit if end < 0 else end
            line = LAUNCHER.sub("", text[at:end])
            at = end + 1
            if not line.strip():
                blanks += 1
                if blanks > 1:
                    return row, end
                continue
            pairs = list(pattern.finditer(line))
            if not pairs:
                return row, end
            for pair in pairs:
                if pair["key"] is None:
                    continue
                key, token = pair["key"], pair["value"]
                if key.endswith("/") and not token:
                    section = key  # Stable-Baselines3: a row that only names the section of the rows below
                    continue
                value = number_of(token)
                if value is not None:
                    row[f"{section}{key}"] = value
        return row, limit

    def step(self, match: re.Match[str], names: tuple[str, ...], values: list[float]) -> float | None:
        """The step that a record prints."""
        place = self._step_places.get(names)
        if place is None:
            place = self._step_places[names] = self._step_place(names)
        if place >= 0 and (values[place] == values[place] or names[place] == self.line.step_field):
            return values[place]
        groups = self._groups
        if "step" in groups and match["step"] is not None:
            return float(match["step"].replace(",", ""))
        if "iters" in groups and match["iters"] is not None:
            # Not as integers, which of a damaged line may have more digits than a float, or than int() takes.
            epochs = float(match["epoch"]) - self.line.first_epoch if match["epoch"] is not None else 0.0
            return epochs * float(match["iters"]) + float(match["iter"])
        return None

    def _step_place(self, names: tuple[str, ...]) -> int:
        """Which of the fields holds the step, or -1."""
        known = [name for name in (self.line.step_field, "global_step") if name in names]
        return names.index(known[0]) if known else -1

    def counter(self, match: re.Match[str]) -> tuple[float, float] | None:
        """The epoch and batch of a record of whose epochs the length is not printed."""
        if match["epoch"] is None or ("iters" in self._groups and match["iters"] is not None):
            return None
        return float(match["epoch"]), float(match["iter"])


def _unwrap(text: str, body: str, end: int, limit: int, mark: str, book: NoticeBook) -> str:
    """A record that a terminal wrapped: following lines that carry on, up to the mark of the end."""
    joined, count = body.rstrip("\n"), 0
    while end + 1 < limit and count < 8:
        after = text.find("\n", end + 1, limit)
        after = limit if after < 0 else after
        following = LAUNCHER.sub("", text[end + 1 : after])
        if _CONTINUES.match(following) is None:
            break
        joined, end, count = joined + following, after, count + 1
        if joined.rstrip().endswith(mark):
            break
    if count:
        book.add("wrapped-record", "records wrapped over several lines were joined")
    return joined
