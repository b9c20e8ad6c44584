"""`gradlens suggest-threshold`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gradlens.cli import options
from gradlens.errors import GradlensError, UsageError

if TYPE_CHECKING:
    from gradlens.reports.advice import Advice

MODES = {"safety-net": "safety_net", "step-limiter": "step_limiter"}


def suggest_threshold(
    sources: options.Sources,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE", help="safety-net (the default: clips about 1 % of the latest steps) or step-limiter (10 %)."
        ),
    ] = None,
    target_clip_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="The share of the latest steps to clip, such as 0.02.")
    ] = None,
    output_format: Annotated[str, typer.Option("--format", metavar="NAME", help="text or json.")] = "text",
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print the number alone, for shell scripts; of several runs each after its name."
        ),
    ] = False,
    framework: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show the snippet of this framework only.")
    ] = None,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Recommend a clipping threshold with its uncertainty, or say why the log supports none."""
    from gradlens.advice.snippets import SNIPPETS
    from gradlens.api import suggest_threshold as advise
    from gradlens.cli.output import say
    from gradlens.cli.settings import find_settings
    from gradlens.reporters.base import Screen

    if mode is not None and target_clip_rate is not None:
        raise UsageError("--mode and --target-clip-rate: each says how much to clip", hint="give one of them")
    if target_clip_rate is not None and not 0.0 < target_clip_rate < 1.0:
        raise UsageError(f"--target-clip-rate {target_clip_rate:g}: not between 0 and 1", hint="such as 0.02")
    mode = mode or "safety-net"
    if mode.replace("_", "-") not in MODES:
        raise UsageError(f"--mode {mode}: unknown mode", hint="safety-net or step-limiter")
    if output_format not in {"text", "json"}:
        raise UsageError(f"--format {output_format}: suggest-threshold prints text or json")
    if framework is not None and framework not in SNIPPETS:
        raise UsageError(f"--framework {framework}: no snippet", hint="one of " + ", ".join(SNIPPETS))
    settings = find_settings()
    given = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    known = options.training_config(settings, config)
    used = options.threshold_value(threshold if threshold is not None else settings.get("threshold"))
    advices = [
        advise(
            run,
            mode="step_limiter" if mode.startswith("step") else "safety_net",
            target_clip_rate=target_clip_rate,
            threshold=used,
            config=known,
        )
        for run in given.runs()
        if run.grad_norm
    ]
    if not advices:
        raise GradlensError("no run has a gradient norm", hint="name the column with --grad-norm")
    if quiet:
        _print_numbers(advices)
    elif output_format == "json":
        say(json.dumps({"schema_version": 1, "runs": [a.to_dict() for a in advices]}, indent=2, allow_nan=False))
    else:
        from gradlens.reporters.advice import render

        say(render(advices, Screen.of_stdout(), framework=framework).removesuffix("\n"))
    if all(a.threshold is None for a in advices):
        # The log could not be judged for what was asked.
        raise typer.Exit(2)


def _print_numbers(advices: list[Advice]) -> None:
    import sys

    from gradlens.cli.output import say
    from gradlens.reporters.escape import for_terminal

    for advice in advices:
        if advice.threshold is None:
            print(f"gradlens: {for_terminal(advice.run)}: no advice: {advice.abstained}", file=sys.stderr)
        else:
            say(f"{f'{for_terminal(advice.run)}: ' if len(advices) > 1 else ''}{advice.threshold:g}")
