"""The ranked causes of a run, in words.

The weighing itself is in `gradlens.diagnosis.weighing`: signs graded from 0 to 1 by `gradlens.diagnosis.signs`, times learned
weights, added up to one score for each cause, and turned into confidences that were calibrated on families of labelled runs
that the weights had not seen. Here the ranking gets its reasons, and the one experiment or column that would separate the first
two causes.
"""

from __future__ import annotations

from collections.abc import Mapping

from gradlens import vocabulary
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.opinions import decided, opinions_of
from gradlens.diagnosis.signs import SIGNS, is_measured
from gradlens.diagnosis.weighing import CURVES
from gradlens.reports.analysis import Diagnosis, Finding, Ranked, Shift, WeighedSign
from gradlens.reports.base import NO_FAULT, Cause, Status
from gradlens.reports.verdict import Verdict

#: Causes below this confidence are left out of the ranking, but three are always kept.
MIN_CONFIDENCE = 0.01
MAX_REASONS = 6
#: How sure a verdict that there is not enough to judge can be: what is missing may show either way.
MAX_UNDETERMINED = 0.5

#: Why the named cause has another confidence than the weighing gives it, by status; and why all others then have less.
NAMED: Mapping[Status, str] = {
    "problem": "a fact of the log names it",
    "clear": "nothing else is left",
    "insufficient": "what the weights give to no problem at all",
}
#: Confidence in the cause that a problem usually has which a fact shows and no weighing sees. Our own choice.
OTHERWISE = 0.5
ROOM = "room for what a fact of the log names"
#: What a sum may differ by without a shift.
ROUNDING = 1e-12

#: What would tell two causes apart, whichever comes first.
_PAIRS: tuple[tuple[tuple[Cause, Cause], str], ...] = (
    (("bad_data", "adam_beta2_lag"), "log the RMS of g²/v (above 2: the second moment lags), or repeat with beta2 = 0.95"),
    (("data_shift", "adam_beta2_lag"), "log the update norm and the RMS of g²/v, or give beta2 with --config"),
    (("bad_data", "data_shift"), "replay the batches after the step from the checkpoint before it: a shift stays, a bad batch passes"),
    (("bad_data", "clip_too_loose"), "lower the threshold to the 99th percentile: if the spikes lose their effect, it was too loose"),
    (("bad_data", "lr_too_high"), "replay the batches of the spikes at a third of the rate: only bad data will spike again"),
    (("data_shift", "lr_too_high"), "evaluate the checkpoint before the step on the data after it: a shift raises that loss too"),
    (("exploding", "lr_too_high"), "log norms of single layers and repeat with a third of the rate: exploding norms will still grow"),
    (("no_warmup", "lr_too_high"), "repeat with a warm-up to the same rate: if that cures it, only the warm-up was missing"),
    (("no_warmup", "exploding"), "repeat with a warm-up, and log norms of single layers at step 0"),
    (("vanishing", "lr_too_high"), "log norms of single layers: vanishing ones fall by orders of magnitude from last to first"),
    (("vanishing", "exploding"), "log norms of single layers at step 0"),
    (("clip_too_tight", "lr_too_high"), "log the update-to-weight ratio: far above 1e-3 the rate is too high, far below C too low"),
    (("clip_too_tight", "postclip_logged"), "log the value that clip_grad_norm_ returns"),
    (("clip_too_tight", "l2_contamination"), "log the norm of the data gradient without the penalty, and the weight norm"),
    (("l2_contamination", "postclip_logged"), "log the value that clip_grad_norm_ returns, and the weight norm"),
    (("batch_size_change", "data_shift"), "log the tokens or examples of each step"),
    (("batch_size_change", "lr_too_high"), "log the examples of each step; the noise changes with them or with the rate"),
    (("fp16_overflow", "loss_scale_collapse"), "log the loss scale: it recovers between overflows or it does not"),
    (("fp16_overflow", "exploding"), "log the loss scale and the unscaled norm"),
    (("loss_scale_collapse", "exploding"), "log the loss scale, and find the first NaN with anomaly detection"),
    (("lr_restart", "data_shift"), "repeat the jump in the rate without the change of data"),
    (("lr_restart", "lr_too_high"), "repeat with the same schedule at a third of the peak"),
    (("resume_artifact", "data_shift"), "log the optimizer state's norm and the data position before and after the resume"),
    (("resume_artifact", "lr_restart"), "compare the rate and the optimizer's step count before and after the resume"),
)  # fmt: skip
EXPERIMENTS: Mapping[frozenset[Cause], str] = {frozenset(pair): text for pair, text in _PAIRS}

