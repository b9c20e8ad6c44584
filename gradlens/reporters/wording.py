"""Numbers and names in the words that all outputs for people share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradlens.reports.analysis import ExpectedClipping, RunReport
from gradlens.reports.base import Cause

TITLES: dict[Cause, str] = {
    "healthy": "no problem found",
    "undetermined": "not enough to judge",
    "unknown": "a problem of unknown cause",
    "lr_too_high": "learning rate too high",
    "no_warmup": "warm-up missing or too short",
    "bad_data": "bad batches",
    "fp16_overflow": "fp16 overflow",
    "loss_scale_collapse": "loss scale collapsing",
    "clip_too_tight": "clipping threshold too tight",
    "clip_too_loose": "clipping threshold never reached",
    "postclip_logged": "norms logged after clipping",
    "exploding": "exploding gradients",
    "vanishing": "vanishing gradients",
    "l2_contamination": "norm dominated by weight decay",
    "adam_beta2_lag": "Adam's second moment lags",
    "lr_restart": "learning-rate restart",
    "data_shift": "data shift",
    "batch_size_change": "batch size changed",
    "resume_artifact": "resume artefact",
    "lr_zero": "learning rate of zero",
    "schedule_mismatch": "schedule does not fit the run",
    "nan_sudden": "sudden NaN",
    "clip_before_unscale": "clipped before unscaling",
    "not_learning": "nothing is learned",
    "recurring_instability": "recurring instability",
    "overfitting": "overfitting",
}
SOURCES = {
    "option": "given",
    "config": "from the run's configuration",
    "log": "proven by the log",
    "assumed": "assumed: no threshold was found",
}


def number(value: float | None) -> str:
    """Three significant digits, thousands grouped, no exponent between 0.001 and 1e6."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e6 or size < 1e-3:
        return f"{value:.2e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    # What three digits round to a thousand has four.
    if size >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share as percent with two significant digits, exact at 0 and 100."""
    if value is None:
        return "–"
    hundred = value * 100
    if hundred in {0.0, 100.0}:
        return f"{hundred:.0f} %"
    return f"{hundred:.1f} %" if 1 <= hundred < 99.95 else f"{hundred:.2g} %" if hundred < 1 else f"{hundred:.2f} %"


def sureness(confidence: float) -> str:
    """A confidence as percent: `89 %`, and never more than `99 %`, since nothing that is weighed is certain."""
    if 0.0 < confidence < 0.01:
        return percent(confidence)
    return f"{100 * min(confidence, 0.99):.0f} %"


def interval(pair: tuple[float, float | None] | None, *, as_percent: bool = False) -> str:
    """`low to high`, `at least low` without an upper end, or nothing."""
    if pair is None:
        return ""
    word = percent if as_percent else number
    if pair[1] is None:
        return f"at least {word(pair[0])}"
    low, high = word(pair[0]), word(pair[1])
    return f"{low.removesuffix(' %') if as_percent else low} to {high}"


def expected(clipping: ExpectedClipping) -> str:
    """The share of the latest norms that a suggestion would clip, which those are, and in how many bursts where in few."""
    text = f"{percent(clipping.rate)} of the latest {clipping.n:,} norms, those since step {clipping.since or 0:,}"
    bursts = "one burst" if clipping.bursts == 1 else f"{clipping.bursts:,} bursts"
    return f"{text}, in {bursts}" if clipping.clustered else text


#: The share of the rows that the usual distance would give below which the header speaks of gaps.
WITHOUT_GAPS = 0.7


def span(run: RunReport) -> str:
    """Which steps were read and how densely."""
    if run.steps == 0 or run.first_step is None:
        return "no rows"
    if run.steps == 1:
        return f"1 row, step {run.first_step:,}"
    text = f"{run.steps:,} rows, steps {run.first_step:,} to {run.last_step:,}, {_every(run.log_interval)}"
    if run.log_interval and run.steps < WITHOUT_GAPS * ((run.last_step or 0) - run.first_step) / run.log_interval:
        text += " with gaps"
    for key, label in (("loss", "loss"), ("grad_norm", "norm")):
        found = run.logged.get(key)
        if found and found.interval != run.log_interval:
            count = f"{found.rows:,} rows, " if found.rows > 1 else ""
            text += f", the {label} in {count}{_every(found.interval)}"
    return text


def _every(interval: float | None) -> str:
    return "every step" if interval == 1 else f"every {number(interval)} steps" if interval else "one row"


def spike_counts(run: RunReport) -> str:
    """Spikes of loss and norm, `6 / 2`; a dash where they could not be counted."""
    return " / ".join(number(run.spikes.counts.get(key)) for key in ("loss", "grad_norm"))


#: What a headline says of findings whose name alone says little.
LOUD: Mapping[str, str] = {"likeness": "curves like those of faulty runs"}


def verdict(run: RunReport) -> str:
    """The headline: what was found, with how sure the cause is where there is a problem."""
    d = run.diagnosis
    if run.verdict.status != "problem":
        return run.verdict.headline
    if d.cause == "unknown":
        # The message of the finding stands below, under the evidence.
        loud = next((f for f in run.findings if f.severity.rank > 0), None)
        if loud is None:
            return run.verdict.headline
        return f"{capital(LOUD.get(loud.name, loud.name.replace('-', ' ')))}, cause unknown"
    return f"{capital(TITLES[d.cause])} (confidence {sureness(d.confidence)})"


def capital(text: str) -> str:
    """The text with a capital at its beginning; what has one elsewhere (NaN, Adam) keeps it."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A message with a capital at its beginning, unless it begins with the name of a column."""
    return capital(text) if text.partition(" ")[0].strip(",:;").isalpha() else text


def duration(seconds: float) -> str:
    """A span of time in the two largest units that it has: `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`."""
    whole = round(seconds)
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit} {rest} {small_unit}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
