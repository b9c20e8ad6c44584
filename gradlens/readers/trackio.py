"""Trackio's local store: a SQLite file for each project, each row of a run's log as JSON."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, as_float, values_of_list
from gradlens.readers.sqlite_file import MAGIC, check_size, columns_of, connect
from gradlens.sources.files import Source

#: What a row of the table of metrics has in every version; since 2025 a run has an identity beside its name.
_COLUMNS = frozenset({"run_name", "step", "metrics"})


class TrackioReader(Reader):
    """Trackio's local store (`PROJECT.db`), a run for each of its runs, without the Trackio package."""

    name = "trackio"
    settings_in = "the configuration of each run"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.head.startswith(MAGIC) and columns_of(source, "metrics") >= _COLUMNS else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        check_size(source)
        columns = columns_of(source, "metrics")
        if not columns >= _COLUMNS:
            raise MalformedLogError(
                f"{source.name}: no table of metrics", hint="not a store of Trackio, or a damaged one"
            )
        try:
            with contextlib.closing(connect(source)) as database:
                runs = list(_runs(database, columns, columns_of(source, "configs"), options))
        except (sqlite3.Error, OverflowError, UnicodeError, TypeError, ValueError) as error:
            raise MalformedLogError(f"{source.name}: {error}", hint="a damaged store of Trackio") from error
        if not runs:
            raise NoTrainingSeriesError(f"{source.name}: a store of Trackio without a number")
        return runs


def _runs(
    database: sqlite3.Connection, columns: frozenset[str], of_configs: frozenset[str], options: ReadOptions
) -> Iterator[RawRun]:
    key = "run_id" if "run_id" in columns else "run_name"
    keyed = f"SELECT {key}, run_name, step, metrics FROM metrics ORDER BY rowid"  # noqa: S608 -- one of two constants
    tables: dict[str, tuple[str, TableBuilder, NoticeBook]] = {}
    for identity, name, step, text in database.execute(keyed):
        _, table, book = tables.setdefault(str(identity), (str(name), TableBuilder(), NoticeBook()))
        row = dict(_numbers(_record(text, book, f"row of step {step}"), "", options, book))
        at = as_float(step)
        if row and at is not None:
            table.add({"step": at, **row})
    for identity, (name, table, book) in tables.items():
        if table.n_rows:
            config = _config(database, key, identity) if key in of_configs else {}
            yield RawRun(
                name=name if len(tables) > 1 else "",
                columns=table.columns(),
                n_rows=table.n_rows,
                config=config,
                step_column="step",
                notices=book.notices(),
            )


def _record(text: object, book: NoticeBook, where: str) -> Mapping[str, Any]:
    try:
        record = json.loads(text if isinstance(text, (str, bytes)) else "null")
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        book.add("malformed-record", "not a JSON object, left out", where)
        return {}
    return record


def _numbers(
    record: Mapping[str, Any], prefix: str, options: ReadOptions, book: NoticeBook
) -> Iterator[tuple[str, float]]:
    """The wanted numbers of a row; nested ones as `outer/inner`."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if "_type" not in value:  # a picture, a table
                yield from _numbers(value, f"{name}/", options, book)
        elif isinstance(value, list):
            for item, number, _ in values_of_list(name, value):
                if number is None:
                    book.add("unreadable-value", "values that are not numbers, left out", item)
                elif options.wanted(item):
                    yield item, number
        elif options.wanted(name) and name != "step" and (number := as_float(value)) is not None:
            yield name, number


def _config(database: sqlite3.Connection, key: str, identity: str) -> dict[str, Any]:
    # One of two constants.
    found = database.execute(f"SELECT config FROM configs WHERE {key} = ?", (identity,)).fetchone()  # noqa: S608
    settings = _record(found[0], NoticeBook(), "") if found else {}
    return {name: value for name, value in settings.items() if not name.startswith("_")}
