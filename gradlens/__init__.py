"""gradlens diagnoses training runs from the logs they already write.

>>> import gradlens
>>> report = gradlens.analyze("run.jsonl", threshold=1.0)
>>> print(report.to_text())

Importing this package loads nothing heavy; numpy comes with the first call.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gradlens.errors import GradlensError
from gradlens.version import __version__

if TYPE_CHECKING:
    from gradlens.api import analyze, compare, gate, read, suggest_threshold
    from gradlens.recorder.recorder import Recorder
    from gradlens.reports.analysis import Report
    from gradlens.run import Run, Series

_LAZY = {
    "read": "gradlens.api",
    "analyze": "gradlens.api",
    "suggest_threshold": "gradlens.api",
    "gate": "gradlens.api",
    "compare": "gradlens.api",
    "Recorder": "gradlens.recorder.recorder",
    "Run": "gradlens.run",
    "Series": "gradlens.run",
    "Report": "gradlens.reports.analysis",
}

__all__ = [
    "GradlensError", "Recorder", "Report", "Run", "Series", "__version__", "analyze", "compare", "gate", "read", "suggest_threshold",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradlens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
