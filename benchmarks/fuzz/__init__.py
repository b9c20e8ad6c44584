"""Damaged logs by the hundred thousand: `python -m benchmarks.fuzz --cases 300000`.

Each case is a log of some format with something wrong in it. It must be read, or refused in one line: no other exception,
no warning, at most ten seconds of processor time, and at most ten times its size plus 200 MB of memory. A third of what
is read is analysed too, and some of that shown, exported, compared and gated.
"""
