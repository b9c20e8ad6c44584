"""How much of a console log the general reader gets right.

    python -m benchmarks.consoles FOLDER

Every console log below the folder that a grammar reads is read again with all grammars switched off. A quantity is right
where the general reader takes the same values at the same steps as the grammar of the log's own trainer. Takes
some minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.measured import write
from gradlens.errors import GradlensError
from gradlens.readers.base import ReadOptions
from gradlens.readers.console.reader import ConsoleReader
from gradlens.readers.detect import detect
from gradlens.reading.assemble import assemble
from gradlens.run import Run, Series
from gradlens.sources.files import Source, resolve_all


class GeneralReader(ConsoleReader):
    """The console reader without its grammars."""

    grammars = ()


class Answer(NamedTuple):
    """What the general reader got right of one log: by quantity, where the log's own grammar finds it."""

    path: Path
    is_right: dict[str, bool]


def answers(folder: Path) -> list[Answer]:
    """The answer for each console log below a folder that a grammar finds a loss or a norm in."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md"):
        (target,) = resolve_all([str(path)])
        source = target.sources[0]
        reader = detect(source)
        if reader is None or reader.name != ConsoleReader.name:
            continue
        own, general = _runs(ConsoleReader(), source), _runs(GeneralReader(), source)
        if any(run.loss is not None or run.grad_norm is not None for run in own) and not _is_guessed(own):
            found.append(Answer(path, compare(own, general)))
    return found


def compare(own: list[Run], general: list[Run]) -> dict[str, bool]:
    """Which of step, loss and norm the general reader took as the grammar did, over all runs of a log."""
    truth, got = _joined(own), _joined(general)
    right = {
        role: got[role] is not None and _same(got[role], series) for role, series in truth.items() if series is not None
    }
    main = truth["loss"] or truth["grad_norm"]
    mine = got["loss"] or got["grad_norm"]
    if main is not None:
        right["step"] = mine is not None and np.array_equal(main.step, mine.step)
    return right


def _joined(runs: list[Run]) -> dict[str, Series | None]:
    """Loss and norm over the runs of one log, one behind the other: how a log is split is not what is asked."""
    joined: dict[str, Series | None] = {}
    for role in ("loss", "grad_norm"):
        parts = [series for run in runs if (series := getattr(run, role)) is not None]
        joined[role] = None
        if parts:
            step, value = (np.concatenate([getattr(p, kind) for p in parts]) for kind in ("step", "value"))
            joined[role] = Series(name=parts[0].name, step=step, value=value)
    return joined


def _same(mine: Series | None, own: Series) -> bool:
    return mine is not None and np.array_equal(mine.value, own.value, equal_nan=True)


def _is_guessed(runs: list[Run]) -> bool:
    return any(notice.code == "guessed-console" for run in runs for notice in run.notices)


def _runs(reader: ConsoleReader, source: Source) -> list[Run]:
    options = ReadOptions()
    try:
        if reader.sniff(source) <= 0:
            return []
        raws = reader.read([source], options)
    except GradlensError:
        return []
    return [
        run for raw in raws for run in assemble(raw, id=raw.name, source=source.name, format="console", options=options)
    ]


def main() -> None:
    """Print which logs are wrong in what, and the shares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help="put the table into docs/formats.md")
    parser.add_argument("--wrong", action="store_true", help="also name the logs that are wrong")
    args = parser.parse_args()
    found = [answer for folder in args.folder for answer in answers(folder)]
    right, asked = Counter[str](), Counter[str]()
    for answer in found:
        asked.update(list(answer.is_right))
        right.update(role for role, is_right in answer.is_right.items() if is_right)
        if args.wrong and not all(answer.is_right.values()):
            sys.stdout.write(f"{answer.path}: {', '.join(r for r, ok in answer.is_right.items() if not ok)}\n")
    table = "| quantity | logs that have it | right without a grammar | share |\n|---|---|---|---|\n"
    for role in ("step", "loss", "grad_norm"):
        table += f"| {role} | {asked[role]} | {right[role]} | {100 * right[role] / max(asked[role], 1):.0f} % |\n"
    whole = sum(all(a.is_right.values()) for a in found)
    table += f"| all of them | {len(found)} | {whole} | {100 * whole / max(len(found), 1):.0f} % |\n"
    sys.stdout.write(f"\n{table}")
    if args.write:
        write("docs/formats.md", "consoles", table)


if __name__ == "__main__":
    main()
