"""`gradlens demo`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gradlens.cli import options
from gradlens.errors import UsageError


def demo(
    keep: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the log of the demonstration here (.jsonl).")
    ] = None,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="One of {formats of a report}.")
    ] = "text",
    save: options.SavePaths = None,
) -> None:
    """Show the report of a run with three bad batches, with nothing but the package: a sample log is made and judged."""
    from gradlens.analyzer import AnalysisOptions, analyze_runs
    from gradlens.cli.output import Writer, say
    from gradlens.demo import records
    from gradlens.files import write_whole
    from gradlens.reading.read import read

    if keep is not None and keep.exists():
        raise UsageError(f"--keep {keep}: there already", hint="choose another name")
    writer = Writer(output_format, save or [], [str(keep)] if keep else [])
    chosen = AnalysisOptions(picture=writer.draws)
    text = "".join(json.dumps(record) + "\n" for record in records())
    if keep is not None:
        write_whole(keep, text)
        writer.write(analyze_runs(read(str(keep)), chosen))
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "demo.jsonl")
            write_whole(path, text)
            writer.write(analyze_runs(read(folder), chosen))
    if output_format == "text":
        where = f"it is in {keep}" if keep is not None else "--keep run.jsonl writes it"
        say(f"\nThis log was made up ({where}). Yours: gradlens analyze YOUR_LOG")
