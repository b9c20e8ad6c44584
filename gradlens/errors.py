"""Errors that a user can act on.

::

    GradlensError            exit code 2: could not judge
    ├── UsageError           wrong options or arguments
    ├── ConfigError          a configuration file that cannot be used
    ├── SourceError          a path, glob or URL that gives nothing to read
    ├── OutputError          a file that cannot be written
    ├── UnknownFormatError   a log whose format was not recognised
    ├── MissingExtraError    what was asked for needs a package that is not installed
    ├── MalformedLogError    recognised, but damaged beyond what can be skipped
    │   └── BeyondLimitError  larger than any log: a line, an archive
    └── NoTrainingSeriesError  readable, but without a loss or a gradient norm

Only the command line catches them. Thin or degenerate data is not an error: statistics return a result with a reason.
"""

from __future__ import annotations


class GradlensError(Exception):
    """A one-line message that says what and where, with a `hint` that says what to do next."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        # Names from logs may hold line breaks; a message is one line whatever the log holds.
        super().__init__(" ".join(message.split()))
        self.hint = " ".join(hint.split())
        if self.hint:
            self.add_note(
                f"({self.hint})"
            )  # a traceback of Python shows notes: the remedy is not for the command line alone


class UsageError(GradlensError):
    """Wrong options or arguments."""


class ConfigError(GradlensError):
    """A configuration file that cannot be used."""


class SourceError(GradlensError):
    """A path, glob or URL that gives nothing to read."""


class OutputError(GradlensError):
    """A file that cannot be written."""


class UnknownFormatError(GradlensError):
    """A log whose format was not recognised."""


class MissingExtraError(GradlensError):
    """A format or conversion that needs a package that is not installed."""

    def __init__(self, what: str, extra: str, package: str | None = None) -> None:
        super().__init__(
            f"{what} needs {f'{package}, which' if package else 'a package that'} is not installed",
            hint=f"install gradlens[{extra}] from the checkout: pip install '.[{extra}]'",
        )
        self.extra = extra


class MalformedLogError(GradlensError):
    """A log that is damaged beyond what can be skipped record by record."""


class BeyondLimitError(MalformedLogError):
    """A log beyond what any log is: a line, an archive. No other reader is asked, since each would meet the same."""


class NoTrainingSeriesError(GradlensError):
    """A readable log that holds neither a loss nor a gradient norm."""
