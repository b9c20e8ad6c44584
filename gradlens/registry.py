"""Tables of plug-ins that load nothing until one is used.

Readers, checks and reporters are each listed in the `__init__.py` of their package: a name, where the class lives, one
line of what it is. Other packages add theirs with the entry-point groups `gradlens.readers`, `gradlens.checks` and
`gradlens.reporters`; the entry point's name is the name here, its object an `Entry`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from gradlens.frozen import frozen


@frozen
class Entry:
    """One plug-in: `target` is `module:attribute`; `extra` the install extra it needs, if any.

    `patterns` are shell patterns of file names that make a reader the first to be asked; content decides all the same.
    `kinds` are the documents that a reporter shows (`reporters/base.py`).
    `schemes` are those of the URLs of a service that holds runs and no files.
    `shapes` are the shapes of content (`readers/shape.py`) a reader is asked about; it is asked about all where empty.
    """

    target: str
    title: str
    extra: str | None = None
    patterns: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("report",)
    schemes: tuple[str, ...] = ()

    def load(self) -> Any:
        """The class or function itself."""
        return load(self.target)


def load(target: str) -> Any:
    """The object at `module:attribute`, its module imported now."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def with_plugins(group: str, builtin: Mapping[str, Entry]) -> dict[str, Entry]:
    """The built-in table and what installed packages add to it; built-in names win."""
    if not _any_plugins():
        return dict(builtin)
    from importlib.metadata import entry_points

    found = {point.name: point.load() for point in entry_points(group=group)}
    return {**{name: entry for name, entry in found.items() if isinstance(entry, Entry)}, **builtin}


@cache
def _any_plugins() -> bool:
    """Whether an installed package names one of our groups.

    `importlib.metadata` alone costs a tenth of a second to load and to ask about every installed package; most machines
    have no plug-in, and for these a look at the files of entry points is enough.
    """
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 -- pathlib is several times slower here
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                try:
                    with open(os.path.join(folder, name, "entry_points.txt"), "rb") as handle:  # noqa: PTH118, PTH123
                        if b"[gradlens." in handle.read():
                            return True
                except OSError:
                    continue
    return False
