"""Where a report goes: standard output in one format, files in others, and which exit code it means.

Options are checked before anything is read, and a file is written whole or not at all.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gradlens.errors import OutputError, UsageError
from gradlens.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlens.reporters.base import Document, Kind, Reporter
    from gradlens.reports.analysis import Report


def fail_level(text: str) -> str | None:
    """`--fail-on` as a severity, None for `never`."""
    if text not in {"error", "warning", "note", "never"}:
        raise UsageError(f"--fail-on {text}: unknown severity", hint="one of error, warning, note, never")
    return None if text == "never" else text


def keep_sources(option: str, path: Path, sources: Iterable[str], *, folders: bool = False) -> None:
    """Refuse to write over a log that is read: the file itself, or with `folders` one that a folder given holds.

    Raises
    ------
    UsageError
        `path` is one of them.
    """
    from gradlens.sources.files import reads

    for source in sources:
        if reads(source, path, folders=folders):
            raise UsageError(f"{option} {path} would overwrite the input {source}", hint="choose another output path")


class Writer:
    """Renders a report to standard output and to files."""

    def __init__(
        self,
        output_format: str,
        paths: list[Path],
        sources: list[str],
        *,
        kind: Kind = "report",
        verbose: bool = False,
    ) -> None:
        from gradlens.reporters import format_of, load, suffixes

        self._main: Reporter = load(output_format, kind)
        self._files: list[tuple[Path, Reporter]] = []
        self._verbose = verbose
        for path in paths:
            name = format_of(path)
            if name is None:
                raise UsageError(
                    f"--save {path}: no format for {path.suffix or 'a file without suffix'}",
                    hint="one of " + " ".join(suffixes()),
                )
            keep_sources("--save", path, sources)
            if path.parent != Path() and not path.parent.is_dir():
                raise UsageError(f"--save {path}: no such folder {path.parent}", hint="create the folder first")
            self._files.append((path, load(name, kind)))

    @property
    def draws(self) -> bool:
        """Whether one of the formats shows pictures, which are not made otherwise."""
        return any(reporter.draws for reporter in (self._main, *(reporter for _, reporter in self._files)))

    def write(self, report: Document) -> None:
        """Render everything, then write."""
        from gradlens.reporters.base import Screen

        screen = Screen.of_stdout(verbose=self._verbose)
        text = self._main.render_document(report, screen)
        plain = Screen(verbose=self._verbose)
        files = [(path, reporter.render_document(report, plain)) for path, reporter in self._files]
        if self._main.name == "github":
            append_summary(report)
        for path, content in files:
            write_whole(path, content)
        if self._main.name != "text":
            _print_as_utf8()
        say(text.removesuffix("\n"))


def only_since(report: Report, step: int) -> Report:
    """The report without the findings before a step; standard error says how many were left out."""
    from gradlens.reports.since import since

    shown = since(report, step)
    if left_out := sum(run.findings_before for run in shown.runs):
        plural = "" if left_out == 1 else "s"
        print(f"gradlens: {left_out} finding{plural} before step {step:,} left out by --since", file=sys.stderr)
    return shown


def say(text: str) -> None:
    """Print to standard output. Where its reader has gone, what is printed goes nowhere and the command goes on.

    A closed pipe must not change the exit code: `gradlens gate ... | head -1` is as red as without the pipe.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Let what is left unwritten go nowhere: a second failure at exit would print a traceback and change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_as_utf8() -> None:
    """Documents that go to a file or a pipe are UTF-8, as HTML and XML say of themselves; a terminal keeps its encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")


def append_summary(report: Document) -> None:
    """Add the report to the summary page of a GitHub job, where there is one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from gradlens.reporters.base import Screen
    from gradlens.reporters.markdown import SUMMARY_BYTES, MarkdownReporter, fit

    text = fit(MarkdownReporter().render_document(report, Screen()), SUMMARY_BYTES)
    try:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}", hint="GITHUB_STEP_SUMMARY names this file") from error
