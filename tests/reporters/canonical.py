"""Reports made by hand, so that a snapshot changes with an output and not with a statistic."""

from __future__ import annotations

from gradlens.reports.analysis import (
    CheckResult,
    Clipping,
    Diagnosis,
    Evidence,
    Finding,
    Logged,
    NonFinite,
    Provenance,
    Ranked,
    Report,
    RunReport,
    Spikes,
    SpikeScore,
    Suggestion,
)
from gradlens.reports.base import Severity
from gradlens.reports.comparison import ComparedRun, ComparisonReport, Fingerprint, Pair
from gradlens.reports.gate import GateReport, GateRun, LikelyCause, LimitResult, MetricResult
from gradlens.reports.verdict import NotJudged, Verdict
from gradlens.run import Columns, Notice

#: Everything that could act on a terminal, a page, a table, a command, an XML document or a path.
HOSTILE = (
    "a|b\x1b[31m\r\n::error ::x]]><b>&%0A,:\"'`*_@team #1 \\ \u202e\ud800\ufffe\x00 http://example.invalid [x](y) 50%"
)


def finding(
    code="GL101", name="high-clip-rate", severity=Severity.WARNING, message="31 % of the steps are clipped", **more
):
    return Finding(
        code=code, name=name, severity=severity, message=message, cause="clip_too_tight",
        evidence=(Evidence(label="clip rate", value=0.31, threshold=0.2),), steps=(100, 250), advice="Raise C.", **more,
    )  # fmt: skip


def run_report(name="runs/a.jsonl", findings=None):
    findings = (finding(), finding("GL402", "overflow", Severity.NOTE, "2 overflows")) if findings is None else findings
    checks = (
        CheckResult(code="GL101", name="high-clip-rate", status="failed"),
        CheckResult(code="GL402", name="overflow", status="failed"),
        CheckResult(code="GL201", name="learning-rate", status="passed"),
        CheckResult(code="GL501", name="vanishing", status="skipped", reason="no per-layer norms"),
    )
    return RunReport(
        id=name, source=name, format="jsonl", steps=1000, first_step=0, last_step=999, log_interval=1.0,
        logged={"loss": Logged(rows=1000, interval=1.0), "grad_norm": Logged(rows=1000, interval=1.0)},
        columns=Columns(step="step", loss="loss", grad_norm="grad_norm"), layers=0, config={},
        notices=(Notice(code="damaged-record", message="a line that is not JSON", count=2, where="line 17"),),
        provenance=Provenance(verdict="pre_clip", reason="310 norms are above C"),
        clipping=Clipping(
            threshold=1.0, threshold_source="config", clip_rate=0.31, interval=(0.27, 0.35), n=1000, n_effective=412.0,
            shrink_factor=0.93, one_in=3.2,
        ),
        percentiles={"50": 0.8, "90": 1.4, "99": 2.5},
        nonfinite=NonFinite(loss=0, grad_norm=1, rows=1, longest_streak=1, first_step=500),
        tail=None,
        spikes=Spikes(
            return_period={},
            loss=(), grad_norm=(), score=SpikeScore(loss=0.0, grad_norm=0.001), coincidence=None,
            counts={"loss": 0, "grad_norm": 3}, z_threshold={"loss": 6.0, "grad_norm": 5.5},
            expected_false_alarms={"loss": 0.5, "grad_norm": 0.5},
        ),
        findings=findings,
        verdict=Verdict(
            status="problem", headline="31 % of the steps are clipped.", outcome="learned", since_step=None,
            judged=("high-clip-rate", "overflow", "learning-rate"),
            not_judged=(NotJudged(what="single layers", why="no per-layer norms", remedy="log grad_norm/<layer>"),),
        ),
        diagnosis=Diagnosis(
            cause="clip_too_tight", confidence=0.83, ranking=(Ranked(cause="clip_too_tight", confidence=0.83),),
            summary="Most steps are clipped and the loss stalls.",
        ),
        suggestion=Suggestion(threshold=2.1, interval=(1.8, 2.6), mode="safety_net", abstained=None),
        checks=checks,
    )  # fmt: skip


def report(*runs):
    return Report(gradlens_version="0.1.0", settings={}, runs=runs or (run_report(),))


