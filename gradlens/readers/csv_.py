"""Comma-, semicolon- or tab-separated values: one record per line below a line of names."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.readers.base import (
    MAX_COLUMNS,
    Column,
    NoticeBook,
    RawRun,
    Reader,
    ReadOptions,
    TableBuilder,
    parse_number,
    too_many_columns,
)
from gradlens.readers.blocks.block_table import TableJoiner, notice_texts
from gradlens.readers.blocks.csv_blocks import CsvBlockParser, Header, QuotedLinesError, is_header
from gradlens.readers.blocks.csv_records import Records
from gradlens.readers.blocks.decimal_commas import DecimalCommas
from gradlens.readers.blocks.text_blocks import blocks, in_order, open_text, share_of
from gradlens.run import Notice
from gradlens.sources.files import HEAD_BYTES, Source
from gradlens.sources.progress import track
from gradlens.vocabulary import rank_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gradlens.readers.blocks.csv_arrow import ArrowCsvParser

_SEPARATORS = ",;\t"
_HEAD_LINES = 50
#: So many rows of numbers at the start of a table are one without a line of names.
_MIN_BARE = 5
#: From this size on loading pyarrow pays.
_WORTH_ARROW = 32 << 20
_MAX_HEADER = 1 << 20
_CHANGED = "another line of names in mid-file: the rows below it were read by these names"
_NUMBER = re.compile(r"\s*[-+]?(\d|\.\d|nan\b|inf)", re.IGNORECASE)


class CsvTable(NamedTuple):
    """The columns of numbers of a table, what was noticed, and all names (of columns without numbers too)."""

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    n_rows: int
    notices: tuple[Notice, ...]
    unread_rows: tuple[NDArray[np.int64], ...] = ()


class CsvReader(Reader):
    """Any table with a header: Lightning `metrics.csv`, Keras `CSVLogger`, W&B histories, guided-diffusion `progress.csv`."""

    name = "csv"
    settings_in = "`hparams.yaml` beside it"

    def sniff(self, source: Source) -> float:
        if b"\0" in source.head[:4096].strip(b"\0") and source.head[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
            return 0.0
        lines = [line for line in source.head_text.splitlines()[:_HEAD_LINES] if line.strip() and line[0] != "#"]
        if len(source.head) == HEAD_BYTES and 1 < len(lines) < _HEAD_LINES:
            lines.pop()  # cut by the end of the head, not by the log
        if not lines or lines[0].lstrip().startswith(("{", "[")):
            return 0.0
        separator = _separator_of(lines[0])
        names = _cells(lines[0], separator)
        if _has_no_header(lines):
            return 0.35
        if len(names) < 2 or any(_NUMBER.fullmatch(name.strip()) or parse_number(name) is not None for name in names):
            return 0.0
        if len(lines) == 1:
            # Names without a row: a log that was only begun, if they are those of a log.
            return (
                0.5
                if any(rank_of(role, n) is not None for role in ("step", "loss", "grad_norm") for n in names)
                else 0.0
            )
        rows = [_cells(line, separator) for line in lines[1:8]]
        good = sum(len(row) == len(names) and any(parse_number(cell) is not None for cell in row) for row in rows)
        return 0.5 if good >= len(rows) / 2 else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        lines = source.head_text.splitlines()
        if _has_no_header(lines):
            return [_read_bare(source, lines[0], options)]
        with track(source.name, source.size) as progress:
            table = read_table(source, options, progress)
        if table.n_rows == 0:
            raise MalformedLogError(
                f"{source.name}: a table of {len(table.names)} columns with no rows of numbers",
                hint="the training has not logged anything yet",
            )
        return [
            RawRun(columns=table.columns, n_rows=table.n_rows, notices=table.notices, unread_rows=table.unread_rows)
        ]


def _has_no_header(lines: Sequence[str]) -> bool:
    """Whether a table begins with rows of numbers, all of one length, without a line of names."""
    if len(lines) < _MIN_BARE:
        return False
    rows = [_cells(line, _separator_of(lines[0])) for line in lines[:_MIN_BARE]]
    return len(rows[0]) > 1 and all(
        len(row) == len(rows[0]) and all(parse_number(cell) is not None for cell in row) for row in rows
    )


def _read_bare(source: Source, line: str, options: ReadOptions) -> RawRun:
    """A table without names: its columns are called by their place, and a first one that counts is the step."""
    separator = _separator_of(line)
    header = separator.join(f"column {place + 1}" for place in range(len(_cells(line, separator))))
    # Names that mean nothing are never wanted: all columns are read.
    table = read_table(
        Source(name=source.name, data=f"{header}\n".encode() + source.read_bytes()),
        replace(options, columns="all"),
        lambda _done: None,
    )
    notice = Notice(
        code="no-header",
        message="no line of names: columns are called by their place, and --step, --loss and --grad-norm say what they are",
        count=len(table.names),
    )
    # A line of names further down switches the columns, and may leave none of these.
    first = table.columns[0].value if table.columns else np.empty(0)
    counts = len(first) > 1 and bool(np.all(np.diff(first) > 0) and np.array_equal(first, np.floor(first)))
    return RawRun(
        columns=table.columns,
        n_rows=table.n_rows,
        notices=(notice, *table.notices),
        step_column=table.columns[0].name if counts else None,
    )


def read_table(source: Source, options: ReadOptions, progress: Callable[[int], None]) -> CsvTable:
    """The table in a source.

    Raises
    ------
    MalformedLogError
        No line of names.
    """
    if b"\r" in source.head.rstrip(b"\r") and b"\n" not in source.head:
        # Line ends of old Macs, and of some spreadsheets.
        source = Source(name=source.name, data=source.read_bytes().replace(b"\r", b"\n"))
    book = NoticeBook()
    texts: Counter[str] = Counter()
    try:
        with open_text(source) as handle:
            header, n_before = _read_header(handle, source.name, book)
            if len(header.names) > MAX_COLUMNS:
                raise too_many_columns(source.name)
            parser, joiner = _parser_for(header, source), TableJoiner(options, source.name)
            n_lines = n_before
            found = in_order(
                parser.parse, blocks(handle, parser.block_size(), name=source.name), in_threads=parser.in_threads
            )
            for done, table in found:
                for problem in table.problems:
                    book.add(problem.code, problem.message, f"line {n_lines + problem.line + 1}", problem.times)
                joiner.add(table, share_of(done, source))
                texts.update(table.texts)
                n_lines += table.n_lines
                progress(done)
            columns, n_rows, unread = joiner.columns(), joiner.n_rows, joiner.unread_rows()
    except QuotedLinesError:
        return _read_slowly(source, options)
    order = {name: place for place, name in enumerate(header.names)}
    columns = tuple(sorted(columns, key=lambda column: order[column.name]))
    notice_texts(columns, texts, book)
    return CsvTable(header.names, columns, n_rows, book.notices(), unread)


def _parser_for(header: Header, source: Source) -> CsvBlockParser | ArrowCsvParser:
    commas = DecimalCommas(source.head_text, header.separator, len(header.names))
    if (source.size or 0) < _WORTH_ARROW:
        return CsvBlockParser(header, commas)
    from gradlens.readers.blocks.csv_arrow import ArrowCsvParser

    try:
        return ArrowCsvParser(header, commas)
    except ImportError:
        # The same columns from the parser of our own, only later.
        return CsvBlockParser(header, commas)


def _read_header(handle: BinaryIO, source_name: str, book: NoticeBook) -> tuple[Header, int]:
    """The names, and how many lines were read; blank lines and comments before them are passed over."""
    for number in range(1, _HEAD_LINES + 1):
        line = handle.readline(_MAX_HEADER)
        if not line:
            break
        raw = line.rstrip(b"\r\n")
        text = raw.decode("utf-8", errors="replace").replace("\0", "")
        if text.strip() and not text.startswith("#"):
            separator = _separator_of(text)
            return Header(_names(_cells(text, separator), book), raw, separator), number
    raise MalformedLogError(f"{source_name}: no header line", hint="the table seems to be empty")


def _read_slowly(source: Source, options: ReadOptions) -> CsvTable:
    """A table with line breaks in its cells, or with other names from some line on, record by record."""
    book, builder = NoticeBook(), TableBuilder()
    with open_text(source) as whole:
        text = whole.read().decode("utf-8", errors="replace").replace("\0", "")
    handle = io.BytesIO(text.encode())
    header, n_before = _read_header(handle, source.name, book)
    names = every_name = header.names
    records = Records(handle.read().decode(), header.separator, len(names), book, n_before)
    commas = DecimalCommas(source.head_text, header.separator, len(names))
    texts: Counter[str] = Counter()
    for line, cells, is_last in records:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"line {line}"
        if len(cells) < len(names) and is_last:
            book.add("truncated-record", "the last line is cut off, left out", where)
            continue
        if is_header(cells, names) or _names(cells, NoticeBook()) == names:
            again = _names(cells, NoticeBook())
            code = "repeated-header" if again == names else "changed-header"
            message = "the header line again, in mid-file" if again == names else _CHANGED
            book.add(code, message, where)
            names, records.width = again, len(again)
            every_name = tuple(dict.fromkeys((*every_name, *again)))
            continue
        pointed = [
            commas.with_point(column, cell) if column < len(header.names) else cell
            for column, cell in enumerate(cells[: len(names)])
        ]
        numbers = {name: parse_number(cell) for name, cell in zip(names, pointed, strict=False)}
        row = {name: number for name, number in numbers.items() if number is not None}
        if len(cells) < len(names):
            book.add("short-row", "rows with fewer cells than the header has names", where)
        elif len(cells) > len(names):
            book.add("long-row", "rows with more cells than the header has names; the extra cells were left out", where)
        texts.update(n for (n, v), cell in zip(numbers.items(), cells, strict=False) if v is None and cell.strip())
        changed = sum(a != b and numbers[name] is not None for name, a, b in zip(names, cells, pointed, strict=False))
        book.add("decimal-comma", commas.message, where, changed)
        if row:
            builder.add(row)
    order = {name: place for place, name in enumerate(every_name) if options.wanted(name)}
    every = builder.columns()
    columns = tuple(sorted((c for c in every if c.name in order), key=lambda column: order[column.name]))
    unread = tuple(c.row for c in every if c.name not in order and c.row is not None)
    notice_texts(columns, texts, book)
    return CsvTable(every_name, columns, builder.n_rows, book.notices(), unread)


def _separator_of(line: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", line)
    return max(_SEPARATORS, key=unquoted.count)


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _names(cells: Sequence[str], book: NoticeBook) -> tuple[str, ...]:
    """The names of the columns: blank ones by their place, repeated ones with a number."""
    names: list[str] = []
    taken: set[str] = set()
    repeats: dict[str, int] = {}
    for place, cell in enumerate(cells, 1):
        name = cell.strip()
        if not name:
            name = f"column {place}"
            book.add("unnamed-column", "columns without a name, named by their position", "line 1")
        if name in taken:
            again = repeats.get(name, 2)
            while f"{name} ({again})" in taken:
                again += 1
            repeats[name] = again + 1
            name = f"{name} ({again})"
            book.add("repeated-name", f"columns of the same name, numbered (first: {name})", "line 1")
        names.append(name)
        taken.add(name)
    return tuple(names)
