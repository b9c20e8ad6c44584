"""`gradlens mcp`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from gradlens.errors import UsageError


def mcp(
    root: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Read nothing outside of this folder.")] = None,
) -> None:
    """Serve agents over the Model Context Protocol, on standard input and output: analyze, explain, compare, watch.

    Everything is read-only: files and folders that the client names are read, addresses are refused, and nothing is run.
    """
    if root is not None and not root.is_dir():
        raise UsageError(f"--root {root}: no such folder")
    from gradlens.serving.server import serve

    # The loop of the server runs in threads and tasks: a signal ends the process as it ends any other.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    serve(root)
