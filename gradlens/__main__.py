"""The `gradlens` command and `python -m gradlens`: the first thing that runs, so that Ctrl-C is one line from the start."""

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from gradlens.cli.app import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("gradlens: interrupted\n")
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
