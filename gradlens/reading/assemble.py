"""From a reader's named columns to runs: steps, roles, layers, several optimizers.

What every format shares is decided here once, so that the same log gives the same run whatever file it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from gradlens import vocabulary
from gradlens.config import TrainingConfig, training_config
from gradlens.errors import UsageError
from gradlens.readers.base import NoticeBook, RawRun, ReadOptions
from gradlens.reading.derive import derive
from gradlens.reading.frameworks import facts_by_names
from gradlens.reading.missing import Presence, presence_in_columns, presence_in_series
from gradlens.reading.remarks import remark
from gradlens.reading.steps import (
    choose_step,
    in_order_written,
    rows_of_longest,
    steps_of_rows,
    unrolled,
    unrounded,
    untangled,
)
from gradlens.run import Columns, Notice, Run, Series

#: Roles that a run reports; `step` is not a separate series.
ROLES = (
    "loss", "grad_norm", "lr", "loss_scale", "grad_norm_clipped", "clip_fraction", "val_loss", "skipped", "batch_size",
)  # fmt: skip
#: Tags that the object detection API of TensorFlow writes only when it evaluates, beside losses named as in training.
_EVALUATION = ("DetectionBoxes_", "DetectionMasks_")
#: A name that ranks better but has fewer points than this share of the longest candidate is a summary, not the series.
_ENOUGH = 0.2

#: Words of a loss that is made of the others.
_WHOLE = frozenset({"combined", "overall", "whole", "sum", "summed", "full"})

#: What a format can say about its norms; the codes `norm-...` are what the provenance of a report looks for.
FACTS: Mapping[str, str] = {
    "pre_clip": "this format logs the norm before clipping",
    "post_clip": "this format logs the norm after clipping",
    "averaged": "this format averages the norm over several steps before logging",
    "filtered": "this format leaves out or replaces non-finite values",
}


def assemble(
    raw: RawRun,
    *,
    id: str,  # noqa: A002
    source: str,
    format: str,  # noqa: A002
    options: ReadOptions,
    beside: TrainingConfig | None = None,
) -> list[Run]:
    """The runs in what a reader found: one, or one for each optimizer.

    Parameters
    ----------
    raw
        What the reader found.
    id, source, format
        Of the run.
    options
        What the user said about columns.
    beside
        The configuration in files beside the log; the log's own is stronger.
    """
    shared = NoticeBook()
    step_name, series, presence = _with_steps(raw, options, shared)
    table = {s.name: s for s in series}
    _check_overrides(table, step_name, options, source)
    layers = _layers(table, options)
    derived = derive(table, layers, shared)
    table |= {s.name: s for s in derived.values()}
    roles = {role: s.name for role, s in derived.items()} | dict(raw.roles)
    config = training_config(raw.config, origin="log") if raw.config else TrainingConfig()
    config = beside.merged(config) if beside is not None else config
    usable = [name for name, s in table.items() if len(s) and name not in layers]
    fixed = bool(options.grad_norm or options.loss or raw.roles)
    marks = () if fixed else vocabulary.find_groups(usable)
    if marks:
        shared.add("several-optimizers", f"norms of several optimizers ({', '.join(marks)}): each is a separate run",
                   count=len(marks))  # fmt: skip
    elif not fixed and (marks := vocabulary.find_players(usable)):
        shared.add("several-players", f"losses of {' and '.join(marks)} and none of the whole: each is a separate run",
                   count=len(marks))  # fmt: skip
    if any(name.startswith(_EVALUATION) for name in table):
        shared.add("evaluation-only", "its tags are those of an evaluation: no training series was used")
        usable = []
    runs = []
    for mark in marks or (None,):
        own = NoticeBook()
        columns = _roles(_names_of(usable, mark, marks), table, step_name, roles, options, mark, own)
        taken = {role: table.get(getattr(columns, role) or "") for role in ("loss", "grad_norm", "loss_scale")}
        remark(taken["loss"], taken["grad_norm"], taken["loss_scale"], own)
        missing = [n for role in ("loss", "grad_norm") for n in presence.missing(role, getattr(columns, role))]
        facts = _facts_of(raw, table, columns.grad_norm)
        runs.append(
            Run(
                id=f"{id}:{mark}" if mark else id,
                source=source,
                format=format,
                series=MappingProxyType(table),
                columns=columns,
                config=config,
                notices=(*raw.notices, *shared.notices(), *own.notices(), *missing, *_facts(facts)),
                layers=MappingProxyType(layers),
                histograms=MappingProxyType({h.name: h for h in raw.histograms}),
            )
        )
    return runs


def _facts_of(raw: RawRun, table: Mapping[str, Series], norm: str | None) -> frozenset[str]:
    """What format, framework and name say of the norm; the name, being the most specific, wins."""
    if norm is None:
        return frozenset()
    named = vocabulary.facts_of(norm)
    known = raw.norm_facts or facts_by_names(table)
    return named | (known - {"pre_clip", "post_clip"} if named else known)


def _facts(facts: Iterable[str]) -> Iterable[Notice]:
    return (Notice(code=f"norm-{fact.replace('_', '-')}", message=FACTS[fact]) for fact in sorted(facts))


def _layers(table: Mapping[str, Series], options: ReadOptions) -> dict[str, Series]:
    named = {name for name in table if vocabulary.layer_of(name) is not None} | vocabulary.numbered_layers(table)
    return {name: table[name] for name in table if name in named and name not in options.overrides.values()}


def _with_steps(raw: RawRun, options: ReadOptions, book: NoticeBook) -> tuple[str | None, list[Series], Presence]:
    unread = () if options.columns == "all" else raw.unread_rows
    if raw.series:
        series = [_untangled(s, book) for s in raw.series]
        return raw.step_column, series, presence_in_series(series, unread)
    by_name = {c.name: c for c in raw.columns}
    if options.step and options.step not in by_name:
        return options.step, [], presence_in_series((), unread)
    step_name = options.step or (
        raw.step_column if raw.step_column in by_name else choose_step(by_name, raw.n_rows, book)
    )
    if step_name is None:
        if not book.notices():
            book.add("no-step", "no step column: records are numbered from 0 in the order written", count=raw.n_rows)
        steps = in_order_written(by_name, raw.n_rows) if book.notices() else np.arange(raw.n_rows, dtype=np.int64)
    else:
        steps = steps_of_rows(by_name[step_name], raw.n_rows, book)
        if not options.step:
            steps = unrounded(steps, rows_of_longest(by_name, raw.n_rows), step_name, book)
        epoch = vocabulary.choose("epoch", by_name)
        if epoch is not None and epoch != step_name:
            steps = unrolled(steps, by_name[epoch], raw.n_rows, book)
        steps = untangled(steps, book)
    series = []
    for column in raw.columns:
        if column.name == step_name:
            continue
        rows, wall = column.row, raw.wall_time_s
        series.append(
            Series(
                name=column.name,
                step=steps if rows is None else steps[rows],
                value=column.value,
                wall_time_s=None if wall is None else wall if rows is None else wall[rows],
            )
        )
    return step_name, series, presence_in_columns(raw.columns, steps, unread)


def _untangled(series: Series, book: NoticeBook) -> Series:
    steps = untangled(series.step, book)
    return series if steps is series.step else replace(series, step=steps)


def _check_overrides(table: Mapping[str, Series], step_name: str | None, options: ReadOptions, source: str) -> None:
    for role, name in options.overrides.items():
        if name not in table and not (role == "step" and name == step_name and table):
            known = sorted(table, key=lambda n: (not vocabulary.is_core(n), vocabulary.step_rank(n) is not None, n))
            shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
            raise UsageError(f"{source}: no column named {name!r} for --{role.replace('_', '-')}",
                             hint=f"columns are {shown}")  # fmt: skip


def _names_of(usable: list[str], mark: str | None, marks: Iterable[str]) -> list[str]:
    """The columns of one optimizer, and those that belong to none."""
    if mark is None:
        return usable
    return [n for n in usable if (owner := vocabulary.owner_of(n, marks)) == mark or owner is None]


def _roles(
    names: list[str],
    table: Mapping[str, Series],
    step_name: str | None,
    fixed: Mapping[str, str],
    options: ReadOptions,
    mark: str | None,
    book: NoticeBook,
) -> Columns:
    chosen: dict[str, str] = {}
    if step_name:
        chosen["step"] = step_name
    telling = {name for name in names if vocabulary.has_role(name)} if mark is None else set(names)
    for role in ROLES:
        taken = options.overrides.get(role) or fixed.get(role)
        if taken is None and mark is not None:
            stripped = {vocabulary.without_mark(n, mark): n for n in names if vocabulary.owner_of(n, [mark]) == mark}
            best = vocabulary.choose(role, stripped)
            taken = stripped[best] if best else None
            if taken is None and role == "loss":
                taken = _component(list(stripped.values()), table, book)
        if taken is None:
            shared = [n for n in names if mark is None or vocabulary.owner_of(n, [mark]) is None]
            taken = vocabulary.choose(role, _worth(role, [n for n in shared if n in telling], table))
            if taken is None and role == "loss":
                taken = _component(shared, table, book)
            if taken is None and role == "val_loss" and "loss" in chosen and mark is None:
                taken = vocabulary.evaluated(chosen["loss"], names)
        if taken is not None and taken in table:
            chosen[role] = taken
    return Columns(**chosen)


def _component(names: list[str], table: Mapping[str, Series], book: NoticeBook) -> str | None:
    """The part of a loss that stands for the whole where no total was logged: the one with most rows, then the largest."""
    parts = [n for n in names if vocabulary.is_loss_like(n)]
    # `Loss/scores/fake/mean` is of a group called Loss, `Loss/G/loss/mean` a loss.
    parts = [n for n in parts if vocabulary.is_loss_like("/".join(n.split("/")[-2:]))] or parts
    # An entropy among losses (`average_loss_entropy`) is what keeps a policy exploring: no loss that comes down.
    parts = [n for n in parts if not _is_entropy(n)] or parts
    longest = max((len(table[n]) for n in parts), default=0)
    parts = [n for n in parts if len(table[n]) >= _ENOUGH * longest]
    if not parts:
        return None

    def size(name: str) -> float:
        finite = np.abs(table[name].value[np.isfinite(table[name].value)])
        return float(np.median(finite)) if len(finite) else 0.0

    taken = max(parts, key=lambda n: (_is_whole(n), size(n)))
    others = [n for n in parts if n != taken]
    if others:
        shown = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        what = "whose name says that it is the whole" if _is_whole(taken) else "the largest of its parts"
        book.add(
            "component-loss",
            f"no total loss under a known name: {taken} was taken, {what}, beside {shown} (--loss takes another)",
            count=len(others),
        )
    return taken


def _is_entropy(name: str) -> bool:
    """Whether a name among losses is that of a policy's entropy; cross-entropy is a loss."""
    words = vocabulary.plain(name).split("_")
    return not {"entropy", "ent"}.isdisjoint(words) and "cross" not in words


def _is_whole(name: str) -> bool:
    """Whether a name says that its loss is made of the others: `combined_loss`."""
    return "total" in name.lower() or not _WHOLE.isdisjoint(vocabulary.plain(name).split("_"))


def _worth(role: str, names: list[str], table: Mapping[str, Series]) -> list[str]:
    """The names that mean the role, without those that hold no finite value or only a summary, where others do."""
    known = [n for n in names if vocabulary.rank_of(role, n) is not None]
    finite = [n for n in known if np.isfinite(table[n].value).any()] or known
    longest = max((len(table[n]) for n in finite), default=0)
    return [n for n in finite if len(table[n]) >= _ENOUGH * longest]
