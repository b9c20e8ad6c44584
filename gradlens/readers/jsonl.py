"""JSON lines: one JSON object a line, with the tokens and habits of real training logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gradlens.errors import MalformedLogError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, is_number, parse_number
from gradlens.source import Source


class JsonLinesReader(Reader):
    """One JSON object a line; nested objects become `outer/inner` names."""

    name = "jsonl"

    def sniff(self, source: Source) -> float:
        lines = [line for line in source.head_text.splitlines()[:20] if line.strip()]
        if not lines:
            return 0.0
        good = sum(1 for line in lines if line.lstrip().startswith("{") and line.rstrip().endswith("}"))
        return 0.5 if good and good >= len(lines) - 2 else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, table, config = NoticeBook(), TableBuilder(), dict[str, Any]()
        text = source.read_bytes().decode("utf-8-sig", errors="replace")
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            stripped = line.strip().strip("\0")
            if not stripped:
                continue
            where = f"line {number}"
            try:
                record = json.loads(stripped)
            except ValueError as error:
                if number == len(lines):
                    book.add("truncated-record", "the last line is cut off and was left out", where)
                else:
                    book.add("malformed-record", f"not a JSON object, left out: {error}", where)
                continue
            if not isinstance(record, dict):
                book.add("malformed-record", "not a JSON object, left out", where)
                continue
            row = numbers_of(record, book, where)
            if row:
                table.add(row)
        if table.n_rows == 0:
            raise MalformedLogError(f"{source.name}: no record with a number in {len(lines)} lines")
        return [RawRun(columns=table.columns(), n_rows=table.n_rows, config=config, notices=book.notices())]


def numbers_of(record: Mapping[str, Any], book: NoticeBook, where: str, prefix: str = "") -> dict[str, float]:
    """The numbers of a nested record by `outer/inner` name; strings that hold numbers count as numbers."""
    row: dict[str, float] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if is_number(value):
            row[name] = float(value)
        elif isinstance(value, str):
            number = parse_number(value)
            if number is not None:
                row[name] = number
                book.add("string-number", f"numbers written as text, read as numbers (first: {name})", where)
        elif isinstance(value, dict):
            row.update(numbers_of(value, book, where, f"{name}/"))
    return row
