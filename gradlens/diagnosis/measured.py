"""What is measured on one run, prepared once, with everything derived from it computed when first asked for.

Checks and signs read these; the weighing of what the signs say is in `gradlens.diagnosis.case`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.config import TrainingConfig
from gradlens.diagnosis.features.curves import Curve, curve_of, window_of
from gradlens.diagnosis.features.events import (
    Event,
    find_bursts,
    find_events,
    is_material,
    joint_strength,
    linear_strength,
)
from gradlens.diagnosis.features.norms import Clipped, Norms, clipped_of, norms_of
from gradlens.diagnosis.features.numerics import Numerics, numerics_of
from gradlens.diagnosis.features.progress import Progress, progress_of
from gradlens.diagnosis.features.recorder import COLUMNS, MIN_PROBES, Recorded, recorded_of
from gradlens.diagnosis.features.schedule import Schedule, schedule_of
from gradlens.diagnosis.features.steps import Break, Sides, Step, find_break, find_step, sides_of
from gradlens.diagnosis.kind import MEANINGLESS, UNLEARNED, LossKind, loss_kind
from gradlens.reports.analysis import Provenance
from gradlens.reports.base import ThresholdSource
from gradlens.run import Run
from gradlens.signals.axis import Signals, laid_out
from gradlens.signals.provenance import judge_provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 60
#: Changes of the loss from row to row below which their correlation is not known.
MIN_CHANGES = 20
#: Share of the first loss below which a loss is zero for every purpose: its relative changes mean nothing.
MIN_LOSS_SHARE = 1e-6
#: Share of its steps from which on a training is over: the last rows may be missing.
ENDED = 0.95


class Measured:
    """One run with everything that is measured on it; nothing here is a belief.

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
        self,
        run: Run,
        signals: Signals,
        *,
        config: TrainingConfig,
        threshold: float | None,
        threshold_source: ThresholdSource,
        is_running: bool = False,
    ) -> None:
        self.run = run
        self.signals = signals
        self.config = config
        self.threshold = threshold
        self.threshold_source = threshold_source
        self._is_running = is_running

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def is_unfinished(self) -> bool:
        """Whether the end of the training is known to lie after the last row."""
        total = self.config.total_steps
        return self._is_running or (total is not None and len(self) > 0 and self.signals.step[-1] < ENDED * total)

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
            "val_loss": self.run.val_loss is not None,
            "layers": bool(self.run.layers),
            "probes": self.recorded.n_probes >= MIN_PROBES,
            "threshold": self.threshold is not None,
            "trusted_norm": norm > 0 and self.provenance.trusted,
            "rows": len(s) >= MIN_ROWS,
            "steps": (s.log_interval or 1.0) <= 2.0,
        }
        return frozenset(need for need, has in present.items() if has)

    @cached_property
    def provenance(self) -> Provenance:
        """Where the norms were measured."""
        return judge_provenance(self.run, self.signals, self.threshold, self.threshold_source)

    @cached_property
    def finite_norm(self) -> NDArray[np.float64]:
        """float64[k]: the finite norms, in order."""
        return self.signals.norm[np.isfinite(self.signals.norm)]

    @cached_property
    def loss(self) -> Curve:
        """The loss with its level taken out; anything below a millionth of the first loss counts as zero."""
        return curve_of(self.signals.loss, window_of(len(self)), floor=MIN_LOSS_SHARE)

    @cached_property
    def change_correlation(self) -> float | None:
        """How far each change of the loss follows the one before: +1 for a smooth curve, -1/2 for a level with noise.

        None with fewer than 20 changes between finite losses; 1 for a constant loss.
        """
        change = np.diff(self.signals.loss[np.isfinite(self.signals.loss)])
        if len(change) < MIN_CHANGES:
            return None
        size = float(np.mean(change**2))
        # Twice one minus the correlation is what the squares of second differences are to those of first ones.
        return 1.0 if size == 0.0 else 1.0 - 0.5 * float(np.mean(np.diff(change) ** 2)) / size

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
        """Whether good training brings this loss down; the course of others means nothing."""
        return self.loss_kind not in MEANINGLESS

    @property
    def has_learned_curves(self) -> bool:
        """Whether the curves of such a loss were among those that the second opinion was learned from."""
        return self.loss_kind not in UNLEARNED

    @cached_property
    def loss_kind(self) -> LossKind:
        """What kind of loss this is."""
        return loss_kind(self.run)

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

        An assumed threshold may show what clipping at 1.0 would have done, but never triggers a finding.
        """
        if self.threshold is None or self.threshold_source == "assumed" or not self.provenance.trusted:
            return None
        return clipped_of(self.signals.norm, self.threshold, self.warmup_rows)

    @cached_property
    def recorded(self) -> Recorded:
        """What the columns of a recorder say; all NaN where the log has none."""
        names = {role: vocabulary.choose(role, self.run.series) for role in COLUMNS}
        column = {
            role: laid_out(self.signals, self.run.series[name]) for role, name in names.items() if name is not None
        }
        # Zero weights, infinite losses: what they give is not finite, and left out where it is used.
        with np.errstate(all="ignore"):
            return recorded_of(
                column, norm=self.signals.norm, rate=self.signals.lr, loss=self.signals.loss, threshold=self.threshold
            )

    @cached_property
    def strength(self) -> NDArray[np.float64]:
        """float64[n]: how strongly loss and norm stand out together."""
        return np.where(self._matters, joint_strength(self.loss, self.norm, self.linear_strength), 0.0)

    @cached_property
    def linear_strength(self) -> NDArray[np.float64]:
        """float64[n]: the same by differences on a linear scale."""
        return np.where(self._matters, linear_strength(self.signals.loss, self.signals.norm), 0.0)

    @cached_property
    def _matters(self) -> NDArray[np.bool_]:
        p = self.progress
        return np.ones(len(self), dtype=bool) if p is None else is_material(self.loss, p.start, p.start - p.best)

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