def gate_run(role, name):
    return GateRun(
        role=role, id=name, source=name, format="jsonl", steps=1000, first_step=0, last_step=999, log_interval=1.0,
        threshold=1.0, threshold_source="config", provenance="pre_clip", clip_rate=0.1, nonfinite=0,
    )  # fmt: skip


CLIP_RATE = MetricResult(
    name="clip_rate", title="clip rate", outcome="fail", reason="beyond tolerance, and beyond chance", unit="share",
    candidate=0.103, baseline=0.05, change=0.053, interval=(0.021, 0.085), tolerance=0.02, p_value=0.0004, p_adjusted=0.0008,
    n_effective=520.0, method="blocks", worst_steps=(300, 399), advice="Look for a higher learning rate.",
)  # fmt: skip
METRICS = (
    MetricResult(
        name="nonfinite", title="non-finite steps", outcome="pass", reason="every loss and norm is finite", unit="count",
        candidate=0.0, baseline=0.0, tolerance=0.0, method="limit",
    ),
    CLIP_RATE,
    MetricResult(
        name="norm_level", title="norm level", outcome="pass", reason="within tolerance", unit="ratio", candidate=0.52,
        baseline=0.5, change=1.04, interval=(0.99, 1.09), tolerance=1.3, p_value=0.1, p_adjusted=0.6, method="blocks",
    ),
    MetricResult(
        name="loss_spikes", title="loss spikes", outcome="inconclusive", reason="beyond tolerance, but chance could explain it",
        unit="per_1000", candidate=5.0, baseline=1.0, change=4.0, interval=(-0.5, 8.5), tolerance=2.0, p_value=0.1,
        p_adjusted=0.4, method="counts", advice="Look at the batches.",
    ),
    MetricResult(name="overflow", title="skipped overflows", outcome="skipped", reason="no overflow in either", unit="share"),
)  # fmt: skip
LIMITS = (
    LimitResult(
        name="max_clip_rate", title="limit on the clip rate", outcome="fail", reason="above the limit", run="runs/a.jsonl",
        value=0.103, limit=0.1, advice="See the threshold advice.",
    ),
)  # fmt: skip


def gate_report(
    metrics=METRICS, limits=LIMITS, name="runs/a.jsonl", outcome="fail", headline="clip rate 5.0 % -> 10.3 %"
):
    return GateReport(
        gradlens_version="0.1.0", outcome=outcome, headline=headline, metrics=metrics, limits=limits,
        runs=(gate_run("candidate", name), gate_run("baseline", "base")), compared_steps=(0, 999),
        notices=(Notice(code="schedules-differ", message="the learning-rate schedules differ"),),
        causes=(LikelyCause(run=name, cause="lr_too_high", confidence=0.7),), settings={"alpha": 0.05},
        baseline_sources=("baseline.json",),
    )  # fmt: skip


def comparison_report(name="b.jsonl"):
    def compared(run, norm):
        return ComparedRun(
            id=run, source=run, format="jsonl", steps=1000, first_step=0, last_step=999, threshold=1.0,
            threshold_source="config", provenance="pre_clip", clip_rate=0.1, median_norm=norm, p99_norm=3 * norm,
            norm_spread=0.3, final_loss=1.2, loss_spikes=0, norm_spikes=2, nonfinite=0, learning_rate=3e-4,
        )  # fmt: skip

    mark = Fingerprint(
        factor="1/sqrt(8)",
        value=0.353553,
        meaning="a local norm: the squares of 8 shards were not summed",
        off_by=0.002,
    )
    pair = Pair(
        run=name, against="a.jsonl", shared_steps=1000, first_step=0, last_step=999, norm_ratio=0.3543,
        norm_ratio_interval=(0.352, 0.357), loss_change=0.001, loss_change_interval=(-0.002, 0.004), equal_loss=True,
        same_data=True, identical_until=None, parts_at=None, parts_in=None, fingerprints=(mark,),
        verdict="norms differ by a constant factor close to 1/sqrt(8) at equal loss",
    )  # fmt: skip
    return ComparisonReport(
        gradlens_version="0.1.0", runs=(compared("a.jsonl", 1.0), compared(name, 0.354)), pairs=(pair,)
    )
