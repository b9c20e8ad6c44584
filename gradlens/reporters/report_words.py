"""The numbers of a run as labelled sentences, shared by the terminal and the HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.reporters import wording
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import Finding, RunReport, Tail

PROVENANCE = {
    "pre_clip": "before clipping",
    "post_clip": "after clipping, so nothing about clipping can be judged",
    "loss_scaled": "still multiplied by the loss scale, so no threshold applies",
    "averaged": "an average over several steps, so single steps cannot be judged",
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


def advice(run: RunReport) -> list[str]:
    """What to do: the advice of every warning and error once, and the experiment that would settle the cause."""
    lines = list(dict.fromkeys(f.advice for f in run.findings if f.advice and f.severity.rank > 0))
    if run.diagnosis.experiment and run.verdict.status == "problem":
        lines.append(f"To confirm: {run.diagnosis.experiment}")
    return lines


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
