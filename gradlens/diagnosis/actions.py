"""What to do about a cause, in order, with the numbers of the run filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from gradlens.diagnosis.measured import Measured
from gradlens.frozen import frozen
from gradlens.reports.analysis import Diagnosis, Finding, Suggestion
from gradlens.reports.base import Cause

MAX_STEPS_NAMED = 3
#: The share of a run that is its start. Our own choice.
EARLY = 0.1


@frozen
class Numbers:
    """The numbers of a run that advice may need; None where the log does not tell."""

    rate: float | None
    threshold: float | None
    suggested: float | None
    warmup: int | None
    first_step: int | None
    steps: tuple[int, ...]
    early: bool = True
    """Whether the trouble is at the start: within the first tenth of the run, or while the rate comes up. May be, where not known."""
    flows: bool = False
    """Whether norms were logged and are not zero: the loss reaches parameters."""

    @property
    def at(self) -> str:
        """The first steps of the findings, `steps 218, 250 and 287`; "the listed steps" without any."""
        shown = [f"{step:,}" for step in self.steps[:MAX_STEPS_NAMED]]
        if not shown:
            return "the steps named above"
        return f"step {shown[0]}" if len(shown) == 1 else f"steps {', '.join(shown[:-1])} and {shown[-1]}"

    @property
    def worst(self) -> str:
        """The first step of the findings."""
        return f"step {self.steps[0]:,}" if self.steps else "the first step named above"

    @property
    def third(self) -> str:
        """The learning rate to try: a third, rounded, in words that say what it was."""
        if not self.rate:
            return "a third of the learning rate"
        return f"a learning rate of {round_rate(self.rate / 3):g} instead of {self.rate:g}"


def round_rate(rate: float) -> float:
    """A rate rounded to one digit, as people write them."""
    return float(f"{rate:.0e}")


def _raise_threshold(n: Numbers) -> str:
    if n.suggested is not None and n.threshold is not None and n.suggested > n.threshold:
        return f"raise C from {n.threshold:g} to {n.suggested:.3g}, which clips about 1 step in 100"
    return "double C for a tenth of the run and compare the loss at equal steps"


def _lower_threshold(n: Numbers) -> str:
    if n.suggested is not None:
        instead = f" from {n.threshold:g}" if n.threshold is not None and n.suggested < n.threshold else ""
        return f"lower C{instead} to {n.suggested:.3g}, which clips about 1 step in 100"
    return "lower C to the 99th percentile of the norms"


def _warm_up(n: Numbers) -> str:
    known = f" (the log shows {n.warmup:,} rows of it)" if n.warmup else ""
    return f"warm the rate up from near 0 over the first 2/(1-beta2) steps, 2,000 for Adam's 0.999{known}"


ACTIONS: Mapping[Cause, Callable[[Numbers], tuple[str, ...]]] = {
    "lr_too_high": lambda n: (
        f"repeat with {n.third}",
        *(("or lengthen the warm-up: the trouble is at the start",) if n.early else ()),
    ),
    "no_warmup": lambda n: (_warm_up(n), f"or repeat with {n.third}"),
    "lr_zero": lambda _: (
        "print optimizer.param_groups[0]['lr'] at the first steps",
        "check the number of steps that the scheduler was given, and that it is stepped once per update",
    ),
    "schedule_mismatch": lambda _: (
        "give the scheduler the number of updates of the whole run: batches / accumulation × epochs",
        "check that it is stepped once per update, not per batch or per process",
    ),
    "bad_data": lambda n: (
        f"print the samples of {n.at}{', the worst first' if len(n.steps) > 1 else ''}",
        (
            f"rerun the batch of {n.worst} from the checkpoint before it, at a third of the rate; if it spikes again, "
            "the data is bad; if not, the rate is too high"
        ),
    ),
    "nan_sudden": lambda n: (
        # No checkpoint lies before the first row.
        "rerun the first batch from the start with torch.autograd.set_detect_anomaly(True)"
        if n.steps and n.steps[0] == n.first_step
        else f"rerun the batch of {n.worst} from the checkpoint before it with torch.autograd.set_detect_anomaly(True)",
        "look for empty batches, log(0) or division by zero in the loss, and inputs that are not finite",
    ),
    "fp16_overflow": lambda _: (
        "train in bf16 if the hardware has it; otherwise lengthen the growth interval of the loss scaler, which doubles the scale too soon",
        "check that the optimizer skips these steps: its weights must be the same before and after one",
    ),
    "loss_scale_collapse": lambda _: (
        "train in bf16, or find the layer whose activations overflow (the scale can fall no further)",
        "resume from the checkpoint before the scale began to fall",
    ),
    "clip_too_tight": lambda n: (_raise_threshold(n), "or keep C and raise the learning rate"),
    "clip_too_loose": lambda n: (_lower_threshold(n),),
    "clip_before_unscale": lambda _: ("call scaler.unscale_(optimizer) before clip_grad_norm_",),
    "postclip_logged": lambda _: ("log the value that clip_grad_norm_ returns: it is the norm before clipping",),
    "exploding": lambda n: (
        f"clip at {n.suggested:.3g} or below" if n.suggested is not None else "clip by norm",
        f"repeat with {n.third}",
        "scale the initialisation down (gain 1/sqrt(depth)) or add normalisation",
    ),
    "vanishing": lambda _: (
        "log norms of single layers: they show where the gradient is lost",
        "use residual connections, normalisation, or activations that do not saturate",
    ),
    "not_learning": lambda n: (
        (
            "check that labels belong to their inputs, and that the optimizer was given the parameters"
            if n.flows
            else "check that the loss reaches the parameters: no detach(), no no_grad(), parameters given to the optimizer"
        ),
        "overfit one batch: a correct program brings its loss near zero",
        *((f"repeat with {n.third}",) if n.flows else ()),
    ),
    "recurring_instability": lambda n: (
        "lower beta2 to 0.95",
        f"or repeat with {n.third}",
        "clip at the 99th percentile",
    ),
    "l2_contamination": lambda _: (
        "use decoupled weight decay (AdamW), or leave the penalty out of the norm that is logged and clipped",
    ),
    "adam_beta2_lag": lambda _: ("repeat with beta2 = 0.95", "log the RMS of g²/v: above 2 the second moment lags"),
    "lr_restart": lambda n: (
        f"if the jump of the rate at {n.worst} was not meant, go on from a checkpoint before it with the rate from before",
        "check how the scheduler's state is restored, and the rate that was passed",
    ),
    "data_shift": lambda n: (
        f"compare the data before and after {n.worst}",
        "shuffle across sources, or mix them gradually",
    ),
    "batch_size_change": lambda n: (f"check the number of examples per step around {n.worst}",),
    "resume_artifact": lambda _: (
        "restore optimizer, scheduler, scaler and data position with the weights",
        "log each attempt in a file of its own",
    ),
    "overfitting": lambda n: (
        f"use the checkpoint nearest to {n.worst}, where the validation loss is lowest, and end the next run there",
        "regularise more: weight decay, dropout, augmentation, more data",
    ),
    "unknown": lambda n: (f"rerun {n.at} from the checkpoint before",) if n.steps else (),
}


def actions(
    measured: Measured, diagnosis: Diagnosis, findings: Iterable[Finding], suggestion: Suggestion
) -> tuple[str, ...]:
    """What to do, in order: what cures the named cause, then what other warnings and errors advise.

    Nothing where there is no problem. `suggestion` fills in a threshold where the log supports one.
    """
    loud = [f for f in findings if f.severity.rank > 0]
    if not loud and diagnosis.cause in {"healthy", "undetermined"}:
        return ()
    lines = list(_of_cause(measured, diagnosis, loud, suggestion))
    lines += [f.advice for f in loud if f.advice and f.cause != diagnosis.cause and not _said(f.advice, lines)]
    return tuple(dict.fromkeys(lines))


def _said(advice: str, lines: list[str]) -> bool:
    """Whether an advice begins with what was said before in other words."""
    return "overfit" in advice.partition(":")[0] and any(line.startswith("overfit") for line in lines)


def _of_cause(measured: Measured, diagnosis: Diagnosis, loud: list[Finding], suggestion: Suggestion) -> tuple[str, ...]:
    known = ACTIONS.get(diagnosis.cause)
    if known is None:
        return ()
    own = [f for f in loud if f.cause == diagnosis.cause] or loud
    if diagnosis.cause == "not_learning" and own and own[0].advice and not _from_the_start(measured, own[0]):
        return (own[0].advice,)
    rates = measured.signals.lr[np.isfinite(measured.signals.lr)]
    rate = float(rates.max()) if len(rates) else measured.config.learning_rate
    return known(
        Numbers(
            rate=rate if rate and rate > 0 else None,
            threshold=measured.threshold if measured.threshold_source != "assumed" else None,
            suggested=suggestion.threshold,
            warmup=measured.schedule.warmup_rows,
            first_step=int(measured.signals.step[0]) if len(measured) else None,
            steps=own[0].steps if own else (),
            early=_early(measured),
            flows=_flows(measured),
        )
    )


def _from_the_start(measured: Measured, finding: Finding) -> bool:
    """Whether a supervised run learned nothing at all; what ended later, or in an agent, has other reasons than a broken program."""
    steps = finding.steps or (int(measured.signals.step[0]),)
    return measured.loss_descends and steps[0] <= int(measured.signals.step[0])


def _early(measured: Measured) -> bool:
    """Whether the loss is highest above its level so far within the first tenth of the run, or soon after the warm-up."""
    p = measured.progress
    if p is None:
        return False
    return p.rebound_at < max(EARLY, 1.5 * measured.warmup_rows / max(len(measured), 1))


def _flows(measured: Measured) -> bool:
    """Whether norms were logged and are not zero: gradients reach parameters."""
    norm = measured.signals.norm
    return bool(np.isfinite(norm).any() and np.nanmedian(norm) > 0)
