"""Tables of plug-ins that load nothing until one is used.

Readers, checks and reporters are each listed in the `__init__.py` of their package: a name, where the class lives, one
line of what it is. Other packages add theirs with the entry-point groups `gradlens.readers`, `gradlens.checks` and
`gradlens.reporters`; the entry point's name is the name here, its object an `Entry`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One plug-in: `target` is `module:attribute`; `extra` the install extra it needs, if any.

    `patterns` are shell patterns of file names that make a reader the first to be asked; content decides all the same.
    """

    target: str
    title: str
    extra: str | None = None
    patterns: tuple[str, ...] = ()

    def load(self) -> Any:
        """The class or function itself."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


def with_plugins(group: str, builtin: Mapping[str, Entry]) -> dict[str, Entry]:
    """The built-in table and what installed packages add to it; built-in names win."""
    # Reading the metadata of every installed package costs tens of milliseconds: look for the group by file first.
    from importlib.metadata import entry_points

    found = {point.name: point.load() for point in entry_points(group=group)}
    return {**{name: entry for name, entry in found.items() if isinstance(entry, Entry)}, **builtin}
