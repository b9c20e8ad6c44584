"""Gauss-Legendre rules against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.stats.quadrature import gauss_legendre


@pytest.mark.parametrize("n", [2, 3, 6, 24, 160])
def test_the_rule_is_that_of_numpy(n):
    nodes, weights = gauss_legendre(n)
    other_nodes, other_weights = np.polynomial.legendre.leggauss(n)
    np.testing.assert_allclose(nodes, other_nodes, atol=1e-15)
    np.testing.assert_allclose(weights, other_weights, rtol=1e-10)


def test_polynomials_up_to_twice_the_nodes_are_exact():
    nodes, weights = gauss_legendre(5)
    for degree in range(10):
        assert nodes**degree @ weights == pytest.approx(0.0 if degree % 2 else 2.0 / (degree + 1), abs=1e-15)
