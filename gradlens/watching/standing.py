"""Patience: what was seen often enough on end to be told, and told once."""

from __future__ import annotations

from collections.abc import Collection


class Standing:
    """Counts how often on end each thing was seen.

    Parameters
    ----------
    patience
        Looks on end that must show a thing before it stands.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._count: dict[str, int] = {}
        self._told: set[str] = set()

    def saw(self, things: Collection[str]) -> set[str]:
        """The things that stand from this look on and did not before; each is given once.

        Parameters
        ----------
        things
            All that this look showed; what it did not show is counted from zero.
        """
        self._count = {thing: self._count.get(thing, 0) + 1 for thing in things}
        return self.tell({thing for thing, count in self._count.items() if count >= self._patience})

    def tell(self, things: Collection[str]) -> set[str]:
        """Those of the things that were not given before, without patience."""
        new = set(things) - self._told
        self._told |= new
        return new
