"""Baseline files: summaries of one or more runs as small, stable, readable JSON.

Keys are sorted, numbers rounded, and nothing depends on the time or the machine, so that a diff shows what changed in the
training. A column that is the same in every window is one number.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.gating.checked import dump_checked, is_schema, load_checked, require_digest, rounded
from gradlens.gating.summary import COLUMNS, MAX_WINDOWS, SUMS, RunSummary
from gradlens.reports.base import ThresholdSource, plain_data
from gradlens.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = "gradlens-baseline"
SCHEMA_VERSION = 1
HINT = "recreate it with `gradlens baseline SOURCE... -o FILE`"


def dump_baseline(runs: Sequence[RunSummary]) -> str:
    """The text of a baseline file."""
    return dump_checked(SCHEMA, SCHEMA_VERSION, [_plain_run(run) for run in runs])


def _plain_run(run: RunSummary) -> dict[str, Any]:
    return {
        "clip_rate": rounded(run.clip_rate),
        "columns": {name: _column(run.columns[name]) for name in COLUMNS},
        "config": plain_data(dict(run.config)),
        "first_step": run.first_step,
        "format": run.format,
        "id": run.id,
        "last_step": run.last_step,
        "log_interval": run.log_interval,
        "loss_first": rounded(run.loss_first),
        "percentiles": {q: rounded(v) for q, v in run.percentiles.items()},
        "provenance": run.provenance,
        "provenance_reason": run.provenance_reason,
        "rows": run.rows,
        "source": run.source,
        "spikes_judged": run.spikes_judged,
        "taken": dict(run.taken),
        "threshold": run.threshold,
        "threshold_source": run.threshold_source,
        "width": run.width,
        "window": _stretches(run.window),
    }


def _column(values: NDArray[np.float64]) -> Any:
    short = [rounded(float(v)) for v in values]
    return short[0] if short and len(set(short)) == 1 else short


def _stretches(window: NDArray[np.int64]) -> list[list[int]]:
    """Windows as pairs of the first one and how many follow without a gap."""
    if len(window) == 0:
        return []
    cuts = np.flatnonzero(np.diff(window) != 1) + 1
    return [[int(part[0]), len(part)] for part in np.split(window, cuts)]


def is_baseline(path: Path) -> bool:
    """Whether a file is a gradlens baseline, by its content."""
    return is_schema(path, SCHEMA)


def load_sides(
    given: Iterable[str | os.PathLike[str]], read: Callable[[str], list[Run]]
) -> tuple[list[Run], list[RunSummary]]:
    """What baseline arguments hold: runs of raw logs (golden files among them), and summaries of baseline files."""
    runs: list[Run] = []
    summaries: list[RunSummary] = []
    for argument in given:
        text = os.fspath(argument)
        if is_baseline(Path(text)):
            summaries += load_baseline(Path(text))
        else:
            runs += read(text)
    return runs, summaries


def load_baseline(path: Path) -> list[RunSummary]:
    """The runs of a baseline file.

    Raises
    ------
    SourceError
        It cannot be read.
    MalformedLogError
        It is not a baseline, of a newer version, or damaged.
    """
    document = load_checked(path, SCHEMA, SCHEMA_VERSION, hint=HINT)
    found = [_run(item, f"{path}: run {number}") for number, item in enumerate(document["runs"], 1)]
    require_digest(path, document, hint=HINT)
    return found


def _run(item: Any, where: str) -> RunSummary:
    try:
        window = _window(item["window"])
        rows = _values("rows", item["columns"]["rows"], len(window), None)
        columns = {name: _values(name, item["columns"][name], len(window), rows) for name in COLUMNS}
        source = item["threshold_source"]
        width = int(item["width"])
        _require(source in get_args(ThresholdSource), f"threshold_source {source!r}")
        _require(1 <= width < 1 << 62 and not width & (width - 1), f"width {width}")
        _require(bool((np.diff(window) > 0).all()), "windows out of order")
        return RunSummary(
            id=str(item["id"]),
            source=str(item["source"]),
            format=str(item["format"]),
            rows=_whole(item["rows"], "rows"),
            first_step=_step(item["first_step"], "first_step"),
            last_step=_step(item["last_step"], "last_step"),
            log_interval=_number(item["log_interval"]),
            threshold=_number(item["threshold"]),
            threshold_source=cast("ThresholdSource", source),
            provenance=str(item["provenance"]),
            provenance_reason=str(item["provenance_reason"]),
            width=width,
            window=window,
            columns=MappingProxyType(columns),
            percentiles={str(q): v for q, value in item["percentiles"].items() if (v := _number(value)) is not None},
            loss_first=_number(item["loss_first"]),
            spikes_judged=bool(item["spikes_judged"]),
            taken=MappingProxyType({str(role): str(name) for role, name in item["taken"].items()}),
            config=dict(item["config"]),
        )
    except KeyError as error:
        raise MalformedLogError(f"{where}: has no {error}", hint=HINT) from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MalformedLogError(f"{where}: {error}", hint=HINT) from error


def _require(holds: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(what)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    _require(isinstance(value, (int, float)) and not isinstance(value, bool), f"{value!r} is not a number")
    _require(math.isfinite(float(value)), f"{value} is not finite")
    return float(value)


def _whole(value: Any, what: str) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53, f"{what} {value!r}")
    return int(value)


def _step(value: Any, what: str) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62, f"{what} {value!r}")
    return int(value)


def _window(stretches: Any) -> NDArray[np.int64]:
    pairs = [(_step(first, "window"), _whole(count, "count of windows")) for first, count in stretches]
    _require(0 < sum(count for _, count in pairs) <= 4 * MAX_WINDOWS, "the number of windows")
    return np.concatenate([np.arange(first, first + count, dtype=np.int64) for first, count in pairs])


def _values(name: str, value: Any, size: int, rows: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """A column. Counts are whole and not negative, and count rows, of which `rows` there are."""
    if not isinstance(value, list):
        value = [value] * size
    _require(len(value) == size, f"{name}: {len(value)} values for {size} windows")
    if name not in SUMS:
        return np.array([math.nan if (number := _number(v)) is None else number for v in value], dtype=np.float64)
    counts = np.array([_whole(v, name) for v in value], dtype=np.float64)
    _require(rows is None or bool((counts <= rows).all()), f"{name}: more than there are rows")
    return counts


def describe_update(before: Sequence[RunSummary], after: Sequence[RunSummary]) -> list[str]:
    """What a new baseline changes, one line each; empty where the files are the same."""
    if dump_baseline(before) == dump_baseline(after):
        return []
    lines = []
    if len(before) != len(after):
        lines.append(f"runs: {len(before)} -> {len(after)}")
    for title, of in (
        ("last step", lambda r: float(r.last_step)),
        ("threshold", lambda r: r.threshold),
        ("clip rate", lambda r: r.clip_rate),
        ("median norm", lambda r: r.percentiles.get("50")),
        ("99th percentile of the norm", lambda r: r.percentiles.get("99")),
        ("final loss", _last_loss),
        *((name.replace("_", " "), lambda r, n=name: float(r.total(n))) for name in SUMS[5:]),
    ):
        old, new = _mean(map(of, before)), _mean(map(of, after))
        if old != new:
            lines.append(f"{title}: {old} -> {new}")
    return lines or ["only details within the windows"]


def _last_loss(run: RunSummary) -> float | None:
    loss = run.columns["loss"][np.isfinite(run.columns["loss"])]
    return float(loss[-max(1, len(loss) // 5) :].mean()) if len(loss) else None


def _mean(values: Iterator[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{sum(known) / len(known):.5g}" if known else "none"