#: What would settle one cause against "no action needed".
CONFIRM: Mapping[Cause, str] = {
    "lr_too_high": "repeat a tenth of the run at a third of the rate and compare the loss at equal steps",
    "no_warmup": "repeat the first tenth with a warm-up and compare",
    "bad_data": "replay the listed batches from the checkpoint before them",
    "fp16_overflow": "run the batch of a skipped step in float32: finite gradients there show that only the range of fp16 is to blame",
    "loss_scale_collapse": "run one of the skipped batches in float32: if its gradients are finite there, only the precision is to blame",
    "clip_too_tight": "double the threshold for a tenth of the run and compare the loss at equal steps",
    "clip_too_loose": "lower the threshold to the 99th percentile of the norms",
    "postclip_logged": "log the value that clip_grad_norm_ returns",
    "exploding": "log norms of single layers",
    "vanishing": "log norms of single layers, and train longer",
    "l2_contamination": "log the norm of the data gradient without the penalty, and the weight norm",
    "adam_beta2_lag": "give beta2 with --config, or log the RMS of g²/v",
    "lr_restart": "check whether the jump in the rate was intended",
    "data_shift": "log the data source of each step",
    "batch_size_change": "log the examples of each step",
    "resume_artifact": "evaluate the last checkpoint before the resume and the weights right after it on one batch: the losses must agree",
    "lr_zero": "print the rate of the optimizer's groups at the first steps",
    "schedule_mismatch": "compare the steps that the scheduler was given with those of the run",
    "nan_sudden": "replay the batch of the first NaN from the checkpoint before it, with anomaly detection on",
    "clip_before_unscale": "call scaler.unscale_(optimizer) before clip_grad_norm_ and compare the norms",
    "not_learning": "print loss, labels and the norm of each layer for one batch before and after an update",
    "recurring_instability": "repeat with beta2 = 0.95: spikes that the optimizer makes become rare",
    "overfitting": "evaluate the checkpoint of the lowest validation loss",
    "unknown": "replay the steps that are named from the checkpoint before them",
}


def diagnose(case: Case, findings: tuple[Finding, ...], verdict: Verdict) -> Diagnosis:
    """The ranking, likeliest cause first, with the signs behind each, a summary and the experiment to do next.

    The ranking follows from the evidence of the whole run, so selecting or ignoring checks does not change it; `findings`
    tell what the summary can point at. What comes first is the word of the status: `healthy` where it is clear,
    `undetermined` where it is insufficient, `unknown` where a problem has no cause that explains it.
    """
    named = named_cause(case, verdict.status)
    weighed = [
        (cause, p)
        for cause, p in case.beliefs.ranking
        if cause == named or cause not in {"healthy", case.nameless, *case.excluded}
    ]
    own = next((p for cause, p in weighed if cause == named), None)
    first = confidence_of(case, named, own)
    rest = [(cause, p) for cause, p in weighed if cause != named]
    # What the named cause has beyond its weighed share is taken from all others alike.
    left = sum(p for _, p in rest)
    scale = min((1.0 - first) / left, 1.0) if left > 0 else 0.0
    ranking = tuple(
        _ranked(case, cause, p, why)
        for place, (cause, p, why) in enumerate(
            [(named, first, NAMED[verdict.status]), *((cause, p * scale, ROOM) for cause, p in rest)]
        )
        if place < 3 or p >= MIN_CONFIDENCE
    )
    return Diagnosis(
        cause=named,
        confidence=first,
        ranking=ranking,
        experiment=""
        if named == "unknown" and not any(f.steps for f in findings if f.severity.rank > 0)
        else _without_what_is_logged(
            case, with_line(experiment(named, ranking[1].cause if len(ranking) > 1 else named), case)
        ),
        summary=_summary(named, findings, verdict),
        scores={cause: weighed.score for cause, weighed in case.beliefs.weighed.items()},
        decided=decided(
            case.by_signs, case.second, case.ruling, proven=named if any(f.cause == named for f in case.facts) else None
        ),
        opinions=tuple(opinions_of(case.by_signs, case.second)),
    )


