"""How a run ended, in words that say no more than the log shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.case import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ending(case: Case) -> str:
    """Which of loss and norm ends in NaN or infinity, and from where on; empty where neither does (see `Numerics.dead_from`)."""
    s = case.signals
    alike: dict[tuple[str, int | None], list[str]] = {}
    for word, has, value in (("loss", s.has_loss, s.loss), ("norm", s.has_norm, s.norm)):
        step, logged = s.step[has], value[has]
        if len(logged) < 3 or np.isfinite(logged[-3:]).any():
            continue
        good = np.flatnonzero(np.isfinite(logged))
        first = int(good[-1]) + 1 if len(good) else 0
        since = int(step[first]) if len(good) else None
        alike.setdefault((kind_of(logged[first:]), since), []).append(word)
    return "; ".join(_since(words, kind, since) for (kind, since), words in alike.items())


def _since(words: list[str], kind: str, since: int | None) -> str:
    if since is None:
        return f"every {' and every '.join(words)} is {kind} from the first row"
    return f"the {' and the '.join(words)} {'is' if len(words) == 1 else 'are'} {kind} from step {since:,} on"


def kind_of(value: NDArray[np.float64]) -> str:
    """What values that are not finite are."""
    nan = np.isnan(value)
    return "NaN" if nan.all() else "NaN or infinite" if nan.any() else "infinite"
