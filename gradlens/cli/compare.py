"""`gradlens compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from gradlens.cli import options
from gradlens.errors import UsageError


def compare(
    sources: options.Sources,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="One of {formats of a comparison}.")
    ] = "text",
    save: options.SavePaths = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Set runs side by side, each against the first: norms, losses, scale-bug fingerprints and where they part."""
    from gradlens.cli.output import Writer
    from gradlens.cli.settings import find_settings
    from gradlens.gating.compare import compare_runs

    settings = find_settings()
    writer = Writer(output_format, save or [], sources, kind="comparison")
    runs = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    ).runs()  # fmt: skip
    if len(runs) < 2:
        raise UsageError(f"compare needs at least two runs, got {len(runs)}")
    report = compare_runs(
        runs,
        threshold=options.threshold_value(threshold if threshold is not None else settings.get("threshold")),
        config=options.training_config(settings, config),
        picture=writer.draws,
    )
    writer.write(report)
