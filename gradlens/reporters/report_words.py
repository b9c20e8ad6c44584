"""The numbers of a run as labelled sentences, shared by the terminal and the HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.reporters import wording
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import MAX_STEPS_LISTED, Finding, RunReport, Tail

#: How the codes of checks begin that speak of the log itself.
OF_THE_LOG = "GL0"
PROVENANCE = {
    "pre_clip": "before clipping",
    "post_clip": "after clipping, so nothing about clipping can be judged",
    "loss_scaled": "still multiplied by the loss scale, so no threshold applies",
    "averaged": "an average over several steps: spikes and clip rate are understated, and single steps cannot be judged",
    "placeholder": "never measured",
    "unknown": "assumed to be measured before clipping",
}


def columns_used(run: RunReport) -> str:
    """Which column was used for which quantity."""
    c = run.columns
    named = {"loss": c.loss, "gradient norm": c.grad_norm, "lr": c.lr, "loss scale": c.loss_scale}
    return ", ".join(f'{label} = "{name}"' for label, name in named.items() if name)


def facts(finding: Finding) -> str:
    """The evidence of a finding in one line."""
    parts = []
    for e in finding.evidence:
        value = number(e.value) if isinstance(e.value, (int, float)) else str(e.value)
        limit = f" (limit {number(e.threshold)})" if e.threshold is not None else ""
        parts.append(f"{e.label}: {value}{e.unit}{limit}")
    return "; ".join(parts)


def number_rows(run: RunReport) -> Iterator[tuple[str, str]]:
    """Label and sentence of every figure that the run has."""
    yield from _clipping_rows(run)
    if run.percentiles:
        yield "norm", ", ".join(f"p{q} {number(v)}" for q, v in run.percentiles.items())
    n = run.nonfinite
    if n.loss or n.grad_norm:
        yield "non-finite", f"{n.grad_norm:,} norms and {n.loss:,} losses, longest streak {n.longest_streak:,} rows"
    if run.tail:
        yield "tail", run.tail.verdict
        null = run.tail.gaussian_null
        if null.expected_clip_rate is not None and null.observed_clip_rate:
            dimension, expected = number(null.effective_dimension), percent(null.expected_clip_rate)
            text = f"noise of the same spread (effective dimension {dimension}) would exceed C in {expected} of steps"
            yield "Gaussian", f"{text}, these norms do in {percent(null.observed_clip_rate)}"
    yield from _spike_rows(run)
    yield from _threshold_rows(run)


def tail_lines(tail: Tail) -> Iterator[str]:
    """The estimates behind the verdict on the tail, one per line."""
    pareto, law, indices = tail.pareto_tail, tail.power_law, tail.indices
    if pareto and pareto.xi is not None:
        text = f"Pareto tail above {number(pareto.threshold)} times the level ({pareto.n:,} norms): "
        text += f"xi {number(pareto.xi)} ({wording.interval(tail.xi_interval)})"
        if pareto.band:
            text += f", {wording.interval(pareto.band)} above higher thresholds"
        yield text + (", rejected at every threshold" if pareto.rejected else f", p = {number(pareto.p_value)}")
    if law and law.alpha is not None:
        text = f"power law above {number(law.xmin)} times the level ({law.n_tail:,} norms): alpha {number(law.alpha)}"
        text += f" ± {number(law.alpha_error)}, KS {number(law.ks)}"
        yield text + (f", p = {number(law.p_value)}" if law.p_value is not None else "")
        better = [v for v in law.alternatives if v.better]
        names = ", ".join(f"{v.family.replace('_', ' ')} (p = {number(v.p_value)})" for v in better)
        yield f"  fits the same norms better: {names}" if better else "  no other family fits the same norms better"
    if indices.hill is not None:
        named = (("Hill", indices.hill), ("moment", indices.moment), ("Pickands", indices.pickands))
        text = ", ".join(f"{name} {number(value)}" for name, value in named if value is not None)
        yield f"tail index from the {indices.k:,} largest: {text}"
    yield f"extremal index {number(tail.extremal_index)}: clusters widen errors {number(tail.widening)} times"


def _clipping_rows(run: RunReport) -> Iterator[tuple[str, str]]:
    c = run.clipping
    if c.clip_rate is not None and c.threshold is not None:
        source = wording.SOURCES[c.threshold_source]
        text = f"{percent(c.clip_rate)} of steps above C = {number(c.threshold)} ({source})"
        if c.interval:
            text += f", 95 % interval {wording.interval(c.interval, as_percent=True)}"
        if c.n_effective is not None:
            rough = " (too few for a sharp interval)" if c.rough else ""
            text += f" from {number(c.n_effective)} effective of {c.n:,} steps{rough}"
        if c.one_in is not None and c.clip_rate < 0.1:
            text += f"; one step in {number(c.one_in)}"
        if c.shrink_factor is not None:
            text += f"; mean shrink factor {number(c.shrink_factor)}"
        yield "clipping", text
        phases = [p for p in c.phases if p.clip_rate is not None]
        if len(phases) > 1:
            yield "by phase", ", ".join(f"{p.name} {percent(p.clip_rate)}" for p in phases)
    elif c.withheld:
        yield "clipping", f"withheld: {c.withheld}"
    if c.value_clipping:
        v = c.value_clipping
        text = f"{percent(v.share_beyond_fp16)} of logged gradient elements beyond fp16's 65,504"
        if v.share is not None:
            text = f"{percent(v.share)} of logged gradient elements beyond {number(v.threshold)}; {text}"
        yield "by value", text


def _threshold_rows(run: RunReport) -> Iterator[tuple[str, str]]:
    s = run.suggestion
    if s.threshold is not None:
        text = f"{number(s.threshold)} ({wording.interval(s.interval)}) as {s.mode.replace('_', ' ')}"
        if s.expected.rate is not None:
            text += f", would clip {wording.expected(s.expected)}"
        yield "suggestion", text
    elif s.abstained:
        yield "suggestion", f"no advice: {s.abstained}" + (f"; {s.policy}" if s.policy else "")


def _spike_rows(run: RunReport) -> Iterator[tuple[str, str]]:
    s = run.spikes
    parts, limits = [], []
    for label, key, spikes in (("loss", "loss", s.loss), ("norm", "grad_norm", s.grad_norm)):
        limit = s.z_threshold.get(key)
        if limit is None:
            continue
        limits.append(f"{number(limit)} ({label})")
        if not spikes:
            parts.append(f"none of {label}")
            continue
        largest = max(spikes, key=lambda spike: spike.z or 0.0)
        text = f"{s.counts.get(key, len(spikes))} of {label}"
        period = s.return_period.get(key)
        if period and period.steps_between is not None:
            text += f", one in {number(period.steps_between)} steps ({wording.interval(period.interval)})"
        parts.append(f"{text}, largest at step {largest.step:,}")
    if s.loss or s.grad_norm:
        parts.append(f"each more than {' or '.join(limits)} deviations above the rows before it in its own series")
    else:
        parts = ["none"]
    scored = [f"{label} {percent(v)}" for label, v in (("loss", s.score.loss), ("norm", s.score.grad_norm)) if v]
    if scored:
        parts.append(f"OLMo 2 spike score {', '.join(scored)}")
    if s.withheld:
        parts.append(f"those of the norm are withheld: {s.withheld}")
    yield "spikes", "; ".join(parts)
    together = [s.coincidence.verdict] if s.coincidence and s.coincidence.verdict else []
    if s.joint_events:
        number_of = f"{s.joint_events:,} joint event{'s' if s.joint_events > 1 else ''}"
        together.insert(0, f"{number_of} (same step; a joint event needs less than a lone spike does, GL301)")
    if together:
        yield "coincidence", "; ".join(together)


OUTCOMES = {
    "learned": "The run learned",
    "ended_worse": "The run lost part of what it had learned",
    "diverged": "The run diverged",
    "nonfinite": "The run ends in NaN or infinity",
    "stalled": "The loss stalled",
    "not_learning": "Nothing was learned",
    "unknown": "What became of the run cannot be told from the loss",
}


#: How many times the lowest validation loss the last one must be for the lowest to be worth a word.
BETTER = 1.02
#: Outcomes of runs that must be mended before their norms say what to clip at.
BROKEN = frozenset({"diverged", "nonfinite", "not_learning", "ended_worse"})


def course_sentence(run: RunReport) -> str:
    """What became of the run, from where to where its losses went."""
    v = run.verdict
    from_the_start = v.since_step is not None and v.since_step == run.first_step
    since = f" from step {v.since_step:,} on" if v.since_step is not None and not from_the_start else ""
    text = f"{OUTCOMES[v.outcome]}{since}"
    if from_the_start and v.outcome == "nonfinite":
        text = "Loss or norm is NaN or infinite from the first row on"
    loss, val = run.courses.get("loss"), run.courses.get("val_loss")
    if loss is not None:
        stays = v.outcome == "not_learning" and loss.first == loss.last == loss.lowest
        text += f": loss {number(loss.first)}" + (" throughout" if stays else f" → {number(loss.last)}")
        if loss.lowest < loss.last and v.outcome in {"ended_worse", "diverged", "nonfinite"}:
            text += f", lowest {number(loss.lowest)} at step {loss.lowest_step:,}"
    if val is not None:
        text += f"; validation loss {number(val.first)} → {number(val.last)}"
        if val.last > BETTER * val.lowest:
            text += f", best {number(val.lowest)} at step {val.lowest_step:,}"
    return f"{text}."


def norm_caveat(run: RunReport, *, brief: bool = False) -> str:
    """What must be known of the norm before anything is read from it; empty where it is simply the one before clipping.

    `brief` leaves out the reason, where a finding gives it.
    """
    p = run.provenance
    if p.verdict == "pre_clip":
        return ""
    if p.verdict == "unknown":
        return "Assuming that the norm was logged before clipping." if run.columns.grad_norm else ""
    if p.verdict == "placeholder" and any(f.code == "GL514" for f in run.findings):
        return ""  # the 0 was measured: no gradient reaches the weights
    text = f"The norm is {PROVENANCE[p.verdict]}."
    is_said = brief or (p.verdict == "averaged" and not p.cumulative)
    return text if is_said else f"{text} {wording.sentence(p.reason)}."


def guessed_columns(run: RunReport) -> str:
    """Which column was taken for a quantity, where its name is not the quantity's own."""
    c = run.columns
    missing = [label for label, name in (("loss", c.loss), ("gradient norm", c.grad_norm)) if not name]
    plain = {"loss": "loss", "grad_norm": "gradient norm", "lr": "learning rate"}
    named = {"loss": c.loss, "grad_norm": c.grad_norm, "lr": c.lr, "loss_scale": c.loss_scale}
    guesses = [f'{plain.get(key, "loss scale")} = "{name}"' for key, name in named.items() if name and name != key]
    text = f"columns: {', '.join(guesses)}" if guesses else ""
    if missing:
        text += f"{'; ' if text else ''}no {' and no '.join(missing)} found"
    return text


