"""Runs with known properties."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gradlens.gating.summary import summarize
from gradlens.reports.analysis import Provenance
from gradlens.run import Columns, Run, Series

PRE_CLIP = Provenance(verdict="pre_clip", reason="simulated")


@pytest.fixture
def make_columns():
    """The columns of a healthy training: a falling loss, and norms that are an AR(1) about a falling level."""

    def make(seed=0, n=1200, *, level=1.0, noise=0.3, loss_factor=1.0, start=0):
        rng = np.random.default_rng(seed)
        done = np.linspace(0, 1, n)
        white = rng.normal(size=n)
        value = np.empty(n)
        value[0] = white[0]
        for t in range(1, n):
            value[t] = 0.5 * value[t - 1] + math.sqrt(0.75) * white[t]
        return {
            "step": np.arange(start, start + n, dtype=np.int64),
            "loss": loss_factor * (1.0 + 2.0 * np.exp(-4 * done) + 0.05 * rng.normal(size=n)),
            "grad_norm": level * np.exp(-0.4 * done + noise * value),
            "lr": np.full(n, 0.1),
        }

    return make


@pytest.fixture
def make_run(make_columns):
    """A `Run`; keyword arguments named after a column replace it."""

    def make(seed=0, *, replace=None, drop=(), **options):
        columns = {**make_columns(seed, **options), **(replace or {})}
        step = columns.pop("step")
        series = {k: Series(name=k, step=step, value=v) for k, v in columns.items() if k not in drop}
        roles = {k: k for k in ("loss", "grad_norm", "lr", "loss_scale") if k in series}
        return Run(
            id=f"run-{seed}",
            source=f"run-{seed}.jsonl",
            format="test",
            series=series,
            columns=Columns(step="step", **roles),
        )

    return make


@pytest.fixture
def make_summary(make_run):
    """A summary at a threshold."""

    def make(seed=0, *, threshold=1.3, source="option", provenance=PRE_CLIP, **options):
        return summarize(make_run(seed, **options), threshold=threshold, threshold_source=source, provenance=provenance)

    return make


@pytest.fixture
def write_log(make_columns, tmp_path):
    """A JSON-lines file of a healthy training; `change` may edit the columns."""

    def write(name, seed=0, *, change=None, **options):
        columns = make_columns(seed, **options)
        if change:
            change(columns)
        rows = (
            dict(zip(columns, values, strict=True))
            for values in zip(*(v.tolist() for v in columns.values()), strict=True)
        )
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write
