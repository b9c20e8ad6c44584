"""gradlens diagnoses training runs from the logs they already write.

>>> import gradlens
>>> report = gradlens.analyze("run.jsonl", threshold=1.0)
>>> print(report.to_text())

Importing this package loads nothing heavy; numpy comes with the first call.
"""

from __future__ import annotations

from gradlens.version import __version__

# Not imported from `typing`: until the command line has taken over, Ctrl-C is a traceback, so nothing is loaded here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gradlens.api import analyze, compare, gate, read, suggest_threshold
    from gradlens.errors import GradlensError
    from gradlens.recorder.recorder import Recorder
    from gradlens.reports.analysis import Report
    from gradlens.run import Run, Series

_LAZY = {
    "read": "gradlens.api",
    "analyze": "gradlens.api",
    "suggest_threshold": "gradlens.api",
    "gate": "gradlens.api",
    "compare": "gradlens.api",
    "GradlensError": "gradlens.errors",
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
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradlens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