def step_list(finding: Finding, most: int = 8) -> str:
    """The steps of a finding in order, in brackets; empty where the message names them or there are none."""
    steps = sorted(finding.steps)
    if not steps or all(f"{step:,}" in finding.message or str(step) in finding.message for step in steps[:1]):
        return ""
    shown = ", ".join(f"{step:,}" for step in steps[:most])
    if len(steps) >= MAX_STEPS_LISTED:
        return f"(the first at steps {shown})"
    more = f" and {len(steps) - most} more" if len(steps) > most else ""
    return f"({'step' if len(steps) == 1 else 'steps'} {shown}{more})"


def clipping_sentence(run: RunReport) -> str:
    """How often clipping engaged, in one or two sentences."""
    c = run.clipping
    if c.clip_rate is None or c.threshold is None:
        if c.customary is not None:
            told = "" if run.verdict.outcome in BROKEN else f" {wording.sentence(c.customary.sentence)}."
            return f"Not judged: pass --threshold C, or none.{told}"
        # The verdict has said already why these norms say nothing.
        return f"Not judged: {c.withheld}." if c.withheld and c.withheld != run.provenance.reason else ""
    text = f"{percent(c.clip_rate)} of steps above C = {number(c.threshold)} ({wording.SOURCES[c.threshold_source]})"
    if c.interval:
        text += f", 95 % interval {wording.interval(c.interval, as_percent=True)}"
    phases = [p for p in c.phases if p.clip_rate is not None]
    if len(phases) > 1 and c.clip_rate > 0:
        text += "; " + ", ".join(f"{p.name} {percent(p.clip_rate)}" for p in phases)
    if c.shrink_factor is not None and c.shrink_factor < 0.9995:
        text += f"; gradients shortened by {percent(1 - c.shrink_factor)} on average"
    return f"{text}."


