"""From a reader's named columns to runs: steps, roles, layers, several optimizers.

What every format shares is decided here once, so that the same log gives the same run whatever file it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.config import TrainingConfig, training_config
from gradlens.errors import UsageError
from gradlens.readers.base import Column, NoticeBook, RawRun, ReadOptions
from gradlens.run import Columns, Notice, Run, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Roles that a run reports; `step` is not a series of its own.
ROLES = (
    "loss", "grad_norm", "lr", "loss_scale", "grad_norm_clipped", "clip_fraction", "val_loss", "skipped", "batch_size",
)  # fmt: skip


def assemble(raw: RawRun, *, id: str, source: str, format: str, options: ReadOptions) -> list[Run]:  # noqa: A002
    """The runs in what a reader found: one, or one for each optimizer."""
    book = NoticeBook()
    step_name, series = _with_steps(raw, options, book)
    table = {s.name: s for s in series}
    _check_overrides(table, step_name, options, source)
    config = training_config(raw.config, origin="log") if raw.config else TrainingConfig()
    layers = {name: s for name, s in table.items() if vocabulary.layer_of(name) is not None}
    usable = [name for name, s in table.items() if len(s) and name not in layers]
    marks = () if options.grad_norm or options.loss or raw.roles else vocabulary.find_groups(usable)
    runs = []
    for mark in marks or (None,):
        if mark is None:
            names = usable
        else:
            names = [n for n in usable if vocabulary.belongs(n, mark)]
            names += [n for n in usable if not any(vocabulary.belongs(n, other) for other in marks)]
        columns = _roles(names, table, step_name, raw.roles, options, mark)
        runs.append(
            Run(
                id=f"{id}:{mark}" if mark else id,
                source=source,
                format=format,
                series=MappingProxyType(table),
                columns=columns,
                config=config,
                notices=(*raw.notices, *book.notices(), *_facts(raw)),
                layers=MappingProxyType(layers),
                histograms=MappingProxyType({h.name: h for h in raw.histograms}),
            )
        )
    return runs


def _facts(raw: RawRun) -> Iterable[Notice]:
    return (Notice(code=f"norm-{fact.replace('_', '-')}", message=FACTS[fact]) for fact in sorted(raw.norm_facts))


#: What a format can say about its norms; the codes `norm-...` are what the provenance of a report looks for.
FACTS: Mapping[str, str] = {
    "pre_clip": "this format logs the norm before clipping",
    "post_clip": "this format logs the norm after clipping",
    "averaged": "this format averages the norm over several steps before logging",
    "filtered": "this format leaves out or replaces non-finite values",
}


def _with_steps(raw: RawRun, options: ReadOptions, book: NoticeBook) -> tuple[str | None, list[Series]]:
    if raw.series:
        return raw.step_column, list(raw.series)
    by_name = {c.name: c for c in raw.columns}
    step_name = options.step or raw.step_column or vocabulary.choose("step", by_name)
    if options.step and options.step not in by_name:
        return options.step, []
    if step_name is None or step_name not in by_name:
        book.add("no-step", "no step column: records are numbered from 0 in the order written", count=raw.n_rows)
        steps = np.arange(raw.n_rows, dtype=np.int64)
        step_name = None
    else:
        steps = _steps_of_rows(by_name[step_name], raw.n_rows, book)
    series = []
    for column in raw.columns:
        if column.name == step_name:
            continue
        rows = column.row
        wall = raw.wall_time_s
        series.append(
            Series(
                name=column.name,
                step=steps if rows is None else steps[rows],
                value=column.value,
                wall_time_s=None if wall is None else wall if rows is None else wall[rows],
            )
        )
    return step_name, series


def _steps_of_rows(column: Column, n_rows: int, book: NoticeBook) -> NDArray[np.int64]:
    """The step of every row; rows without one take the step of the row before (notice)."""
    value, rows = column.value, column.row
    good = np.isfinite(value) & (np.abs(value) < 2.0**62)
    rows = np.arange(n_rows, dtype=np.int64) if rows is None else rows
    value, rows = value[good], rows[good]
    if len(rows) == n_rows:
        return value.astype(np.int64)
    missing = n_rows - len(rows)
    book.add("row-without-step", f"records without {column.name!r} took the step of the record before", count=missing)
    if not len(rows):
        return np.arange(n_rows, dtype=np.int64)
    at = np.searchsorted(rows, np.arange(n_rows), side="right") - 1
    return value[np.maximum(at, 0)].astype(np.int64)


def _check_overrides(table: Mapping[str, Series], step_name: str | None, options: ReadOptions, source: str) -> None:
    for role, name in options.overrides.items():
        if name not in table and not (role == "step" and name == step_name and table):
            known = sorted(table)
            shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
            raise UsageError(f"{source}: no column named {name!r} for --{role.replace('_', '-')}",
                             hint=f"columns are {shown}")  # fmt: skip


def _roles(
    names: list[str],
    table: Mapping[str, Series],
    step_name: str | None,
    fixed: Mapping[str, str],
    options: ReadOptions,
    mark: str | None,
) -> Columns:
    chosen: dict[str, str] = {}
    if step_name:
        chosen["step"] = step_name
    for role in ROLES:
        taken = options.overrides.get(role) or fixed.get(role)
        if taken is None:
            own = [n for n in names if mark and vocabulary.belongs(n, mark)]
            stripped = {vocabulary.without_mark(n, mark): n for n in own} if mark else {}
            best = vocabulary.choose(role, stripped)
            taken = stripped[best] if best else vocabulary.choose(role, [n for n in names if n not in own])
        if taken is not None and taken in table:
            chosen[role] = taken
    return Columns(**chosen)
