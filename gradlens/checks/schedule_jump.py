"""GL203: loss or norm jump with the learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.base import Cause


class ScheduleJump(CauseCheck):
    """Loss or norm jump with the learning rate.

    What it measures
    ----------------
    Rises of the learning rate by 30 % or more after the warm-up, and the loss and norm in the 5 % of the run that
    follow.

    Why it matters
    --------------
    A warm restart or a misconfigured schedule throws the weights out of the valley they are in. On purpose it
    is harmless; by accident it costs all progress since.

    Threshold
    ---------
    A jump to {response_to_jump.ratio} times the rate; afterwards a rise of the loss by {response_to_jump.loss_rise}
    deviations or of the norm to {response_to_jump.norm_rise} times its level. Our own limits.

    When it is wrong
    ----------------
    Cyclic schedules restart on purpose.

    What to try
    -----------
    If no restart was intended, check the scheduler's horizon (per epoch or per step) and its state on resume.
    Otherwise restart to a lower peak.

    References
    ----------
    Loshchilov and Hutter, SGDR (2017).
    """

    code = "GL203"
    name = "schedule-jump"
    cause: ClassVar[Cause | None] = "lr_restart"
    advice = "if the jump was not intended, check the scheduler's horizon and its state on resume"

    def message(self, case: Case) -> str:
        """The jumps."""
        jumps = case.schedule.jumps
        if not jumps:
            return "the learning rate jumps"
        row, ratio = max(jumps, key=lambda jump: jump[1])
        at = f"{case.signals.step[row]:,}"
        return f"the rate jumps {ratio:.3g}-fold at step {at} ({counted(len(jumps), 'jump')}), and loss or norm with it"

    def rows(self, case: Case) -> Iterable[int]:
        """The jumps."""
        return [row for row, _ in case.schedule.jumps]
