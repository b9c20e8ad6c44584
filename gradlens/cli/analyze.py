"""`gradlens analyze`."""

from __future__ import annotations

from typing import Annotated

import typer

from gradlens.cli import options


def analyze(
    sources: options.Sources,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="One of {formats of a report}.")
    ] = "text",
    save: options.SavePaths = None,
    select: Annotated[
        str | None, typer.Option(metavar="CODE,...", help="Only these checks (GL1 means a group).")
    ] = None,
    ignore: Annotated[str | None, typer.Option(metavar="CODE,...", help="Leave these checks out.")] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL", help="Lowest severity that gives exit code 1: error, warning, note or never (default)."
        ),
    ] = None,
    since: Annotated[
        int | None,
        typer.Option(
            metavar="STEP", help="Leave out findings whose steps all lie before STEP; --fail-on ignores them, too."
        ),
    ] = None,
    value_threshold: Annotated[
        float | None, typer.Option(metavar="V", help="Clip-by-value limit, evaluated on logged histograms.")
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Bootstrap draws for the power-law p-value (100 take about a second)."),
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show evidence, weights and every check.")] = False,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Diagnose one or more runs: clipping, tail, spikes, the likely cause and what to do."""
    from gradlens.analyzer import AnalysisOptions, analyze_runs
    from gradlens.cli import output
    from gradlens.cli.settings import find_settings
    from gradlens.reports.base import Severity

    settings = find_settings()
    level = output.fail_level(fail_on or settings.get("fail-on") or "never")
    writer = output.Writer(output_format, save or [], sources, verbose=verbose)
    chosen = AnalysisOptions(
        threshold=options.threshold_value(threshold if threshold is not None else settings.get("threshold")),
        config=options.training_config(settings, config),
        select=options.codes("select", select, settings),
        ignore=options.codes("ignore", ignore, settings),
        value_threshold=value_threshold if value_threshold is not None else settings.get("value-threshold"),
        bootstrap=bootstrap,
        picture=writer.draws,
    )
    given = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    report = analyze_runs(given.runs(split_starts=True), chosen)
    if since is not None:
        report = output.only_since(report, since)
    writer.write(report)
    options.tell_left_out(settings, chosen.select, chosen.ignore, select=select, ignore=ignore, fail_on=fail_on)
    if level is not None and report.worst is not None and report.worst.rank >= Severity(level).rank:
        raise typer.Exit(1)
