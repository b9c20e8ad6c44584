"""Counts, shares and causes as words of a message."""

from __future__ import annotations

import re


def counted(count: int, noun: str) -> str:
    """A count with its noun in the right number: `1 event`, `6 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def cause_in_words(cause: str) -> str:
    """A cause as a person would write it: `bad data`."""
    return cause.replace("_", " ")


def of_descent(share: float) -> str:
    """A share of the descent in words; beyond ten descents the number says nothing more."""
    return f"{percent(share)} of its descent" if share <= 10 else "more than ten times its descent"


def percent(share: float, digits: int = 0) -> str:
    """A share as percent, in the one style of all messages: `4 %`."""
    return f"{100.0 * share:.{digits}f} %"


def in_words(value: float) -> str:
    """Two significant digits as people write them: `2.5`, `27`, `2,600`."""
    return f"{float(f'{value:.2g}'):,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def figure(value: float) -> str:
    """Three significant digits as people write them: `2.41`, `16,500`, `1.65e7`."""
    size = abs(value)
    if value != 0 and (size >= 1e6 or size < 1e-3):
        return re.sub(r"e([+-])0*(\d)", lambda m: f"e{m[1].strip('+')}{m[2]}", f"{value:.3g}")
    return f"{value:,.0f}" if size >= 999.5 else f"{value:.3g}"
