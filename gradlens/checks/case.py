"""The shared inputs of the checks: one run, prepared once, with everything derived from it computed when first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradlens.checks.weighing import Beliefs, weigh
from gradlens.config import TrainingConfig
from gradlens.provenance import judge
from gradlens.report import NotableStep, Provenance
from gradlens.run import Run
from gradlens.signals import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 60
MOST_NOTABLE = 10


class Case:
    """One run as the checks see it.

    Attributes
    ----------
    run, signals, config
        As read, on one axis, and what is known of the set-up.
    threshold
        The clipping threshold, None if the run did not clip.
    threshold_source
        `option`, `config`, `log` or `assumed`.
    """

    def __init__(
        self, run: Run, signals: Signals, *, config: TrainingConfig, threshold: float | None, threshold_source: str
    ) -> None:
        self.run = run
        self.signals = signals
        self.config = config
        self.threshold = threshold
        self.threshold_source = threshold_source

    def __len__(self) -> int:
        return len(self.signals)

    def has(self, need: str) -> bool:
        """Whether the log holds what a check needs (the words of `checks.base.NEEDS`)."""
        return need in self._available

    @cached_property
    def _available(self) -> frozenset[str]:
        s = self.signals
        loss, norm = int(np.isfinite(s.loss).sum()), int(np.isfinite(s.norm).sum())
        present = {
            "loss": loss > 0,
            "norm": norm > 0,
            "lr": bool(np.isfinite(s.lr).any()),
            "loss_scale": bool(np.isfinite(s.loss_scale).any()),
            "layers": bool(self.run.layers),
            "threshold": self.threshold is not None,
            "trusted_norm": norm > 0 and self.provenance.trusted,
            "rows": len(s) >= MIN_ROWS,
            "steps": (s.log_interval or 1.0) <= 2.0,
        }
        return frozenset(need for need, has in present.items() if has)

    @cached_property
    def provenance(self) -> Provenance:
        """Where the norms were measured."""
        return judge(self.run, self.signals, self.threshold, self.threshold_source)

    @cached_property
    def finite_norm(self) -> NDArray[np.float64]:
        """float64[k]: the finite norms, in order."""
        return self.signals.norm[np.isfinite(self.signals.norm)]

    @cached_property
    def beliefs(self) -> Beliefs:
        """The weighed evidence: how likely each cause is."""
        return weigh({})


def build_case(
    run: Run, signals: Signals, *, config: TrainingConfig, threshold: float | None, threshold_source: str
) -> Case:
    """The case of one run."""
    return Case(run, signals, config=config, threshold=threshold, threshold_source=threshold_source)


def notable_steps(case: Case) -> tuple[NotableStep, ...]:
    """The steps with the largest norms, non-finite ones first among equals, in order of step, with their loss."""
    s = case.signals
    rows = np.flatnonzero(s.has_norm)
    if len(rows) == 0:
        return ()
    size = np.where(np.isfinite(s.norm[rows]), s.norm[rows], -np.inf)
    size[np.isinf(s.norm[rows])] = np.inf
    chosen = np.sort(rows[np.argsort(-size, kind="stable")[:MOST_NOTABLE]])
    median = float(np.median(case.finite_norm)) if len(case.finite_norm) else float("nan")
    return tuple(
        NotableStep(
            step=int(s.step[row]),
            grad_norm=float(s.norm[row]),
            loss=float(s.loss[row]) if s.has_loss[row] else None,
            times_median=float(s.norm[row] / median) if median > 0 else None,
        )
        for row in chosen
    )
