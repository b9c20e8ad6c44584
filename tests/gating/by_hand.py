"""Summaries with the windows that a test says."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from gradlens.gating.measures import Sides
from gradlens.gating.summary import COLUMNS, SUMS, RunSummary

#: What a window holds where a test says nothing.
USUAL = {
    "rows": 10.0,
    "norms": 10.0,
    "losses": 10.0,
    "loss": 1.0,
    "loss_mean": 1.0,
    "lr": 0.1,
    "spread": 0.2,
    "pressure": 0.1,
}


def summary(name="run", *, size=8, width=10, first=0, window=None, **given):
    """A run of `size` windows; numbers and lists for columns, anything else for the fields of the summary."""
    window = np.arange(first, first + size, dtype=np.int64) if window is None else np.array(window, dtype=np.int64)
    columns = {
        key: np.broadcast_to(np.asarray(given.pop(key, USUAL.get(key, 0.0)), dtype=float), len(window)).copy()
        for key in COLUMNS
    }
    assert set(SUMS) <= set(columns)
    fields = {
        "id": name, "source": f"{name}.jsonl", "format": "test", "rows": int(columns["rows"].sum()),
        "first_step": int(window[0]) * width, "last_step": (int(window[-1]) + 1) * width - 1, "log_interval": 1.0,
        "threshold": 1.0, "threshold_source": "option", "provenance": "pre_clip", "provenance_reason": "", "width": width,
        "window": window, "columns": MappingProxyType(columns), "percentiles": {}, "loss_first": 3.0,
        "spikes_judged": True, "config": {},
    }  # fmt: skip
    return RunSummary(**(fields | given))


def sides(candidates, baselines, *, progress=2.0):
    """Both sides of a comparison; one run or several each."""
    many = [list(s) if isinstance(s, (list, tuple)) else [s] for s in (candidates, baselines)]
    first = many[0][0]
    return Sides(candidates=many[0], baselines=many[1], window=first.window, width=first.width, progress=progress)
