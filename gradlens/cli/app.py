"""The command line: wires the commands and chooses the exit code.

Every command is a module with one function, listed in `commands.py`; they are imported, and import what they need, when
they run, so that `--help` stays fast. Exit codes: 0 judged, 1 findings at the fail level or a failed gate, 2 could not
judge, 70 internal error.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import warnings
from typing import Annotated

import typer

from gradlens.cli.commands import Commands
from gradlens.errors import GradlensError
from gradlens.version import __version__

app = typer.Typer(
    name="gradlens",
    cls=Commands,
    help="Diagnose training runs from the logs they already write.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        print(f"gradlens {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with the code of the contract."""
    # Imports make many objects that stay: searching them for cycles repeatedly takes a tenth of a short run.
    gc.set_threshold(100_000, 50, 50)
    # The BLAS that numpy brings starts a thread for every core, and each of them spins for a tenth of a second waiting
    # for work that never comes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_closed_streams()
    if not sys.warnoptions:
        # What numpy thinks of extreme numbers is no business of whoever reads the report.
        warnings.simplefilter("ignore")
    # A character that the encoding of a terminal or a pipe lacks is shown as "?" and does not end the command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        try:
            _catch_signals()
            code = run()
        finally:
            # All is said. A signal from here on would hit the interpreter while it takes itself down and has no handler left.
            _ignore_signals()
    except _Stop as stop:
        # It came before the command began, or after what ended it was caught.
        code = _told(stop)
    sys.exit(code)


#: What ends a command, as far as this system has it.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Stop(BaseException):
    """The process was told to end, by Ctrl-C or a signal. The option parser knows nothing of it, so it comes through."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _catch_signals() -> None:
    sys.unraisablehook = _not_raised
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    _ignore_signals()
    raise _Stop(number)


def _not_raised(unraisable: sys.UnraisableHookArgs) -> None:
    """Where a signal came while Python ran a destructor or a callback, which swallow exceptions, it comes again at once."""
    error = unraisable.exc_value
    if not isinstance(error, _Stop):
        sys.__unraisablehook__(unraisable)
    elif hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: _stop(error.number, None))
        signal.setitimer(signal.ITIMER_REAL, 0.001)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _open_closed_streams() -> None:
    """Let standard streams that the caller closed, as some daemons do, be nothing instead of None.

    The first file that is opened would otherwise get the number of one of them, and what is printed would end up in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115


def run(arguments: list[str] | None = None) -> int:
    """Run with the given arguments (default: the process's) and return the exit code."""
    try:
        code = app(arguments, prog_name="gradlens", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, SystemExit) as stop:
        # typer leaves with 1, which would read as findings, where a pipe is closed while a command writes.
        if not isinstance(stop, BrokenPipeError) and not isinstance(stop.__context__, BrokenPipeError):
            raise
        from gradlens.cli.output import drop_output

        # The reading end closed the pipe.
        drop_output()
        return 0
    except (_Stop, Exception) as error:  # noqa: BLE001 -- an unhandled one would exit 1 and look like findings
        return _told(error)


def _told(error: BaseException) -> int:
    """Say in one line what ended the command; its exit code."""
    if isinstance(error, GradlensError):
        _say(f"gradlens: error: {error}")
        if error.hint:
            _say(f"  {error.hint}")
        return error.exit_code
    if isinstance(error, _Stop):
        by = "interrupted" if error.number == signal.SIGINT else f"ended by {signal.Signals(error.number).name}"
        _say(f"gradlens: {by}")
        return 128 + int(error.number)
    if isinstance(error, OSError):
        from gradlens.cli.output import drop_output

        # What reads and writes files says which; without a name it was standard output, such as on a full disk.
        _say(f"gradlens: error: {error.filename or 'standard output'}: {error.strerror or error}")
        drop_output()
        return 2
    if isinstance(error, MemoryError):
        _say("gradlens: error: not enough memory for this log")
        _say("  read a part of it, or on a machine with more")
        return 2
    return _report_unexpected(error)


def _report_unexpected(error: BaseException) -> int:
    """Errors of the option parser, which typer carries in its own copy of click, and bugs."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        return 2
    if type(error).__name__ == "Abort":
        return 130
    if os.environ.get("GRADLENS_DEBUG"):
        import traceback

        traceback.print_exc()
    else:
        _say(f"gradlens: internal error: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        _say("  this is a bug in gradlens; run again with GRADLENS_DEBUG=1 and report the traceback")
    return 70


def _say(line: str) -> None:
    from gradlens.reporters.escape import for_terminal

    try:
        print(for_terminal(line), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # Nobody can be told; the exit code still says it, unless a second failure at exit changes it.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
