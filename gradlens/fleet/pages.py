"""The reports of single runs as pages beside the page of the fleet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradlens.analyzer import analyze_runs
from gradlens.errors import GradlensError, UsageError
from gradlens.files import write_whole
from gradlens.fleet.judge import Job
from gradlens.fleet.plan import Unit, looks_like_log
from gradlens.fleet.row import Row
from gradlens.frozen import frozen
from gradlens.reading.read import read_unit
from gradlens.reporters.html import render_report
from gradlens.run import Run

#: Which runs get a page: those with a problem, or all that were read.
WHICH = ("problem", "all")
_SUFFIX = ".runs"


@frozen
class Pages:
    """What was written: the page of each run by its name, relative to the page of the fleet, and why some have none."""

    links: Mapping[str, str]
    failed: Mapping[str, str]


def wanted(rows: Iterable[Row], which: str) -> list[Row]:
    """The rows that get a page.

    Raises
    ------
    UsageError
        `which` is neither `problem` nor `all`.
    """
    if which not in WHICH:
        raise UsageError(f"--pages {which}: unknown choice", hint="one of " + ", ".join(WHICH))
    read = [row for row in rows if row.get("error") is None]
    return read if which == "all" else [row for row in read if row.get("status") == "problem"]


def write_pages(
    rows: Sequence[Row],
    overview: Path,
    mark: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Pages:
    """Read the logs of some rows again and write a page for each, in a folder beside the page of the fleet.

    A log that has gone or cannot be read any more costs its page only. Nothing else in the folder is touched; a page has the
    same name each time.

    Parameters
    ----------
    rows
        Rows to write pages for.
    overview
        Where the page of the fleet will be.
    mark
        The settings that the table was made with.
    """
    folder = overview.with_name(overview.stem + _SUFFIX)
    job = Job(**mark["job"])
    options = replace(job.options(), picture=True)
    by_unit: dict[str, list[Row]] = {}
    for row in rows:
        by_unit.setdefault(str(row["unit"]), []).append(row)
    links: dict[str, str] = {}
    failed: dict[str, str] = {}
    done = 0
    for members in by_unit.values():
        try:
            runs = {run.id: run for run in _read(members[0], job)}
        except (GradlensError, OSError) as error:
            runs, reason = {}, str(error)
        else:
            reason = "no longer in the log"
        for row in members:
            name, run = str(row["name"]), runs.get(str(row["id"]))
            done += 1
            progress(done, len(rows))
            if run is None:
                failed[name] = reason
                continue
            page = render_report(analyze_runs([run], options), live=False)
            folder.mkdir(exist_ok=True)
            target = folder / f"{_file_name(name)}.html"
            write_whole(target, page)
            links[name] = f"{folder.name}/{target.name}"
    return Pages(links=links, failed=failed)


def _read(row: Row, job: Job) -> list[Run]:
    unit = Unit.from_plain({"key": row["unit"], "files": row["files"], "root": row["root"], "stamp": []})
    return read_unit(unit.target(), job.reading(), job.input_format, doubtful=looks_like_log(unit))


def _file_name(name: str) -> str:
    """A file name that no two runs share and that still can be told."""
    short = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[-60:].lstrip("-.")
    return f"{short}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"
