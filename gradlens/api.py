"""The Python API: what `import gradlens` offers, with everything heavy loaded on the first call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gradlens.reading.read import read

if TYPE_CHECKING:
    from gradlens.config import TrainingConfig
    from gradlens.reports.advice import Advice
    from gradlens.reports.analysis import Report
    from gradlens.reports.base import ThresholdOption
    from gradlens.reports.gate import GateReport
    from gradlens.run import Run
    from gradlens.stats.thresholds import Mode

__all__ = ["analyze", "gate", "read", "suggest_threshold"]


def analyze(
    runs: Run | Iterable[Run],
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | Mapping[str, Any] | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    value_threshold: float | None = None,
    bootstrap: int = 0,
) -> Report:
    """Diagnose one or more runs.

    Parameters
    ----------
    runs
        What `read` gave.
    threshold
        The clipping threshold that the runs used; None if they did not clip. `auto`: from the log's own
        configuration, a value that the log proves, or 1.0; `report.runs[i].clipping.threshold_source` says which.
    config
        Training settings, in the spelling of the usual frameworks.
    select, ignore
        Codes of checks, or the beginnings of codes.
    value_threshold
        Clip-by-value limit, evaluated on logged histograms.
    bootstrap
        Bootstrap draws for the power-law p-value in `report.runs[i].tail`; a hundred take about a second.

    Returns
    -------
    Report
        Frozen data; `.to_dict()` is the JSON document.

    Raises
    ------
    GradlensError
        No run with a loss or a gradient norm, a threshold that is not positive, or an unknown check.
    """
    from gradlens.analyzer import AnalysisOptions, analyze_runs
    from gradlens.checks.engine import require_known

    select, ignore = tuple(select), tuple(ignore)
    require_known(select, "select")
    require_known(ignore, "ignore")
    return analyze_runs(
        _listed(runs),
        AnalysisOptions(
            threshold=_threshold(threshold),
            config=_config(config),
            select=select,
            ignore=ignore,
            value_threshold=value_threshold,
            bootstrap=bootstrap,
        ),
    )


def suggest_threshold(
    run: Run,
    *,
    mode: Mode = "safety_net",
    target_clip_rate: float | None = None,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | Mapping[str, Any] | None = None,
) -> Advice:
    """Suggest a clipping threshold for a run.

    Parameters
    ----------
    run
        One run that `read` gave.
    mode
        `safety_net` clips about one in a hundred of the latest steps, `step_limiter` one in ten.
    target_clip_rate
        The share of the latest steps to clip, instead of the mode's.
    threshold, config
        As for `analyze`: they help to tell norms before clipping from norms after it.

    Returns
    -------
    Advice
        With `threshold` None and the reason in `abstained` where the log supports no number.

    Raises
    ------
    GradlensError
        A run without a gradient norm, or a rate outside (0, 1).
    """
    from gradlens.advice.advise import advise
    from gradlens.errors import UsageError

    if target_clip_rate is not None and not 0 < target_clip_rate < 1:
        raise UsageError(f"target clip rate {target_clip_rate}: not between 0 and 1")
    if mode not in {"safety_net", "step_limiter"}:
        raise UsageError(f"unknown mode {mode!r}", hint="choose safety_net or step_limiter")
    return advise(
        run, mode=mode, target_clip_rate=target_clip_rate, threshold=_threshold(threshold), config=_config(config)
    )


def gate(
    candidate: Run | Iterable[Run],
    baseline: Run | str | os.PathLike[str] | Iterable[Run | str | os.PathLike[str]] = (),
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> GateReport:
    """Judge whether runs are worse than their baselines or exceed a limit.

    Parameters
    ----------
    candidate
        One run, or several seeds of one training.
    baseline
        Runs, paths of logs, or paths of files that `gradlens baseline` wrote; several are several seeds.
    threshold, config
        As for `analyze`.
    settings
        What a `[gate]` table may hold, such as `{"max_clip_rate": 0.1, "metrics": ["clip_rate", "final_loss"]}`.

    Returns
    -------
    GateReport
        `outcome` is "pass", "fail" or "inconclusive"; `.to_dict()` is the JSON document.

    Raises
    ------
    GradlensError
        Neither a baseline nor a limit, an unreadable baseline, or an unknown setting.
    """
    from gradlens.gating.assess import gate_runs
    from gradlens.gating.baseline import load_sides
    from gradlens.gating.settings import gate_settings
    from gradlens.run import Run

    given = [baseline] if isinstance(baseline, (Run, str, os.PathLike)) else list(baseline)
    runs, summaries = load_sides([b for b in given if not isinstance(b, Run)], read)
    report, _ = gate_runs(
        _listed(candidate), [*(b for b in given if isinstance(b, Run)), *runs], summaries,
        gate_settings(settings, origin="settings"), threshold=_threshold(threshold), config=_config(config),
    )  # fmt: skip
    return report


def _listed(runs: Run | Iterable[Run]) -> list[Run]:
    from gradlens.run import Run

    return [runs] if isinstance(runs, Run) else list(runs)


def _threshold(value: float | str | None) -> ThresholdOption:
    from gradlens.errors import UsageError

    if isinstance(value, str):
        if value == "auto":
            return "auto"
        raise UsageError(f'threshold {value!r}: give a number, "auto", or None for a run that did not clip')
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"threshold {value}: not a positive number", hint="None means that the run did not clip")
    return value


def _config(config: TrainingConfig | Mapping[str, Any] | None) -> TrainingConfig:
    from gradlens.config import TrainingConfig, require_readable, training_config

    if config is None or isinstance(config, TrainingConfig):
        return config or TrainingConfig()
    require_readable(config, "config")
    return training_config(config, origin="config")
