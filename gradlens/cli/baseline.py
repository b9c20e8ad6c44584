"""`gradlens baseline`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gradlens.cli import options
from gradlens.errors import UsageError


def baseline(
    sources: options.Sources,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The baseline file to write.")],
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Write the small summary of one or more runs (several seeds go into one file) that `gate` compares with."""
    from gradlens.cli.output import keep_sources, say
    from gradlens.cli.settings import find_settings
    from gradlens.files import write_whole
    from gradlens.gating.assess import summarize_runs
    from gradlens.gating.baseline import dump_baseline
    from gradlens.reporters.escape import for_terminal

    if output.suffix.lower() != ".json":
        raise UsageError(f"-o {output}: a baseline is a .json file", hint=f"-o {output.with_suffix('.json')}")
    keep_sources("-o", output, sources)
    settings = find_settings()
    given = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    runs = summarize_runs(
        given.runs(),
        threshold=options.threshold_value(threshold if threshold is not None else settings.get("threshold")),
        config=options.training_config(settings, config),
    )
    text = dump_baseline(runs)
    write_whole(output, text)
    say(for_terminal(f"{output}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}, {len(text) / 1000:.1f} kB"))
    if any(run.total("nonfinite") for run in runs):
        print(
            "gradlens: the baseline itself has NaN or infinite values; candidates with any will fail", file=sys.stderr
        )
    for run in runs:
        for text in run.ends_early.values():
            print(for_terminal(f"gradlens: {run.id}: {text}"), file=sys.stderr)
    if any(run.threshold_source == "assumed" for run in runs):
        print("gradlens: the clipping threshold is assumed; give --threshold, or none", file=sys.stderr)
