"""Which method a figure of a report comes from, and where the text of the method lives."""

from __future__ import annotations

#: Methods behind the figures of a report: name -> where the text lives.
METHODS: dict[str, str] = {
    "clip-rate": "gradlens.stats.clipping",
    "shrink-factor": "gradlens.stats.clipping:shrink_factor",
    "return-period": "gradlens.stats.clipping:return_period",
    "effective-n": "gradlens.stats.dependence",
    "detrending": "gradlens.stats.robust",
    "warm-up": "gradlens.stats.warmup",
    "spikes": "gradlens.stats.spikes",
    "coincidence": "gradlens.stats.coincidence",
    "spike-score": "gradlens.stats.spikes:olmo_flags",
    "tail": "gradlens.stats.tails",
    "fits": "gradlens.stats.families",
    "power-law": "gradlens.stats.powerlaw",
    "pareto-tail": "gradlens.stats.gpd",
    "tail-index": "gradlens.stats.indices",
    "extremal-index": "gradlens.stats.dependence:extremal_index",
    "block-length": "gradlens.stats.dependence:block_length",
    "adam": "gradlens.stats.adam",
    "holm": "gradlens.stats.multiple:holm",
    "suggestion": "gradlens.stats.thresholds",
    "policies": "gradlens.advice.policies",
    "gaussian-null": "gradlens.stats.tails:gaussian_null",
    "comparison": "gradlens.stats.comparison",
    "percentiles": "gradlens.figures.measure:percentiles",
    "non-finite": "gradlens.figures.measure:nonfinite",
    "value-clipping": "gradlens.figures.measure:value_clipping",
    "notable-steps": "gradlens.figures.notable:notable_steps",
    "curves": "gradlens.figures.curves:reduce_curve",
    "course": "gradlens.figures.course:course_of",
    "columns": "gradlens.vocabulary",
    "recorder": "gradlens.diagnosis.features.recorder",
    "time-axis": "gradlens.signals.axis",
    "attempts": "gradlens.signals.attempts",
    "threshold": "gradlens.signals.threshold",
    "provenance": "gradlens.signals.provenance",
    "bunching": "gradlens.signals.bunching",
    "diagnosis": "gradlens.diagnosis.weighing",
    "outcome": "gradlens.diagnosis.outcome",
    "verdict": "gradlens.diagnosis.status",
}

#: Words of reports and papers for parts of a method.
ALIASES: dict[str, str] = {
    "zclip": "policies",
    "autoclip": "policies",
    "adagc": "policies",
    "safety-net": "suggestion",
    "step-limiter": "suggestion",
}

#: Which method a figure comes from: keys of the JSON documents with everything below them, and labels of the text.
FIGURES: dict[str, str] = {
    "courses": "course",
    "verdict": "verdict",
    "verdict.outcome": "outcome",
    "verdict.since-step": "outcome",
    "clipping": "clip-rate",
    "clipping.threshold": "threshold",
    "clipping.n-effective": "effective-n",
    "clipping.shrink-factor": "shrink-factor",
    "clipping.value-clipping": "value-clipping",
    "clipping.phases": "warm-up",
    "clipping.phases.clip-rate": "clip-rate",
    "clipping.phases.interval": "clip-rate",
    "by-phase": "warm-up",
    "by-value": "value-clipping",
    "norm": "percentiles",
    "nonfinite": "non-finite",
    "tail.xi": "pareto-tail",
    "tail.xi-interval": "pareto-tail",
    "tail.fits": "fits",
    "tail.power-law": "power-law",
    "tail.power-law.alternatives": "fits",
    "tail.gaussian-null": "gaussian-null",
    "gaussian": "gaussian-null",
    "tail.indices": "tail-index",
    "tail.pareto-tail": "pareto-tail",
    "tail.extremal-index": "extremal-index",
    "tail.widening": "extremal-index",
    "spikes.score": "spike-score",
    "spikes.return-period": "return-period",
    "spikes.coincidence": "coincidence",
    "spikes.joint-events": "diagnosis",
    "spikes.withheld": "provenance",
    "spikes.coincidence.same-step.p-adjusted": "holm",
    "spikes.coincidence.norm-leads.p-adjusted": "holm",
    "spikes.coincidence.loss-leads.p-adjusted": "holm",
    "together": "coincidence",
    "findings": "diagnosis",
    "findings-before": "diagnosis",
    "layers": "columns",
    "notices": "time-axis",
    "what-if": "policies",
    **dict.fromkeys(("steps", "first-step", "last-step", "log-interval", "logged"), "time-axis"),
    # The columns of the recorder.
    **dict.fromkeys(
        (
            "weight-norm",
            "update-norm",
            "rms-ratio",
            "data-norm",
            "penalized-norm",
            "loss-before",
            "loss-after",
            "grad-dot-update",
            "batch-size",
            "tokens",
            "batch-id",
            "edge",
        ),
        "recorder",
    ),
    # The document of suggest-threshold is flat.
    **dict.fromkeys(
        ("interval", "quantile", "level", "drift", "n", "expected"),
        "suggestion",
    ),
}


def method_of(figure: str) -> str | None:
    """The method behind a figure, from the longest beginning of its path that is known; None for anything else."""
    path = figure.strip().rstrip("?").lower().replace("_", "-").replace(" ", "-").split(".")
    path = [key for key in path if not key.isdigit()]
    if path[:1] == ["runs"] and len(path) > 1:
        path = path[1:]
    for length in range(len(path), 0, -1):
        key = ".".join(path[:length])
        if key in FIGURES or key in METHODS:
            return FIGURES.get(key, key)
    return None
