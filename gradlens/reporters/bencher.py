"""Bencher metric format: benchmarks, measures, values with bounds where they are known."""

from __future__ import annotations

import json
import math

from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reports.analysis import Report, RunReport
from gradlens.reports.base import Interval
from gradlens.reports.gate import GateReport, MetricResult

Measure = dict[str, float]


class BencherReporter(Reporter):
    """One benchmark per run."""

    name = "bencher"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        return _text([(run.id, _measures(run)) for run in report.runs])

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        measures = {m.name.replace("_", "-"): found for m in gate.metrics if (found := _of_metric(m))}
        name = next((run.id for run in gate.runs if run.role == "candidate"), "gate")
        limits = {r.name.removeprefix("max_").replace("_", "-"): _measure(r.value) for r in gate.limits}
        return _text([(name, {**{k: v for k, v in limits.items() if v}, **measures})])


def _measures(run: RunReport) -> dict[str, Measure]:
    found = {
        "clip-rate": _measure(run.clipping.clip_rate, run.clipping.interval),
        "grad-norm-p50": _measure(run.percentiles.get("50")),
        "grad-norm-p99": _measure(run.percentiles.get("99")),
        "loss-spikes": _measure(run.spikes.counts.get("loss")),
        "grad-norm-spikes": _measure(run.spikes.counts.get("grad_norm")),
        "nonfinite": _measure(run.nonfinite.rows),
    }
    return {name: measure for name, measure in found.items() if measure}


def _measure(value: float | None, interval: Interval | None = None) -> Measure:
    if value is None or not math.isfinite(value):
        return {}
    if interval is None or not all(map(math.isfinite, interval)):
        return {"value": float(value)}
    return {"value": float(value), "lower_value": interval[0], "upper_value": interval[1]}


def _of_metric(metric: MetricResult) -> Measure:
    """The candidate's value, bounded as the change is."""
    if metric.interval is None or metric.baseline is None:
        return _measure(metric.candidate)
    low, high = metric.interval
    bounds = (metric.baseline * low, metric.baseline * high)
    if metric.unit != "ratio":
        bounds = (metric.baseline + low, metric.baseline + high)
    if metric.unit in {"share", "per_1000"}:
        # The interval is that of the change; a rate itself is never below 0, and a share never above 1.
        bounds = (max(bounds[0], 0.0), min(bounds[1], 1.0) if metric.unit == "share" else bounds[1])
    return _measure(metric.candidate, bounds)


def _text(benchmarks: list[tuple[str, dict[str, Measure]]]) -> str:
    document: dict[str, dict[str, Measure]] = {}
    for name, measures in benchmarks:
        key, number = for_terminal(name), 2
        while key in document:
            key, number = f"{for_terminal(name)} ({number})", number + 1
        document[key] = measures
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
