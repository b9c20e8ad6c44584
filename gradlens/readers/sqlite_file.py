"""SQLite files: opened without a change, checked for their length."""

from __future__ import annotations

import contextlib
import sqlite3

from gradlens.errors import MalformedLogError
from gradlens.sources.files import Source

MAGIC = b"SQLite format 3\0"


def check_size(source: Source) -> None:
    """SQLite reads a copy that is cut off as far as it goes, and says nothing of the rows that are gone.

    Raises
    ------
    MalformedLogError
        Fewer pages than the header counts (https://sqlite.org/fileformat2.html, section 1.3).
    """
    head = source.head[:100]
    if len(head) < 100:
        raise MalformedLogError(f"{source.name}: cut off inside the header of the database")
    page = int.from_bytes(head[16:18], "big")
    wanted = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    # The count of pages is only valid if the last change was made by a version of SQLite that writes it.
    if source.compression is None and head[24:28] == head[92:96] and source.size is not None and source.size < wanted:
        raise MalformedLogError(
            f"{source.name}: {source.size} of {wanted} bytes of a database",
            hint="copy it again, with its -wal file if there is one",
        )


def connect(source: Source) -> sqlite3.Connection:
    """A connection that cannot write: a store that is written at the same time must not be locked or changed."""
    if source.is_plain_file and source.path is not None:
        return sqlite3.connect(f"{source.path.resolve().as_uri()}?mode=ro", uri=True)
    database = sqlite3.connect(":memory:")
    database.deserialize(source.read_bytes())
    return database


def columns_of(source: Source, table: str) -> frozenset[str]:
    """The columns of a table; empty where there is no such table or the file cannot be read.

    A view is none: it is a program of whoever wrote the file, and may have no end.
    """
    try:
        with contextlib.closing(connect(source)) as database:
            found = database.execute(
                "SELECT c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.name = ?",
                (table,),
            ).fetchall()
    except (sqlite3.Error, MalformedLogError, OverflowError, UnicodeError, OSError):
        return frozenset()
    return frozenset(str(name) for (name,) in found)
