"""What is known already: the rows of the last table, and of a call that was interrupted.

Beside the table `fleet.parquet` lies `fleet.parquet.journal` while a call runs: a line for each unit that is done, appended
at once. After a kill the next call goes on from there. A line that was cut off is one unit that is judged again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from gradlens.errors import SourceError
from gradlens.fleet.judge import Result
from gradlens.fleet.plan import Unit, stamp_text


class Journal:
    """The units done since the table was last written."""

    def __init__(self, table: Path, mark: str) -> None:
        self.path = table.with_name(f"{table.name}.journal")
        self._mark = mark
        self._stream: IO[str] | None = None

    def recover(self) -> tuple[dict[str, Result], int]:
        """The results of an interrupted call by unit, and how many lines could not be used.

        A journal of other settings or another version of gradlens holds nothing of use and is ignored.
        """
        found: dict[str, Result] = {}
        damaged = 0
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return {}, 0
        except OSError as error:
            raise SourceError(f"{self.path}: {error.strerror or error}", hint="delete it to begin again") from error
        lines = text.splitlines()
        if not lines or lines[0] != self._mark:
            return {}, 0
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                found[entry["key"]] = Result(rows=tuple(entry["rows"]), is_log=entry["is_log"])
            except (ValueError, KeyError, TypeError):
                damaged += 1
        return found, damaged

    @contextlib.contextmanager
    def opened(self, known: Mapping[str, Result]) -> Iterator[None]:
        """Begin the journal with what was recovered, and close it in any case; the file stays."""
        self._begin(known)
        try:
            yield
        finally:
            if self._stream is not None:
                self._stream.close()

    def _begin(self, known: Mapping[str, Result]) -> None:
        scratch = self.path.with_name(f"{self.path.name}.new")
        try:
            stream = scratch.open("w", encoding="utf-8")
            stream.write(self._mark + "\n")
            self._stream = stream
            for key, result in known.items():
                self._write(key, result)
            stream.flush()
            scratch.replace(self.path)
        except OSError as error:
            raise SourceError(
                f"{scratch}: {error.strerror or error}", hint="check that the folder can be written"
            ) from error

    def add(self, unit: Unit, result: Result) -> None:
        """Write down one unit: it is not judged again, whatever happens next."""
        self._write(unit.key, result)
        if self._stream is not None:
            self._stream.flush()

    def _write(self, key: str, result: Result) -> None:
        if self._stream is not None:
            self._stream.write(json.dumps({"key": key, **result.to_plain()}) + "\n")

    def discard(self) -> None:
        """The table is written: the journal has served its purpose."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


class Known:
    """What earlier calls found, by unit, and whether it still holds.

    What could not be judged for a reason outside the log (it took too long, a process died) has no digest of its content and
    is tried again.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], not_logs: Iterable[Mapping[str, Any]] = ()) -> None:
        self._by_unit: dict[str, list[Mapping[str, Any]]] = {}
        self._not_logs = {str(row["unit"]) for row in not_logs}
        for row in (*rows, *not_logs):
            self._by_unit.setdefault(str(row["unit"]), []).append(row)

    def unchanged(self, unit: Unit) -> Result | None:
        """Its rows, if size and time of every file are those of the last call."""
        rows = self._by_unit.get(unit.key)
        if not rows or rows[0]["content"] is None or any(size < 0 for size, _, _ in unit.stamp):
            return None
        same = rows[0]["stamp"] == stamp_text(unit) and rows[0]["root"] == unit.root
        return self._result(unit) if same else None

    def same_content(self, unit: Unit, content: str) -> Result | None:
        """Its rows with the new stamp, if only the times of its files have changed."""
        rows = self._by_unit.get(unit.key)
        same = rows and rows[0]["content"] == content and rows[0]["root"] == unit.root
        return self._result(unit) if same else None

    def may_be_same(self, unit: Unit) -> bool:
        """Whether it has its old size, so that reading its bytes may save judging it."""
        rows = self._by_unit.get(unit.key)
        return bool(rows) and rows is not None and rows[0]["bytes"] == unit.size and unit.size > 0

    def _result(self, unit: Unit) -> Result:
        rows = tuple(dict(row) | {"stamp": stamp_text(unit)} for row in self._by_unit[unit.key])
        return Result(rows=rows, is_log=unit.key not in self._not_logs)
