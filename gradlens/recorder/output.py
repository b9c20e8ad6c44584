"""From measured rows to columns, and from there to the log, to other loggers and to the live verdict."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradlens.recorder.histograms import count_elements
from gradlens.recorder.logfile import Earlier, LogFile
from gradlens.recorder.parameters import Parameters
from gradlens.recorder.ranks import Ranks
from gradlens.recorder.rows import Row, fetch
from gradlens.recorder.shards import NORMS, PRODUCTS
from gradlens.recorder.sinks import Sinks
from gradlens.recorder.writing import batch_number, shorten

if TYPE_CHECKING:
    from gradlens.recorder.live import Live

_log = logging.getLogger("gradlens.recorder")
#: Seconds that the first rank waits for rows of the others: in the loop, where it should not be held up; and when asked to.
MOMENT_SECONDS, WAIT_SECONDS = 1.0, 5.0
#: The order of the columns in a row; further ones follow.
ORDER = (
    "step", "loss", "grad_norm", "lr", "loss_scale", "skipped", "batch_size", "tokens", "batch_id", "weight_norm",
    "update_norm", "rms_ratio", "data_norm", "penalized_norm", "loss_before", "loss_after", "grad_dot_update",
)  # fmt: skip


class Output:
    """Where rows go.

    Parameters
    ----------
    file
        The log.
    parameters
        What is watched; tells which columns there can be.
    settings
        For the first record, as JSON knows them.
    earlier
        What the log held before.
    loggers
        See `gradlens.recorder.sinks`.
    group
        The process group whose ranks have different parts of a batch.
    live
        The verdict while the training runs.
    notice
        Told in one line, with its kind, what the loop should hear of.

    Attributes
    ----------
    latest
        The last value written in each column.
    """

    def __init__(
        self, file: LogFile, parameters: Parameters, *, settings: Mapping[str, Any], earlier: Earlier | None,
        loggers: Any, group: Any, live: Live | None, notice: Callable[[str, str], None] | None = None,
    ) -> None:  # fmt: skip
        self._file, self._parameters = file, parameters
        self._events: list[dict[str, Any]] = []
        self._ranks = Ranks(group, notice)
        self._sinks = Sinks(loggers if self._ranks.is_first else (), self.tell)
        self._live = live if self._ranks.is_first else None
        self._histograms: list[tuple[int, Any]] = []
        self._evaluations: list[dict[str, Any]] = []
        self.latest: dict[str, float] = {}
        if earlier is not None:
            self.tell({"event": "started-again", "after": earlier.last_step})
        self._first: list[dict[str, Any]] = [{"config": dict(settings)}]
        if self._ranks.is_first:
            file.claim()  # last: a recorder that cannot be made leaves no file

    @property
    def wants_to_stop(self) -> bool:
        """Whether the live verdict asks to stop."""
        return self._live is not None and self._live.wants_to_stop

    def tell(self, event: Mapping[str, Any]) -> None:
        """Note in the log what the recorder did."""
        self._events.append(dict(event))

    def add_histogram(self, step: int, parameters: Parameters, scale: Any) -> None:
        """Count the elements of all gradients by size."""
        self._histograms.append((step, count_elements(parameters, scale)))

    def flush(self, rows: Sequence[Row], *, wait: bool = False) -> None:
        """Write rows, with several ranks those that all have told theirs of; `wait` for those that are behind."""
        self._pass_on(rows, WAIT_SECONDS if wait else MOMENT_SECONDS)

    def finish(self, rows: Sequence[Row]) -> None:
        """Write the last rows, whether or not all ranks have told theirs."""
        is_failing = sys.exc_info()[0] is not None or getattr(sys, "last_value", None) is not None
        # Other ranks hang or have gone where an exception ends this one.
        self._pass_on(rows, MOMENT_SECONDS if is_failing else WAIT_SECONDS, all_of_them=True)

    def _pass_on(self, rows: Sequence[Row], wait_s: float, *, all_of_them: bool = False) -> None:
        keys = self._parameters.keys
        names = [*NORMS, *PRODUCTS, *(f"grad_norm/{layer}" for layer in self._parameters.layers)]
        self._ranks.add(fetch(rows), keys)
        ready = self._ranks.ready(keys, names, wait_s=wait_s, all_of_them=all_of_them)
        histograms = [histogram.record(step) for step, histogram in self._histograms]
        self._histograms = []
        if not self._ranks.is_first:
            return
        written = [_finished(row.step, found, row.ids) for row, found in ready]
        evaluations, self._evaluations = self._evaluations, []
        everything = _in_order(written, evaluations)
        self._write(everything, histograms)
        for row in written:
            self.latest.update(row)
        self._sinks.write(everything)
        if self._live is not None and written:
            self._live.saw(self._file.path, int(written[-1]["step"]), tell=self.tell, sinks=self._sinks)

    def add_evaluation(self, row: Mapping[str, float]) -> None:
        """A row of its own, which the next flush writes behind those of the steps that were before it."""
        if self._ranks.is_first:
            self._evaluations.append({name: shorten(value) for name, value in row.items()})

    def close(self) -> None:
        """Wait for the verdict that is being made, close the loggers, write what happened and close the log."""
        if self._live is not None:
            self._live.close()
        try:
            self._sinks.close()
            if self._ranks.is_first:
                self._write([], [])
        finally:
            self._file.close()

    def _write(self, rows: Sequence[Mapping[str, Any]], histograms: Sequence[Mapping[str, Any]]) -> None:
        events, self._events = self._events, []
        first, self._first = self._first, []
        self._file.write([*first, *({"recorder": event} for event in events), *rows, *histograms])


def _take_given(row: dict[str, Any]) -> float:
    """The norm that the loop gave is that of the row; by how much the measured gradients fall short of it, being clipped."""
    given, measured = row.pop("given_norm", None), row.get("grad_norm")
    if given is None:
        return 1.0
    row["grad_norm"] = given
    is_scale = measured is not None and math.isfinite(given) and math.isfinite(measured) and measured > 0 and given > 0
    return given / measured if is_scale and measured is not None else 1.0


def write_pending(rows: list[Row], output: Output) -> None:
    """What is left of a recorder that is gone without having been closed: a local name of a function that ended."""
    try:
        output.finish(rows)
        output.close()
    except Exception as error:  # noqa: BLE001 - this runs anywhere in the program
        _log.warning("the last rows could not be written: %s: %s", type(error).__name__, error)


def _in_order(rows: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order in which they came, each evaluation behind the rows up to its step."""
    ordered, left = [], list(evaluations)
    for row in rows:
        while left and left[0]["step"] < row["step"]:
            ordered.append(left.pop(0))
        ordered.append(row)
    return ordered + left


