"""The dynamic loss scale of mixed-precision training, after the defaults of PyTorch's GradScaler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(kw_only=True, slots=True)
class LossScale:
    """Halves (by default) after a step whose gradients overflow, doubles after `growth_interval` clean ones."""

    init_scale: float = 65536.0
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: float = 2000.0
    scale: float = 0.0
    clean: int = 0

    def __post_init__(self) -> None:
        """Start at the initial scale."""
        self.scale = self.init_scale

    @classmethod
    def of(cls, changed: Mapping[str, float]) -> LossScale:
        """The defaults, with the fields that a spec changes."""
        scaler = cls()
        for name, value in changed.items():
            setattr(scaler, name, value)
        scaler.scale = scaler.init_scale
        return scaler

    def update(self, *, overflow: bool) -> None:
        """Account for one step."""
        if overflow:
            self.scale *= self.backoff_factor
            self.clean = 0
            return
        self.clean += 1
        if self.clean >= self.growth_interval:
            self.scale *= self.growth_factor
            self.clean = 0
