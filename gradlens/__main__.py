"""The `gradlens` command and `python -m gradlens`: the first thing that runs, so that Ctrl-C is one line from the start."""

import os
import signal
import sys


def main() -> None:
    """Load the command line and run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from gradlens.cli.app import main as command_line

    command_line()


def _end(_number: int, _frame: object) -> None:
    """End at once: while modules load, an exception may be swallowed by one of them, and there is nothing to clean up."""
    if sys.stderr is not None:
        os.write(2, b"gradlens: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
