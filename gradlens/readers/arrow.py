"""Parquet, Feather and Arrow files: one row per record, any numeric columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.errors import BeyondLimitError, MalformedLogError, MissingExtraError
from gradlens.readers.base import (
    MAX_COLUMNS,
    Column,
    NoticeBook,
    RawRun,
    Reader,
    ReadOptions,
    parse_number,
    too_many_columns,
)
from gradlens.readers.blocks.arrow_frames import held
from gradlens.readers.blocks.block_table import notice_texts
from gradlens.sources.files import Source

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

#: Bytes of a cell as it is kept; a table of measurements unpacks to some ten times its size, and is held as a whole.
_CELL, _MAX_EXPANSION, _FREE_BYTES = 8, 40, 1 << 28
_PARQUET, _ARROW, _STREAM = b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff"


class ArrowReader(Reader):
    """Parquet, Feather and Arrow tables; columns that hold no numbers are left out."""

    name = "parquet"

    def sniff(self, source: Source) -> float:
        head = source.head
        if head.startswith((_PARQUET, _ARROW)):
            return 1.0
        # An Arrow stream begins with a continuation mark, a small length and the flatbuffer of its schema.
        return (
            0.8
            if head.startswith(_STREAM) and len(head) > 16 and int.from_bytes(head[4:8], "little") < 1 << 24
            else 0.0
        )

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book = NoticeBook()
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingExtraError(f"{source.name}: a {self.name} file", "arrow", "pyarrow") from error
        try:
            table, unread = _load(source, options, book)
            columns = tuple(_columns(table, options, book))
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise MalformedLogError(f"{source.name}: {error}", hint="the file is incomplete or damaged") from error
        if not table.num_rows or not columns:
            raise MalformedLogError(f"{source.name}: {table.num_rows} rows and no numeric column")
        return [RawRun(columns=columns, n_rows=table.num_rows, notices=book.notices(), unread_rows=unread)]


def _load(source: Source, options: ReadOptions, book: NoticeBook) -> tuple[pa.Table, tuple[NDArray[np.int64], ...]]:
    """The wanted columns, and the rows with a value of each of the others that does not stand in every row."""
    import pyarrow as pa

    data = pa.memory_map(str(source.path)) if source.is_plain_file else pa.BufferReader(source.read_bytes())
    if source.head.startswith(_PARQUET):
        import pyarrow.parquet as pq

        return _load_parquet(pq.ParquetFile(data), data, source, options, book)
    is_file = source.head.startswith(_ARROW)
    opened = pa.ipc.open_file(data) if is_file else pa.ipc.open_stream(data)
    names = opened.schema.names
    data.seek(0)
    _check_length(held(memoryview(data.read_buffer()), is_file=is_file), names, source, options)
    data.seek(0)
    table = (pa.ipc.open_file(data) if is_file else pa.ipc.open_stream(data)).read_all()
    # Until here nothing has asked whether the buffers hold as many values as the batches say.
    table.validate(full=True)
    others = [name for name, column in zip(table.column_names, table.columns, strict=True) if column.null_count]
    return table, tuple(_rows_of(table.select([name])) for name in others if not options.wanted(name))


def _load_parquet(
    file: Any, data: Any, source: Source, options: ReadOptions, book: NoticeBook
) -> tuple[pa.Table, tuple[NDArray[np.int64], ...]]:
    """The same of a Parquet file; columns that cannot hold numbers are noticed and not read."""
    import pyarrow.parquet as pq

    kinds = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
    _check_length((file.metadata.num_rows, 0), file.schema_arrow.names, source, options)
    others = [name for name, kind in kinds.items() if not options.wanted(name) and _is_flat(kind)]
    with_nulls = [] if options.columns == "all" else _with_nulls(file, others)
    wanted = [name for name in file.schema_arrow.names if options.wanted(name)]
    for name in wanted:
        if not _may_hold_numbers(kinds[name]):
            _leave_out(name, book)
    # Texts stay numbers of their dictionary: a long one that stands in each row takes no room in the file.
    file = pq.ParquetFile(data, read_dictionary=[name for name, kind in kinds.items() if _is_text(kind)])
    unread = tuple(_rows_of(file.read(columns=[name])) for name in with_nulls)
    return file.read(columns=[name for name in wanted if _may_hold_numbers(kinds[name])]), unread


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_it(kind) for is_it in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _may_hold_numbers(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    of = pa.types
    return any(
        is_it(kind) for is_it in (of.is_integer, of.is_floating, of.is_decimal, of.is_string, of.is_large_string)
    )


def _is_flat(kind: Any) -> bool:
    """Whether a cell takes a few bytes, those of texts as numbers of their dictionary."""
    import pyarrow as pa

    return _is_text(kind) or _may_hold_numbers(kind) or bool(pa.types.is_primitive(kind))


def _check_length(held: tuple[int, int], names: Sequence[str], source: Source, options: ReadOptions) -> None:
    """Refuse a file that says it holds far more than its size can: equal values take no room however many they are.

    `held` are its rows, and the bytes that it unpacks to beside their cells.

    Raises
    ------
    BeyondLimitError
        More than 256 MiB and forty times its size, or more columns than any run has.
    """
    if len(names) > MAX_COLUMNS:
        raise too_many_columns(source.name)
    rows, unpacked = held
    wanted = sum(options.columns == "all" or options.wanted(name) for name in names)
    most = max(_FREE_BYTES, _MAX_EXPANSION * (source.size or 0))
    if rows * max(wanted, 1) * _CELL + unpacked > most:
        raise BeyondLimitError(
            f"{source.name}: {rows:,} rows of {wanted:,} columns unpack to more than {most >> 20} MiB",
            hint="write a part of its rows to another file if it is a log",
        )


def _with_nulls(file: Any, names: Sequence[str]) -> list[str]:
    """Which of these flat columns of a Parquet file have empty cells, by its statistics, which costs hardly any reading."""
    if not names:
        return []
    metadata, wanted = file.metadata, frozenset(names)
    places = [
        (place, path) for place in range(metadata.num_columns) if (path := file.schema.column(place).path) in wanted
    ]
    found: dict[str, None] = {}
    for number in range(metadata.num_row_groups):
        # Reading checks what the file says of a column and raises; asking for it, where it is damaged, ends the process.
        next(file.iter_batches(batch_size=1, row_groups=[number], columns=list(names)), None)
        group = metadata.row_group(number)
        for place, path in places:
            column = group.column(place)
            counted = column.is_stats_set and column.statistics.has_null_count
            if not (counted and not column.statistics.null_count):
                found[path] = None
    return list(found)


def _rows_of(table: pa.Table) -> NDArray[np.int64]:
    """The rows with a value of a table of one column."""
    return np.flatnonzero(table.column(0).is_valid().to_numpy()).astype(np.int64)


def _columns(table: pa.Table, options: ReadOptions, book: NoticeBook) -> Iterator[Column]:
    for name, chunked in zip(table.column_names, table.columns, strict=True):
        if not options.wanted(name):
            continue
        values, is_number, n_texts = _numbers(chunked)
        if values is None:
            _leave_out(name, book)
            continue
        valid = np.asarray(chunked.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        if is_number is not None:
            valid &= is_number
        if not valid.any():
            continue
        rows = None if valid.all() else np.flatnonzero(valid).astype(np.int64)
        column = Column(name=name, value=values if rows is None else values[valid], row=rows)
        notice_texts((column,), {name: n_texts}, book)
        yield column


def _leave_out(name: str, book: NoticeBook) -> None:
    book.add("text-column", f"columns that hold no numbers were left out (first: {name})")


def _numbers(chunked: Any) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_] | None, int]:
    """The numbers of a column, if it holds any; of texts, which are numbers (None for all) and how many others."""
    import pyarrow as pa

    kind = chunked.type
    if not _may_hold_numbers(kind):
        return None, None, 0
    if pa.types.is_dictionary(kind):
        if _is_text(kind.value_type):
            return _joined([_looked_up(chunk) for chunk in chunked.chunks])
        chunked = chunked.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        # Unsafe, since steps beyond 2**53 lose digits as float64: no training counts so far.
        value = chunked.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(value, dtype=np.float64), None, 0
    return _joined([_parsed(chunked.cast("large_binary").to_pylist())])


#: Of values of a text column the numbers (NaN for others), which are numbers, and which are other texts than blanks.
_Texts = tuple["NDArray[np.float64]", "NDArray[np.bool_]", "NDArray[np.bool_]"]


def _parsed(texts: Sequence[bytes | None]) -> _Texts:
    """Parse texts, which in Parquet files may be no UTF-8."""
    spelled = [(text or b"").decode(errors="replace") for text in texts]
    numbers = [parse_number(text) for text in spelled]
    return (
        np.array([np.nan if number is None else number for number in numbers], dtype=np.float64),
        np.array([number is not None for number in numbers], dtype=np.bool_),
        np.array([n is None and bool(t.strip()) for n, t in zip(numbers, spelled, strict=True)], dtype=np.bool_),
    )


def _looked_up(chunk: Any) -> _Texts:
    """The same of an array with a dictionary, each text of which is parsed once."""
    number, is_number, is_text = _parsed([*chunk.dictionary.cast("large_binary").to_pylist(), None])
    at = chunk.indices.cast("int64").fill_null(len(number) - 1).to_numpy()
    if at.size and not 0 <= int(at.min()) <= int(at.max()) < len(number):
        raise ValueError("a text that its dictionary does not hold")
    return number[at], is_number[at], is_text[at]


def _joined(parts: Sequence[_Texts]) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_] | None, int]:
    """The answer of `_numbers` for texts in parts."""
    if not any(is_number.any() for _, is_number, _ in parts):
        return None, None, 0
    number, is_number, is_text = (np.concatenate(column) for column in zip(*parts, strict=True))
    return number, is_number, int(is_text.sum())
