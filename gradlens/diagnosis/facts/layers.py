"""What the norms of single layers say: which one grew or died first, and how norms change from layer to layer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import in_words
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from gradlens.run import Series

#: Times its own level by which a layer has grown, and rows of its level. Our own choice.
MIN_GROWTH, MIN_LEVEL = 5.0, 20
#: Layers without which no course from layer to layer is told; decades that count; how steadily norms must change.
MIN_LAYERS, MIN_DECADES, MIN_STEADY = 5, 2.0, 0.8
#: Rows by which a layer must begin to grow before all others, at least, and as a share of the time from there to the end. Our own choice.
MIN_LEAD, LEAD = 5, 0.15
_NUMBER = re.compile(r"(\d+)")


def find(measured: Measured) -> tuple[Fact, ...]:
    """The layer that went first, and growth from layer to layer."""
    layers = measured.run.layers
    if len(layers) < 2:
        return ()
    first = _first_to_go(measured) or _first_to_grow(measured)
    return tuple(fact for fact in (first, _from_layer_to_layer(measured)) if fact is not None)


def _first_to_go(measured: Measured) -> Fact | None:
    """The layer whose norm is not finite first, if others follow later, and since when it had grown."""
    ends = {}
    for name, series in measured.run.layers.items():
        bad = np.flatnonzero(~np.isfinite(series.value))
        if len(bad) and not np.isfinite(series.value[bad[0] :]).any():
            ends[name] = int(series.step[bad[0]])
    if not ends or len(ends) < len(measured.run.layers) / 2:
        return None
    first = min(ends.values())
    leaders = [name for name, step in ends.items() if step == first]
    if len(leaders) > max(2, len(ends) // 3):
        return None
    name = leaders[0]
    since = grows_since(measured.run.layers[name], first)
    later = min((step for step in ends.values() if step > first), default=first)
    growth = f", after it had grown since step {since[0]:,} to {in_words(since[1])} times its level" if since else ""
    return Fact(
        code="GL512",
        severity=Severity.ERROR,
        cause="exploding" if since else None,
        confidence=0.85,
        outcome="nonfinite",
        since_step=first,
        message=f"{name} is the first layer that is not finite, at step {first:,}{growth}; the others follow at step "
        f"{later:,}",
        advice=f"look at {_short(name)}: its initialisation, the scale of its inputs and its normalisation; save "
        "activations around step "
        f"{(since[0] if since else first):,}",
        steps=(since[0], first) if since else (first,),
        evidence=(
            Evidence(label="first layer", value=name),
            Evidence(label="times its level", value=since[1] if since else None),
        ),
    )


def _first_to_grow(measured: Measured) -> Fact | None:
    """The layer that had been growing before all others in a run that ends in NaN or infinity, where all of them end in one row."""
    dead = measured.numerics.dead_from
    if dead is None:
        return None
    end = int(measured.signals.step[dead])
    grown = {
        name: since for name, series in measured.run.layers.items() if (since := grows_since(series, end)) is not None
    }
    if len(grown) < 2:
        return None
    (name, (began, times)), (_, (second, _)) = sorted(grown.items(), key=lambda item: item[1][0])[:2]
    interval = measured.signals.log_interval or 1.0
    if second - began < max(MIN_LEAD * interval, LEAD * (end - began)):
        return None
    return Fact(
        code="GL512",
        severity=Severity.ERROR,
        cause="exploding",
        confidence=0.85,
        outcome="nonfinite",
        since_step=end,
        message=f"{name} grows first, from step {began:,} on, to {in_words(times)} times its level by step {end:,}, where the run is no "
        f"longer finite; the other layers follow from step {second:,} on",
        advice=f"look at {_short(name)}: its initialisation, the scale of its inputs and its normalisation; save activations around "
        f"step {began:,}",
        steps=(began, end),
        evidence=(Evidence(label="first layer", value=name), Evidence(label="times its level", value=times)),
    )


def grows_since(series: Series, end: int) -> tuple[int, float] | None:
    """Since which step a layer stands above its level for good before it ends, and how far it came; None where it did not grow."""
    known = np.isfinite(series.value) & (series.step < end) & (series.value > 0)
    value, step = series.value[known], series.step[known]
    if len(value) < 2 * MIN_LEVEL:
        return None
    size = np.log(value)
    level = float(np.median(size[: len(size) * 2 // 3]))
    noise = 1.4826 * float(np.median(np.abs(size[: len(size) * 2 // 3] - level)))
    top = float(np.exp(np.max(size[-5:]) - level))
    if top < MIN_GROWTH:
        return None
    below = np.flatnonzero(size < level + max(3.0 * noise, 0.2))
    return int(step[min(int(below[-1]) + 1, len(step) - 1)]), top


def _all_but_the_last(measured: Measured) -> Fact | None:
    """Norms of exactly 0 in all layers but one or two, whose names need no numbers: the head of a network has none."""
    size = {}
    for name, series in measured.run.layers.items():
        value = series.value[np.isfinite(series.value)]
        if len(value) and "bias" not in name:
            size[name] = float(np.median(value[: max(len(value) // 10, 10)]))
    zeros = [name for name, norm in size.items() if norm == 0]
    others = [name for name, norm in size.items() if norm > 0]
    if len(zeros) < MIN_LAYERS - 1 or not 1 <= len(others) <= 2:
        return None
    return Fact(
        code="GL512",
        severity=Severity.ERROR,
        cause="vanishing",
        confidence=0.9,
        message=f"the norm is exactly 0 in all but {'the last' if others[-1] == list(size)[-1] else 'one or two'} of {len(size)} layers "
        f"({len(zeros)} zeros, {others[-1]} has {size[others[-1]]:.3g}): no gradient reaches the others",
        advice="unless they are frozen on purpose, check that nothing detaches the graph below the last layer; look for dead or saturated "
        "units, or use residual connections and normalisation",
        evidence=(Evidence(label="layers with a norm of 0", value=len(zeros), n=len(size)),),
    )


def _from_layer_to_layer(measured: Measured) -> Fact | None:
    """Norms that grow or fall by orders of magnitude from the first layer to the last, steadily."""
    dead = _all_but_the_last(measured)
    if dead is not None:
        return dead
    numbered = []
    for name, series in measured.run.layers.items():
        found = _NUMBER.search(name)
        value = series.value[np.isfinite(series.value)]
        if found and len(value) and "bias" not in name:
            numbered.append((int(found[1]), float(np.median(value[: max(len(value) // 10, 10)])), name))
    numbered.sort()
    positive = [(number, norm, name) for number, norm, name in numbered if norm > 0]
    if len(positive) < MIN_LAYERS or len({number for number, _, _ in positive}) < MIN_LAYERS:
        return None
    size = np.log10([norm for _, norm, _ in positive])
    decades = float(size[-1] - size[0])
    steps = np.diff(size)
    steady = float(np.mean(np.sign(steps) == np.sign(decades)))
    if abs(decades) < MIN_DECADES or steady < MIN_STEADY:
        return None
    factor = 10.0 ** (abs(decades) / len(steps))
    # Norms that fall towards the last layer grow on their way back to the first one.
    grows = decades < 0
    way = "grow" if grows else "shrink"
    return Fact(
        code="GL512",
        severity=Severity.NOTE,
        message=f"from the last layer back to the first the norms {way} by {abs(decades):.1f} powers of ten, "
        f"{factor:.2g} times from layer to layer "
        f"({positive[-1][2]} {positive[-1][1]:.3g}, {positive[0][2]} {positive[0][1]:.3g})",
        advice="scale the initialisation so that the factor from layer to layer is near 1 (orthogonal, or He for "
        "ReLU), or add normalisation or residual "
        "connections; a clipping threshold does not cure it",
        rules_out=frozenset({"clip_too_tight", "clip_too_loose"}),
        evidence=(
            Evidence(
                label="powers of ten from first to last layer", value=decades, threshold=MIN_DECADES, n=len(positive)
            ),
            Evidence(label="factor from layer to layer", value=factor),
        ),
    )


def _short(name: str) -> str:
    return name.split("/", 1)[-1]
