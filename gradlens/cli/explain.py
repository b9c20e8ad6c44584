"""`gradlens explain`."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    name: Annotated[
        str | None, typer.Argument(metavar="[CODE or NAME]", help="A check or method; omit to list them all.")
    ] = None,
) -> None:
    """Print the page of one check or method, or list them all."""
    from gradlens.explain import catalogue, page

    print(catalogue() if name is None else page(name))