def _finished(step: int, found: Mapping[str, float], ids: Sequence[Any]) -> dict[str, Any]:
    """A row as it is written: in order, with what follows from several measurements."""
    row: dict[str, Any] = {"step": step, **found}
    squares, count = row.pop("rms_squares", None), row.pop("rms_count", None)
    if squares is not None and count:
        row["rms_ratio"] = math.sqrt(squares / count) if squares >= 0 else math.nan
    inner, square, seen = row.pop("penalty_inner", None), row.pop("penalty_square", None), row.pop("seen_norm", None)
    factor = _take_given(row)
    if factor != 1:
        for name in (n for n in row if n == "rms_ratio" or n.startswith("grad_norm/")):
            row[name] *= factor
    norm = row.get("grad_norm")
    if seen and norm is not None and "grad_dot_update" in row:
        # The optimizer saw clipped gradients: to first order the loss changes by the product with the whole ones.
        row["grad_dot_update"] *= norm / seen
    if inner is not None and square is not None and norm is not None:
        row["data_norm"] = norm
        total = norm * norm + factor * inner + square
        row["penalized_norm"] = math.sqrt(max(total, 0.0)) if not math.isnan(total) else math.nan
    if row.get("skipped") == 0:
        del row["skipped"]
    number = batch_number(ids)
    if number is not None:
        row["batch_id"] = number
    shown = {name: shorten(row[name]) for name in (*ORDER, *(n for n in row if n not in ORDER)) if name in row}
    return {"step": int(shown.pop("step")), **shown}