def lacking_sentence(run: RunReport) -> str:
    """What could not be judged, each with what would change that; clipping only where it has no line of its own."""
    told = {"clipping"} if clipping_sentence(run) else set()
    parts = [f"{n.what} ({n.remedy or n.why})" for n in run.verdict.not_judged if n.what not in told]
    return "; ".join(parts)


#: Words of an experiment, and words of an action that is the same.
_SAME = (
    ("replay the", "rerun the batch"),
    ("replay the", "replay the"),
    ("replay the", "rerun step"),
    ("at a third of the rate", "repeat with a"),
    ("a third of the rate", "instead of"),
    ("with a warm-up", "warm the rate up"),
    ("clip_grad_norm_ returns", "clip_grad_norm_ returns"),
    ("beta2 = 0.95", "beta2"),
    ("unscale_", "unscale_"),
    ("lowest validation loss", "validation loss is lowest"),
    ("99th percentile", "lower C"),
    ("double the threshold", "raise C"),
)


def confirmation(run: RunReport) -> str:
    """The experiment that would settle the cause; empty where there is no problem, or what to do holds it already."""
    text, told = run.diagnosis.experiment, " ".join(run.actions)
    if not text or run.verdict.status != "problem" or any(a in text and b in told for a, b in _SAME):
        return ""
    return text


