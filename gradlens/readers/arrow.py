"""Parquet, Feather and Arrow files: one row per record, any numeric columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.errors import BeyondLimitError, MalformedLogError, MissingExtraError
from gradlens.readers.base import Column, NoticeBook, RawRun, Reader, ReadOptions, parse_number
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
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingExtraError(f"{source.name}: a {self.name} file", "arrow", "pyarrow") from error
        try:
            table, unread = _load(source, options)
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise MalformedLogError(f"{source.name}: {error}", hint="the file is incomplete") from error
        book = NoticeBook()
        columns = tuple(_columns(table, options, book))
        if not table.num_rows or not columns:
            raise MalformedLogError(f"{source.name}: {table.num_rows} rows and no numeric column")
        return [RawRun(columns=columns, n_rows=table.num_rows, notices=book.notices(), unread_rows=unread)]


def _load(source: Source, options: ReadOptions) -> tuple[pa.Table, tuple[NDArray[np.int64], ...]]:
    """The wanted columns, and the rows with a value of each of the others that does not stand in every row."""
    import pyarrow as pa

    data = pa.memory_map(str(source.path)) if source.is_plain_file else pa.BufferReader(source.read_bytes())
    if source.head.startswith(_PARQUET):
        import pyarrow.parquet as pq

        file = pq.ParquetFile(data)
        _check_length(file, source, options)
        if options.columns == "all":
            return file.read(), ()
        names = file.schema_arrow.names
        unread = tuple(_rows_of(file.read(columns=[name])) for name in _with_nulls(file) if not options.wanted(name))
        return file.read(columns=[name for name in names if options.wanted(name)]), unread
    opened = pa.ipc.open_file(data) if source.head.startswith(_ARROW) else pa.ipc.open_stream(data)
    table = opened.read_all()
    others = [name for name, column in zip(table.column_names, table.columns, strict=True) if column.null_count]
    return table, tuple(_rows_of(table.select([name])) for name in others if not options.wanted(name))


def _check_length(file: Any, source: Source, options: ReadOptions) -> None:
    """Refuse a file that says it holds far more cells than its size can: equal values take no room however many they are.

    Raises
    ------
    BeyondLimitError
        More than 256 MiB and forty times its size.
    """
    wanted = sum(options.columns == "all" or options.wanted(name) for name in file.schema_arrow.names)
    most = max(_FREE_BYTES, _MAX_EXPANSION * (source.size or 0))
    if file.metadata.num_rows * max(wanted, 1) * _CELL > most:
        raise BeyondLimitError(
            f"{source.name}: {file.metadata.num_rows:,} rows of {wanted:,} columns unpack to more than {most >> 20} MiB",
            hint="write a part of its rows to another file if it is a log",
        )


def _with_nulls(file: Any) -> list[str]:
    """The flat columns of a Parquet file that have empty cells, by its statistics, which costs no reading at all."""
    found: dict[str, None] = {}
    metadata, names = file.metadata, frozenset(file.schema_arrow.names)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for place in range(metadata.num_columns):
            column = group.column(place)
            counted = column.is_stats_set and column.statistics.has_null_count
            if column.path_in_schema in names and not (counted and not column.statistics.null_count):
                found[column.path_in_schema] = None
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
            book.add("text-column", f"columns that hold no numbers were left out (first: {name})")
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


def _numbers(chunked: Any) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_] | None, int]:
    """The numbers of a column, if it holds any; of texts, which are numbers (None for all) and how many others."""
    import pyarrow as pa

    kind = chunked.type
    if pa.types.is_dictionary(kind):
        chunked = chunked.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        # Unsafe, since steps beyond 2**53 lose digits as float64: no training counts so far.
        value = chunked.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(value, dtype=np.float64), None, 0
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [text or "" for text in chunked.to_pylist()]
        parsed = [parse_number(text) for text in texts]
        is_number = np.array([p is not None for p in parsed])
        if is_number.any():
            n_texts = sum(p is None and bool(t.strip()) for p, t in zip(parsed, texts, strict=True))
            return np.array([np.nan if p is None else p for p in parsed], dtype=np.float64), is_number, n_texts
    return None, None, 0
