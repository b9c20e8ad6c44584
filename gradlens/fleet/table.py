"""The table of a fleet: a Parquet file with a documented schema, the same to the byte for the same logs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlens.errors import MalformedLogError, MissingExtraError
from gradlens.fleet.plan import storable
from gradlens.fleet.row import COLUMNS, Row

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_NAME, SCHEMA_VERSION = "gradlens-fleet", 1
_META = b"gradlens"
#: Cells that a table may hold, at least and for each of its bytes. Equal rows take no room in a Parquet file; a row of a fleet, which
#: has an id of its own, takes some hundred bytes.
_FREE_CELLS, _MAX_CELLS_PER_BYTE = 1 << 25, 5


def dump_table(rows: Iterable[Mapping[str, Any]], mark: Mapping[str, Any]) -> bytes:
    """The table as Parquet, its rows sorted by unit and id; `mark` says which settings made it."""
    pa = _arrow()
    import pyarrow.parquet as pq

    ordered = in_order(rows)
    schema = _schema(mark)
    columns = [pa.array([_storable(row.get(f.name)) for row in ordered], type=f.type) for f in schema]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="zstd", row_group_size=1 << 16)
    return sink.getvalue()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    return [_storable(item) for item in value] if isinstance(value, list) else value


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows by unit and id."""
    return sorted(rows, key=lambda row: (str(row.get("unit")), str(row.get("id"))))


def load_table(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows of a table and the mark of the settings that made it.

    Raises
    ------
    MalformedLogError
        A file that is not such a table, one of a later version, or one that claims far more rows than its size can hold.
    """
    pa = _arrow()
    import pyarrow.parquet as pq

    try:
        claimed = pq.read_metadata(path)
        most = max(_FREE_CELLS, _MAX_CELLS_PER_BYTE * path.stat().st_size)
        if claimed.num_rows * claimed.num_columns > most:
            raise MalformedLogError(
                f"{path}: claims {claimed.num_rows:,} rows, which a fleet table of its size cannot hold"
            )
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise MalformedLogError(
            f"{path}: cannot be read as a fleet table: {str(error).splitlines()[0]}",
            hint="make it with `gradlens fleet`",
        ) from error
    head = _head(table.schema.metadata)
    if head.get("schema") != SCHEMA_NAME:
        raise MalformedLogError(f"{path}: a Parquet file, but not a fleet table", hint="make it with `gradlens fleet`")
    if head.get("schema_version") != SCHEMA_VERSION:
        raise MalformedLogError(
            f"{path}: version {head.get('schema_version')} of the table, this gradlens knows {SCHEMA_VERSION}",
            hint="make it again with this version",
        )
    rows: list[Row] = table.to_pylist()
    return rows, head.get("mark", {})


def is_table(path: Path) -> bool:
    """Whether a file is a fleet's table, of whatever version, and not a log that is a Parquet file."""
    try:
        with path.open("rb") as handle:
            if handle.read(4) != b"PAR1":
                return False
    except OSError:
        return False
    pa = _arrow()
    import pyarrow.parquet as pq

    try:
        return _head(pq.read_schema(path).metadata).get("schema") == SCHEMA_NAME
    except (pa.ArrowInvalid, OSError):
        return False


def _head(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    try:
        found = json.loads((metadata or {}).get(_META, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _schema(mark: Mapping[str, Any]) -> pa.Schema:
    pa = _arrow()
    types = {
        "string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(),
        "list<string>": pa.list_(pa.string()), "list<float64>": pa.list_(pa.float64()),
    }  # fmt: skip
    head = {"schema": SCHEMA_NAME, "schema_version": SCHEMA_VERSION, "mark": dict(mark)}
    return pa.schema(
        [pa.field(name, types[kind], metadata={"meaning": meaning}) for name, kind, meaning in COLUMNS],
        metadata={_META: json.dumps(head, sort_keys=True).encode()},
    )


def _arrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("a fleet table", "arrow", "pyarrow") from error
    return pa
