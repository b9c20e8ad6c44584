"""AdaGC replayed per tensor, as it clips, where the log has the norms of single layers.

AdaGC (Wang et al. 2025) gives each tensor a threshold of its own: lambda times an average of its clipped norms. On the global norm that is
another policy: one layer that grows tenfold moves the norm of a hundred layers by a few percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens.advice.policies import EmaThreshold, Replay, replay
from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Tensors below which a replay per tensor says nothing that the global norm does not.
MIN_TENSORS = 2


@frozen
class TensorReplay:
    """What AdaGC would have done, tensor by tensor.

    Attributes
    ----------
    n
        Steps with a finite norm of at least one tensor.
    clip_rate
        Share of them in which at least one tensor was clipped.
    shrink_factor
        Mean of what was left of the norm over all tensors.
    spikes_caught, spikes
        Of the rows given, those in which a tensor was clipped to at most half of its norm.
    """

    n: int
    clip_rate: float | None
    shrink_factor: float | None
    spikes_caught: int
    spikes: int


def replay_tensors(
    norms: Mapping[str, NDArray[np.float64]], spikes: NDArray[np.int64], policy: EmaThreshold | None = None
) -> TensorReplay | None:
    """Replay AdaGC on the norms of tensors, each float64[n] with NaN where it is not logged; None with fewer than two.

    First-order, as every replay; norms that are not finite are in no rate.
    """
    if len(norms) < MIN_TENSORS:
        return None
    done: dict[str, Replay] = {name: replay(norm, policy or EmaThreshold()) for name, norm in norms.items()}
    known = {name: np.isfinite(norm) for name, norm in norms.items()}
    some = np.logical_or.reduce(list(known.values()))
    if not some.any():
        return None
    # Squares of what each tensor had and kept: where nothing is known of a tensor, it has no part in either.
    squares = {name: np.where(known[name], np.minimum(np.abs(norm), 1e150), 0.0) ** 2 for name, norm in norms.items()}
    before = np.sqrt(sum(squares.values()))
    after = np.sqrt(sum(square * done[name].factor ** 2 for name, square in squares.items()))
    clipped = {name: (done[name].factor < 1.0) & known[name] for name in norms}
    least = np.minimum.reduce([np.where(known[name], done[name].factor, 1.0) for name in norms])
    positive = some & (before > 0)
    return TensorReplay(
        n=int(some.sum()),
        clip_rate=float(np.mean(np.logical_or.reduce(list(clipped.values()))[some])),
        shrink_factor=float(np.mean(after[positive] / before[positive])) if positive.any() else None,
        spikes_caught=int(np.count_nonzero(least[spikes] <= 0.5)),
        spikes=int(spikes.size),
    )
