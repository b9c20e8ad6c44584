"""Statistics of training curves: plain arrays in, frozen results out.

Nothing in this package reads a file, prints, or knows of any other part of gradlens. Every function takes
one-dimensional float64 arrays that may hold NaN and infinities, and answers thin or degenerate data with a result that
carries a ``reason`` instead of raising. Module-level imports are limited to numpy, which keeps the start of the program
fast.
"""
