"""All parameters of a model as one flat vector, and the optimisers that move it.

One vector instead of a list of tensors makes a step of a tiny model several times cheaper, and the norms of gradient,
update and weights are one call each. The optimisers are PyTorch's own, on that single vector, except Lion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.runs.spec import Spec


class FlatParameters:
    """Views into one vector of weights and one of gradients, in the order of `module.named_parameters()`."""

    def __init__(self, module: nn.Module) -> None:
        """Move the module's parameters into one vector; each keeps its shape as a view."""
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        size = sum(p.numel() for _, p in named)
        self.vector = nn.Parameter(torch.zeros(size))
        self.gradient = torch.zeros(size)
        self.vector.grad = self.gradient
        self.spans: dict[str, slice] = {}
        begin = 0
        with torch.no_grad():
            for name, p in named:
                span = slice(begin, begin + p.numel())
                self.vector[span] = p.reshape(-1)
                p.data = self.vector.data[span].view_as(p)
                p.grad = self.gradient[span].view_as(p)
                self.spans[name] = span
                begin = span.stop

    def layer_norms(self) -> dict[str, float]:
        """Gradient norm of each weight matrix (biases and gains left out), by parameter name."""
        return {
            name.removesuffix(".weight").replace(".", "/"): float(self.gradient[span].norm())
            for name, span in self.spans.items()
            if name.endswith("weight") and span.stop - span.start > 1
        }


class Lion(torch.optim.Optimizer):
    """Sign of an interpolated momentum (Chen et al., Symbolic Discovery of Optimization Algorithms, 2023)."""

    def __init__(self, params: list[nn.Parameter], *, lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        """Keep one momentum vector per parameter."""
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Move every parameter by the rate in each coordinate."""
        del closure
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                momentum = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.add_(torch.sign(first * momentum + (1 - first) * p.grad), alpha=-group["lr"])
                momentum.mul_(second).add_(p.grad, alpha=1 - second)


def build_optimiser(spec: Spec, vector: nn.Parameter) -> torch.optim.Optimizer:  # noqa: PLR0911 - one a name
    """Return the optimiser that `spec.opt` names; the rate is set at every step."""
    params = [vector]
    adaptive: dict[str, Any] = {"lr": spec.lr, "betas": (0.9, spec.beta2), "foreach": False}
    match spec.opt:
        case "sgd":
            return torch.optim.SGD(params, lr=spec.lr, foreach=False)
        case "sgdm":
            return torch.optim.SGD(params, lr=spec.lr, momentum=0.9, foreach=False)
        case "nesterov":
            return torch.optim.SGD(params, lr=spec.lr, momentum=0.9, nesterov=True, foreach=False)
        case "adam":
            return torch.optim.Adam(params, **adaptive)
        case "adamw":
            return torch.optim.AdamW(params, weight_decay=spec.weight_decay, **adaptive)
        case "amsgrad":
            return torch.optim.Adam(params, amsgrad=True, **adaptive)
        case "rmsprop":
            return torch.optim.RMSprop(params, lr=spec.lr, alpha=spec.beta2, foreach=False)
        case "adagrad":
            return torch.optim.Adagrad(params, lr=spec.lr, foreach=False)
        case "lion":
            return Lion(params, lr=spec.lr)
    message = f"no optimiser is called {spec.opt!r}"
    raise ValueError(message)


def squared_ratio(optimiser: torch.optim.Optimizer, vector: nn.Parameter, beta2: float) -> float | None:
    """RMS of g / sqrt(v) over all coordinates before the step, None where the optimiser keeps no second moment.

    About 1 while the second moment fits the gradients; far above 1 at a shock it has not seen, far below 1 while it
    remembers one (Wortsman et al., Stable and low-precision training, 2023, use it per tensor).
    """
    state: dict[str, Tensor] = optimiser.state.get(vector, {})
    moment = state.get("exp_avg_sq", state.get("square_avg"))
    if moment is None or vector.grad is None:
        return None
    if "exp_avg_sq" in state:
        moment = moment / max(1.0 - beta2 ** float(state["step"]), 1e-12)
    return float((vector.grad**2 / moment.clamp_min(1e-16)).mean().sqrt())
