"""What the pages of the causes take from the program: the picture, the experiments, the cures, and how often it is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import cast

from gradlens.checks import engine
from gradlens.diagnosis.actions import ACTIONS, Numbers
from gradlens.diagnosis.ranking import CONFIRM, EXPERIMENTS
from gradlens.reporters.wording import TITLES
from gradlens.reports.base import Cause

DOCS = Path(__file__).parent.parent.parent / "docs"
UNKNOWN = Numbers(rate=None, threshold=None, suggested=None, warmup=None, first_step=None, steps=())
#: Tables of measured figures: the page, the beginning of the heading, and who judged.
MEASURED = (
    ("diagnosis", "## By cause (all, by family)", "the signs, on kinds of training left out"),
    ("diagnosis", "## By cause (unseen families)", "the signs, on sixteen kinds seen by nobody before"),
    ("naming", "## By cause", "as reported, with the recorder's columns"),
)


def picture(cause: str) -> str:
    """The picture with the caption that lies inside it."""
    text = (DOCS / "causes" / f"{cause}.svg").read_text(encoding="utf-8")
    title, caption = (unescape(re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[0]) for tag in ("title", "desc"))
    return f"![Picture: {title}]({cause}.svg)\n\n{caption}\n"


def sure(cause: str) -> str:
    """The experiments that tell this cause from others."""
    lines = [f"- {_sentence(CONFIRM[cast('Cause', cause)])}"] if cause in CONFIRM else []
    for pair, text in EXPERIMENTS.items():
        if cause in pair:
            (other,) = pair - {cause}
            lines.append(f"- Or is it [{TITLES[other]}]({other}.md)? {_sentence(text)}")
    return "\n".join(lines) + "\n"


def cure(cause: str) -> str:
    """What a report says to do, without the numbers of a run."""
    return "\n".join(f"- {_sentence(text)}" for text in ACTIONS[cast("Cause", cause)](UNKNOWN)) + "\n"


def wrong(cause: str) -> str:
    """How often the cause is found and named, what it is taken for, and the checks that speak for it."""
    rows = ["| judged by | runs | found | named | otherwise taken for |", "|---|--:|--:|--:|---|"]
    for page, heading, who in MEASURED:
        cells = figures(page, heading).get(cause)
        if cells:
            rows.append(f"| [{who}](../{page}.md) | {' | '.join(cells)} |")
    told = "\n".join(rows) + "\n" if len(rows) > 2 else "No labelled run of this cause has been scored yet.\n"
    checks = [
        f"[{check.code} {check.name}](../checks.md#{check.code.lower()}-{check.name})"
        for check in engine.load_checks()
        if check.cause == cause
    ]
    spoken = f"\nChecks that report it: {', '.join(checks)}.\n" if checks else ""
    return f"{told}{spoken}\n`gradlens explain {cause}` prints its signs and their weights.\n"


def figures(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading, by their first cell: runs, detected, named, taken for."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n{heading}")
    below = rest.partition("\n## ")[0] if found else ""
    rows = {}
    for line in below.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 5 and cells[1].isdigit():
            rows[cells[0]] = cells[1:]
    return rows


def index() -> str:
    """One line for each page of a cause."""
    return "".join(f"- [{_sentence(TITLES[cause]).rstrip('.')}]({cause}.md)\n" for cause in pages())


def pages() -> Iterator[Cause]:
    """The causes that have a page, in the order of the program."""
    for cause in TITLES:
        if (DOCS / "causes" / f"{cause}.svg").is_file():
            yield cause


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
