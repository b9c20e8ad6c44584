"""An adversary that has won: its loss is next to nothing for good while the other's climbs, so that the other learns nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import after_last, block_medians
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.run import Series

_DISCRIMINATOR = frozenset({"d", "disc", "discriminator", "netd", "lossd", "dloss", "errd"})
_GENERATOR = frozenset({"g", "gen", "generator", "netg", "lossg", "gloss", "errg"})
#: Words of other numbers of such a run: parts, scores of real and generated samples, the rate, validation.
_OTHERS = frozenset({"real", "fake", "acc", "accuracy", "lr", "norm", "grad", "gp", "penalty", "val", "test", "eval"})
#: Losses without which nothing is told; share of its start below which the discriminator's is nothing in the last third, and times its
#: start that the generator's stands at there. A pair in balance keeps half of it and more. Our own choice.
MIN_ROWS, NOTHING, CLIMBS = 60, 0.02, 3.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, where the losses of both are logged and positive, as those of a cross-entropy are."""
    if measured.loss_kind != "adversarial":
        return ()
    pair = [_loss_of(measured, words) for words in (_DISCRIMINATOR, _GENERATOR)]
    if pair[0] is None or pair[1] is None:
        return ()
    (name, d), (other, g) = pair[0], pair[1]
    first, last = _ends(d.value)
    first_g, last_g = _ends(g.value)
    if not first > 0 or not last < NOTHING * first or not first_g > 0 or not last_g > CLIMBS * first_g:
        return ()
    since = int(d.step[after_last(d.value >= NOTHING * first)])
    return (
        Fact(
            code="GL510",
            severity=Severity.WARNING,
            otherwise="unknown",
            outcome="ended_worse",
            since_step=since,
            message=f"{name} falls from {figure(first)} to {figure(last)} and stays there from step {since:,} on, while {other} climbs "
            f"from {figure(first_g)} to {figure(last_g)}: the discriminator has won, and the generator learns nothing from it",
            advice="check that the generator's gradient passes through the discriminator (its samples not detached) and that its optimizer "
            "holds its parameters; then a slower or weaker discriminator",
            steps=(since,),
            evidence=(
                Evidence(label=f"end of {name} over its start", value=last / first, threshold=NOTHING, n=len(d)),
            ),
        ),
    )


def _loss_of(measured: Measured, whose: frozenset[str]) -> tuple[str, Series] | None:
    """The first loss of one of the two that is finite and never negative; None where there is none."""
    for name, series in measured.run.series.items():
        words = set(vocabulary.plain(name).split("_"))
        is_loss = "loss" in words or any(word.startswith(("loss", "err")) or word.endswith("loss") for word in words)
        if not is_loss or not words & whose or words & _OTHERS:
            continue
        if len(series) >= MIN_ROWS and bool(np.isfinite(series.value).all()) and float(series.value.min()) >= 0:
            return name, series
    return None


def _ends(value: NDArray[np.float64]) -> tuple[float, float]:
    """The level of the first rows, and the middle one of the levels of the thirds of the last third."""
    first = float(np.median(value[: max(len(value) // 50, 5)]))
    return first, float(np.median(block_medians(value[-(len(value) // 3) :], 3)))
