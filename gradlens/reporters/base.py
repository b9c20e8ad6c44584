"""What a reporter is: a function from a report to text, and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from gradlens.report import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    """Where text will be seen. Files and pipes are 80 columns wide and plain."""

    width: int = 80
    color: bool = False
    unicode: bool = True
    verbose: bool = False

    @classmethod
    def of_stdout(cls, *, verbose: bool = False) -> Screen:
        """Standard output as it is: `NO_COLOR`, pipes and encodings without braille are respected."""
        terminal = sys.stdout.isatty()
        color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        if os.environ.get("FORCE_COLOR"):
            color = not os.environ.get("NO_COLOR")
        # get_terminal_size honours COLUMNS, so that tests and users can choose.
        width = shutil.get_terminal_size((80, 24)).columns if terminal or os.environ.get("COLUMNS") else 80
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf16"}
        return cls(width=max(60, min(width, 120)), color=bool(color), unicode=unicode, verbose=verbose)


class Reporter(ABC):
    """One output format."""

    #: The word for `--format`.
    name: ClassVar[str]

    @abstractmethod
    def render(self, report: Report, screen: Screen) -> str:
        """The report as text; never computes a statistic."""
