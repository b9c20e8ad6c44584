"""The Python API: what `import gradlens` offers, with everything heavy loaded on the first call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gradlens.reading.read import read as read_logs

if TYPE_CHECKING:
    from gradlens.config import TrainingConfig
    from gradlens.reports.advice import Advice
    from gradlens.reports.analysis import Report
    from gradlens.reports.base import ThresholdOption
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.gate import GateReport
    from gradlens.run import Run
    from gradlens.stats.thresholds import Mode

__all__ = ["analyze", "compare", "gate", "read", "suggest_threshold"]

#: What can be read or judged: a path, a folder, a glob, a URL, a pandas or polars DataFrame, a mapping of names to arrays, a
#: list of dicts, a run, or several paths or runs.
Data = Any


def read(
    source: Data,
    *,
    input_format: str | None = None,
    columns: str = "all",
    step: str | None = None,
    loss: str | None = None,
    grad_norm: str | None = None,
    lr: str | None = None,
    loss_scale: str | None = None,
) -> list[Run]:
    """Read one or more logs, or data that the program holds.

    Parameters
    ----------
    source
        A file, a folder (searched for every log in it), a glob, `-`, a URL that fsspec can open, or several of them; a
        pandas or polars DataFrame, a mapping of names to arrays, or a list of dicts.
    input_format
        The name of a format (`gradlens formats`) instead of detection by content.
    columns
        "all", or "needed" for the recognised quantities and per-layer norms alone, which is faster on wide logs.
    step, loss, grad_norm, lr, loss_scale
        The column to take instead of the one that would be recognised.

    Returns
    -------
    list of Run
        In the order of the sources; a log that holds several runs or several optimizers gives several.

    Raises
    ------
    GradlensError
        Nothing there, nothing readable, a column that does not exist. One line, with a `hint`.
    """
    from gradlens.readers.base import ReadOptions
    from gradlens.reading.data import is_data, refuse, runs_from_data
    from gradlens.run import Run

    if isinstance(source, Run):
        return [source]
    if is_data(source):
        return runs_from_data(
            source, ReadOptions(step=step, loss=loss, grad_norm=grad_norm, lr=lr, loss_scale=loss_scale)
        )
    several = isinstance(source, Iterable) and not isinstance(source, (str, os.PathLike))
    if several:
        source = list(source)
        if source and all(isinstance(run, Run) for run in source):
            return list(source)
    if not isinstance(source, (str, os.PathLike)) and not (
        several and all(isinstance(one, (str, os.PathLike)) for one in source)
    ):
        raise refuse(source)
    return read_logs(
        source, input_format=input_format, columns=columns, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip


def analyze(
    runs: Data,
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
        What `read` gave, or anything that it takes.
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
        read(runs),
        AnalysisOptions(
            threshold=_threshold(threshold),
            config=_config(config),
            select=select,
            ignore=ignore,
            value_threshold=value_threshold,
            bootstrap=bootstrap,
            picture=True,
        ),
    )


def suggest_threshold(
    run: Data,
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
        One run that `read` gave, or anything that it takes and that holds one run.
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
        A run without a gradient norm, several runs, or a rate outside (0, 1).
    """
    from gradlens.advice.advise import advise
    from gradlens.errors import UsageError

    if target_clip_rate is not None and not 0 < target_clip_rate < 1:
        raise UsageError(f"target clip rate {target_clip_rate}: not between 0 and 1")
    if mode not in {"safety_net", "step_limiter"}:
        raise UsageError(f"unknown mode {mode!r}", hint="choose safety_net or step_limiter")
    found = read(run)
    if len(found) != 1:
        raise UsageError(f"{len(found)} runs", hint="choose one: suggest_threshold(gradlens.read(...)[0])")
    return advise(
        found[0], mode=mode, target_clip_rate=target_clip_rate, threshold=_threshold(threshold), config=_config(config)
    )


def gate(
    candidate: Data,
    baseline: Data = (),
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **limits: Any,
) -> GateReport:
    """Judge whether runs are worse than their baselines or exceed a limit.

    Parameters
    ----------
    candidate
        One run, or several seeds of one training.
    baseline
        Runs, paths of logs, or paths of files that `gradlens baseline` wrote; several are several seeds. Or one file that it
        wrote from a fleet's table: the candidate is then compared with the healthy runs of that table.
    threshold, config
        As for `analyze`.
    settings
        What a `[gate]` table may hold, such as `{"max_clip_rate": 0.1, "metrics": ["clip_rate", "final_loss"]}`.
    **limits
        The same as keywords: `max_nonfinite=0, max_clip_rate=0.1`. They are stronger than `settings`.

    Returns
    -------
    GateReport
        `outcome` is "pass", "fail" or "inconclusive"; `.to_dict()` is the JSON document.

    Raises
    ------
    GradlensError
        Neither a baseline nor a limit, an unreadable baseline, or an unknown setting.
    """
    from pathlib import Path

    from gradlens.fleet.against import gate_population
    from gradlens.fleet.population import is_population, load_population
    from gradlens.gating.assess import gate_runs
    from gradlens.gating.baseline import load_sides
    from gradlens.gating.settings import gate_settings
    from gradlens.reading.data import is_data
    from gradlens.run import Run

    single = isinstance(baseline, (Run, str, os.PathLike)) or is_data(baseline)
    given = [baseline] if single else list(baseline)
    named = [one for one in given if isinstance(one, (str, os.PathLike))]
    chosen = gate_settings({**(settings or {}), **limits}, origin="settings")
    if len(given) == 1 and named and is_population(path := Path(named[0])):
        return gate_population(
            read(candidate), load_population(path), chosen, threshold=_threshold(threshold), config=_config(config),
            source=path,
        )  # fmt: skip
    runs, summaries = load_sides(named, lambda path: read_logs(path, split_starts=False))
    others = [run for one in given if not isinstance(one, (str, os.PathLike)) for run in read(one)]
    report, _ = gate_runs(
        read(candidate), [*others, *runs], summaries, chosen,
        threshold=_threshold(threshold), config=_config(config),
    )  # fmt: skip
    return report


def compare(
    *runs: Data, threshold: ThresholdOption = "auto", config: TrainingConfig | Mapping[str, Any] | None = None
) -> ComparisonReport:
    """Set runs side by side, each against the first.

    Parameters
    ----------
    *runs
        Two or more, each what `read` gave or anything that it takes.
    threshold, config
        As for `analyze`.

    Returns
    -------
    ComparisonReport
        Norms, losses, fingerprints of scale bugs and where the curves part; `.to_dict()` is the JSON document.

    Raises
    ------
    GradlensError
        Fewer than two runs, or one without a loss and a gradient norm.
    """
    from gradlens.errors import UsageError
    from gradlens.gating.compare import compare_runs

    found = [run for one in runs for run in read(one)]
    if len(found) < 2:
        raise UsageError(f"compare needs at least two runs, got {len(found)}")
    return compare_runs(found, threshold=_threshold(threshold), config=_config(config), picture=True)


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
