"""What a run is: every choice that went into training it, and nothing that came out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HEALTHY = "healthy"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRule:
    """A threshold chosen from the norms of a reference run, as a person would choose it from an earlier log.

    The threshold is `factor` times the `quantile` of the reference's norms after warm-up, rounded to two digits.
    """

    reference: str
    quantile: float
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One run. The names are the keys of `label.json`; a field left out there is the default here."""

    run: str
    family: str
    seed: int
    recipe: str
    split: str
    fault: str = HEALTHY
    strength: str = ""
    twin: str = ""
    # Optimisation. `beta2` is the decay of squared gradients in every optimiser that keeps them.
    opt: str = "adamw"
    lr: float = 1e-3
    warmup: int = 0
    schedule: str = "const"
    clip: float | None = None
    clip_rule: ClipRule | None = None
    batch: int = 32
    steps: int = 1000
    beta2: float = 0.999
    l2: float = 0.0
    l2_in_loss: bool = False
    weight_decay: float = 0.0
    drop_last: bool = True
    dropout: float = 0.0
    arch: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    # Numerics: `scaler` overrides the defaults of scaling.LossScale.
    precision: str = "fp32"
    scaler: Mapping[str, float] = field(default_factory=dict)
    # Logging.
    first_step: int = 0
    log_every: int = 1
    log_average: bool = False
    log_decimals: int | None = None
    # Weight of the past in a logged loss that is smoothed, as some progress bars' is; 0 logs it as it was.
    log_smooth: float = 0.0
    log_layers: bool = False
    log_val: bool = False
    log_postclip: bool = False
    log_after: bool = False
    overflow_as: str = "inf"
    # What was done to the run, and when.
    phases: tuple[tuple[int, str], ...] = ((0, "main"),)
    bad_kind: str = ""
    bad_steps: tuple[int, ...] = ()
    bad_same: bool = False
    restarts: tuple[int, ...] = ()
    restart_peak: float = 1.0
    resume: tuple[int, int] | None = None
    resume_renumber: bool = False
    batch_change: tuple[int, int] | None = None
    acted_steps: tuple[int, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Runs that must exist before this one can be trained or judged."""
        named = (self.twin, self.clip_rule.reference if self.clip_rule else "")
        return tuple(dict.fromkeys(name for name in named if name))
