"""The same transformer with normalisation after each block, deeper: it needs its warm-up more."""

from __future__ import annotations

from benchmarks.runs.families.prenorm import MarkovText


class PostNormText(MarkovText):
    """Three blocks, normalised after the residual is added."""

    before = False
    blocks = 3


build = PostNormText
