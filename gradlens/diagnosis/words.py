"""Counts and shares as words of a message."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A count with its noun in the right number: `1 event`, `6 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def of_descent(share: float) -> str:
    """A share of the descent in words; beyond ten descents the number says nothing more."""
    return f"{share:.0%} of its descent" if share <= 10 else "more than ten times its descent"
