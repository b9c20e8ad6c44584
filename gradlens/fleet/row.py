"""A report as one row of the fleet's table: which columns there are, what they mean, and how they are filled."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.fleet.plan import Unit, stamp_text
from gradlens.reports.analysis import Curve, RunReport
from gradlens.run import Run, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

Row = dict[str, Any]

#: Points of the two curves that are kept for small multiples.
CURVE_POINTS = 48
#: Configuration keys that have a column of their own; all others are in `config`.
SETTINGS = (
    "optimizer", "learning_rate", "warmup_steps", "lr_schedule", "weight_decay", "max_grad_norm", "batch_size",
    "gradient_accumulation_steps", "precision", "world_size",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name, Arrow type, meaning, and how it is taken from a run and its report."""

    name: str
    type: str
    meaning: str
    of: Callable[[Run, RunReport], Any]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _setting(key: str) -> Callable[[Run, RunReport], Any]:
    def of(_run: Run, report: RunReport) -> Any:
        value = report.config.get(key)
        if value is None:
            return None
        return str(value) if key in _TEXTS else _number(value)

    return of


def _finite(series: Series | None) -> Any:
    return np.empty(0) if series is None else series.value[np.isfinite(series.value)]


def _at(series: Series | None, pick: Callable[[Any], float]) -> float | None:
    values = _finite(series)
    return float(pick(values)) if len(values) else None


def _digest(run: Run) -> str | None:
    """A digest of steps and values of the loss (of the norm without one): equal where two logs hold the same run."""
    series = run.loss if run.loss is not None else run.grad_norm
    if series is None:
        return None
    return hashlib.blake2b(series.step.tobytes() + series.value.tobytes(), digest_size=16).hexdigest()


def _curve(report: RunReport, name: str) -> list[float | None] | None:
    curve = (report.curves or {}).get(name)
    return None if curve is None else thin(curve)


def thin(curve: Curve) -> list[float | None]:
    """A curve as at most 48 numbers: of each stretch the value farthest from the median of the whole, so spikes stay."""
    values = np.array([np.nan if v is None else v for v in curve.high], dtype=float)
    if not np.isfinite(values).any():
        return [None] * min(len(values), CURVE_POINTS)
    middle = float(np.nanmedian(values))
    kept: list[float | None] = []
    for part in np.array_split(values, min(CURVE_POINTS, len(values))):
        finite = part[np.isfinite(part)]
        kept.append(float(finite[np.argmax(np.abs(finite - middle))]) if len(finite) else None)
    return kept


def _findings(report: RunReport) -> list[str]:
    return [f"{f.code} {f.severity.value} {f.name}" for f in report.findings]


def _config(report: RunReport) -> str:
    return json.dumps(dict(report.config), sort_keys=True, default=str)


def _interval(report: RunReport, end: int) -> float | None:
    return None if report.clipping.interval is None else report.clipping.interval[end]


def _suggested(report: RunReport, end: int) -> float | None:
    return None if report.suggestion.interval is None else report.suggestion.interval[end]


def _percentile(q: str) -> Callable[[Run, RunReport], float | None]:
    return lambda _run, r: _number(r.percentiles.get(q))


def _last_loss(values: NDArray[np.float64]) -> float:
    return float(np.median(values[-20:]))


_TEXTS = frozenset({"optimizer", "lr_schedule", "precision"})

