"""OpenMetrics text, which GitLab's metrics reports and Prometheus read."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reports.analysis import Report, RunReport
from gradlens.reports.base import Severity
from gradlens.reports.gate import GateReport, LimitResult

Sample = tuple[str, dict[str, str], float | int | None]
_HELP = {
    "clip_rate": "Share of finite gradient norms above the threshold.",
    "clip_threshold": "The clipping threshold.",
    "grad_norm": "Percentiles of the finite gradient norms.",
    "spikes": "Spikes above the noise of the curve.",
    "nonfinite": "Logged values that are NaN or infinite.",
    "findings": "Findings by severity.",
    "gate_passed": "1 if the gate passed, 0 if it failed or could not judge.",
    "gate_candidate": "What the gate measured on the candidates.",
    "gate_baseline": "What the gate measured on the baselines.",
    "gate_failed": "1 for a check that failed.",
    "gate_limit_value": "The value checked against an absolute limit.",
}


class MetricsReporter(Reporter):
    """Gauges, one per line, ended by `# EOF`."""

    name = "metrics"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        return _text([sample for run in report.runs for sample in _samples(run)])

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        return _text(list(_gate_samples(gate)))


def _samples(run: RunReport) -> Iterator[Sample]:
    label = {"run": run.id}
    yield "clip_rate", label, run.clipping.clip_rate
    yield "clip_threshold", label, run.clipping.threshold
    for q, value in run.percentiles.items():
        yield "grad_norm", {**label, "percentile": q}, value
    for curve, count in run.spikes.counts.items():
        yield "spikes", {**label, "curve": curve}, count
    yield "nonfinite", {**label, "curve": "loss"}, run.nonfinite.loss
    yield "nonfinite", {**label, "curve": "grad_norm"}, run.nonfinite.grad_norm
    for severity in Severity:
        yield "findings", {**label, "severity": severity.value}, sum(f.severity is severity for f in run.findings)


def _gate_samples(gate: GateReport) -> Iterator[Sample]:
    yield "gate_passed", {}, int(gate.outcome == "pass")
    for result in gate.results:
        label = {"check": result.name}
        if isinstance(result, LimitResult):
            label["run"] = result.run
            yield "gate_limit_value", label, result.value
        else:
            yield "gate_candidate", label, result.candidate
            yield "gate_baseline", label, result.baseline
        yield "gate_failed", label, int(result.outcome == "fail")


def _text(samples: list[Sample]) -> str:
    """Samples of one metric must stand together, after its type; a value that is not finite is left out."""
    lines = []
    for name, title in _HELP.items():
        seen: set[str] = set()
        body = []
        for sample, labels, value in samples:
            if sample != name or value is None or not math.isfinite(value):
                continue
            line = f"gradlens_{name}{_labels(labels)}"
            if line not in seen:
                seen.add(line)
                body.append(f"{line} {value:.10g}")
        if body:
            lines += [f"# TYPE gradlens_{name} gauge", f"# HELP gradlens_{name} {title}", *body]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return for_terminal(value).replace("\\", "\\\\").replace('"', '\\"')
