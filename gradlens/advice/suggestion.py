"""The threshold advice: a number with its uncertainty or the reason for none, what-if tables, and what to paste.

The number comes from `stats.thresholds`; what-if rows and policies are replayed on the logged norms by `policies`. Both
are first-order: another threshold changes the run, and with it the norms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens.advice.policies import (
    FIRST_ORDER,
    EmaThreshold,
    FixedThreshold,
    PercentileHistory,
    Policy,
    Replay,
    SkipLlmc,
    SkipOlmo,
    ZClip,
    replay,
)
from gradlens.advice.snippets import snippets
from gradlens.advice.tensors import replay_tensors
from gradlens.figures.measure import expected_clipping, moving_policy, rounded, warmup_end
from gradlens.reports.advice import Advice, WhatIf
from gradlens.reports.analysis import Provenance
from gradlens.run import Run
from gradlens.signals.axis import Signals, laid_out
from gradlens.stats.spikes import find_spikes
from gradlens.stats.thresholds import Mode, suggest_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Customary thresholds, for the what-if table.
CUSTOMARY = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9)
MOVING: tuple[Policy, ...] = (PercentileHistory(), ZClip(), EmaThreshold(), SkipOlmo(), SkipLlmc())


def suggest(
    run: Run,
    signals: Signals,
    provenance: Provenance,
    *,
    mode: Mode = "safety_net",
    target_clip_rate: float | None = None,
    joint: Sequence[int] = (),
) -> Advice:
    """The advice for one run, what-if tables included.

    Abstains, with the reason, on norms that are not trusted, fewer than 200 usable ones, and where no fixed threshold fits;
    in the last case `policy` names what follows the level. `joint` are the rows in which loss and norm stand out together: they
    count among the spikes that a policy is asked to catch.
    """
    warmup = warmup_end(signals)
    found = suggest_level(signals.norm, mode=mode, target_clip_rate=target_clip_rate, warmup_end=warmup)
    abstained = provenance.reason if not provenance.trusted else found.abstained
    threshold, interval = (None, None) if abstained else rounded(found)
    usable = signals.norm[np.isfinite(signals.norm)]
    what_if: tuple[WhatIf, ...] = ()
    policies: tuple[WhatIf, ...] = ()
    if provenance.trusted and len(usable):
        alone = [s.index for s in find_spikes(signals.norm, warmup_end=warmup).spikes]
        spikes = np.array(sorted({*alone, *joint}), dtype=np.int64)
        what_if = tuple(
            _what_if(label, c, replay(signals.norm, FixedThreshold(threshold=c), spikes=spikes))
            for label, c in _candidates(threshold, usable)
        )
        loss = signals.loss if np.isfinite(signals.loss).any() else None
        policies = tuple(
            _what_if(policy.name, None, replay(signals.norm, policy, loss=loss, spikes=spikes)) for policy in MOVING
        )
        policies += _by_tensor(run, signals, spikes)
    return Advice(
        run=run.id,
        threshold=threshold,
        interval=interval,
        mode=mode,
        quantile=found.quantile,
        abstained=abstained,
        level=found.level if found.level is not None else _last_level(usable),
        drift=found.drift,
        n=found.n,
        first_step=int(signals.step[found.first]) if len(signals) and found.n else None,
        method=found.method,
        expected=expected_clipping(signals, found, threshold),
        policy=moving_policy(found, provenance),
        provenance=provenance,
        what_if=what_if,
        policies=policies,
        snippets=snippets(threshold) if threshold is not None else {},
        note=FIRST_ORDER,
    )


def _by_tensor(run: Run, signals: Signals, spikes: NDArray[np.int64]) -> tuple[WhatIf, ...]:
    """AdaGC tensor by tensor, where layers are logged."""
    done = replay_tensors({name: laid_out(signals, series) for name, series in run.layers.items()}, spikes)
    if done is None:
        return ()
    return (
        WhatIf(
            label=f"AdaGC, {len(run.layers):,} tensors",
            threshold=None,
            clip_rate=done.clip_rate,
            skip_rate=0.0,
            shrink_factor=done.shrink_factor,
            spikes_caught=done.spikes_caught,
            spikes=done.spikes,
            steps_lost=0,
        ),
    )


def _last_level(usable: np.ndarray) -> float | None:
    return float(np.median(usable[-200:])) if len(usable) else None


def _candidates(threshold: float | None, usable: np.ndarray) -> list[tuple[str, float]]:
    """Thresholds to replay, ascending: the suggestion, percentiles of the norms and the customary values."""
    found = [(f"p{q:g} of all norms", float(np.percentile(usable, q))) for q in PERCENTILES]
    found += [("customary", c) for c in CUSTOMARY]
    if threshold is not None:
        found.append(("suggested", threshold))
    return sorted(((label, c) for label, c in found if c > 0 and math.isfinite(c)), key=lambda pair: pair[1])


def _what_if(label: str, threshold: float | None, done: Replay) -> WhatIf:
    return WhatIf(
        label=label,
        threshold=threshold if threshold is not None else done.final_threshold,
        clip_rate=done.clip_rate,
        skip_rate=done.skip_rate,
        shrink_factor=done.shrink_factor,
        spikes_caught=done.spikes_caught,
        spikes=done.spikes,
        steps_lost=done.steps_lost,
    )
