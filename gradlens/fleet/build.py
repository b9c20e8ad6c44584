"""`gradlens fleet`: sources to a table, judging only what is new."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradlens.files import write_whole
from gradlens.fleet.engines.base import Engine, Task
from gradlens.fleet.judge import Job, Result, digest
from gradlens.fleet.ledger import Journal, Known
from gradlens.fleet.overview import changes_between
from gradlens.fleet.plan import Unit, stamp_text
from gradlens.fleet.relations import relate
from gradlens.fleet.row import COLUMNS, Row, give_names
from gradlens.fleet.table import dump_table, load_table
from gradlens.frozen import frozen
from gradlens.version import __version__


@frozen
class Fleet:
    """A table that was written, and how much of it was new.

    Attributes
    ----------
    rows
        All rows, in order.
    judged, unchanged, recovered
        Logs judged now, taken from the last table, and taken from the journal of an interrupted call.
    not_logs
        Files that are not logs.
    gone
        Rows of the last table whose logs are no longer among the sources; they are not in the new one.
    damaged
        Lines of the journal that could not be used.
    open
        Logs that could not be judged for a reason that may pass; the next call tries them again.
    """

    rows: tuple[Row, ...]
    judged: int
    unchanged: int
    recovered: int
    not_logs: int
    gone: int
    damaged: int
    open: int = 0


def build(
    units: Sequence[Unit],
    path: Path,
    job: Job,
    engine: Callable[[], Engine],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Fleet:
    """Judge what is new among `units` and write the table to `path`.

    Interrupted anywhere, the next call with the same path goes on where it was. `engine` is called if anything is to be
    judged; `progress` gets the units done and all of them.
    """
    mark = _mark(job)
    known, rows_before, changes_before = _known(path, mark)
    journal = Journal(path, json.dumps(mark, sort_keys=True))
    recovered, damaged = journal.recover()
    stamps = {unit.key: (stamp_text(unit), unit.root) for unit in units}
    recovered = {
        k: r for k, r in recovered.items() if r.rows and (r.rows[0]["stamp"], r.rows[0]["root"]) == stamps.get(k)
    }
    results: dict[str, Result] = dict(recovered)
    for unit in units:
        if unit.key not in results and (found := known.unchanged(unit)) is not None:
            results[unit.key] = found
    todo = [unit for unit in units if unit.key not in results]
    judged: set[str] = set()
    if todo:
        with journal.opened(recovered):
            judged = _judge(todo, len(units), known, results, journal, engine, progress)
    rows = [row for result in results.values() if result.is_log for row in result.rows]
    rows.sort(key=lambda row: (str(row["unit"]), str(row["id"])))
    give_names(rows)
    relate(rows)
    others = [row for result in results.values() if not result.is_log for row in result.rows]
    changes = changes_between(rows_before, rows) if todo and path.exists() else changes_before
    write_whole(path, dump_table(rows, {**mark, "not_logs": _left_out(others), "changes": changes}))
    journal.discard()
    keys = {unit.key for unit in units}
    logs = {key for key, result in results.items() if result.is_log}
    return Fleet(
        rows=tuple(rows),
        judged=len(logs & judged),
        unchanged=len(logs - judged - set(recovered)),
        recovered=len(recovered),
        not_logs=len(others),
        gone=sum(1 for row in rows_before if row["unit"] not in keys),
        damaged=damaged,
        open=sum(1 for row in rows if row["error"] is not None and row["content"] is None),
    )


def _judge(
    todo: Sequence[Unit],
    total: int,
    known: Known,
    results: dict[str, Result],
    journal: Journal,
    make_engine: Callable[[], Engine],
    progress: Callable[[int, int], None],
) -> set[str]:
    """Judge units into `results`, but those whose bytes turn out to be the old ones; the keys of those judged."""
    tasks = []
    for unit in todo:
        content = _digest(unit) if known.may_be_same(unit) else None
        found = known.same_content(unit, content) if content is not None else None
        if found is not None:
            results[unit.key] = found
            journal.add(unit, found)
        else:
            tasks.append(Task(unit=unit, content=content))
    engine = make_engine()
    try:
        progress(total - len(tasks), total)
        for done, (unit, result) in enumerate(engine.results(tasks), total - len(tasks) + 1):
            results[unit.key] = result
            journal.add(unit, result)
            progress(done, total)
    finally:
        engine.close()
    return {task.unit.key for task in tasks}


def _digest(unit: Unit) -> str | None:
    """The digest of its bytes; None where they cannot be read, which judging it will say."""
    try:
        return digest(unit)
    except OSError:
        return None


def _mark(job: Job) -> dict[str, Any]:
    """What a row depends on besides its log; another mark is a reason to judge it again."""
    columns = hashlib.blake2b(repr(COLUMNS).encode(), digest_size=8).hexdigest()
    return {"gradlens_version": __version__, "columns": columns, "job": {**job.to_plain(), "config": dict(job.config)}}


def _known(path: Path, mark: Mapping[str, Any]) -> tuple[Known, list[Row], list[Any]]:
    """What the last table knows (nothing if other settings or another version made it), its rows and its changes."""
    if not path.exists():
        return Known([]), [], []
    rows, before = load_table(path)
    left_out, changes = before.pop("not_logs", []), before.pop("changes", [])
    return (Known(rows, left_out) if before == mark else Known([])), rows, changes


def _left_out(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Files that are not logs, so that the next call need not open them."""
    return sorted(
        ({k: row[k] for k in ("unit", "root", "bytes", "stamp", "content", "error", "name", "source")} for row in rows),
        key=lambda row: str(row["unit"]),
    )