def suggestion_sentence(run: RunReport) -> str:
    """The threshold advice in one line."""
    s = run.suggestion
    if s.threshold is None:
        if not s.abstained or s.abstained == run.provenance.reason:
            return ""
        policy = " Adaptive clipping (ZClip) needs none." if s.policy else ""
        return f"No threshold can be given: {s.abstained}.{policy}"
    if run.verdict.outcome in BROKEN:
        return f"None before the run is mended (its norms would give {number(s.threshold)})."
    text = f"Suggested: {number(s.threshold)} ({wording.interval(s.interval)} would do as well)"
    if s.expected.rate:
        text += f", clips about 1 step in {number(round(1 / s.expected.rate))} at the latest norms"
    elif s.expected.rate == 0:
        text += ", clips none of the latest norms"
    return f"{text}."


def pages(run: RunReport) -> list[str]:
    """Where to read more: the page of the cause, or that of the first finding, and the snippets of a suggested threshold."""
    # What the run shows before what the log lacks, as the report has it.
    told = [f.code for f in sorted(run.findings, key=lambda f: (-f.severity.rank, f.code.startswith(OF_THE_LOG)))]
    problem = run.verdict.status == "problem" and run.diagnosis.cause != "unknown"
    first = [run.diagnosis.cause] if problem else told[:1]
    named = [" ".join(["gradlens explain", *first])]
    fits = run.suggestion.threshold is not None and run.verdict.outcome not in BROKEN
    return [*named, "gradlens suggest-threshold"] if fits else named
