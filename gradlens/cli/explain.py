"""`gradlens explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gradlens.errors import UsageError

if TYPE_CHECKING:
    from gradlens.explain.lessons.base import Vector


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A check (code or name), a cause, a sign, a lesson or a method; omit to list them all.",
        ),
    ] = None,
    vector: Annotated[str | None, typer.Option(metavar="A,B,...", help="Lessons: a gradient.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="A,B,...", help="Lessons: the weights it belongs to.")] = None,
    threshold: Annotated[float | None, typer.Option(metavar="C", help="Lessons: the clipping threshold.")] = None,
    rate: Annotated[float | None, typer.Option(metavar="R", help="Lessons: the learning rate.")] = None,
    decay: Annotated[float | None, typer.Option(metavar="D", help="Lessons: the weight decay.")] = None,
    curvature: Annotated[float | None, typer.Option(metavar="L", help="Lessons: the curvature of the loss.")] = None,
    scale: Annotated[float | None, typer.Option(metavar="S", help="Lessons: the loss scale.")] = None,
    gain: Annotated[float | None, typer.Option(metavar="G", help="Lessons: what a layer multiplies by.")] = None,
    depth: Annotated[int | None, typer.Option(metavar="N", help="Lessons: layers or time steps.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Lessons: how many steps.")] = None,
    dimension: Annotated[float | None, typer.Option(metavar="N", help="Lessons: elements of the gradient.")] = None,
    tail: Annotated[float | None, typer.Option(metavar="NU", help="Lessons: degrees of freedom of the tail.")] = None,
    spike: Annotated[float | None, typer.Option(metavar="X", help="Lessons: a spike, in usual gradients.")] = None,
    beta1: Annotated[float | None, typer.Option(metavar="B", help="Lessons: Adam's first decay rate.")] = None,
    beta2: Annotated[float | None, typer.Option(metavar="B", help="Lessons: Adam's second decay rate.")] = None,
    accumulation: Annotated[int | None, typer.Option(metavar="N", help="Lessons: micro-batches per step.")] = None,
    ranks: Annotated[int | None, typer.Option(metavar="N", help="Lessons: processes.")] = None,
) -> None:
    """Print the page of a check, a cause, a sign, a lesson or a method, or list them all.

    A lesson says what clipping does and works an example out for the numbers that you give; each takes some of them.
    """
    from gradlens.explain import catalogue, page

    given = {
        "vector": _vector("vector", vector), "weights": _vector("weights", weights), "threshold": threshold, "rate": rate,
        "decay": decay, "curvature": curvature, "scale": scale, "gain": gain, "depth": depth, "steps": steps,
        "dimension": dimension, "tail": tail, "spike": spike, "beta1": beta1, "beta2": beta2,
        "accumulation": accumulation, "ranks": ranks,
    }  # fmt: skip
    numbers = {option: value for option, value in given.items() if value is not None}
    if name is None and numbers:
        raise UsageError("numbers without a lesson", hint="`gradlens explain` lists the lessons")
    print(catalogue() if name is None else page(name, numbers))


def _vector(option: str, text: str | None) -> Vector | None:
    """Numbers with commas between them."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--{option} {text}: not numbers with commas between them", hint=f"such as --{option} 3,4"
        ) from None
