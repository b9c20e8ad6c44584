"""GL507: the norm is dominated by a weight penalty inside the gradient."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.base import Cause


class CoupledWeightPenalty(CauseCheck):
    """The norm is dominated by a weight penalty inside the gradient.

    What it measures
    ----------------
    The noise of ln norm between neighbouring rows, alone and against that of ln loss; and whether the norm only ever
    falls, as weights do that a penalty shrinks at a constant pace.

    Why it matters
    --------------
    The gradient of an L2 penalty is the weights themselves: it does not depend on the batch, so a norm that hardly
    reacts to the batch is mostly penalty. Under Adam such a penalty is rescaled like everything else and no longer
    decays the weights evenly; thresholds chosen by this norm clip the weights, not the data.

    Threshold
    ---------
    Noise below {norm_quiet.noise}, or below {norm_fades_smoothly.noise_of_fade} of a fall of
    {norm_fades_smoothly.fade} times that continues through every twentieth of the run. Labelled runs have at least 7 %
    without and at most .5 % with the fault. Averaged and clipped norms are excluded.

    When it is wrong
    ----------------
    Full-batch training has no noise either. A penalty that is only part of the norm leaves the noise in place and
    cannot be seen.

    What to try
    -----------
    Use decoupled weight decay (AdamW), and log the norm before the penalty is added.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization (2019).
    """

    code = "GL507"
    name = "coupled-weight-penalty"
    cause: ClassVar[Cause | None] = "l2_contamination"
    advice = "use decoupled weight decay, and log the norm of the data gradient alone"

    def message(self, case: Case) -> str:
        """How quiet the norm is."""
        n = case.norms
        return (
            f"the norm varies by only {percent(n.noise, 2)} from batch to batch"
            if n
            else "the norm hardly reacts to the batch"
        )
