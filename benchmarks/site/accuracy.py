"""How often the diagnosis is right, taken from the pages that measure it, so that no other page can say something else."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"
#: Rows of docs/naming.md with the words for them: who decides, and on what.
ROWS = {
    ("the rule: all four", "all families, without the recorder's columns"): "as reported, kinds of training left out",
    ("the rule: all four", "all families, with them"): "the same, where the recorder's columns are logged",
    ("signs", "all families, without the recorder's columns"): "signs alone, kinds of training left out",
    (
        "a report",
        "tenth look, without the recorder's columns",
    ): "as reported, the tenth and newest look at new kinds",
}
COLUMNS = ("runs", "families", "false alarms", "detected", "named")
HEADS = ("judged by", "trainings", "kinds", "healthy runs that get an alarm", "faults found", "named first")
#: What `python -m benchmarks.beside FOLDER --given` counted: shares of 38 healthy and 91 faulty runs.
TRAINSPOTTER, SHIPPED = ("95%", "97%"), ("0%", "98%")


def tables(page: str) -> list[list[list[str]]]:
    """The tables of a page: lists of rows of cells, the heads first."""
    found: list[list[list[str]]] = [[]]
    for line in (DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not set("".join(cells)) <= set("-: "):
                found[-1].append(cells)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def table_of(page: str, head: str) -> list[dict[str, str]]:
    """The rows of the first table with this head, by the heads of its columns.

    Raises
    ------
    ValueError
        The page has none.
    """
    for heads, *rows in tables(page):
        if heads[0] == head:
            return [dict(zip(heads, row, strict=True)) for row in rows]
    raise ValueError(f"docs/{page}.md: no table of {head!r}")


def accuracy() -> str:
    """The figures of docs/naming.md that somebody should know before trusting a verdict."""
    measured = {(row["who decides"], row["on"]): row for row in table_of("naming", "who decides")}
    chosen = [(words, measured[row]) for row, words in ROWS.items()]
    lines = [f"| {' | '.join(HEADS)} |", f"|---|{'--:|' * len(COLUMNS)}"]
    for words, cells in chosen:
        lines.append(f"| {words} | {' | '.join(cells[column].partition(' (')[0] for column in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def given() -> str:
    """gradlens and trainspotter on the runs that came with the project."""
    rows = {row[""]: row["given"] for row in table_of("diagnosis", "")}
    return (
        f"| on {rows['healthy runs']} healthy and {rows['faults']} faulty runs | healthy ones warned of | faulty ones warned of |\n"
        "|---|--:|--:|\n"
        f"| gradlens as shipped, learned from these runs | {SHIPPED[0]} | {SHIPPED[1]} |\n"
        f"| gradlens, signs alone, learned without the family judged | {rows['false alarms']} | {rows['detected']} |\n"
        f"| trainspotter 0.2.6 | {TRAINSPOTTER[0]} | {TRAINSPOTTER[1]} |\n"
    )
