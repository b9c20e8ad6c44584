"""GL512: one layer goes first, or norms change by orders of magnitude from layer to layer."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class LayersDiffer(FactCheck):
    """One layer goes first, or norms change by orders of magnitude from layer to layer.

    What it measures
    ----------------
    The layer whose norm is not finite first and since when it had grown; the powers of ten between the norms of
    the first and the last layer, where they change steadily; norms of exactly 0 in all but the last layer.

    Why it matters
    --------------
    It names the place. A factor from layer to layer that is far from 1 is a matter of initialisation, which no
    clipping threshold cures.

    Threshold
    ---------
    Five times its level for a layer; two powers of ten over at least five numbered layers, four fifths of the
    steps in one direction. Our own choice.

    When it is wrong
    ----------------
    Layers that are numbered in another order than they are run.

    What to try
    -----------
    Look at the layer that is named; scale the initialisation so that the factor from layer to layer is near 1.

    References
    ----------
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010).
    """

    code = "GL512"
    name = "layers-differ"
    needs = frozenset({"layers"})
    advice = "scale the initialisation so that the factor from layer to layer is near 1"
