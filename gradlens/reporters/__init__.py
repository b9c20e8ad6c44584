"""The output formats: one line each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from gradlens.errors import UsageError
from gradlens.registry import Entry, with_plugins

if TYPE_CHECKING:
    from gradlens.reporters.base import Kind, Reporter

REPORTERS: dict[str, Entry] = {
    "text": Entry(target="gradlens.reporters.terminal:TerminalReporter", title="for people, in a terminal or a pipe"),
    "json": Entry(target="gradlens.reporters.json_:JsonReporter", title="for scripts", patterns=(".json",)),
    "html": Entry(target="gradlens.reporters.html:HtmlReporter", title="one self-contained page", patterns=(".html",)),
    "markdown": Entry(
        target="gradlens.reporters.markdown:MarkdownReporter", title="for a comment or a wiki", patterns=(".md",)
    ),
    "junit": Entry(target="gradlens.reporters.junit:JunitReporter", title="test results for CI", patterns=(".xml",)),
    "sarif": Entry(target="gradlens.reporters.sarif:SarifReporter", title="for code scanning", patterns=(".sarif",)),
    "github": Entry(target="gradlens.reporters.github:GithubReporter", title="annotations of a GitHub job"),
    "metrics": Entry(
        target="gradlens.reporters.metrics:MetricsReporter", title="OpenMetrics, as GitLab reads it", patterns=(".txt",)
    ),
    "bencher": Entry(
        target="gradlens.reporters.bencher:BencherReporter", title="Bencher metrics", patterns=(".bencher.json",)
    ),
}


@cache
def table() -> dict[str, Entry]:
    """Every reporter by name, those of installed plug-ins included."""
    return with_plugins("gradlens.reporters", REPORTERS)


def suffixes() -> dict[str, str]:
    """The format of each suffix that `--save` takes."""
    return {suffix: name for name, entry in table().items() for suffix in entry.patterns}


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
    able = ", ".join(other for other, entry in table().items() if entry.load()().shows(kind))
    problem = f"cannot show a {kind}" if name in table() else "unknown format"
    raise UsageError(f"--format {name}: {problem}", hint=f"one of {able}")
