"""Evidence -> how likely each cause is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradlens.report import Cause


@dataclass(frozen=True, kw_only=True, slots=True)
class Beliefs:
    """The causes by confidence, likeliest first."""

    ranking: tuple[tuple[Cause, float], ...]

    @property
    def cause(self) -> Cause:
        """The likeliest cause."""
        return self.ranking[0][0]


def weigh(evidence: Mapping[str, float]) -> Beliefs:
    """The likelihood of each cause, given the evidence."""
    del evidence
    return Beliefs(ranking=(("healthy", 0.5),))
