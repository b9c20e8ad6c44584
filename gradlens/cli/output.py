"""Where a report goes: standard output in one format, files in others, and which exit code it means.

Options are checked before anything is read, and a file is written whole or not at all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gradlens.errors import SourceError, UsageError

if TYPE_CHECKING:
    from gradlens.report import Report
    from gradlens.reporters.base import Reporter


def fail_level(text: str) -> str | None:
    """`--fail-on` as a severity, None for `never`."""
    if text not in {"error", "warning", "note", "never"}:
        raise UsageError(f"--fail-on {text}: not a level", hint="one of error, warning, note, never")
    return None if text == "never" else text


class Writer:
    """Renders a report to standard output and to files."""

    def __init__(self, output_format: str, paths: list[Path], *, verbose: bool = False) -> None:
        from gradlens.reporters import load, suffixes

        self._main: Reporter = load(output_format)
        self._files: list[tuple[Path, Reporter]] = []
        self._verbose = verbose
        for path in paths:
            name = suffixes().get(path.suffix.lower())
            if name is None:
                raise UsageError(
                    f"--save {path}: no format for {path.suffix or 'a file without suffix'}",
                    hint="one of " + " ".join(suffixes()),
                )
            if path.parent != Path() and not path.parent.is_dir():
                raise UsageError(f"--save {path}: no such folder {path.parent}", hint="make the folder first")
            self._files.append((path, load(name)))

    def write(self, report: Report) -> None:
        """Render everything, then write."""
        from gradlens.reporters.base import Screen

        screen = Screen.of_stdout(verbose=self._verbose)
        text = self._main.render(report, screen)
        files = [(path, reporter.render(report, Screen(verbose=self._verbose))) for path, reporter in self._files]
        for path, content in files:
            write_whole(path, content)
        sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_whole(path: Path, content: str) -> None:
    """Write to a temporary file in the same folder, then rename: a reader never sees half a file.

    Raises
    ------
    SourceError
        The folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(content)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}", hint="check that the folder can be written") from error
