"""Sources of absurd size, shape or kind, made for real and analysed once: `python -m benchmarks.limits`."""
