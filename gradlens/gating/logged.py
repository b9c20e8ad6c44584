"""What a candidate's log leaves open: files, records, rows and columns that no metric sees.

A metric compares what is there. A seed that cannot be read, rows that are gone, an attempt that a later one replaced or another
column under the same role could each hide what the gate is there to find, so none of them passes in silence: the notices of
reading are the gate's too, and where they leave out more than a stray line the gate says that it cannot judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np

from gradlens.gating.missing import ROLES
from gradlens.gating.summary import RunSummary
from gradlens.reports.gate import MetricResult
from gradlens.run import MISSING_VALUES, Notice, Run

#: Records that hold something and could not be read.
LOST = frozenset({"malformed-record", "damaged-record", "short-row", "unreadable-value", "missing-extra"})
#: Files of which nothing, or not all, could be read.
UNREAD = frozenset({"unreadable-file", "empty-file", "unreadable-folder", "truncated-archive"})
#: Share of the rows that may be lost, or missing beside the baseline's share, and the fewest that count. Our own choice:
#: one damaged line is an accident of writing, two in a hundred may be those that matter.
MAX_LOST, MIN_ROWS = 0.01, 3
#: Share of the rows that an attempt may repeat: a resume goes back to its last checkpoint, not to the start.
MAX_REPLACED = 0.1
#: A log this many times as sparse as the baseline's does not show what the baseline's would.
MAX_SPARSER = 1.5
#: Dead norms, as a share of the rows beyond that of the baseline, and as many times that share. As for overflows.
MAX_DEAD, MAX_DEAD_RATIO = 0.005, 2.0


def with_columns_of(run: Run, baselines: Sequence[RunSummary], named: AbstractSet[str]) -> Run:
    """The run with the columns that the baselines took, where it has them too; not for roles that the user named.

    Of two columns that may both be the loss the one counts that was judged before.
    """
    for role in ROLES:
        before = {b.taken[role] for b in baselines if role in b.taken}
        name = next(iter(before)) if len(before) == 1 else None
        own = getattr(run.columns, role)
        if name is None or role in named or own in {None, name} or name not in run.series or not len(run.series[name]):
            continue
        lost = np.setdiff1d(run.series[own].step, run.series[name].step)
        notices = [n for n in run.notices if n.code != MISSING_VALUES or n.column != role]
        notices.append(
            Notice(code="column-of-baseline", message=f"{name} was taken as {role}, as in the baseline, and not {own}")
        )
        if len(lost):
            notices.append(
                Notice(
                    code=MISSING_VALUES, message=f"{name} has no value at steps at which {own} has one", count=len(lost),
                    column=role, first_step=int(lost[0]), to_the_end=bool(lost[-1] >= run.series[own].step.max()),
                )
            )  # fmt: skip
        run = replace(run, columns=replace(run.columns, **{role: name}), notices=tuple(notices))
    return run


def judge_log(
    candidates: Sequence[RunSummary], baselines: Sequence[RunSummary], named: AbstractSet[str]
) -> Iterator[MetricResult]:
    """What the candidates' logs leave open, and norms that are no norms; nothing where all is well."""
    reasons = [reason for run in candidates for reason in _gone(run)]
    reasons += [
        reason for run in candidates for reason in (*_sparser(run, baselines), *_other_column(run, baselines, named))
    ]
    if reasons:
        more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        yield MetricResult(
            name="log", title="the candidate's log", unit="count", method="limit", outcome="inconclusive",
            candidate=float(len(reasons)), tolerance=0.0, reason=f"cannot judge: {reasons[0]}{more}",
            advice="What is not in the log may be what went wrong: "
            + ("; ".join(reasons) if len(reasons) > 1 else "mend the log, or make a new baseline if it is meant") + ".",
        )  # fmt: skip
    yield from _dead(candidates, baselines)


