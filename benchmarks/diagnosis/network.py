"""Learns the network of the second opinion with PyTorch, for `benchmarks.diagnosis.opinion`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.diagnosis.network import Layer, Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

WIDTH, HIDDEN_LAYERS, EPOCHS = 192, 2, 12
DROPOUT_OF_INPUTS, DROPOUT, DECAY, RATE, BATCH = 0.2, 0.3, 0.1, 2e-3, 256
#: How much of what is aimed at is the expected cause, shared among the accepted ones, or among all. Chosen, like the above, among eight
#: settings by the answers on families left out.
EXPECTED, ACCEPTED, ANY = 0.637, 0.343, 0.02
#: The least spread of an input: one step of the grid.
MIN_SPREAD = 1.0
#: The score of a cause that no run had.
NEVER_SEEN = -30.0


def fit_network(
    inputs: Sequence[NDArray[np.int8]], expected: NDArray[np.intp], accepted: Array, *, weight: Array, seed: int = 0
) -> Network:
    """Learn from several views of the same runs, (runs, features) each, the cause of each run, (runs,), and how much it counts, (runs,).

    `accepted` (runs, causes) is 1 for the causes that count as right.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    seen = np.concatenate(inputs).astype(np.float32)
    centre, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), MIN_SPREAD)
    causes = accepted.shape[1]
    shared = accepted / accepted.sum(axis=1, keepdims=True)
    aim = EXPECTED * np.eye(causes)[expected] + ACCEPTED * shared + ANY / causes
    x = torch.from_numpy((seen - centre) / spread)
    target = torch.from_numpy(np.tile(aim, (len(inputs), 1)).astype(np.float32))
    counts = torch.from_numpy(np.tile(weight / weight.mean(), len(inputs)).astype(np.float32))
    net = _network(x.shape[1], causes)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    order = torch.utils.data.BatchSampler(
        torch.utils.data.RandomSampler(range(len(x))), BATCH, drop_last=len(x) >= BATCH
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * len(order), pct_start=0.1)
    net.train()
    for _ in range(EPOCHS):
        for rows in order:
            said = torch.log_softmax(net(x[rows]), dim=1)
            loss = (-(target[rows] * said).sum(dim=1) * counts[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    torch.set_num_threads(threads)
    network = _stored(net, centre.astype(np.float64), spread.astype(np.float64))
    never = ~accepted.any(axis=0)
    network[-1].weights[:, never], network[-1].offset[never] = 0.0, NEVER_SEEN
    return network


def _network(inputs: int, causes: int) -> Any:
    """The network in PyTorch: linear layer, layer norm, rectifier, dropout, as often as there are hidden layers; then a linear one."""
    from torch import nn

    layers: list[nn.Module] = [nn.Dropout(DROPOUT_OF_INPUTS)]
    for width in [inputs] + [WIDTH] * (HIDDEN_LAYERS - 1):
        layers += [nn.Linear(width, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.Linear(WIDTH, causes))


def _stored(net: Any, centre: Array, spread: Array) -> Network:
    """Its numbers in half precision, as they are stored; the first layer takes inputs as they are on the grid."""
    linear = [part for part in net if hasattr(part, "in_features")]
    norms = [part for part in net if hasattr(part, "normalized_shape")]
    layers = []
    for k, part in enumerate(linear):
        weights, offset = part.weight.detach().numpy().T.astype(np.float64), part.bias.detach().numpy().astype(float)
        if k == 0:
            weights = weights / spread[:, None]
            offset = offset - centre @ weights
        of_norm = (
            [getattr(norms[k], name).detach().numpy() for name in ("weight", "bias")]
            if k < len(norms)
            else [np.zeros(0)] * 2
        )
        parts = [each.astype(np.float16).astype(np.float64) for each in (weights, offset, *of_norm)]
        layers.append(Layer(weights=parts[0], offset=parts[1], scale=parts[2], shift=parts[3]))
    return tuple(layers)
