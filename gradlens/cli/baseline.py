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
    runs: Annotated[
        str | None,
        typer.Option("--runs", metavar="GLOB", help="Of a fleet's table, only the runs whose name or source matches."),
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
    """Write the small summary of one or more runs (several seeds go into one file) that `gate` compares with.

    Of a table that `gradlens fleet` wrote, its healthy runs: `gate` then asks whether a run is unlike them.
    """
    from gradlens.cli.output import keep_sources, say
    from gradlens.cli.settings import find_settings
    from gradlens.files import write_whole
    from gradlens.gating.assess import summarize_runs, unequal_baselines
    from gradlens.gating.baseline import dump_baseline
    from gradlens.gating.settings import gate_settings
    from gradlens.reporters.escape import for_terminal

    if output.suffix.lower() != ".json":
        raise UsageError(f"-o {output}: a baseline is a .json file", hint=f"-o {output.with_suffix('.json')}")
    keep_sources("-o", output, sources)
    if _is_table(sources):
        _write_population(Path(sources[0]), output, runs)
        return
    if runs is not None:
        raise UsageError("--runs chooses among the rows of a fleet's table", hint="give one table of `gradlens fleet`")
    settings = find_settings()
    given = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    found = summarize_runs(
        given.runs(),
        threshold=options.threshold_value(threshold if threshold is not None else settings.get("threshold")),
        config=options.training_config(settings, config),
    )
    text = dump_baseline(found)
    write_whole(output, text)
    say(for_terminal(f"{output}: {len(found)} {'run' if len(found) == 1 else 'runs'}, {len(text) / 1000:.1f} kB"))
    if any(run.total("nonfinite") for run in found):
        print(
            "gradlens: the baseline itself has NaN or infinite values; candidates with any will fail", file=sys.stderr
        )
    for run in found:
        for text in run.ends_early.values():
            print(for_terminal(f"gradlens: {run.id}: {text}"), file=sys.stderr)
    chosen = gate_settings(settings.get("gate"), origin=f"{settings.path or ''} [gate]")
    for text in unequal_baselines(found, chosen):
        print(for_terminal(f"gradlens: {text}"), file=sys.stderr)
    if any(run.threshold_source == "assumed" for run in found):
        print("gradlens: the clipping threshold is assumed; give --threshold, or none", file=sys.stderr)


def _is_table(sources: list[str]) -> bool:
    """Whether the one source, or any of several, is a fleet's table."""
    if not any(source.lower().endswith(".parquet") and "://" not in source for source in sources):
        return False
    from gradlens.fleet.table import is_table

    tables = [source for source in sources if is_table(Path(source))]
    if tables and len(sources) > 1:
        raise UsageError(f"{tables[0]}: a fleet's table goes into a baseline alone", hint="one table, or only logs")
    return bool(tables)


def _write_population(table: Path, output: Path, only: str | None) -> None:
    from gradlens.cli.output import say
    from gradlens.files import write_whole
    from gradlens.fleet.population import ALPHA, dump_population, population_of
    from gradlens.fleet.table import load_table
    from gradlens.reporters.escape import for_terminal
    from gradlens.stats.conformal import false_alarm_rate

    rows, _ = load_table(table)
    population, left_out = population_of(rows, only=only)
    text = dump_population(population)
    write_whole(output, text)
    n = len(population.members)
    say(for_terminal(f"{output}: {n:,} healthy runs, {len(text) / 1000:.1f} kB"))
    say(f"a run like them will fail the gate in at most {false_alarm_rate(n, ALPHA):.1%} of cases")
    for count, what in (
        (left_out.ailing, "with a problem"), (left_out.insufficient, "too short to judge"),
        (left_out.unread, "not read"), (left_out.copies, "copies"), (left_out.restarts, "parts of restarted runs"),
        (left_out.surplus, "more than are kept"),
    ):  # fmt: skip
        if count:
            print(f"gradlens: left out: {count:,} {what}", file=sys.stderr)
