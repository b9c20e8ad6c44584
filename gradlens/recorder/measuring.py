"""Norms, updates and second moments: what is measured at one optimizer step, on the device, with foreach kernels.

Nothing here waits for a device. Norms of parameters in half precision are accumulated in float32: in bfloat16 a norm would
have two digits. In float32 the total is computed as `torch.nn.utils.clip_grad_norm_` does, so both agree to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradlens.recorder.parameters import Parameters, Watched
from gradlens.recorder.rows import Row
from gradlens.recorder.shards import local_part

#: By what loss scaling has multiplied the gradients, by the `id` of their optimizer; nothing for those that it has not.
Scales = Mapping[int, Any]
#: Below the square of Adam's epsilon a second moment does not count: v is at least this in g²/v. Wortsman et al., Stable
#: and low-precision training for large-scale vision-language models (2023), section 3.4, do the same.
MIN_MOMENT = 1e-16
#: Elements of a piece that fits the cache of a processor together with what is computed from it.
CPU_PIECE = 1 << 16
#: Names of a running mean of g² in the state of an optimizer, and whether it is corrected for its start.
_MOMENTS = (("exp_avg_sq", True), ("square_avg", False))


def norms_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The L2 norm of each tensor, in float32 at least."""
    if not tensors:
        return []
    if len({(t.device, t.dtype) for t in tensors}) == 1 and not tensors[0].is_sparse:
        low = tensors[0].dtype in {torch.float16, torch.bfloat16}
        return list(torch._foreach_norm(tensors, 2.0, torch.float32 if low else None))  # noqa: SLF001 - as torch's own clipping
    return [_norm_of(t) for t in tensors]


def _norm_of(tensor: Tensor) -> Tensor:
    low = tensor.dtype in {torch.float16, torch.bfloat16}
    return torch.linalg.vector_norm(tensor, 2.0, dtype=torch.float32 if low else None)


def total_of(norms: Sequence[Tensor]) -> Tensor:
    """The norm of all together."""
    device = norms[0].device
    return torch.linalg.vector_norm(torch.stack([n.to(device) for n in norms]))


def real_part_of(tensor: Any) -> Tensor:
    """The part of a tensor that lies here; a complex one as pairs of real numbers, whose norms and products are the same."""
    part: Tensor = local_part(tensor)
    return torch.view_as_real(part.resolve_conj()) if part.is_complex() else part


def dense(gradient: Any) -> Tensor:
    """A gradient as a dense tensor of this rank's part; of a sparse one the rows that it has."""
    part = local_part(gradient)
    return real_part_of(part.coalesce().values() if part.is_sparse else part)


def gradients_of(parameters: Parameters) -> list[tuple[Watched, Tensor]]:
    """The parameters that have a gradient, with this rank's part of it."""
    return [(w, dense(w.parameter.grad)) for w in parameters.watched if w.parameter.grad is not None]


def by_key(pairs: Sequence[tuple[Watched, Tensor]]) -> dict[Any, list[tuple[Watched, Tensor]]]:
    """Pairs by shard group."""
    groups: dict[Any, list[tuple[Watched, Tensor]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].key, []).append(pair)
    return groups


@torch.no_grad()
def measure_gradients(row: Row, parameters: Parameters, scales: Scales, *, with_layers: bool) -> None:
    """The norm of the gradients, without what loss scaling has multiplied them by; also by layer if asked."""
    pairs = gradients_of(parameters)
    for key, group in by_key(pairs).items():
        norms = norms_of([gradient for _, gradient in group])
        device = norms[0].device
        stack = torch.stack([n.to(device) for n in norms])
        if scales:
            carried = [scales.get(id(w.optimizer)) for w, _ in group]
            alike = all(c is carried[0] for c in carried)
            stack = stack / (carried[0] if alike and carried[0] is not None else _stacked(carried, stack))
        row.norms.setdefault(key, {})["grad_norm"] = torch.linalg.vector_norm(stack)
        if with_layers and parameters.by:
            row.layers[key] = (stack, [w.layer for w, _ in group])


def _stacked(scales: Sequence[Any], like: Tensor) -> Tensor:
    one = torch.ones((), device=like.device)
    return torch.stack([one if s is None else s.to(like.device).reshape(()).float() for s in scales])


def _unscaled(watched: Watched, gradient: Tensor, scales: Scales) -> Tensor:
    scale = scales.get(id(watched.optimizer))
    return gradient if scale is None else gradient / scale.to(gradient.device)


@torch.no_grad()
def copy_weights(parameters: Parameters) -> list[tuple[Watched, Tensor]]:
    """The trained parameters with copies of this rank's part of them."""
    return [(w, real_part_of(w.parameter).detach().clone()) for w in parameters.watched]


@torch.no_grad()
def measure_weights(row: Row, parameters: Parameters) -> None:
    """The norm of the weights before the update."""
    for key, group in by_key([(w, real_part_of(w.parameter).detach()) for w in parameters.watched]).items():
        row.norms.setdefault(key, {})["weight_norm"] = total_of(norms_of([weights for _, weights in group]))


