"""What the recorder may do to gradients, if told to: clip them, or leave a step out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from gradlens.recorder.parameters import Parameters
from gradlens.recorder.scaling import LossScaling
from gradlens.recorder.shards import is_distributed_tensor

if TYPE_CHECKING:
    from gradlens.recorder.acting import Skip
    from gradlens.recorder.rows import Row

#: What a hook before a step gives back in place of the arguments, None for leaving them.
Changed = tuple[tuple[Any, ...], dict[str, Any]] | None


class Clipper:
    """Clips as `torch.nn.utils.clip_grad_norm_` in the loop would; leaves steps out by the rules of a `Skip`."""

    def __init__(self, parameters: Parameters, scaling: LossScaling, max_norm: float | None, skip: Skip | None) -> None:
        self._parameters = parameters
        self._scaling = scaling
        self._max_norm = max_norm
        self._skip = skip
        self._clipped: list[tuple[int, int]] = []

    @property
    def wants_to_stop(self) -> bool:
        """Whether too many steps were left out for the training to go on."""
        return self._skip is not None and self._skip.wants_to_stop

    def before_step(self, optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_first: bool) -> Changed:
        """Clip before an optimizer steps; `is_first` for the first of those that step together.

        Gradients that a closure makes are there only after it, so it is replaced by one that clips at its end. Many closures
        do nothing (Lightning's, where optimization is manual): the gradients that were there are clipped all the same.
        """
        if self._max_norm is None:
            return None
        if is_first:
            self._clipped = []
        closure = closure_of(args, kwargs)
        if closure is None:
            if is_first:  # one norm over all: it holds for the others, too
                self._clip(optimizer)
            return None

        def clipping_closure() -> Any:
            result = closure()
            # Clipping twice would change the last digits.
            if not self._clipped or self._clipped != self._state():
                self._clip(optimizer)
            return result

        if len(args) > 1:
            return (args[0], clipping_closure, *args[2:]), dict(kwargs)
        return tuple(args), {**kwargs, "closure": clipping_closure}

    def _clip(self, optimizer: Any) -> None:
        """Scale all gradients so that their norm is at most the threshold."""
        self._parameters.refresh()
        self._scaling.unscale_all(optimizer)
        torch.nn.utils.clip_grad_norm_([w.parameter for w in self._parameters.watched], self._max_norm)
        self._clipped = self._state()

    def _state(self) -> list[tuple[int, int]]:
        """Which gradients there are, and how often each was written to."""
        gradients = [w.parameter.grad for w in self._parameters.watched]
        return [(id(g), g._version) for g in gradients if g is not None]  # noqa: SLF001 - there is no public name

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
        measured = row.values.get("given_norm", row.norms.get(None, {}).get("grad_norm"))
        if measured is None or any(key is not None for key in row.norms):
            gradients = [w.parameter.grad for w in self._parameters.watched if w.parameter.grad is not None]
            measured = torch.nn.utils.get_total_norm(gradients)
            measured = measured.full_tensor() if is_distributed_tensor(measured) else measured
        return float(measured)


def closure_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[], Any] | None:
    """The closure among the arguments of a step, the optimizer being the first; wrappers of optimizers pass None along."""
    found: Callable[[], Any] | None = args[1] if len(args) > 1 else kwargs.get("closure")
    return found
