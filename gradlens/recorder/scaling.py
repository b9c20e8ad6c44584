"""Loss scaling: by what the gradients are multiplied when they are measured, and which steps the scaler leaves out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from gradlens.recorder.rows import Row, held


class LossScaling:
    """Follows a `torch.amp.GradScaler`, or nothing where there is none or it is disabled.

    A scaler leaves a step out by not calling the optimizer, so no hook of the optimizer tells; its `step` is listened to for
    that, and put back by `unwatch`.
    """

    def __init__(self, scaler: Any, optimizers: Sequence[Any]) -> None:
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._optimizers = optimizers
        self._after_skip: weakref.WeakMethod[Callable[[], None]] | None = None
        self._ran = False
        self._handles: list[Any] = []

    def now(self, row: Row) -> dict[int, Any]:
        """The factor that gradients still carry, by the `id` of their optimizer; the scale goes into the row."""
        scale = self._scaler._get_scale_async() if self._scaler is not None else None  # noqa: SLF001 - get_scale() waits for the device
        if scale is None:
            return {}
        kept = row.values["loss_scale"] = held(scale)
        return {id(o): kept for o in self._optimizers if self._is_scaled(o)}

    def unscale_all(self, optimizer: Any) -> None:
        """Unscale what the others hold when the scaler steps the first of several optimizers.

        A joint norm is of unscaled gradients alone. A loop that clips calls `scaler.unscale_` for each of them as well.
        """
        if len(self._optimizers) == 1 or self._scaler is None or self._is_scaled(optimizer):
            return
        for other in self._optimizers:
            held_here = any(p.grad is not None for group in other.param_groups for p in group["params"])
            if held_here and self._is_scaled(other):
                self._scaler.unscale_(other)

    def _is_scaled(self, optimizer: Any) -> bool:
        if self._scaler is None:
            return False
        states = self._scaler._per_optimizer_states  # noqa: SLF001 - the scaler tells nobody what it has unscaled
        return id(optimizer) not in states or states[id(optimizer)]["stage"].name == "READY"

    @property
    def found_inf(self) -> Any:
        """Of a fused optimizer, which is called even then: whether the gradients are not finite, as a tensor."""
        return getattr(self._optimizers[0], "found_inf", None) if self._scaler is not None else None

    def watch(self, after_skip: weakref.WeakMethod[Callable[[], None]]) -> None:
        """Call `after_skip` after each step that the scaler has left out."""
        if self._scaler is None:
            return
        self._after_skip = after_skip
        self._handles = [o.register_step_pre_hook(self._note) for o in self._optimizers]
        if not isinstance(vars(self._scaler).get("step"), HeardStep):
            self._scaler.step = HeardStep(self._scaler)
        self._scaler.step.listeners.append(self)

    def unwatch(self) -> None:
        """Put the scaler back as it was, unless others listen to it as well."""
        step = vars(self._scaler).get("step") if self._scaler is not None else None
        if isinstance(step, HeardStep) and self in step.listeners:
            step.listeners.remove(self)
            if not step.listeners:
                step.let_go()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def begin(self) -> None:
        """The scaler was asked for a step."""
        self._ran = False

    def end(self, optimizer: Any) -> None:
        """It is done, or was left out."""
        call = self._after_skip() if self._after_skip is not None else None
        is_last = getattr(optimizer, "optimizer", optimizer) is self._optimizers[-1]
        if not self._ran and is_last and call is not None:
            call()

    def _note(self, *_: Any) -> None:
        self._ran = True


class HeardStep:
    """The `step` of one scaler, and who listens to it."""

    def __init__(self, scaler: Any) -> None:
        self._scaler, self._inner, self._was = scaler, scaler.step, vars(scaler).get("step")
        self.listeners: list[LossScaling] = []

    def __call__(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Step as the scaler does."""
        heard = tuple(self.listeners)
        for listener in heard:
            listener.begin()
        result = self._inner(optimizer, *args, **kwargs)
        for listener in heard:
            listener.end(optimizer)
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of the scaler, by pickle or `deepcopy`, has its own plain `step`: nobody listens to it."""
        return getattr, (self._scaler, "step")

    def let_go(self) -> None:
        """Give the scaler its own `step` back."""
        if self._was is None:
            del self._scaler.step
        else:
            self._scaler.step = self._was
