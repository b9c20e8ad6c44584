"""Facts: what is decided without weights, in order of what they say about the run. One module per kind."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts import (
    adversaries,
    arithmetic,
    boundless,
    clipping,
    collapsed,
    course,
    dead,
    early_floor,
    elements,
    epochs,
    explosion,
    fading,
    few_rows,
    frozen_loss,
    guessing,
    hard_batches,
    last_batch,
    layers,
    lone_spikes,
    masked,
    meaning,
    measurement,
    nonfinite,
    parts,
    planned,
    policy,
    proportion,
    rate,
    recurring,
    restart,
    returns,
    saturated,
    small_events,
    smoothed,
    validation,
    validation_lost,
    with_the_loss,
    words,
)
from gradlens.diagnosis.facts.base import Fact, Finder
from gradlens.diagnosis.measured import Measured

__all__ = ["FINDERS", "Fact", "find_facts"]

#: The first fact that proves a cause names it, so the order is one of precedence.
FINDERS: tuple[Finder, ...] = (
    words.find, layers.find, nonfinite.find, parts.find, dead.find, frozen_loss.find, masked.find, policy.find, measurement.find,
    rate.find, planned.find, restart.find, elements.find, recurring.find, lone_spikes.find, boundless.find, saturated.find, course.find,
    guessing.find, few_rows.find, returns.find, adversaries.find, collapsed.find, explosion.find, validation.find, validation_lost.find,
    epochs.find, small_events.find, last_batch.find, hard_batches.find, early_floor.find, smoothed.find, clipping.find, fading.find,
    proportion.find, meaning.find, arithmetic.find, with_the_loss.find,
)  # fmt: skip


def find_facts(measured: Measured) -> tuple[Fact, ...]:
    """All facts about a run, those of earlier finders first."""
    # Logs hold anything: infinities and 1e300 give overflows and NaN, which no fact rests on.
    with np.errstate(all="ignore"):
        return tuple(fact for find in FINDERS for fact in find(measured))