FIELDS: tuple[Field, ...] = (
    Field("name", "string", "name of the run, unique", lambda run, _: run.id),
    Field("source", "string", "file or URL it was read from", lambda run, _: run.source),
    Field("format", "string", "log format", lambda run, _: run.format),
    Field("status", "string", "problem, clear or insufficient", lambda _, r: r.verdict.status),
    Field("outcome", "string", "what happened to the run", lambda _, r: r.verdict.outcome),
    Field("since_step", "int64", "step from which the outcome holds", lambda _, r: r.verdict.since_step),
    Field("cause", "string", "likeliest cause", lambda _, r: r.diagnosis.cause),
    Field("confidence", "float64", "its confidence, 0 to 1", lambda _, r: r.diagnosis.confidence),
    Field("headline", "string", "the verdict in one line", lambda _, r: r.verdict.headline),
    Field("findings", "list<string>", "code, severity and name of every finding", lambda _, r: _findings(r)),
    Field("worst", "string", "severity of the worst finding", lambda _, r: r.worst.value if r.worst else None),
    Field("steps", "int64", "rows judged", lambda _, r: r.steps),
    Field("first_step", "int64", "first step", lambda _, r: r.first_step),
    Field("last_step", "int64", "last step", lambda _, r: r.last_step),
    Field("log_interval", "float64", "steps between rows, median", lambda _, r: r.log_interval),
    *(
        Field(key, "string" if key in _TEXTS else "float64", f"`{key}` of the configuration", _setting(key))
        for key in SETTINGS
    ),
    Field("config", "string", "the whole configuration as JSON", lambda _, r: _config(r)),
    Field("threshold", "float64", "clipping threshold", lambda _, r: _number(r.clipping.threshold)),
    Field("threshold_source", "string", "how it is known", lambda _, r: r.clipping.threshold_source),
    Field("provenance", "string", "where the norm was measured", lambda _, r: r.provenance.verdict),
    Field("clip_rate", "float64", "share of steps clipped", lambda _, r: r.clipping.clip_rate),
    Field("clip_rate_low", "float64", "lower end of its 95 % interval", lambda _, r: _interval(r, 0)),
    Field("clip_rate_high", "float64", "upper end of it", lambda _, r: _interval(r, 1)),
    *(
        Field(f"grad_norm_p{q}", "float64", f"{q}th percentile of the finite norms", _percentile(q))
        for q in ("50", "90", "99")
    ),
    Field("loss_first", "float64", "first finite loss", lambda run, _: _at(run.loss, lambda v: v[0])),
    Field("loss_best", "float64", "smallest finite loss", lambda run, _: _at(run.loss, np.min)),
    Field("loss_last", "float64", "median of the last 20 finite losses", lambda run, _: _at(run.loss, _last_loss)),
    Field("nonfinite_loss", "int64", "losses that are NaN or infinite", lambda _, r: r.nonfinite.loss),
    Field("nonfinite_grad_norm", "int64", "norms that are NaN or infinite", lambda _, r: r.nonfinite.grad_norm),
    Field("spikes_loss", "int64", "loss spikes", lambda _, r: r.spikes.counts.get("loss")),
    Field("spikes_grad_norm", "int64", "norm spikes", lambda _, r: r.spikes.counts.get("grad_norm")),
    Field(
        "tail_heavy", "bool", "whether the tail of the norms is heavy", lambda _, r: r.tail.heavy if r.tail else None
    ),
    Field("suggested_threshold", "float64", "threshold advice", lambda _, r: r.suggestion.threshold),
    Field("suggested_low", "float64", "lower end of its interval", lambda _, r: _suggested(r, 0)),
    Field("suggested_high", "float64", "upper end of it", lambda _, r: _suggested(r, 1)),
    Field("no_advice", "string", "why there is no advice", lambda _, r: r.suggestion.abstained),
    Field("notices", "int64", "notices about reading", lambda _, r: len(r.notices)),
    Field("digest", "string", "digest of steps and losses: equal for copies of a log", lambda run, _: _digest(run)),
    Field("loss_curve", "list<float64>", "loss as at most 48 points, spikes kept", lambda _, r: _curve(r, "loss")),
    Field("grad_norm_curve", "list<float64>", "the same for the norm", lambda _, r: _curve(r, "grad_norm")),
)
#: What only the fleet knows of a row. `copy_of` and `continues` are filled once all rows are there.
OWN: tuple[tuple[str, str, str], ...] = (
    ("error", "string", "why it could not be judged, null where it was"),
    ("copy_of", "string", "name of the run that this log is a copy of"),
    ("continues", "string", "name of the run that this one takes up again"),
    ("id", "string", "name within `root`; `name` where no other run has it"),
    ("root", "string", "the folder that was searched, null where the file itself or a URL was given"),
    ("unit", "string", "what the files that were read together are called"),
    ("files", "list<string>", "these files"),
    ("bytes", "int64", "their size"),
    ("stamp", "string", "size, time and version mark by which an unchanged log is known"),
    ("content", "string", "digest of their bytes"),
)
COLUMNS: tuple[tuple[str, str, str], ...] = (*((f.name, f.type, f.meaning) for f in FIELDS), *OWN)


def row_of(run: Run, report: RunReport) -> Row:
    """The row of one run."""
    return {field.name: field.of(run, report) for field in FIELDS}


def error_row(unit: Unit, message: str) -> Row:
    """The row of what could not be judged: named by its file, with the reason and nothing else."""
    return {"name": unit.key, "source": unit.files[0], "error": message}


def completed(rows: Sequence[Mapping[str, Any]], unit: Unit, content: str | None) -> list[Row]:
    """Rows with every column, those of the unit filled in."""
    own = {
        "root": unit.root,
        "unit": unit.key,
        "files": list(unit.files),
        "bytes": unit.size,
        "stamp": stamp_text(unit),
        "content": content,
    }
    return [{name: row.get(name) for name, _, _ in COLUMNS} | own | {"id": row["name"]} for row in rows]


def give_names(rows: Sequence[Row]) -> None:
    """Set `name` so that no two rows share one: the id, with the source where several have it, then with a number.

    The rows are in the order of their units; the same spelling as in the other commands.
    """
    shared = {key for key, count in Counter(row["id"] for row in rows).items() if count > 1}
    seen = Counter[str]()
    for row in rows:
        name = str(row["id"])
        if name in shared and not name.startswith(str(row["source"])):
            name = f"{row['source']} ({name})"
        seen[name] += 1
        row["name"] = name if seen[name] == 1 else f"{name}#{seen[name]}"
