"""GL506: one shock, then damage for as long as Adam remembers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.signs.events import is_adaptive, shock
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause
from gradlens.stats import adam


class SecondMomentLag(CauseCheck):
    """One shock, then damage for as long as Adam remembers.

    What it measures
    ----------------
    The strongest joint event, the excess of the loss in the thirty rows after it, whether the loss swells for some steps
    before it recovers, and, where the configuration is known, by how much the shock divides the steps of the optimizer and
    for how long.

    Why it matters
    --------------
    After one huge gradient Adam's second moment stays large for 1 / (1 - beta2) steps and the steps too small;
    after a jump from small gradients to large ones it is too small, and the steps up to (1 - beta1) / sqrt(1 -
    beta2) times too large, 3.2 at (.9, .999).

    Threshold
    ---------
    A norm of {damage_after_shock.ratio} times the level, followed by losses {damage_after_shock.damage} deviations
    higher; or one of {swells_after_shock.ratio} times, followed by a swelling of {swells_after_shock.swell}
    deviations within 100 rows. With beta2 known, steps divided by {slow_memory.slowed} for {slow_memory.rows} rows.
    Our own limits. SGD or a beta2 of {cannot_lag.max_beta2} and below rules it out.

    When it is wrong
    ----------------
    A single bad batch that wrecks the weights, and a data shift, look the same in loss and norm.

    What to try
    -----------
    Repeat with beta2 = .95, or clip. Log the RMS of g^2 / v: it exceeds 2 where the second moment lags.

    References
    ----------
    Wortsman et al., Stable and low-precision training for large-scale vision-language models (2023).
    """

    code = "GL506"
    name = "second-moment-lag"
    cause: ClassVar[Cause | None] = "adam_beta2_lag"
    advice = "lower beta2 towards .95 or clip below the shock; log the RMS of g^2/v"

    def message(self, case: Case) -> str:
        """The shock and what followed."""
        if not case.events:
            return "the loss stays raised after a shock"
        worst = max(case.events, key=lambda e: e.norm_ratio)
        return (
            f"a norm {worst.norm_ratio:.3g} times the level at step {case.signals.step[worst.first]:,} leaves the loss "
            f"{worst.damage:.2g} deviations higher"
        )

    def facts(self, case: Case) -> Iterator[Evidence]:
        """The signs, and what the configuration says that the shock does to Adam."""
        yield from super().facts(case)
        beta2 = case.config.beta2
        if beta2 is not None and 0 <= beta2 < 1 and is_adaptive(case) and case.events:
            yield Evidence(label="steps divided by, right after the shock", value=adam.slowdown(shock(case), beta2))
            yield Evidence(label="steps until the second moment forgets it", value=adam.memory(beta2))

    def rows(self, case: Case) -> Iterable[int]:
        """The shock."""
        return [max(case.events, key=lambda e: e.norm_ratio).first] if case.events else []
