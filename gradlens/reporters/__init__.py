"""The output formats: one line each."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gradlens.errors import UsageError
from gradlens.registry import Entry, with_plugins

if TYPE_CHECKING:
    from gradlens.reporters.base import Document, Kind, Reporter

_CI, _EVERY = ("report", "gate"), ("report", "gate", "comparison", "fleet")

REPORTERS: dict[str, Entry] = {
    "text": Entry(
        target="gradlens.reporters.terminal:TerminalReporter",
        title="people, in a terminal or the log of a job",
        kinds=_EVERY,
    ),
    "json": Entry(
        target="gradlens.reporters.json_:JsonReporter",
        title="scripts; its schemas are in `gradlens/schemas`",
        patterns=(".json",),
        kinds=_EVERY,
    ),
    "brief": Entry(
        target="gradlens.reporters.brief:BriefReporter",
        title="agents and scripts that poll: the verdict in under 3 kB per run",
        patterns=(".brief.json",),
    ),
    "html": Entry(
        target="gradlens.reporters.html:HtmlReporter",
        title="a page to look at: one file that asks no host for anything",
        patterns=(".html",),
        kinds=_EVERY,
    ),
    "markdown": Entry(
        target="gradlens.reporters.markdown:MarkdownReporter",
        title="a comment (cut at 60 kB) or a job summary (cut at 1 MB)",
        patterns=(".md",),
        kinds=(*_CI, "comparison"),
    ),
    "junit": Entry(
        target="gradlens.reporters.junit:JunitReporter",
        title="the test tab: failed checks are failures, those that could not be judged errors",
        patterns=(".xml",),
        kinds=_CI,
    ),
    "sarif": Entry(
        target="gradlens.reporters.sarif:SarifReporter",
        title="code scanning, SARIF 2.1.0",
        patterns=(".sarif",),
        kinds=_CI,
    ),
    "github": Entry(target="gradlens.reporters.github:GithubReporter", title="annotations of a GitHub job", kinds=_CI),
    "metrics": Entry(
        target="gradlens.reporters.metrics:MetricsReporter",
        title="OpenMetrics: GitLab's metrics report, Prometheus",
        patterns=(".txt",),
        kinds=_CI,
    ),
    "bencher": Entry(
        target="gradlens.reporters.bencher:BencherReporter", title="Bencher", patterns=(".bencher.json",), kinds=_CI
    ),
}


@cache
def table() -> dict[str, Entry]:
    """Every reporter by name, those of installed plug-ins included."""
    return with_plugins("gradlens.reporters", REPORTERS)


def suffixes() -> dict[str, str]:
    """The format of each suffix that `--save` takes."""
    return {suffix: name for name, entry in table().items() for suffix in entry.patterns}


def format_of(path: Path) -> str | None:
    """The format of the longest suffix that the name ends with: `x.bencher.json` is not plain JSON. None where none fits."""
    known = suffixes()
    hits = [suffix for suffix in known if path.name.lower().endswith(suffix)]
    return known[max(hits, key=len)] if hits else None


def names(kind: str) -> list[str]:
    """The formats that show this kind of document."""
    return [name for name, entry in table().items() if kind in entry.kinds]


def load(name: str, kind: Kind = "report") -> Reporter:
    """The reporter of that name.

    Raises
    ------
    UsageError
        No such format, or none that shows this kind of document; the hint lists those that do.
    """
    if name in table():
        reporter: Reporter = table()[name].load()()
        if reporter.shows(kind):
            return reporter
    problem = f"cannot show a {kind}" if name in table() else "unknown format"
    raise UsageError(f"--format {name}: {problem}", hint="one of " + ", ".join(names(kind)))


def render(document: Document, name: str, *, verbose: bool = False) -> str:
    """A document in one format, as it is written to a file: plain, 80 columns wide where width matters."""
    from gradlens.reporters.base import Screen

    return load(name).render_document(document, Screen(verbose=verbose))


def save(document: Document, path: str | os.PathLike[str]) -> None:
    """Write a document to a file, whole or not at all; the longest suffix that fits chooses the format.

    Raises
    ------
    UsageError
        No format for that suffix.
    OutputError
        The file cannot be written.
    """
    from gradlens.files import write_whole

    target = Path(path)
    name = format_of(target)
    if name is None:
        raise UsageError(f"{target}: no format for this suffix", hint="choose from " + " ".join(suffixes()))
    write_whole(target, render(document, name))
