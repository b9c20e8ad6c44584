"""Loss scaling: by what the gradients are multiplied when they are measured, and which steps the scaler leaves out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from gradlens.recorder.rows import Row, held


class LossScaling:
    """Follows a `torch.amp.GradScaler`, or nothing where there is none or it is disabled.

    A scaler leaves a step out by not calling the optimizer, so no hook of the optimizer tells; its `step` is wrapped for
    that, and put back by `unwatch`.
    """

    def __init__(self, scaler: Any, optimizers: Sequence[Any]) -> None:
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._optimizers = optimizers
        self._ran = False

    def now(self, row: Row) -> Any:
        """The factor that the gradients still carry, None for none; the scale goes into the row."""
        if self._scaler is None:
            return None
        scale = self._scaler._get_scale_async()  # noqa: SLF001 - get_scale() waits for the device
        if scale is None:
            return None
        row.values["loss_scale"] = held(scale)
        states = self._scaler._per_optimizer_states  # noqa: SLF001 - the scaler tells nobody what it has unscaled
        stage = states[id(self._optimizers[0])]["stage"] if id(self._optimizers[0]) in states else None
        return None if stage is not None and stage.name == "UNSCALED" else held(scale)

    @property
    def found_inf(self) -> Any:
        """Of a fused optimizer, which is called even then: whether the gradients are not finite, as a tensor."""
        return getattr(self._optimizers[0], "found_inf", None) if self._scaler is not None else None

    def watch(self, after_skip: weakref.WeakMethod[Callable[[], None]]) -> None:
        """Call `after_skip` after each step that the scaler has left out."""
        scaler = self._scaler
        if scaler is None:
            return
        self._handles = [o.register_step_pre_hook(self._note) for o in self._optimizers]
        last, inner = self._optimizers[-1], scaler.step

        def step(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            self._ran = False
            result = inner(optimizer, *args, **kwargs)
            call = after_skip()
            if not self._ran and call is not None and getattr(optimizer, "optimizer", optimizer) is last:
                call()
            return result

        scaler.step = step

    def unwatch(self) -> None:
        """Put the scaler back as it was."""
        if self._scaler is not None and "step" in vars(self._scaler):
            del self._scaler.step
            for handle in self._handles:
                handle.remove()

    def _note(self, *_: Any) -> None:
        self._ran = True
