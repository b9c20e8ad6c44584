"""Our labelled training runs: real optimiser steps of tiny models, with and without something done to them.

`python -m benchmarks.runs --out FOLDER` trains them (PyTorch on the CPU, scikit-learn for its digits),
`python -m benchmarks.runs unpack FOLDER` writes the archived ones without training. `LABELS.md` has the rules.
"""
