"""What the recorder may do to gradients, if told to: clip them, or leave a step out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from gradlens.recorder.parameters import Parameters
from gradlens.recorder.shards import is_distributed_tensor

if TYPE_CHECKING:
    from gradlens.recorder.acting import Skip
    from gradlens.recorder.rows import Row


class Clipper:
    """Clips as `torch.nn.utils.clip_grad_norm_` in the loop would; leaves steps out by the rules of a `Skip`."""

    def __init__(self, parameters: Parameters, max_norm: float | None, skip: Skip | None) -> None:
        self._parameters = parameters
        self._max_norm = max_norm
        self._skip = skip

    @property
    def wants_to_stop(self) -> bool:
        """Whether too many steps were left out for the training to go on."""
        return self._skip is not None and self._skip.wants_to_stop

    def clip(self) -> None:
        """Scale all gradients so that their norm is at most the threshold."""
        if self._max_norm is not None:
            torch.nn.utils.clip_grad_norm_([w.parameter for w in self._parameters.watched], self._max_norm)

    def leaves_out(self, row: Row, tell: Callable[..., None]) -> bool:
        """Whether this step is to be left out; then the gradients are gone, and the optimizer finds nothing to do."""
        if self._skip is None:
            return False
        norm = self._norm(row)
        reason = self._skip.judge(norm)
        if not reason:
            return False
        tell("step-skipped", grad_norm_was=norm, reason=reason, in_a_row=self._skip.in_a_row)
        for watched in self._parameters.watched:
            watched.parameter.grad = None
        return True

    def _norm(self, row: Row) -> float:
        """The norm of this step as a number: the one place where the host waits for the device."""
        measured = row.values.get("grad_norm", row.norms.get(None, {}).get("grad_norm"))
        if measured is None or any(key is not None for key in row.norms):
            gradients = [w.parameter.grad for w in self._parameters.watched if w.parameter.grad is not None]
            measured = torch.nn.utils.get_total_norm(gradients)
            measured = measured.full_tensor() if is_distributed_tensor(measured) else measured
        return float(measured)
