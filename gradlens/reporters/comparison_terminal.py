"""A comparison for people: what each run is against the first, then the figures side by side."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradlens.reporters.base import Screen
from gradlens.reporters.comparison_words import figure_rows, pair_facts
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.palette import DOUBTFUL
from gradlens.reports.comparison import ComparisonReport, Pair


def comparison_parts(comparison: ComparisonReport, screen: Screen) -> Iterator[RenderableType]:
    """The parts of the page, one below the other."""
    for pair in comparison.pairs:
        yield from _pair(pair)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for number, run in enumerate(comparison.runs):
        table.add_column(f"{chr(65 + number % 26)} {for_terminal(run.id)}", justify="right", overflow="fold")
    for title, cells in figure_rows(comparison):
        table.add_row(title, *(for_terminal(cell) for cell in cells))
    yield table
    if screen.verbose:
        yield Text()
        yield Text(f"gradlens {comparison.gradlens_version}", style="dim")


def _pair(pair: Pair) -> Iterator[RenderableType]:
    head = Text(for_terminal(pair.run), style="bold")
    head.append(f" against {for_terminal(pair.against)}", style="dim")
    yield head
    yield Padding(Text(for_terminal(pair.verdict), style=DOUBTFUL if pair.fingerprints else ""), (0, 0, 0, 2))
    facts = [Text(f"{title}: {for_terminal(text)}", style="dim") for title, text in pair_facts(pair)]
    yield Padding(Group(*facts), (0, 0, 0, 2))
    yield Text()
