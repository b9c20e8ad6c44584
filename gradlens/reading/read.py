"""`read`: from what the user named to runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gradlens import vocabulary
from gradlens.errors import BeyondLimitError, GradlensError, NoTrainingSeriesError, UnknownFormatError, UsageError
from gradlens.readers import detect
from gradlens.readers.base import RawRun, Reader, ReadOptions
from gradlens.reading.assemble import assemble
from gradlens.reading.beside import config_beside
from gradlens.reading.starts import split_into_starts
from gradlens.run import Notice, Run
from gradlens.sources.files import Source, Target, resolve_all

SourceLike = str | os.PathLike[str]
#: Names in a message about columns.
_MAX_NAMES = 12
#: Notices about columns that may be the loss or the norm that is missed.
_UNREAD = ("unreadable-value", "text-column")


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
    split_starts: bool = True,
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
    split_starts
        Whether several complete trainings in one log are runs of their own, the last one first. Otherwise they are one run, of
        which the analysis uses the last start.

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
        columns=columns, step=step, loss=loss, grad_norm=grad_norm, lr=lr, loss_scale=loss_scale, split_starts=split_starts
    )  # fmt: skip
    targets = resolve_all(texts, services=detect.services())
    return distinct([run for target in targets for run in _read_target(target, options, input_format)])


def distinct(runs: Sequence[Run]) -> list[Run]:
    """The runs with names that tell them apart: those that share one by their source, then by number."""
    for name in (_by_source, _by_number):
        shared = {key for key, count in Counter(run.id for run in runs).items() if count > 1}
        if not shared:
            break
        seen = Counter[str]()
        renamed = []
        for run in runs:
            seen[run.id] += 1
            renamed.append(replace(run, id=name(run, seen[run.id])) if run.id in shared else run)
        runs = renamed
    return list(runs)


def _by_source(run: Run, number: int) -> str:
    del number
    return run.id if run.id.startswith(run.source) else f"{run.source} ({run.id})"


def _by_number(run: Run, number: int) -> str:
    return run.id if number == 1 else f"{run.id}#{number}"


def read_unit(
    target: Target, options: ReadOptions, input_format: str | None = None, *, doubtful: bool = False
) -> list[Run]:
    """The runs of files that belong together, as a part of the folder in which they were found (`target.folder`).

    What `read` says of a whole folder, with two differences: a file that only might be a log is one if `doubtful`, and there
    are no notices about other files.

    Raises
    ------
    UnknownFormatError
        No file is a log.
    NoTrainingSeriesError
        A log without a loss and a gradient norm.
    """
    if target.folder is None:
        return _read_target(target, options, input_format)
    groups = _groups(target.sources, input_format, doubtful=doubtful)
    if not groups:
        _, *_ = detect.require(target.sources[0])
        raise UnknownFormatError(f"{target.text}: not a log", hint="see `gradlens formats` for what can be read")
    runs = [run for reader, bundle in groups for run in _read_group(reader, bundle, options, target)]
    useful = [run for run in runs if _useful(run)]
    if not useful:
        raise NoTrainingSeriesError(f"{target.text}: no loss and no gradient norm")
    return useful


# What a damaged number overflows to is told by its value: no warning for the caller's terminal.
@np.errstate(all="ignore")
def _read_target(target: Target, options: ReadOptions, input_format: str | None) -> list[Run]:
    if target.folder is not None:
        return _read_folder(target, options, input_format)
    (source,) = target.sources
    ranked = [(1.0, detect.load(input_format))] if input_format else detect.require(source)
    runs, reader = _read_first(ranked, source, options, target, every=not input_format)
    if not any(map(_useful, runs)):
        runs = [_of_validation(run) for run in runs]
    if not any(map(_useful, runs)):
        if options.columns != "all":
            # The names for the message: columns without a role were not decoded.
            runs = _read_group(reader, [source], replace(options, columns="all"), target)
        names = candidates_first({name for run in runs for name in run.series})
        shown = ", ".join(names[:_MAX_NAMES]) + (" ..." if len(names) > _MAX_NAMES else "") if names else "none"
        unread = next((f": {n.message}" for run in runs for n in run.notices if n.code in _UNREAD), "")
        raise NoTrainingSeriesError(
            f"{target.text}: read as {reader.name}, but there is no loss and no gradient norm among its columns ({shown}){unread}",
            hint="name them with --loss and --grad-norm, or another format with --input-format",
        )
    ties = [other.name for sure, other in ranked[1:] if other is not reader and sure >= ranked[0][0]]
    if ties:
        message = f"read as {reader.name}; it could also be {' or '.join(ties)} (--input-format)"
        runs = [replace(r, notices=(*r.notices, Notice(code="ambiguous-format", message=message))) for r in runs]
    return runs


def candidates_first(names: Iterable[str]) -> list[str]:
    """Column names for a message, those first that may be a loss or a norm; counters and clocks, which cannot, last."""

    def order(name: str) -> tuple[int, str]:
        text = name.lower()
        if vocabulary.is_core(name):
            return 0, name
        if any(word in text for word in ("loss", "norm", "grad", "nll", "cost", "obj", "error", "perplexity", "ppl")):
            return 1, name
        is_count = (
            name.startswith("_") or vocabulary.step_rank(name) is not None or "time" in text or text.endswith(" (of)")
        )
        return (3 if is_count else 2), name

    return sorted(names, key=order)


def _read_first(
    ranked: Sequence[tuple[float, Reader]], source: Source, options: ReadOptions, target: Target, *, every: bool
) -> tuple[list[Run], Reader]:
    """The runs of the first reader that finds a loss or a norm; where none does, what the surest one found or said."""
    first: tuple[list[Run], Reader] | None = None
    problem: GradlensError | None = None
    for reader in _candidates(ranked, source, every=every):
        try:
            runs = _read_group(reader, [source], options, target)
        except (UsageError, BeyondLimitError):
            raise
        except GradlensError as error:
            problem = problem or error
            continue
        if any(map(_useful, runs)):
            return runs, reader
        first = first or (runs, reader)
    if first is not None and problem is None:
        return first
    if first is not None and first[1] is ranked[0][1]:
        return first
    raise problem or NoTrainingSeriesError(f"{source.name}: nothing to read")


def _candidates(ranked: Sequence[tuple[float, Reader]], source: Source, *, every: bool) -> Iterator[Reader]:
    """The ranked readers, then those that were not asked since the content begins in another shape."""
    yield from (reader for _, reader in ranked)
    if every and ranked[0][0] < detect.SURE:
        asked = {reader.name for _, reader in ranked}
        yield from (reader for _, reader in detect.rank(source, every=True) if reader.name not in asked)


def _read_folder(target: Target, options: ReadOptions, input_format: str | None) -> list[Run]:
    runs: list[Run] = []
    sources, problems = _readable(target.sources)
    groups = _groups(sources, input_format)
    if not groups:
        kind = f"{input_format} log" if input_format else "log"
        raise UnknownFormatError(
            f"{target.text}: no {kind} in this folder; found {_inventory(target.sources)}{_first(problems)}",
            hint="see `gradlens formats` for what can be read",
        )
    empty = 0
    for reader, bundle in groups:
        try:
            found = [run for run in _read_group(reader, bundle, options, target) if _useful(run)]
        except UsageError:
            raise
        except NoTrainingSeriesError:
            empty += len(bundle)
            continue
        except GradlensError as error:
            problems.append(str(error))
            continue
        empty += 0 if found else len(bundle)
        runs += found
    if not runs:
        raise NoTrainingSeriesError(
            f"{target.text}: no log with a loss or a gradient norm; found {_inventory(target.sources)}"
            + _first(problems),
            hint="name the columns with --loss and --grad-norm",
        )
    notices = (*_refused(target), *_folder_notices(sources, groups, problems, empty))
    return [replace(runs[0], notices=(*runs[0].notices, *notices)), *runs[1:]]


def _readable(sources: Sequence[Source]) -> tuple[tuple[Source, ...], list[str]]:
    """The files of a folder whose first bytes can be read, and what is wrong with the others."""
    readable, problems = [], []
    for source in sources:
        try:
            _ = source.head
        except GradlensError as error:
            problems.append(str(error))
        else:
            readable.append(source)
    return tuple(readable), problems


def _first(problems: Sequence[str]) -> str:
    return f"; first problem: {problems[0]}" if problems else ""


def _groups(
    sources: Sequence[Source], input_format: str | None, *, doubtful: bool = True
) -> list[tuple[Reader, Sequence[Source]]]:
    sources = _without_captures(sources)
    if input_format:
        reader = detect.load(input_format)
        return [(reader, bundle) for bundle in reader.group([s for s in sources if reader.sniff(s) > 0])]
    # A readme with a number beside the word "loss" is not a log, unless the folder holds nothing better.
    return detect.group(sources, least=0.4) or (detect.group(sources) if doubtful else [])


def _without_captures(sources: Sequence[Source]) -> list[Source]:
    """The sources without what W&B captured of a run's console, where the run itself is there."""
    recorded = {str(Path(s.name).parent / "files") for s in sources if s.file_name.endswith(".wandb")}
    return [s for s in sources if not (s.file_name == "output.log" and str(Path(s.name).parent) in recorded)]