def _gone(run: RunSummary) -> Iterator[str]:
    """Files and records that could not be read, rows that a later attempt replaced."""
    for notice in run.notices:
        if notice.code in UNREAD:
            yield f"{notice.message} ({notice.count:,})" if notice.count > 1 else notice.message
    lost = sum(n.count for n in run.notices if n.code in LOST)
    if lost >= MIN_ROWS and lost > MAX_LOST * run.rows:
        yield f"{lost:,} records of {run.id} could not be read"
    if run.replaced > MAX_REPLACED * run.rows:
        yield (
            f"{run.replaced:,} rows of {run.id} repeat steps that others have with other values, and were not judged: "
            "gate each attempt by itself"
        )


def _sparser(run: RunSummary, baselines: Sequence[RunSummary]) -> Iterator[str]:
    """Rows that the baselines would have: a wider logging interval, or holes."""
    usual = [b.log_interval for b in baselines if b.log_interval]
    if not usual or not run.log_interval:
        return
    if run.log_interval > MAX_SPARSER * max(usual):
        yield (
            f"{run.id} logs every {run.log_interval:g} steps, the baseline every {max(usual):g}: "
            "log as often, or make a new baseline"
        )
        return
    holes = run.rows_missing
    allowed = max(b.rows_missing / (b.rows + b.rows_missing) for b in baselines if b.rows) + MAX_LOST
    if holes >= MIN_ROWS and holes > allowed * (run.rows + holes):
        yield f"{holes:,} rows are missing between the first and the last step of {run.id}"


def _other_column(run: RunSummary, baselines: Sequence[RunSummary], named: AbstractSet[str]) -> Iterator[str]:
    """Another name for the same quantity in the same format is another quantity until the user says otherwise."""
    for role, title in ROLES.items():
        before = {b.taken[role] for b in baselines if role in b.taken}
        name = run.taken.get(role)
        same_format = {b.format for b in baselines} == {run.format}
        if name is not None and before and name not in before and role not in named and same_format:
            yield (
                f"the {title} of {run.id} is its column {name}, that of the baseline was {min(before)}: name it with "
                f"--{role.replace('_', '-')} if they are the same"
            )


def column_notices(candidates: Sequence[RunSummary], baselines: Sequence[RunSummary]) -> Iterator[Notice]:
    """That columns of different formats go by different names, which is usual and to be seen."""
    for role, title in ROLES.items():
        names = [sorted({r.taken[role] for r in side if role in r.taken}) for side in (candidates, baselines)]
        if all(names) and names[0] != names[1]:
            message = f"the {title} is {', '.join(names[0])} in the candidate and {', '.join(names[1])} in the baseline"
            yield Notice(code="columns-differ", message=message)


def _dead(candidates: Sequence[RunSummary], baselines: Sequence[RunSummary]) -> Iterator[MetricResult]:
    """Norms of exactly zero or below: no gradient, or none that was measured. Their logarithm is in no other metric."""

    def share(run: RunSummary) -> float:
        return run.total("dead") / max(run.total("dead") + run.total("norms"), 1)

    before = max(map(share, baselines), default=0.0)
    bad = [
        run for run in candidates if run.total("dead") >= MIN_ROWS and share(run) > MAX_DEAD + MAX_DEAD_RATIO * before
    ]
    if not bad:
        return
    worst = max(bad, key=share)
    at = np.flatnonzero(worst.columns["dead"])
    yield MetricResult(
        name="dead_norms", title="norms of zero or below", unit="share", method="limit",
        outcome="fail" if baselines else "inconclusive", candidate=share(worst), baseline=before if baselines else None,
        tolerance=MAX_DEAD + MAX_DEAD_RATIO * before, worst_steps=worst.steps(at[0], at[-1]),
        reason=f"{worst.total('dead'):,} norms of {worst.id} are zero or below",
        advice="No gradient reached the weights there, or the norm was not measured: see what the loss did.",
    )  # fmt: skip
