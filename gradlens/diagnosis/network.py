"""A small feed-forward network, evaluated with numpy alone.

It judges beside the trees (`gradlens.diagnosis.opinion`), from the same inputs. Trees cut one input after another, a network weighs
hundreds at once: on families that neither saw they err on other runs, and both together err less than either (docs/naming.md).
Learned by `benchmarks/diagnosis/network.py`; layer normalisation as in Ba, Kiros and Hinton (2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.trees import softmax
from gradlens.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: What is added to the variance of a layer before it is divided by its root.
EPSILON = 1e-5
#: The arrays of which a layer is made.
ARRAYS = ("weights", "offset", "scale", "shift")


@frozen(eq=False)
class Layer:
    """The learned numbers of one layer; all but the last one normalise what they made, and keep what is above 0.

    Attributes
    ----------
    weights, offset
        (inputs, outputs) and (outputs,).
    scale, shift
        (outputs,) what normalised values are multiplied by, and what is added; unused in the last layer.
    """

    weights: NDArray[np.float64]
    offset: NDArray[np.float64]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


Network = tuple[Layer, ...]


def network_from(data: Mapping[str, NDArray[np.generic]]) -> Network:
    """A network from arrays by name, as `opinion.npz` holds them."""
    count = sum(name.startswith("layer ") and name.endswith(" weights") for name in data)
    return tuple(Layer(**{name: data[f"layer {k} {name}"].astype(np.float64) for name in ARRAYS}) for k in range(count))


def arrays_of(network: Network) -> dict[str, NDArray[np.float64]]:
    """The arrays of a network by name."""
    return {f"layer {k} {name}": getattr(layer, name) for k, layer in enumerate(network) for name in ARRAYS}


def confidence_by(network: Network, x: NDArray[np.int8]) -> NDArray[np.float64]:
    """(runs, causes): the confidence of each cause, from inputs (runs, features) on the grid."""
    values = x.astype(np.float64)
    for layer in network[:-1]:
        values = values @ layer.weights + layer.offset
        values = values - values.mean(axis=1, keepdims=True)
        values = values / np.sqrt((values**2).mean(axis=1, keepdims=True) + EPSILON)
        values = np.maximum(values * layer.scale + layer.shift, 0.0)
    return softmax(values @ network[-1].weights + network[-1].offset)