def _refused(target: Target) -> Iterable[Notice]:
    if target.refused:
        yield Notice(
            code="unreadable-folder",
            message=f"folders that could not be entered; first: {target.refused[0]}",
            count=len(target.refused),
        )


def _folder_notices(
    sources: Sequence[Source], groups: Sequence[tuple[Reader, Sequence[Source]]], problems: Sequence[str], empty: int
) -> Iterable[Notice]:
    """What was found in a folder beside the runs."""
    if problems:
        yield Notice(
            code="unreadable-file", message=f"files that could not be read; first: {problems[0]}", count=len(problems)
        )
    if empty:
        yield Notice(
            code="file-without-series", message="logs without a loss or a gradient norm, left out", count=empty
        )
    grouped = {id(source) for _, bundle in groups for source in bundle}
    others = [s for s in sources if id(s) not in grouped]
    hollow = [s for s in others if not s.head]
    if hollow:
        yield Notice(
            code="empty-file", message=f"files without a byte, left out (first: {hollow[0].name})", count=len(hollow)
        )
    others = [s for s in others if s.head]
    if others:
        yield Notice(
            code="file-of-no-format",
            message=f"files that are not logs, left out (first: {others[0].name})",
            count=len(others),
        )


def _inventory(sources: Sequence[Source]) -> str:
    """What lies in a folder, by kind of file: `3 .py, 1 .bin`."""
    kinds = Counter(Path(s.file_name).suffix or s.file_name for s in sources)
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
    return f"{len(sources)} files ({shown}{', ...' if len(kinds) > 5 else ''})"


