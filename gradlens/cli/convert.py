"""`gradlens convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradlens.cli import options


def convert(
    sources: options.Sources,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .parquet, .csv or .jsonl file.")],
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
) -> None:
    """Write a run as gradlens read it: .parquet, .csv or .jsonl."""
    from gradlens.cli.output import keep_sources, say
    from gradlens.cli.settings import find_settings
    from gradlens.export import require_writer, write_run
    from gradlens.reporters.escape import for_terminal

    require_writer(output)
    runs = options.reading(find_settings(), sources, input_format=input_format, step=step, columns="all").runs()
    paths = [output] if len(runs) == 1 else [_numbered(output, number) for number in range(1, len(runs) + 1)]
    for path in paths:
        keep_sources("-o", path, sources, folders=True)
    for run, path in zip(runs, paths, strict=True):
        write_run(run, path)
        say(for_terminal(f"{path}: {len(run.series)} series of {run.id}"))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")