@torch.no_grad()
def measure_moments(row: Row, parameters: Parameters, scales: Scales) -> None:
    """The sum of g²/v over all elements with a second moment, and their number; nothing before the second update.

    `v` is the bias-corrected second moment before this update and g the gradient as it is when this is called.
    """
    totals: dict[Any, list[Tensor]] = {}
    counts: dict[Any, int] = {}
    for watched, gradient in gradients_of(parameters):
        moment = _moment_of(watched, parameters.group_of(watched))
        if moment is None or watched.parameter.grad.is_sparse:
            continue
        g = _unscaled(watched, gradient, scales)
        v, correction = moment
        total = _sum_of_ratios(g, v, MIN_MOMENT * _plain(correction))
        totals.setdefault(watched.key, []).append(total * correction)
        counts[watched.key] = counts.get(watched.key, 0) + gradient.numel()
    for key, terms in totals.items():
        table = row.products.setdefault(key, {})
        table["rms_squares"] = torch.stack([t.to(terms[0].device) for t in terms]).sum()
        table["rms_count"] = float(counts[key])


def _sum_of_ratios(g: Tensor, v: Tensor, floor: float) -> Tensor:
    """The sum of g²/v, v at least `floor`; on processors piece by piece, so that what comes between stays in the cache."""
    if g.device.type != "cpu" or g.numel() <= CPU_PIECE:
        return torch.div(g.float().square(), v.float().clamp_min(floor)).sum()
    pieces = zip(g.reshape(-1).split(CPU_PIECE), v.reshape(-1).split(CPU_PIECE), strict=True)
    return torch.stack([torch.div(a.float().square(), b.float().clamp_min(floor)).sum() for a, b in pieces]).sum()


def _plain(correction: Any) -> Any:
    """A correction as a plain number where it is one; a tensor (capturable optimizers) cannot bound without a sync."""
    return correction if isinstance(correction, float) else 1.0


def _moment_of(watched: Watched, group: dict[str, Any]) -> tuple[Tensor, Any] | None:
    """The running mean of g² of one parameter and the factor 1 - beta2**t that it lacks, or None."""
    state = watched.optimizer.state.get(watched.parameter)
    if not state:
        return None
    for name, is_corrected in _MOMENTS:
        moment = state.get(name)
        if isinstance(moment, Tensor) and moment.shape == watched.parameter.shape:
            if not is_corrected:
                return real_part_of(moment), 1.0
            betas, step = group.get("betas"), state.get("step")
            if betas is None or step is None:
                return None
            if isinstance(step, Tensor) and step.device.type != "cpu":
                return real_part_of(moment), 1.0 - betas[1] ** local_part(step)
            done = float(step)
            return (real_part_of(moment), 1.0 - float(betas[1]) ** done) if done > 0 else None
    return None


@torch.no_grad()
def measure_penalty(row: Row, parameters: Parameters, decay_of: Any, scales: Scales) -> None:
    """By how much a penalty that the optimizer adds to the gradient changes the square of its norm.

    With a decay of w that is 2w·g·p, linear in the gradient, and w²·p², each summed over the parameters p.
    """
    terms: dict[Any, list[tuple[Tensor, Tensor]]] = {}
    for watched, gradient in gradients_of(parameters):
        decay = decay_of(watched.optimizer, parameters.group_of(watched))
        if not decay or watched.parameter.grad.is_sparse:
            continue
        weights = real_part_of(watched.parameter).detach()
        g = _unscaled(watched, gradient, scales)
        terms.setdefault(watched.key, []).append((2 * decay * dot(g, weights), decay * decay * dot(weights, weights)))
    for key, found in terms.items():
        device = found[0][0].device
        table = row.products.setdefault(key, {})
        table["penalty_inner"] = torch.stack([inner.to(device) for inner, _ in found]).sum()
        table["penalty_square"] = torch.stack([square.to(device) for _, square in found]).sum()


@torch.no_grad()
def measure_update(row: Row, parameters: Parameters, before: list[tuple[Watched, Tensor]]) -> None:
    """The norm of the change of the weights, its product with the gradients, and the norm of these as the optimizer saw them.

    `before` is what `copy_weights` gave before the step; it is overwritten.
    """
    for watched, old in before:
        torch.sub(real_part_of(watched.parameter).detach(), old, out=old)
    change = {id(w.parameter): delta for w, delta in before}
    for key, group in by_key(before).items():
        row.norms.setdefault(key, {})["update_norm"] = total_of(norms_of([delta for _, delta in group]))
    for key, group in by_key([(w, g) for w, g in gradients_of(parameters) if id(w.parameter) in change]).items():
        seen = norms_of([gradient for _, gradient in group])
        products = [_product(w, gradient, change[id(w.parameter)]) for w, gradient in group]
        row.norms.setdefault(key, {})["seen_norm"] = total_of(seen)
        table = row.products.setdefault(key, {})
        table["grad_dot_update"] = torch.stack([p.to(products[0].device) for p in products]).sum()


def _product(watched: Watched, gradient: Tensor, delta: Tensor) -> Tensor:
    grad = local_part(watched.parameter.grad)
    if grad.is_sparse:
        grad = grad.coalesce()
        delta = delta[grad.indices()[0]] if grad.sparse_dim() == 1 else delta[tuple(grad.indices())]
    return dot(gradient, delta)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of two tensors of one shape, in float32 at least."""
    if a.dtype != b.dtype or a.dtype in {torch.float16, torch.bfloat16}:
        a, b = a.float(), b.float()
    return torch.dot(a.reshape(-1), b.reshape(-1))
