"""`gradlens explain`."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="A check (code or name), a cause, a sign or a method; omit to list them all."
        ),
    ] = None,
) -> None:
    """Print the page of a check, a cause, a sign or a method, or list them all."""
    from gradlens.explain import catalogue, page

    print(catalogue() if name is None else page(name))