def _ranked(case: Case, cause: Cause, confidence: float, why: str) -> Ranked:
    """One cause with all that its confidence is made of; `why` is the reason for what the weighing does not explain of it."""
    weighed = case.beliefs.weighed.get(cause)
    believed = case.beliefs.of(cause)
    if weighed is not None:
        shifts = tuple(Shift(why=reason, by=by) for reason, by in weighed.shifts)
    else:
        # Of a cause that no sign speaks of, all comes from the curves.
        shifts = (Shift(why=CURVES, by=believed),) if believed and case.second is not None else ()
    left = confidence - believed
    return Ranked(
        cause=cause,
        confidence=confidence,
        because=_reasons(case, cause),
        bias=None if weighed is None else weighed.bias,
        signs=tuple(
            WeighedSign(sign=a.sign, text=SIGNS[a.sign].text, grade=a.grade, weight=a.weight, added=a.contribution)
            for a in case.beliefs.arguments.get(cause, ())
        ),
        score=None if weighed is None else weighed.score,
        share=None if weighed is None else weighed.share,
        ceiling=None if weighed is None else weighed.ceiling,
        shifts=(*shifts, Shift(why=why, by=left)) if abs(left) > ROUNDING else shifts,
    )


def named_cause(case: Case, status: Status) -> Cause:
    """The word of the diagnosis for a status."""
    if status == "clear":
        return "healthy"
    if status == "insufficient":
        return "undetermined"
    return "unknown" if case.cause == "healthy" else case.cause


def confidence_of(case: Case, named: Cause, weighed: float | None) -> float:
    """The confidence in the named cause: as weighed, or as the fact that proves it says."""
    proof = [fact.confidence for fact in case.facts if fact.cause == named]
    if proof:
        return max(proof[0], weighed or 0.0)
    if case.nameless is not None and named == case.cause:
        return case.beliefs.of(case.nameless)  # as sure as of the problem, whatever it is called
    if named == "undetermined":
        return min(1.0 - case.beliefs.of("healthy"), MAX_UNDETERMINED)  # what remains open
    if weighed is not None and case.beliefs.cause == "healthy" and named == case.cause != "healthy":
        return max(weighed, OTHERWISE)  # a fact shows the problem, and this is what it usually comes from
    return case.beliefs.of("healthy") if weighed is None else weighed


def _without_what_is_logged(case: Case, text: str) -> str:
    """An experiment that does not ask for columns that are there."""
    return (
        text.replace("log norms of single layers", "compare the norms of single layers") if case.has("layers") else text
    )


def experiment(first: Cause, second: Cause) -> str:
    """The one experiment or extra column that would tell two causes apart."""
    if NO_FAULT & {first, second}:
        other = second if first in NO_FAULT else first
        return CONFIRM.get(other, "")
    return EXPERIMENTS.get(frozenset((first, second)), CONFIRM.get(first, ""))


#: What the recorder logs: words of an experiment, the column, and what to write for it.
_LINES: tuple[tuple[str, str, str], ...] = (
    ("RMS of g²/v", "rms_ratio", "rec = gradlens.Recorder(path, model, optimizer, update_every=1)"),
    ("update norm", "update_norm", "rec = gradlens.Recorder(path, model, optimizer, update_every=1)"),
    ("update-to-weight ratio", "update_norm", "rec = gradlens.Recorder(path, model, optimizer)"),
    ("weight norm", "weight_norm", "rec = gradlens.Recorder(path, model, optimizer)"),
    ("norm of the data gradient", "data_norm", "rec = gradlens.Recorder(path, model, optimizer)"),
    ("examples of each step", "batch_size", "rec.log(loss=loss, batch_size=len(batch))"),
    ("replay the batches", "batch_id", "rec.log(loss=loss, batch_id=ids)"),
    ("replay the listed batches", "batch_id", "rec.log(loss=loss, batch_id=ids)"),
    ("a third of the rate", "loss_after", "rec.log(loss=loss, probe=lambda: loss_of(model, batch))"),
)


def with_line(text: str, case: Case) -> str:
    """An experiment, with the line of code that logs the column it needs, or one that would spare it."""
    for words, column, line in _LINES:
        if words in text and vocabulary.choose(column, case.run.series) is None:
            return (
                f"{text}; to log it: {line}"
                if text.startswith("log ")
                else f"{text}; or log {column} with gradlens.Recorder"
            )
    return text


def _reasons(case: Case, cause: Cause) -> tuple[str, ...]:
    """The signs that moved the score of a cause, largest first, with what each added."""
    return tuple(
        f"{SIGNS[a.sign].text} (grade {a.grade:.2f}, {a.contribution:+.1f})"
        for a in case.beliefs.arguments.get(cause, ())[:MAX_REASONS]
        if abs(a.contribution) >= 0.05 and is_measured(case, a.sign)
    )


def _summary(named: Cause, findings: tuple[Finding, ...], verdict: Verdict) -> str:
    return next((f.message for f in findings if f.cause == named and f.severity.rank > 0), verdict.headline)
