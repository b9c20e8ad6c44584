"""The loss of one batch just before and just after its own update, with nothing of the training moved by asking.

Both are computed without gradients by the caller's closure, from the same random states, so that dropout draws the same
masks; then random states and buffers (running statistics of batch normalisation among them) are put back, those that the
forward pass has assigned again as well. What else it changes, a counter in Python or a `torch.Generator` of the loop's own,
cannot be known here.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Probe:
    """One probe: `before()` and, after the update, `after()`; both give a detached scalar tensor or a number."""

    def __init__(self, closure: Callable[[], Any], model: Any) -> None:
        self._closure = closure
        self._model = model
        self._states = RandomStates(model)

    def before(self) -> Any:
        """The loss with the weights as they are."""
        return self._ask()

    def after(self) -> Any:
        """The same once more; call it after the update."""
        return self._ask()

    def _ask(self) -> Any:
        now = RandomStates(self._model)
        with kept_buffers(self._model), torch.no_grad():
            self._states.restore()
            # Inside an autocast region, casts of weights are kept: those from before an update would be stale after it.
            torch.clear_autocast_cache()
            try:
                loss = self._closure()
            finally:
                torch.clear_autocast_cache()
                now.restore()
                _reshard(self._model)
        return loss.detach().clone() if isinstance(loss, torch.Tensor) else float(loss)


class RandomStates:
    """The states of the generators that a forward pass may draw from: PyTorch's on every device in use, NumPy's, Python's."""

    def __init__(self, model: Any) -> None:
        self._python = random.getstate()
        # A state can be read only where NumPy is loaded; a closure that loads it then starts a new one.
        self._numpy = numpy.random.get_state() if (numpy := sys.modules.get("numpy")) is not None else None
        self._cpu = torch.get_rng_state()
        self._devices = {device: _device_state(device) for device in _devices_of(model)}

    def restore(self) -> None:
        """Put all of them back."""
        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy"].random.set_state(self._numpy)
        torch.set_rng_state(self._cpu)
        for device, state in self._devices.items():
            torch.get_device_module(device).set_rng_state(state, device)


def _devices_of(model: Any) -> set[torch.device]:
    if model is None:
        return set()
    return {p.device for p in model.parameters() if p.device.type not in {"cpu", "meta"}}


def _device_state(device: torch.device) -> Any:
    return torch.get_device_module(device).get_rng_state(device)


@contextmanager
def kept_buffers(model: Any) -> Iterator[None]:
    """Whatever happens inside, the modules have their buffers afterwards, and these hold what they held before."""
    tables = [] if model is None else [(module._buffers, dict(module._buffers)) for module in model.modules()]  # noqa: SLF001 - assigning is not seen elsewhere
    buffers = list({id(b): b for _, table in tables for b in table.values() if b is not None}.values())
    saved = [b.detach().clone() for b in buffers]
    try:
        yield
    finally:
        for now, before in tables:
            now.clear()
            now.update(before)
        with torch.no_grad():
            for buffer, value in zip(buffers, saved, strict=True):
                buffer.copy_(value)


def _reshard(model: Any) -> None:
    """Give back the gathered weights of FSDP2: kept for a backward pass that a probe has not, they would be stale next time."""
    for module in () if model is None else model.modules():
        if hasattr(module, "reshard") and hasattr(module, "unshard"):
            module.reshard()
