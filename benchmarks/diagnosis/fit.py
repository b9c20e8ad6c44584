"""Learns the weights of the diagnosis: a multinomial logistic model with signs and sparsity fixed beforehand.

The target of a run is the set of causes that its label accepts. The penalty pulls each weight towards its prior, so that
few runs move it little; bounds keep its direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from benchmarks.diagnosis.structure import BIAS, PRIOR
from gradlens.reports.base import Cause

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAUSES = tuple(PRIOR)
#: Prior standard deviations of weights and biases, in log odds.
WEIGHT_SD, BIAS_SD = 1.5, 1.0
SMOOTHING = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One labelled run: its graded signs and the causes that count as right."""

    run: str
    family: str
    signs: Mapping[str, float]
    accepted: frozenset[str]
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Model:
    """Weights by cause and sign, biases by cause."""

    bias: Mapping[Cause, float]
    weights: Mapping[Cause, Mapping[str, float]]

    def predict(self, signs: Mapping[str, float]) -> dict[Cause, float]:
        """Confidence of each cause."""
        score = np.array([self.bias[c] + sum(w * signs[s] for s, w in self.weights[c].items()) for c in CAUSES])
        score = np.exp(score - score.max())
        return dict(zip(CAUSES, (score / score.sum()).tolist(), strict=True))


def learn(examples: Sequence[Example], *, weight_sd: float = WEIGHT_SD) -> Model:
    """The weights that maximise the posterior."""
    names = sorted({s for table in PRIOR.values() for s in table})
    column = {s: i for i, s in enumerate(names)}
    x = np.array([[e.signs[s] for s in names] for e in examples])
    accepted = np.array([[c in e.accepted for c in CAUSES] for e in examples], dtype=float)
    weight = np.array([e.weight for e in examples])
    places = [(CAUSES.index(c), column[s], p) for c, table in PRIOR.items() for s, p in table.items()]
    row, col, prior = (np.array(v) for v in zip(*places, strict=True))
    row, col = row.astype(int), col.astype(int)
    k = len(CAUSES)
    start = np.concatenate([prior, np.where(np.array(CAUSES) == "healthy", 0.0, BIAS)])

    def unpack(theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        table = np.zeros((k, len(names)))
        table[row, col] = theta[: len(places)]
        return table, theta[len(places) :]

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        table, bias = unpack(theta)
        score = x @ table.T + bias
        score -= score.max(axis=1, keepdims=True)
        p = np.exp(score)
        p /= p.sum(axis=1, keepdims=True)
        right = (p * accepted).sum(axis=1)
        # A share of every label is taken as unknowable, so that one odd run cannot bend a weight.
        mixed = (1 - SMOOTHING) * right + SMOOTHING / k
        inner = (1 - SMOOTHING) / mixed
        slope = -(weight * inner)[:, None] * (p * accepted - p * right[:, None])
        sd = np.concatenate([np.full(len(places), weight_sd), np.full(k, BIAS_SD)])
        away = (theta - start) / sd
        gradient_table = slope.T @ x
        gradient = np.concatenate([gradient_table[row, col], slope.sum(axis=0)]) + away / sd
        gradient[len(places) + CAUSES.index("healthy")] = 0.0
        return float(-(weight * np.log(mixed)).sum() + 0.5 * (away**2).sum()), gradient

    bounds = [(0.0, 2.0 * p) if p > 0 else (2.0 * p, 0.0) for p in prior] + [(-8.0, 1.0)] * k
    bounds[len(places) + CAUSES.index("healthy")] = (0.0, 0.0)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    table, bias = unpack(found.x)
    return Model(
        bias=dict(zip(CAUSES, bias.tolist(), strict=True)),
        weights={c: {s: float(table[CAUSES.index(c), column[s]]) for s in PRIOR[c]} for c in CAUSES},
    )
