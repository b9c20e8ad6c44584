"""The reports of the sample logs, as they are shown in the site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import gradlens
from gradlens import reporters

#: From the root of the repository, so that the reports name no path of the machine that built them.
SAMPLES = "sample_logs"


def analysis(*names: str, threshold: float) -> str:
    """The HTML report of sample logs."""
    runs = [run for name in names for run in gradlens.read(f"{SAMPLES}/{name}")]
    return reporters.render(gradlens.analyze(runs, threshold=threshold), "html")


def comparison(*names: str, threshold: float) -> str:
    """The HTML comparison of sample logs."""
    return reporters.render(gradlens.compare(*(f"{SAMPLES}/{name}" for name in names), threshold=threshold), "html")


def gate(candidate: str, baseline: str, *, threshold: float) -> str:
    """The HTML page of a gate between sample logs."""
    report = gradlens.gate(f"{SAMPLES}/{candidate}", f"{SAMPLES}/{baseline}", threshold=threshold, max_nonfinite=0)
    return reporters.render(report, "html")


#: Name of the page, and what writes it.
REPORTS: Mapping[str, Callable[[], str]] = {
    "healthy": partial(analysis, "healthy.jsonl", threshold=1.5),
    "bad_data": partial(analysis, "bad_data.jsonl", threshold=1.0),
    "lr_too_high": partial(analysis, "lr_too_high.jsonl", threshold=4.0),
    "fp16_overflow": partial(analysis, "fp16_overflow.jsonl", threshold=4.0),
    "postclip": partial(analysis, "postclip.jsonl", threshold=0.3),
    "clip_too_tight": partial(analysis, "clip_too_tight.jsonl", threshold=0.05),
    "several": partial(analysis, "healthy.jsonl", "lr_too_high.jsonl", "clip_too_tight.jsonl", threshold=1.0),
    "comparison": partial(comparison, "healthy.jsonl", "wandb_export.csv", threshold=1.5),
    "gate": partial(gate, "wandb_export.csv", "healthy.jsonl", threshold=1.5),
}
