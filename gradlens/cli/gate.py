"""`gradlens gate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradlens.cli import options
from gradlens.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlens.cli.settings import Settings
    from gradlens.config import TrainingConfig
    from gradlens.fleet.population import Population
    from gradlens.gating.summary import RunSummary
    from gradlens.reports.base import ThresholdOption
    from gradlens.reports.gate import GateReport
    from gradlens.run import Run


def gate(
    sources: options.Sources,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            metavar="FILE",
            help="A file of `gradlens baseline`, a golden file or a log. Repeat for several seeds of logs.",
        ),
    ] = None,
    max_clip_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Fail above this clip rate (0 to 1).")
    ] = None,
    max_spikes: Annotated[
        int | None, typer.Option(metavar="N", help="Fail on more than N loss and norm spikes.")
    ] = None,
    max_nonfinite: Annotated[
        int | None,
        typer.Option(metavar="N", help="Fail on more than N steps with a NaN or infinity, overflows included."),
    ] = None,
    max_loss: Annotated[float | None, typer.Option(metavar="L", help="Fail if the final loss is above this.")] = None,
    max_grad_norm: Annotated[
        float | None, typer.Option(metavar="G", help="Fail if the 99th percentile of the norm is above this.")
    ] = None,
    allow_inconclusive: Annotated[
        bool, typer.Option("--allow-inconclusive", help="Exit 0 if the runs could not be judged.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Rewrite the baseline from these runs and print what changed.")
    ] = False,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="One of {formats of a gate}.")
    ] = "text",
    save: options.SavePaths = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Judge whether runs are worse than their baselines or exceed absolute limits.

    Exit codes: 0 passed, 1 failed, 2 could not judge.
    """
    from gradlens.cli.output import Writer
    from gradlens.cli.settings import find_settings
    from gradlens.gating.assess import gate_runs
    from gradlens.gating.baseline import load_sides
    from gradlens.gating.settings import OPTIONS, gate_settings

    settings = find_settings()
    writer = Writer(output_format, save or [], [*sources, *(baseline or [])], kind="gate")
    table = settings.get("gate") or {}
    given = {
        "max_clip_rate": max_clip_rate, "max_spikes": max_spikes, "max_nonfinite": max_nonfinite, "max_loss": max_loss,
        "max_grad_norm": max_grad_norm,
    }  # fmt: skip
    stated = {name: value for name, value in given.items() if value is not None}
    gate_settings(stated, origin=OPTIONS)
    chosen = gate_settings(table, origin=f"{settings.path or ''} [gate]").updated(
        **stated, allow_inconclusive=True if allow_inconclusive else None
    )
    files = list(baseline or [])
    population = _population(files, update=update)
    target = _update_target(files) if update else None
    reading = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    candidates = reading.runs()
    threshold_given = options.threshold_value(threshold if threshold is not None else settings.get("threshold"))
    training = options.training_config(settings, config)
    named = {role for role in ("loss", "grad_norm") if getattr(reading, role)}
    known = [f for f in files if target is None or Path(f).exists()]
    judged: list[RunSummary] = []
    summaries: list[RunSummary] = []
    if population is not None:
        from gradlens.fleet.against import gate_population

        report = gate_population(
            candidates, population, chosen, threshold=threshold_given, config=training, source=files[0], named=named
        )
    else:
        # Options about columns are about the candidates; a baseline log may spell its own.
        runs, summaries = load_sides(known, lambda path: _read_baseline(path, reading))
        if target is not None and not known and not stated:
            from gradlens.gating.assess import summarize_runs

            _write_baseline(target, [], summarize_runs(candidates, threshold=threshold_given, config=training))
            return
        report, judged = gate_runs(
            candidates, runs, summaries, chosen, threshold=threshold_given, config=training, baseline_sources=known,
            named=named,
        )  # fmt: skip
    if table:
        report = _with_settings(report, settings)
    if report.outcome != "pass":
        report = _explained(report, candidates, threshold_given, training)
    writer.write(report)
    if target is not None:
        if not _unfit_as_baseline(report):
            _write_baseline(target, summaries, judged)
            return
        import sys

        print(f"{target}: not updated: runs with a NaN or beyond a limit are no baseline", file=sys.stderr)
    code = {"pass": 0, "fail": 1, "inconclusive": 0 if chosen.allow_inconclusive else 2}[report.outcome]
    if code:
        raise typer.Exit(code)


def _population(files: Sequence[str], *, update: bool) -> Population | None:
    """The population among the baselines, which must be the only one; None where there is none."""
    from gradlens.fleet.population import is_population, load_population

    found = [Path(name) for name in files if is_population(Path(name))]
    if not found:
        return None
    if len(files) > 1:
        raise UsageError(f"--baseline {found[0]}: a population is compared with alone", hint="give one --baseline")
    if update:
        raise UsageError(
            f"--update: {found[0]} is a population", hint="make it again from the table with `gradlens baseline`"
        )
    return load_population(found[0])


def _with_settings(report: GateReport, settings: Settings) -> GateReport:
    """The report with a notice about the file that changed what passes: it may have come along with the candidate."""
    from gradlens.run import Notice

    names = ", ".join(sorted(settings.get("gate")))
    notice = Notice(code="settings-file", message=f"{settings.path} sets {names} of the gate")
    return replace(report, notices=(notice, *report.notices))


def _read_baseline(path: str, reading: options.Reading) -> list[Run]:
    from gradlens.errors import GradlensError
    from gradlens.reading.read import read

    try:
        return read(
            path, columns="needed", step=reading.step, loss=reading.loss, grad_norm=reading.grad_norm, lr=reading.lr,
            loss_scale=reading.loss_scale, split_starts=False,
        )  # fmt: skip
    except GradlensError:
        # The names given may be those of the candidates only; what the log itself offers comes second.
        return read(path, columns="needed", split_starts=False)


def _update_target(files: Sequence[str]) -> Path:
    from gradlens.gating.baseline import is_baseline

    if len(files) != 1:
        raise UsageError("--update writes one file", hint="give exactly one --baseline FILE")
    path = Path(files[0])
    if path.exists() and not is_baseline(path):
        raise UsageError(f"--update: {path} is not a file of `gradlens baseline`", hint="it will not be overwritten")
    return path


def _unfit_as_baseline(report: GateReport) -> bool:
    """Whether the runs must not become a baseline: they have a NaN or what may be one, or break a limit."""
    failed = any(r.name == "nonfinite" or r.name.startswith("max_") for r in report.failed)
    return failed or any(r.name in {"nonfinite", "max_nonfinite"} for r in report.inconclusive)


def _write_baseline(target: Path, before: Sequence[RunSummary], after: Sequence[RunSummary]) -> None:
    import sys

    from gradlens.files import write_whole
    from gradlens.gating.baseline import describe_update, dump_baseline

    changes = describe_update(before, after) if before else [f"new, {len(after)} run{'s' if len(after) > 1 else ''}"]
    if changes:
        write_whole(target, dump_baseline(after))
    print(f"{target}: {'updated' if changes else 'unchanged'}", file=sys.stderr)
    for line in changes:
        print(f"  {line}", file=sys.stderr)


def _explained(
    report: GateReport, candidates: Sequence[Run], threshold: ThresholdOption, config: TrainingConfig
) -> GateReport:
    """The report with the likely cause, where the diagnosis names one."""
    from gradlens.api import analyze
    from gradlens.gating.assess import with_causes

    judged = [run for run in candidates if run.loss is not None or run.grad_norm is not None]
    return with_causes(report, analyze(judged, threshold=threshold, config=config))