def _useful(run: Run) -> bool:
    return run.loss is not None or run.grad_norm is not None


def _of_validation(run: Run) -> Run:
    """A run without a loss and a norm of the training, judged by the loss of its evaluations where it has one."""
    name = run.columns.val_loss
    if name is None or not len(run.series[name]):
        return run
    message = f"no loss of the training in the log: {name}, which evaluations measured, is judged in its place"
    notice = Notice(code="validation-as-loss", message=message, count=len(run.series[name]))
    columns = replace(run.columns, loss=name, val_loss=None)
    return replace(run, columns=columns, notices=(*run.notices, notice))


def _read_group(reader: Reader, bundle: Sequence[Source], options: ReadOptions, target: Target) -> list[Run]:
    return runs_of(reader.read(bundle, options), reader, bundle, options, target)


def runs_of(
    raws: Iterable[RawRun], reader: Reader, bundle: Sequence[Source], options: ReadOptions, target: Target
) -> list[Run]:
    """The runs in what a reader found in files that belong together."""
    base = _id_of(bundle, target)
    beside = config_beside(bundle[0])

    def assembled(raw: RawRun) -> list[Run]:
        return assemble(
            raw, id=_join(base, raw), source=bundle[0].name, format=reader.name, options=options, beside=beside
        )

    raws = [_with_cuts(raw, bundle) for raw in raws]
    if not options.split_starts:
        return [run for raw in raws for run in assembled(raw)]
    return [run for raw in raws for run in split_into_starts(raw, assembled(raw), assembled)]


def _with_cuts(raw: RawRun, bundle: Sequence[Source]) -> RawRun:
    """The run with a notice about those of its packed files that are cut off."""
    cuts = [f"{Path(source.name).name}: byte {at}" for source in bundle for at in source.cuts]
    if not cuts:
        return raw
    message = "the packed file is cut off; what could be unpacked before the cut was read"
    notice = Notice(code="truncated-archive", message=message, count=len(cuts), where=cuts[0])
    return replace(raw, notices=(notice, *raw.notices))


def _join(base: str, raw: RawRun) -> str:
    return f"{base}:{raw.name}" if raw.name else base


def _id_of(bundle: Sequence[Source], target: Target) -> str:
    first = bundle[0]
    if target.folder is None:
        return first.name
    where = Path(os.path.commonpath([s.name for s in bundle]))
    if len(bundle) > 1 and where.name == "metrics" and where != target.folder:
        where = where.parent  # MLflow keeps the metrics of a run in a folder of this name
    relative = where.relative_to(target.folder)
    return str(relative) if str(relative) != "." else target.folder.resolve().name
