"""What comes down to guessing: a loss that falls to ln K and no further, or a part of it that stays there while another part falls.

A weight penalty, a reconstruction or a bad start can make a loss fall far while the answers stay what they were. A level of ln K that is
kept to a thousandth is no coincidence: a model that has learned something meets batches that are easier and harder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.chance import ADVICE, CLASSES, guessed_classes
from gradlens.diagnosis.features.curves import after_last, block_medians
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows without which nothing is told, and levels that are looked at.
MIN_ROWS, BLOCKS = 60, 8
#: How near to ln K both levels of the last quarter are where a loss fell there, how near nine in ten of its rows, and how far above that
#: the loss began, as shares. Our own choice.
EXACTLY, ROWS_NEAR, MIN_ABOVE = 0.001, 0.01, 0.15
#: How far below and above ln K all levels of a part lie that never came down (confident guesses cost more than fair ones), how much of
#: its own start it may lose, and how much of its start the whole loss lost meanwhile. Our own choice.
BELOW, ABOVE, PART_DESCENT, MIN_DESCENT = 0.01, 0.03, 0.005, 0.1
#: Rows without which a part is not judged.
MIN_PART = 100
#: Words of parts that rest at ln K, or pass there, in runs that are fine: entropies, adversaries, routers, contrasts at their start.
_OTHERS = frozenset({
    "entropy", "ent", "disc", "discriminator", "d", "g", "gen", "generator", "adv", "adversarial", "domain", "kl", "balance", "router",
    "load", "contrastive", "nce", "infonce", "clip", "itc", "value", "policy", "critic", "actor", "aux", "reg", "val", "test", "eval",
})  # fmt: skip
#: What no level of guessing can show.
MOVES: frozenset[Cause] = frozenset({"bad_data", "data_shift", "batch_size_change", "adam_beta2_lag", "overfitting"})


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, of a loss whose course means something."""
    if not measured.loss_descends or measured.numerics.dead_from is not None:
        return ()
    fact = _falls_to_chance(measured) or _part_at_chance(measured)
    return () if fact is None else (fact,)


def _falls_to_chance(measured: Measured) -> Fact | None:
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    if len(loss) < MIN_ROWS or not loss.min() > 0:
        return None
    level = block_medians(loss, BLOCKS)
    end = float(level[-1])
    # What is written with few digits lies up to half of the last one off.
    exactly = EXACTLY + 0.5 * _last_digit(loss) / end
    classes = guessed_classes(end, exactly)
    if classes is None:
        return None
    chance = float(np.log(classes))
    late = loss[-(len(loss) // 4) :]
    stays = bool((np.abs(level[-BLOCKS // 4 :] / chance - 1.0) < exactly).all())
    near = float(np.mean(np.abs(late / chance - 1.0) < ROWS_NEAR))
    start = float(np.median(loss[:3]))
    if not stays or near < 0.9 or start < (1.0 + MIN_ABOVE) * chance or float(level.min()) < (1.0 - ROWS_NEAR) * chance:
        return None
    since = int(s.step[rows[after_last(loss > (1.0 + ROWS_NEAR) * chance)]])
    return Fact(
        code="GL511",
        severity=Severity.WARNING,
        otherwise="not_learning",
        outcome="stalled",
        since_step=since,
        message=f"the loss falls from {figure(start)} to {end:.5g} by step {since:,} and stays there, which is ln {classes:,}: what "
        f"guessing among {classes:,} classes gives",
        advice=f"{ADVICE}; a weight penalty or another part of the loss may be all that fell",
        rules_out=MOVES,
        steps=(since,),
        evidence=(Evidence(label="loss over chance", value=end / chance, threshold=1.0 + EXACTLY, n=len(loss)),),
    )


def _last_digit(loss: NDArray[np.float64]) -> float:
    """The last decimal that float64[n] is written with, of three at most; 0 where there are more."""
    for places in range(4):
        scaled = loss * 10.0**places
        if np.allclose(scaled, np.round(scaled), rtol=0.0, atol=1e-6):
            return float(10.0**-places)
    return 0.0


def _part_at_chance(measured: Measured) -> Fact | None:
    p, judged = measured.progress, measured.run.columns.loss
    if p is None or not p.relative >= MIN_DESCENT:
        return None
    for name, series in measured.run.series.items():
        words = set(vocabulary.plain(name).split("_"))
        if name == judged or not vocabulary.is_loss_like(name) or words & _OTHERS:
            continue
        value = series.value[np.isfinite(series.value)]
        if len(value) < MIN_PART or len(value) < len(series) or not value.min() > 0:
            continue
        level = block_medians(value, BLOCKS)
        classes = _guessed_all_along(level)
        if classes is None:
            continue
        return Fact(
            code="GL511",
            severity=Severity.WARNING,
            otherwise="not_learning",
            message=f"{name} stays at about ln {classes:,} ({float(np.median(level)):.4g}) from beginning to end: what guessing among "
            f"{classes:,} classes gives, while {judged} falls from {figure(p.start)} to {figure(p.end)}",
            advice="the other parts drown this one: compare the norms of their gradients, and weigh the parts so that each can be learned",
            evidence=(
                Evidence(
                    label=f"{name} over chance",
                    value=float(np.median(level) / np.log(classes)),
                    threshold=1.0 + ABOVE,
                ),
            ),
        )
    return None


def _guessed_all_along(level: NDArray[np.float64]) -> int | None:
    """Among how many classes a part guesses whose levels, float64[8], never came down; None where it learned, or lies elsewhere."""
    if level[-1] < (1.0 - PART_DESCENT) * level[0]:
        return None
    for classes in CLASSES:
        over = level / float(np.log(classes)) - 1.0
        if over.min() > -BELOW and over.max() < ABOVE:
            return classes
    return None
