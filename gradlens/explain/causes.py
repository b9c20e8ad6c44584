"""What each cause means, and the page that shows how it is weighed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradlens.checks import engine
from gradlens.diagnosis import case, ranking
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.signs.base import percent
from gradlens.diagnosis.weighing import UNEXPLAINED, load_weights
from gradlens.explain.prose import Section, table
from gradlens.reporters.wording import TITLES
from gradlens.reports.base import Cause

#: What a log shows that is diagnosed so.
CAUSES: Mapping[Cause, str] = {
    "healthy": "Nothing needs doing: ordinary noise, a transient of the start, the stairs of epochs, rows that stand for many steps.",
    "undetermined": "Too little was logged to say whether there is a problem: too few rows, no loss, or no norms.",
    "unknown": "There is a problem by the facts of the log, and none of the other causes explains it.",
    "lr_too_high": "The steps are too large, so that training is unstable or stuck.",
    "no_warmup": "The steps were too large at the start only, because the learning rate began at its peak.",
    "lr_zero": "The logged learning rate is zero, throughout or from some step on, while training goes on.",
    "schedule_mismatch": "The schedule was made for another length: it rises again, ends long before the run, or warms up to its end.",
    "bad_data": "Single batches, bursts of them or batches at regular intervals hit loss and norm at the same step.",
    "nan_sudden": "NaN or infinity from one row to the next, with nothing growing before: a batch, a kernel, a race, a restored state.",
    "fp16_overflow": "Norms are not finite again and again, the loss scale backs off, and training goes on.",
    "loss_scale_collapse": "The loss scale falls faster than it recovers.",
    "clip_too_tight": "Most steps after the warm-up are clipped, and progress suffers.",
    "clip_too_loose": "The threshold is never reached while spikes go through below it.",
    "clip_before_unscale": "Gradients were clipped while they still carried the loss scale.",
    "postclip_logged": "The norms were measured after clipping, so that nothing about clipping can be judged.",
    "exploding": "The gradients grow exponentially over several steps, or are absurdly large from the start.",
    "vanishing": "The gradients are tiny, or fall by orders of magnitude between layers, and the loss does not move.",
    "not_learning": "No gradient reaches the weights, or there is no signal in the loss.",
    "recurring_instability": "Spikes of the loss that the norm leads come again and again: the optimizer makes them, not the data.",
    "l2_contamination": "A coupled weight penalty dominates the norm.",
    "adam_beta2_lag": "After one shock the loss is damaged for as long as Adam's second moment remembers it.",
    "lr_restart": "Loss or norm jump where the schedule jumps.",
    "data_shift": "The levels of loss and norm change with no change of the schedule: the data became harder or easier.",
    "batch_size_change": "The noise of loss and norm changes, their levels hardly.",
    "resume_artifact": "Loss, norm or rate change across a restart, or steps are logged twice.",
    "overfitting": "The validation loss has risen well above its best for a good part of the run, while the training loss falls.",
}  # fmt: skip


def cause_sections(cause: Cause) -> Iterator[Section]:
    """The page of one cause."""
    yield Section("", f"Cause {cause}: {TITLES[cause]}")
    yield Section("", CAUSES[cause])
    yield from _weights(cause)
    sure = "\n\n".join(_how_sure(cause))
    if sure:
        yield Section("How sure it can be", sure)
    checks = [check for check in engine.load_checks() if check.cause == cause]
    if checks:
        yield Section("Checks that report it", table((c.code, c.name, c.summary()) for c in checks))
    if cause in ranking.CONFIRM:
        yield Section("To be sure", _sentence(ranking.CONFIRM[cause]))
    pairs = [(next(iter(pair - {cause})), text) for pair, text in ranking.EXPERIMENTS.items() if cause in pair]
    if pairs:
        yield Section("To tell it from another cause", table((str(other), text) for other, text in pairs))


def _weights(cause: Cause) -> Iterator[Section]:
    weights = load_weights()
    if cause == "healthy":
        yield Section(
            "How it is weighed",
            "It has no signs and a score of 0: a run is healthy where nothing speaks for anything else. Its share is 1 over the"
            " sum of exp(score) of all causes.",
        )
        return
    if cause not in weights.bias:
        if cause not in {"undetermined", "unknown"}:
            yield Section("How it is decided", "By facts of the log, without weights.")
        return
    yield Section(
        "How it is weighed",
        f"The score starts at a bias of {weights.bias[cause]:+.2f}, and each sign adds its grade, from 0 (not at all) to 1"
        " (plainly), times its weight. The share of a cause is exp(score) over the sum of exp(score) of all causes;"
        " healthy has a score of 0. The weights were learned from labelled runs. On some runs the curves are heard too:"
        " `gradlens analyze --verbose` says who decided.",
    )
    ordered = sorted(weights.signs[cause].items(), key=lambda pair: -abs(pair[1]))
    for title, sign_of in (("Signs for it", 1), ("Signs against it", -1)):
        rows = [(f"{weight:+.2f}", name, SIGNS[name].text) for name, weight in ordered if weight * sign_of > 0]
        if rows:
            yield Section(title, table(rows))


def _how_sure(cause: Cause) -> Iterator[str]:
    """The ceilings and shifts of its confidence."""
    if cause in case.ONE_ROW_CAUSES:
        yield (
            f"At most {percent(case.ONE_ROW_CEILING)} where it would rest on one or two rows, or where a row stands for"
            f" {case.SPARSE_INTERVAL:g} steps or more."
        )
    if cause in case.COURSE_CAUSES:
        yield (
            f"At most {percent(case.SHORT_CEILING)} in a log of fewer than {case.SHORT_ROWS} rows, and"
            f" {percent(case.PLAIN_CEILING)} where the loss explodes there or the run ends in NaN."
        )
    if cause == "lr_too_high":
        yield (
            f"Of a run in trouble, {percent(UNEXPLAINED)} of the confidence of every cause goes to this one, for what the signs"
            " leave unexplained."
        )
    if cause == "healthy":
        rows, sure = case.HEALTHY_BY_ROWS
        steps = ", ".join(f"{percent(p)} of {n:g} rows" for n, p in zip(rows, sure, strict=True) if p < 1)
        yield f"At most {steps}, and {percent(case.ONE_COLUMN_CEILING)} without a loss or without norms."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
