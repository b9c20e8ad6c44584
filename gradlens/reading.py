"""`read`: from what the user named to runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gradlens.errors import NoTrainingSeriesError, SourceError, UnknownFormatError
from gradlens.readers import detect
from gradlens.readers.assemble import assemble
from gradlens.readers.base import RawRun, Reader, ReadOptions
from gradlens.run import Notice, Run
from gradlens.source import Source, Target, resolve_all

SourceLike = str | os.PathLike[str]


def read(
    source: SourceLike | Iterable[SourceLike],
    *,
    input_format: str | None = None,
    columns: str = "all",
    step: str | None = None,
    loss: str | None = None,
    grad_norm: str | None = None,
    lr: str | None = None,
    loss_scale: str | None = None,
) -> list[Run]:
    """Read one or more logs.

    Parameters
    ----------
    source
        A file, a folder (searched for every log in it), a glob, `-`, a URL that fsspec can open, or several of them.
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
    texts = [os.fspath(source)] if isinstance(source, (str, os.PathLike)) else [os.fspath(s) for s in source]
    options = ReadOptions(
        columns=columns, step=step, loss=loss, grad_norm=grad_norm, lr=lr, loss_scale=loss_scale
    )  # fmt: skip
    return [run for target in resolve_all(texts) for run in _read_target(target, options, input_format)]


def _read_target(target: Target, options: ReadOptions, input_format: str | None) -> list[Run]:
    if target.folder is None:
        (source,) = target.sources
        reader = detect.load(input_format) if input_format else detect.require(source)
        runs = _read_group(reader, [source], options, target)
    else:
        runs = _read_folder(target, options, input_format)
    if not any(run.loss or run.grad_norm for run in runs):
        names = sorted({name for run in runs for name in run.series})
        shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "") if names else "none"
        raise NoTrainingSeriesError(
            f"{target.text}: no loss and no gradient norm among its columns ({shown})",
            hint="name them with --loss and --grad-norm",
        )
    return runs


def _read_folder(target: Target, options: ReadOptions, input_format: str | None) -> list[Run]:
    if input_format:
        reader = detect.load(input_format)
        groups = [(reader, bundle) for bundle in reader.group([s for s in target.sources if reader.sniff(s) > 0])]
    else:
        groups = detect.group(target.sources)
    if not groups:
        raise UnknownFormatError(
            f"{target.text}: no log among its {len(target.sources)} files (first: {target.sources[0].name})",
            hint="see `gradlens formats` for what can be read",
        )
    runs: list[Run] = []
    problems: list[str] = []
    for reader, bundle in groups:
        try:
            found = _read_group(reader, bundle, options, target)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 -- one bad file must not cost the others; it is reported below
            problems.append(str(error))
            continue
        runs += [run for run in found if run.loss or run.grad_norm]
    if problems and runs:
        notice = Notice(
            code="unreadable-file", message=f"files that could not be read; first: {problems[0]}", count=len(problems)
        )
        runs[0] = replace(runs[0], notices=(*runs[0].notices, notice))
    if not runs:
        raise NoTrainingSeriesError(
            f"{target.text}: no log with a loss or a gradient norm in {len(groups)} readable files"
            + (f"; first problem: {problems[0]}" if problems else ""),
            hint="name the columns with --loss and --grad-norm",
        )
    return runs


def _read_group(reader: Reader, bundle: Sequence[Source], options: ReadOptions, target: Target) -> list[Run]:
    raws = reader.read(bundle, options)
    base = _id_of(bundle, target)
    return [
        run
        for raw in raws
        for run in assemble(raw, id=_join(base, raw), source=bundle[0].name, format=reader.name, options=options)
    ]


def _join(base: str, raw: RawRun) -> str:
    return f"{base}:{raw.name}" if raw.name else base


def _id_of(bundle: Sequence[Source], target: Target) -> str:
    first = bundle[0]
    if target.folder is None:
        return first.name
    where = Path(first.name)
    if len(bundle) > 1:
        where = where.parent
    relative = where.relative_to(target.folder)
    return str(relative) if str(relative) != "." else target.folder.resolve().name
