"""The shared inputs of the checks: one run, prepared once, with everything derived from it computed when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.checks.features.curves import Curve, curve_of, window_of
from gradlens.checks.features.events import Event, find_bursts, find_events, joint_strength, linear_strength, matters
from gradlens.checks.features.norms import Clipped, Norms, clipped_of, norms_of
from gradlens.checks.features.numerics import Numerics, numerics_of
from gradlens.checks.features.progress import Progress, progress_of
from gradlens.checks.features.schedule import Schedule, schedule_of
from gradlens.checks.features.steps import Break, Sides, Step, find_break, find_step, sides_of
from gradlens.checks.signs import grade_all
from gradlens.checks.weighing import Beliefs, weigh
from gradlens.config import TrainingConfig
from gradlens.provenance import judge
from gradlens.report import Cause, NotableStep, Provenance
from gradlens.run import Run
from gradlens.signals import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 60
#: Causes that may rest on a single row, and the confidence they may then have at most. Our own choice.
ONE_ROW_CAUSES: tuple[Cause, ...] = ("bad_data", "clip_too_loose", "adam_beta2_lag")
ONE_ROW_CEILING = 0.79
SPARSE_INTERVAL = 5.0
#: Rows below which the course of a run is a guess, the causes that are read from it, and how sure they may then be.
SHORT_ROWS = 50
COURSE_CAUSES: tuple[Cause, ...] = ("lr_too_high", "no_warmup", "vanishing", "batch_size_change", "clip_too_loose")
SHORT_CEILING = 0.45
#: How sure a log of so many rows may be that a run is healthy, and one without a loss or without norms. Measured: the labelled
#: runs (30 % of them healthy), thinned to so many rows or without that column (`benchmarks/diagnosis/sparse.py`).
HEALTHY_BY_ROWS = ((10.0, 25.0, 50.0, 100.0, 200.0, 400.0), (0.34, 0.40, 0.54, 0.62, 0.70, 1.0))
ONE_COLUMN_CEILING = 0.43
MOST_NOTABLE = 10
#: Share of the first loss below which a loss is zero for every purpose: its relative changes mean nothing.
LEAST_LOSS = 1e-6


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
    def loss(self) -> Curve:
        """The loss with its level taken out; a millionth of the first loss is as good as none."""
        return curve_of(self.signals.loss, window_of(len(self)), floor=LEAST_LOSS)

    @cached_property
    def norm(self) -> Curve:
        """The gradient norm with its level taken out."""
        return curve_of(self.signals.norm, window_of(len(self)))

    @cached_property
    def schedule(self) -> Schedule:
        """What the learning-rate column says."""
        return schedule_of(self.signals.lr)

    @cached_property
    def warmup_rows(self) -> int:
        """Rows of warm-up: from the rate where it is logged, a twentieth of the run otherwise, at most half of it."""
        known = self.schedule.warmup_rows
        return min(len(self) // 20 if known is None else known, len(self) // 2)

    @cached_property
    def settled_row(self) -> int:
        """The row from which sudden changes are looked for: 3 % of the run after the warm-up, at least 6 % of it."""
        n = len(self)
        return max(self.warmup_rows + n // 33, n // 16)

    @cached_property
    def numerics(self) -> Numerics:
        """What the numbers themselves say."""
        return numerics_of(self.signals)

    @cached_property
    def loss_descends(self) -> bool:
        """Whether good training brings this loss down, as far as its name tells; the course of others means nothing."""
        return not vocabulary.is_contested(self.run.columns.loss or "")

    @cached_property
    def progress(self) -> Progress | None:
        """How the loss came down; None with too few finite losses, and for one that need not come down."""
        if not self.loss_descends:
            return None
        return progress_of(self.signals.loss, self.schedule.relative, from_the_start=self.signals.from_the_start)

    @cached_property
    def norms(self) -> Norms | None:
        """The course of the norm; None with too few."""
        return norms_of(self.norm, self.loss)

    @cached_property
    def clipped(self) -> Clipped | None:
        """The norm against the threshold; None where there is none, it is only assumed, or the norms cannot be trusted.

        An assumed threshold may show what clipping at 1.0 would have done, but it cannot accuse a run of clipping.
        """
        if self.threshold is None or self.threshold_source == "assumed" or not self.provenance.trusted:
            return None
        return clipped_of(self.signals.norm, self.threshold, self.warmup_rows)

    @cached_property
    def strength(self) -> NDArray[np.float64]:
        """float64[n]: how strongly loss and norm stand out together."""
        return np.where(self._matters, joint_strength(self.loss, self.norm, self.plain_strength), 0.0)

    @cached_property
    def plain_strength(self) -> NDArray[np.float64]:
        """float64[n]: the same by plain differences."""
        return np.where(self._matters, linear_strength(self.signals.loss, self.signals.norm), 0.0)

    @cached_property
    def _matters(self) -> NDArray[np.bool_]:
        p = self.progress
        return np.ones(len(self), dtype=bool) if p is None else matters(self.loss, p.start, p.start - p.best)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Rows in which loss and norm stand out together, after the first 3 % of the run."""
        return find_events(self.loss, self.norm, self.strength, max(len(self) // 33, 5))

    @cached_property
    def bursts(self) -> tuple[Event, ...]:
        """Stretches of rows in which loss and norm stand out together, with sharp edges."""
        n = len(self)
        return find_bursts(self.loss, self.norm, self._matters, max(n // 33, 5), max(n // 20, 8))

    @cached_property
    def _loss_sides(self) -> Sides | None:
        return sides_of(self.loss) if self.loss_descends else None

    @cached_property
    def _norm_sides(self) -> Sides | None:
        return sides_of(self.norm, wide=True)

    @cached_property
    def loss_step(self) -> Step:
        """The strongest sudden rise of the loss level."""
        return find_step(self.loss, self._loss_sides, up=True, first=self.settled_row)

    @cached_property
    def loss_drop(self) -> Step:
        """The strongest sudden fall of the loss level."""
        return find_step(self.loss, self._loss_sides, up=False, first=self.settled_row)

    @cached_property
    def norm_step_up(self) -> Step:
        """The strongest sudden rise of the norm level."""
        return find_step(self.norm, self._norm_sides, up=True, first=self.settled_row)

    @cached_property
    def norm_step_down(self) -> Step:
        """The strongest sudden fall of the norm level."""
        return find_step(self.norm, self._norm_sides, up=False, first=self.settled_row)

    @cached_property
    def noise_break(self) -> Break | None:
        """The row at which the noise of the run changes most."""
        return find_break(self.loss, self.norm, first=self.settled_row)

    @cached_property
    def beliefs(self) -> Beliefs:
        """The weighed evidence: how likely each cause is."""
        return weigh(self.signs, ceilings=self.ceilings)

    @property
    def ceilings(self) -> Mapping[Cause, float]:
        """How sure of a cause this log allows to be, where that is less than certain. Our own limits.

        A verdict that rests on one or two rows is never sure: had they not been logged, nothing would be seen. Neither is
        one that needs every step from a log that shows every fifth or fewer, nor one about the course of a run from fewer
        than 50 rows, unless the numbers themselves blow up. And where little was logged, seeing nothing says little.
        """
        ceilings: dict[Cause, float] = {"healthy": self._healthy_ceiling}
        if (
            sum(event.rows for event in (*self.events, *self.bursts)) <= 2
            or (self.signals.log_interval or 1.0) >= SPARSE_INTERVAL
        ):
            ceilings |= dict.fromkeys(ONE_ROW_CAUSES, ONE_ROW_CEILING)
        plain = max(self.signs[name] for name in ("ends_nonfinite", "loss_explodes", "diverges_in_few_rows"))
        if len(self) < SHORT_ROWS and plain < 1.0:
            ceilings |= dict.fromkeys(COURSE_CAUSES, SHORT_CEILING)
        return ceilings

    @property
    def _healthy_ceiling(self) -> float:
        """The share of labelled runs without a sign of trouble that were healthy, when only so much of them was logged."""
        s = self.signals
        rows = [int(np.isfinite(column).sum()) for column in (s.loss, s.norm)]
        known = float(np.interp(min(n for n in rows if n), *HEALTHY_BY_ROWS)) if any(rows) else 0.0
        return known if all(rows) else min(known, ONE_COLUMN_CEILING)

    @cached_property
    def signs(self) -> Mapping[str, float]:
        """The grade of every sign."""
        return grade_all(self)


def build_case(
    run: Run, signals: Signals, *, config: TrainingConfig, threshold: float | None, threshold_source: str
) -> Case:
    """The case of one run."""
    return Case(run, signals, config=config, threshold=threshold, threshold_source=threshold_source)


def notable_steps(case: Case) -> tuple[NotableStep, ...]:
    """The steps with the largest norms, infinite ones first, in order of step, with their loss.

    The ten largest norms of the run, and how many times the median of all finite norms each is: the steps to look at first,
    whatever the diagnosis. The loss beside it is that of the same step, None where none was logged.
    """
    s = case.signals
    rows = np.flatnonzero(s.has_norm)
    if len(rows) == 0:
        return ()
    size = np.where(np.isfinite(s.norm[rows]), s.norm[rows], -np.inf)
    size[np.isinf(s.norm[rows])] = np.inf
    if len(size) > MOST_NOTABLE:
        # Only what reaches the tenth largest has to be put in order.
        reach = size >= np.partition(size, -MOST_NOTABLE)[-MOST_NOTABLE]
        rows, size = rows[reach], size[reach]
    chosen = np.sort(rows[np.argsort(-size, kind="stable")[:MOST_NOTABLE]])
    with np.errstate(over="ignore"):
        median = float(np.median(case.finite_norm)) if len(case.finite_norm) else float("nan")
    return tuple(
        NotableStep(
            step=int(s.step[row]),
            grad_norm=float(s.norm[row]),
            loss=float(s.loss[row]) if s.has_loss[row] else None,
            times_median=float(s.norm[row]) / median if median > 0 else None,
        )
        for row in chosen
    )
