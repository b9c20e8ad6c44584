"""`gradlens watch`."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradlens.cli import options
from gradlens.errors import GradlensError, SourceError, UsageError

if TYPE_CHECKING:
    from gradlens.analyzer import AnalysisOptions
    from gradlens.reports.analysis import Report, RunReport


def watch(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file or folder that is still being written.")],
    interval: Annotated[float, typer.Option(metavar="SECONDS", help="Time between polls.")] = 10.0,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="text, or json: one object per line.")
    ] = "text",
    fail_on: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Exit 1 once findings of this level persist.")
    ] = None,
    patience: Annotated[
        int,
        typer.Option(metavar="N", help="Consecutive polls that must show the findings, whether or not the log grew."),
    ] = 3,
    polls: Annotated[int, typer.Option("--polls", "--looks", metavar="N", help="Stop after N polls (0: never).")] = 0,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Follow a growing log: print a line whenever it grows, and findings when they change.

    Exit codes: 0 stopped after `--polls`, 1 findings of the level persisted, 2 nothing could be read in any poll.
    """
    from gradlens.analyzer import AnalysisOptions
    from gradlens.cli.output import fail_level
    from gradlens.cli.settings import find_settings

    if output_format not in {"text", "json"}:
        raise UsageError(f"--format {output_format}: watch prints text or json")
    if interval <= 0 or patience < 1:
        raise UsageError("--interval must be positive and --patience at least 1")
    settings = find_settings()
    level = fail_level(fail_on or "never")
    chosen = AnalysisOptions(
        threshold=options.threshold_value(threshold if threshold is not None else settings.get("threshold")),
        config=options.training_config(settings, config),
    )
    given = options.reading(
        settings, [source], input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    _follow(given, chosen, interval=interval, as_json=output_format == "json", level=level, patience=patience,
            polls=polls)  # fmt: skip


def _follow(
    given: options.Reading,
    chosen: AnalysisOptions,
    *,
    interval: float,
    as_json: bool,
    level: str | None,
    patience: int,
    polls: int,
) -> None:
    """Poll the log, also when it has stopped growing: a run that crashed is one that stopped writing."""
    from gradlens.cli.output import drop_output

    before: object = None
    latest: Report | None = None
    bad = seen = 0
    known: dict[str, set[str]] = {}
    while True:
        now = _state(given.sources[0])
        if now != before:
            before = now
            report = _look(given, chosen)
            latest = report or latest
            try:
                for run in report.runs if report else ():
                    _tell(run, known.setdefault(run.id, set()), as_json=as_json)
            except BrokenPipeError:
                if level is None:
                    raise
                # Whoever read the lines has gone; the exit code is still to come.
                drop_output()
        bad = bad + 1 if latest is not None and _fails(latest, level) else 0
        seen += 1
        if bad >= patience:
            raise typer.Exit(1)
        if polls and seen >= polls:
            break
        time.sleep(interval)
    if latest is None:
        raise SourceError(f"{given.sources[0]}: nothing to read in {polls} {'poll' if polls == 1 else 'polls'}")


def _state(source: str) -> object:
    """Sizes and times of the files below a path: cheap to compare, changes when a log grows."""
    path = Path(source)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [
        (str(f), s.st_size, s.st_mtime_ns) for f in files if (s := _stat(f)) is not None and stat.S_ISREG(s.st_mode)
    ]


def _stat(path: Path) -> os.stat_result | None:
    """None where the file went away after the folder was listed: rotation, temporary files."""
    try:
        return path.stat()
    except OSError:
        return None


def _look(given: options.Reading, chosen: AnalysisOptions) -> Report | None:
    """The report as of now, or None while the log cannot be read yet."""
    from gradlens.analyzer import analyze_runs
    from gradlens.reporters.escape import for_terminal

    try:
        return analyze_runs(given.runs(), chosen)
    except (GradlensError, OSError) as error:
        # A file may go away while it is read.
        print(f"gradlens: waiting: {for_terminal(str(error))}", file=sys.stderr)
        return None


def _fails(report: Report, level: str | None) -> bool:
    from gradlens.reports.base import Severity

    return level is not None and report.worst is not None and report.worst.rank >= Severity(level).rank


def _tell(run: RunReport, known: set[str], *, as_json: bool) -> None:
    from gradlens.reporters import wording
    from gradlens.reporters.escape import for_terminal

    norm = run.curves["grad_norm"] if run.curves and "grad_norm" in run.curves else None
    loss = run.curves["loss"] if run.curves and "loss" in run.curves else None
    news = [f for f in run.findings if f.code not in known]
    gone = known - {f.code for f in run.findings}
    known.update(f.code for f in run.findings)
    known -= gone
    if as_json:
        line: dict[str, Any] = {
            "id": run.id,
            "step": run.last_step,
            "steps": run.steps,
            "cause": run.diagnosis.cause,
            "confidence": run.diagnosis.confidence,
            "clip_rate": run.clipping.clip_rate,
            "nonfinite": run.nonfinite.rows,
            "new": [{"code": f.code, "severity": f.severity.value, "message": f.message} for f in news],
            "gone": sorted(gone),
        }
        print(json.dumps(line, allow_nan=False), flush=True)
        return
    parts = [
        f"{time.strftime('%H:%M:%S')}  {for_terminal(run.id)}",
        f"step {run.last_step:,}" if run.last_step is not None else "no step",
        f"norm {wording.number(norm.median[-1])}" if norm else "no norm",
        f"loss {wording.number(loss.median[-1])}" if loss else "no loss",
        f"clipped {wording.percent(run.clipping.clip_rate)}",
        wording.verdict(run),
    ]
    print("  ".join(parts), flush=True)
    for finding in news:
        print(f"    new: {finding.code} {finding.severity.value}: {for_terminal(finding.message)}", flush=True)
    for code in sorted(gone):
        print(f"    gone: {code}", flush=True)
