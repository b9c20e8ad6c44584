"""Golden files that repositories keep for their own regression tests: Megatron-LM's JSON, torchtitan's text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.readers.base import (
    NoticeBook,
    RawRun,
    Reader,
    ReadOptions,
    TableBuilder,
    as_float,
    load_json,
    parse_number,
)
from gradlens.run import Series
from gradlens.sources.files import Source

_MEGATRON = re.compile(r"\{\s*\"start_step\"\s*:\s*\d+\s*,\s*\"end_step\"\s*:")
_SETTING = re.compile(r"^#\s*(?P<key>[\w.-]+)\s*[:=]\s*(?P<value>.+?)\s*$")
_TITLES = re.compile(r"^#?\s*(?P<titles>(?:step|iter|iteration)(?:[\s,]+[A-Za-z_][\w./-]*)+)\s*$")
#: Each run of digits can be matched in one way only: with two, a line that ends in a word would take exponential time.
_ROW = re.compile(r"^\d{1,12}(?:[ \t]+[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+|nan|inf))+\s*$", re.IGNORECASE)


class MegatronGoldenReader(Reader):
    """Megatron-LM's `golden_values_*.json`: for each quantity a first step, an interval and the values."""

    name = "megatron-golden"

    def sniff(self, source: Source) -> float:
        return 0.95 if source.head_text.lstrip().startswith("{") and _MEGATRON.search(source.head_text[:8192]) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options
        (source,) = sources
        try:
            data = load_json(source.read_bytes().decode("utf-8-sig", errors="replace"))
        except ValueError as error:
            raise MalformedLogError(f"{source.name}: {error}") from error
        book = NoticeBook()
        quantities = data.items() if isinstance(data, dict) else ()
        series = [
            s for name, entry in quantities if isinstance(entry, dict) and (s := _golden(name, entry, book)) is not None
        ]
        if not series:
            raise MalformedLogError(f"{source.name}: golden values without any number")
        return [RawRun(series=tuple(series), notices=book.notices(), norm_facts=frozenset({"pre_clip"}))]


def _golden(name: str, entry: Mapping[str, Any], book: NoticeBook) -> Series | None:
    values, first, interval = (
        entry.get("values"),
        as_float(entry.get("start_step")),
        as_float(entry.get("step_interval")),
    )
    if isinstance(values, dict):
        pairs = [(as_float(step), value) for step, value in values.items()]
    elif isinstance(values, list):
        pairs = [((first or 0.0) + (interval or 1.0) * place, value) for place, value in enumerate(values)]
    else:
        return None
    points = []
    for step, value in pairs:
        number = as_float(value)
        if isinstance(value, str) and number is not None and np.isnan(number):
            # The generator writes the string "nan" for a step at which nothing was recorded.
            book.add("missing-steps", f"steps without a recorded value, written as the text 'nan' (first: {name})")
        elif step is not None and abs(step) < 2.0**62 and number is not None:
            points.append((step, number))
    if not points:
        return None
    step_array, value_array = np.array(points, dtype=np.float64).T
    return Series(name=name, step=step_array.astype(np.int64), value=value_array.copy())


class TextColumnsReader(Reader):
    """Columns of numbers set apart by blanks: torchtitan's loss files.

    The first line is `# step loss grad_norm`, or there are two columns, step and loss.
    """

    name = "text-columns"
    settings_in = "`# key: value` lines"

    def sniff(self, source: Source) -> float:
        lines = [line for line in source.head_text.splitlines()[:200] if line.strip()]
        if len(source.head_text) >= 1 << 15:
            lines = lines[:-1]
        rows = [line for line in lines if not line.startswith("#") and not _TITLES.match(line)]
        if not rows or not all(_ROW.match(row) for row in rows):
            return 0.0
        titled = any(_TITLES.match(line) for line in lines)
        widths = {len(row.split()) for row in rows}
        steps = [int(row.split()[0]) for row in rows]
        rising = all(a <= b for a, b in itertools.pairwise(steps))
        return 0.9 if titled else 0.6 if widths == {2} and rising and len(rows) > 1 else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options
        (source,) = sources
        book, table, titles, settings = NoticeBook(), TableBuilder(), ["step", "loss"], dict[str, str]()
        for number, line in enumerate(source.read_bytes().decode("utf-8-sig", errors="replace").splitlines(), 1):
            title, setting = _TITLES.match(line), _SETTING.match(line)
            if title:
                titles = re.split(r"[\s,]+", title["titles"])
            elif setting:
                settings[setting["key"]] = setting["value"]
            elif _ROW.match(line):
                cells = [parse_number(cell) for cell in line.split()]
                table.add({t: c for t, c in zip(titles, cells, strict=False) if c is not None})
            elif line.strip() and not line.startswith("#"):
                book.add("malformed-record", "not a row of numbers, left out", f"line {number}")
        if not table.n_rows:
            raise MalformedLogError(f"{source.name}: no rows of numbers")
        return [
            RawRun(
                columns=table.columns(),
                n_rows=table.n_rows,
                config=settings,
                notices=book.notices(),
                step_column=titles[0],
            )
        ]
