"""The verdict: what became of the run, whether there is a problem, and what could not be judged.

`problem` with any finding above a note or a cause that is a fault; `insufficient` with fewer than 200 rows (400 where each stands for
several steps), no finite value, nothing but a loss, norms that never change, still carry the loss scale or are out of proportion to the
loss, or a loss that hardly moves, stands since its first tenth or fell within it from far above, ends far above its lowest level or
whose course says nothing, or where faults together are likelier than none, and one by itself at least half as likely; `clear`
otherwise, and then only for the checks that ran. What could not run is listed with the reason and with what to log or pass so that it
can.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.diagnosis.case import Case
from gradlens.diagnosis.facts.early_floor import begins_far_above
from gradlens.diagnosis.facts.proportion import times_loss
from gradlens.diagnosis.features.curves import block_medians, neighbour_noise
from gradlens.diagnosis.weighing import Beliefs
from gradlens.diagnosis.words import cause_in_words, counted, percent
from gradlens.reports.analysis import CheckResult, Finding
from gradlens.reports.base import NO_FAULT, Cause, Status
from gradlens.reports.verdict import NotJudged, Verdict
from gradlens.stats.robust import MAD_TO_SIGMA

#: Rows below which seeing nothing says little: of labelled runs thinned to this many rows that show no sign of trouble, three in
#: ten were faulty (`benchmarks/diagnosis/sparse.py`).
MIN_ROWS = 200
#: The same where a row stands for several steps: of labelled runs in about 200 such rows, one fault in seven shows nothing, of the
#: whole logs one in twenty-five (`benchmarks/thinned.py`).
MIN_SAMPLED_ROWS = 400

#: Share of its start that a loss has left at least, and the share of it, and the standard errors, that it still comes down by after the
#: first tenth of the rows at most, where it may have learned only how common each answer is. Our own choice.
HALF, STILL_FALLS, ERRORS, LEVELS = 0.5, 0.005, 3.0, 8
#: Share of its start by which a loss must have come down to have learned more than frequencies (of letters: a tenth to a seventh), and the
#: growth of the norm from which on it takes an explanation. Our own choice.
LITTLE, GROWN = 0.12, 300.0
#: Median norm over the level of the loss from which on nobody vouches for a run: twice the largest of 190 logs (facts/proportion.py).
DOUBTFUL_TIMES = 150.0
#: How far below and above ln 2 the levels of guesses between two classes lie, and the last one. Our own choice.
NEAR_TWO = (-0.005, 0.06)
#: Share of the descent from which on what is lost at the end matters, and deviations of the noise that it must be. Our own choice.
LOST, ABOVE_NOISE = 0.25, 3.0
#: Confidence of `healthy` below which a run is not called clear where one fault alone is at least half as likely. Of families unseen, a
#: third of the faults that raise no alarm are such runs, and one healthy run in seventeen.
MORE_LIKELY, HALF_AS_LIKELY = 0.5, 0.5
#: What the inputs of checks allow to judge, and what to log or pass, by the reason for which a check did not run.
REMEDIES: dict[str, tuple[str, str]] = {
    "the log has no loss": ("the course of training", "log the training loss, or name its column with --loss"),
    "the log has no gradient norm": ("gradients", "log the value that clip_grad_norm_ returns, or name its column with --grad-norm"),
    "the log has no learning rate": ("the learning-rate schedule", "log the learning rate, or name its column with --lr"),
    "the log has no loss scale": ("the loss scale", "with fp16, log scaler.get_scale()"),
    "the log has no validation loss": ("overfitting", "log the validation loss"),
    "the log has no norms of single layers": ("single layers", "log grad_norm/<layer>"),
    "the log has no loss of a batch before and after its own update": (
        "the step size", "log a probe with gradlens.Recorder",
    ),
    "the norms cannot be trusted (see provenance)": ("clipping", "log the value that clip_grad_norm_ returns, after unscaling"),
    "fewer than 60 rows: too short to judge": ("the course of training", "log more rows: every step, or a longer run"),
    "the log keeps too few steps to see single batches": ("single batches", "log every step"),
}  # fmt: skip


def status_of(case: Case, findings: tuple[Finding, ...]) -> Status:
    """`problem` with a finding above a note or a cause of trouble, `insufficient` where too little was logged, else `clear`."""
    if case.cause not in NO_FAULT or any(f.severity.rank > 0 for f in findings):
        return "problem"
    return "clear" if why_insufficient(case) == "" else "insufficient"


def why_insufficient(case: Case) -> str:
    """Why a run without a sign of trouble cannot be called clear; empty where it can."""
    return (
        _too_few_rows(case)
        or _norms_are_no_measure(case)
        or _course_says_little(case)
        or _nothing_but_a_loss(case)
        or likelier_ill(case.beliefs)
    )


def _nothing_but_a_loss(case: Case) -> str:
    if not case.has("loss") or any(case.has(need) for need in ("norm", "lr", "val_loss")):
        return ""
    return "nothing but the loss is logged: of labelled runs without norms that show no sign of trouble, more than half are faulty"


def likelier_ill(beliefs: Beliefs) -> str:
    """Why a run is not called clear that likelier has some fault than none, and one above all; empty where it can be."""
    sound = beliefs.of("healthy")
    others = [(cause, p) for cause, p in beliefs.ranking if cause != "healthy"]
    if sound >= MORE_LIKELY or not others or others[0][1] < HALF_AS_LIKELY * sound:
        return ""
    cause, p = others[0]
    named = "a fault that is none of the known causes" if cause == "unknown" else cause_in_words(cause)
    return f"to signs and curves, a sound run is only {percent(sound)} likely, {named} {percent(p)}, and other causes share the rest"


def _course_says_little(case: Case) -> str:
    p, norms = case.progress, case.norms
    if case.outcome.word == "stalled":
        return "the loss hardly moves, as that of a trained model that is fine-tuned, or of one that learns nothing"
    if p is None:
        return "the course of this loss says nothing about progress" if case.has("loss") else "no loss"
    lost = lost_share(case)
    reason = ""
    if stands_since_its_start(case):
        reason = (
            f"the loss came down within the first tenth of the rows, to {percent(p.end / p.start)} of what the first ones had, and has "
            "stood there since, as that of a model that learned only how common each answer is"
        )
    elif begins_far_above(case):
        reason = (
            "the loss fell from far above what guesses cost within the first tenth of the rows, with large norms, as where weights are too "
            "large at first, and little came after it"
        )
    elif lost:
        reason = f"the loss ends having lost {percent(lost)} of what it had come down by, and nothing shows why"
    elif case.loss_kind == "descending" and p.relative < LITTLE:
        reason = (
            f"the loss came down by {percent(p.relative)} only, as that of a trained model that is fine-tuned, or of one that learned no "
            "more than how common each answer is"
        )
    elif ends_near_two(case):
        reason = (
            "the loss comes down to a little above ln 2, what guessing between two classes gives, and never below it"
        )
    elif norms is not None and norms.late_over_start > np.log(GROWN):
        reason = f"the norm grew {np.exp(norms.late_over_start):,.0f}-fold while the loss came down, which nothing shown explains"
    return reason


def lost_share(case: Case) -> float:
    """The share of its descent that a loss has lost at the end, by more than its noise; 0 where that is too little to matter."""
    p = case.progress
    loss = case.signals.loss[np.isfinite(case.signals.loss)]
    if p is None or p.kept > 1.0 - LOST or p.end - p.best < ABOVE_NOISE * neighbour_noise(loss):
        return 0.0
    return 1.0 - p.kept


def ends_near_two(case: Case) -> bool:
    """Whether a loss never came below what guessing between two classes costs, and ends a little above it, as confident guesses do."""
    loss = case.signals.loss[np.isfinite(case.signals.loss)]
    if len(loss) < MIN_ROWS:
        return False
    over = block_medians(loss, LEVELS) / float(np.log(2.0)) - 1.0
    return bool(over.min() > NEAR_TWO[0] and over[-1] < NEAR_TWO[1])


def stands_since_its_start(case: Case) -> bool:
    """Whether a loss that keeps more than half of its start stood still after the first tenth of the rows.

    The frequencies of words or classes are learned within a few steps, and so is a bias; whatever is learned after them shows.
    """
    p = case.progress
    loss = case.signals.loss[np.isfinite(case.signals.loss)]
    if (
        p is None
        or case.loss_kind != "descending"
        or not p.start > 0
        or not p.end > HALF * p.start
        or len(loss) < MIN_ROWS
    ):
        return False
    late = loss[len(loss) // 10 :]
    level = block_medians(late, LEVELS)
    half = LEVELS // 2
    fall = float(level[:half].mean() - level[half:].mean())
    change = np.diff(level)
    wander = MAD_TO_SIGMA * float(np.median(np.abs(change - np.median(change)))) / float(np.sqrt(2.0))
    scatter = max(neighbour_noise(late) * 1.2533 / float(np.sqrt(len(late) / LEVELS)), wander)
    return abs(fall) < max(STILL_FALLS * float(level[-1]), ERRORS * scatter / float(np.sqrt(half / 2)))


def _norms_are_no_measure(case: Case) -> str:
    if case.provenance.placeholder:
        return case.provenance.reason
    if case.provenance.verdict == "loss_scaled":
        return "the norms still carry the loss scale, so nothing that norms show can be judged"
    if times_loss(case) >= DOUBTFUL_TIMES:
        return "the norms are out of all proportion to the loss, so they are no measure until that is explained"
    return ""


def _too_few_rows(case: Case) -> str:
    s = case.signals
    rows = [n for column in (s.loss, s.norm) if (n := int(np.isfinite(column).sum()))]
    if not rows:
        return "no finite loss or norm"
    if min(rows) < MIN_ROWS:
        return f"{counted(min(rows), 'row')}, at least {MIN_ROWS} are needed"
    interval = s.log_interval or 1.0
    if interval > 1.0 and min(rows) < MIN_SAMPLED_ROWS:
        return f"{min(rows):,} rows, one every {interval:g} steps: at least {MIN_SAMPLED_ROWS} such rows are needed"
    return ""


def verdict_of(case: Case, findings: tuple[Finding, ...], results: tuple[CheckResult, ...]) -> Verdict:
    """The verdict of a run from its case, what the checks found and which of them ran."""
    status = status_of(case, findings)
    return Verdict(
        status=status,
        headline=_headline(case, status, findings, results),
        outcome=case.outcome.word,
        since_step=case.outcome.since_step,
        judged=tuple(r.name for r in results if r.status in {"passed", "failed"}),
        not_judged=tuple(not_judged(case, results)),
    )


def not_judged(case: Case, results: tuple[CheckResult, ...]) -> Iterator[NotJudged]:
    """What could not be judged, one line for each reason."""
    if case.threshold_source == "assumed" and case.has("trusted_norm"):
        yield NotJudged(
            what="clipping",
            why="the log does not say the threshold",
            remedy="pass --threshold C, or none",
        )
    reasons: dict[str, list[str]] = {}
    for result in results:
        # The validation loss of an agent, or of adversaries, would tell as little as their training loss.
        needless = result.reason == "the log has no validation loss" and not case.loss_descends
        if result.status in {"skipped", "errored"} and result.reason != "the run did not clip" and not needless:
            reasons.setdefault(result.reason, []).append(result.name)
    for reason, names in reasons.items():
        what, remedy = REMEDIES.get(reason, (", ".join(names), "" if reason else "report this"))
        yield NotJudged(what=what, why=reason, remedy=remedy)


def _headline(case: Case, status: Status, findings: tuple[Finding, ...], results: tuple[CheckResult, ...]) -> str:
    if status == "insufficient":
        # Notes on the log itself (GL0) tell what it lacks; the others tell of the run.
        calm = all(f.code.startswith("GL0") for f in findings)
        return f"Not enough to judge: {why_insufficient(case)}.{' Nothing alarming so far.' if calm else ''}"
    if status == "clear":
        ran = sum(r.status in {"passed", "failed"} for r in results)
        left = "" if ran == len(results) else f"; {len(results) - ran} lacked data"
        return f"No problem found ({counted(ran, 'check')} ran{left})."
    cause: Cause = case.cause
    spoken = [f for f in findings if f.severity.rank > 0]
    first = next((f for f in spoken if f.cause == cause), spoken[0] if spoken else None)
    return (
        f"{first.message[:1].upper()}{first.message[1:].rstrip('.')}."
        if first
        else cause_in_words(cause).capitalize() + "."
    )
