"""Defaults that a project keeps in `gradlens.toml` or in `[tool.gradlens]` of `pyproject.toml`.

The nearest file counts, searched from the working folder upwards; options on the command line beat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from gradlens.config import load_mapping
from gradlens.errors import ConfigError
from gradlens.frozen import frozen

FAIL_LEVELS = ("error", "warning", "note", "never")
#: Options of `analyze` that a project may set, with the type each must have.
KNOWN: Mapping[str, tuple[type, ...]] = {
    "threshold": (str, float, int),
    "config": (str,),
    "select": (list,),
    "ignore": (list,),
    "fail-on": (str,),
    "step": (str,),
    "loss": (str,),
    "grad-norm": (str,),
    "lr": (str,),
    "loss-scale": (str,),
    "value-threshold": (float, int),
    "gate": (dict,),
}


@frozen
class Settings:
    """What a project's settings file says. `path` is None where there is none."""

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """A setting by its option name without dashes in front, or None."""
        return self.values.get(name)


def find_settings(start: Path | None = None) -> Settings:
    """The settings of the nearest `gradlens.toml` or `pyproject.toml` with a `[tool.gradlens]` table.

    Raises
    ------
    ConfigError
        A file that cannot be parsed, an unknown setting, or one of the wrong type.
    """
    folder = (start or Path.cwd()).resolve()
    for place in (folder, *folder.parents):
        own = place / "gradlens.toml"
        if own.is_file():
            return _checked(own, load_mapping(own))
        project = place / "pyproject.toml"
        if project.is_file() and "[tool.gradlens" in project.read_text(encoding="utf-8", errors="replace"):
            return _checked(project, load_mapping(project).get("tool", {}).get("gradlens", {}))
    return Settings()


def _checked(path: Path, values: Mapping[str, Any]) -> Settings:
    plain = {name.replace("_", "-"): value for name, value in values.items()}
    for name, value in plain.items():
        if name not in KNOWN:
            raise ConfigError(f"{path}: unknown setting {name!r}", hint="choose from " + ", ".join(KNOWN))
        if not isinstance(value, KNOWN[name]) or isinstance(value, bool):
            wanted = " or ".join(t.__name__ for t in KNOWN[name])
            raise ConfigError(f"{path}: {name} must be {wanted}, not {type(value).__name__}")
    if "fail-on" in plain and plain["fail-on"] not in FAIL_LEVELS:
        raise ConfigError(f"{path}: fail-on must be one of {', '.join(FAIL_LEVELS)}")
    return Settings(path=path, values=plain)
