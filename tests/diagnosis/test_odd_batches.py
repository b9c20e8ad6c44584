"""The small last batch of each epoch, and batches that cost more than a model that knows nothing pays."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens

EPOCH = 29


@pytest.fixture
def g():
    return np.random.default_rng(3)


def judged(log):
    return gradlens.analyze({"step": np.arange(len(log["loss"])), **log}).runs[0]


def warns(run):
    return [f.code for f in run.findings if f.severity.value != "note"]


def run_with(g, shocks, last=4.0, epochs=20):
    """A run whose last batch of each epoch scatters `last` times as much as the others, with shocks at some rows."""
    n = EPOCH * epochs
    scatter = np.where(np.arange(n) % EPOCH == EPOCH - 1, last, 1.0)
    common = g.standard_normal(n)
    noise = 0.08 * scatter * (0.8 * common + 0.6 * g.standard_normal(n))
    norm = 0.12 * scatter * (0.8 * common + 0.6 * g.standard_normal(n))
    for row in shocks:
        noise[row], norm[row] = 1.4, 1.6
    level = 0.3 + 2.0 * np.exp(-np.arange(n) / 60)
    return {"loss": level * np.exp(noise), "grad_norm": np.exp(norm)}


class TestLastBatch:
    def test_what_stands_out_there_is_no_bad_batch(self, g):
        run = judged(run_with(g, [7 * EPOCH - 1, 11 * EPOCH - 1]))
        assert warns(run) == []
        assert any("every 29 rows" in f.message for f in run.findings)

    def test_the_same_two_rows_elsewhere_are(self, g):
        assert "GL301" in warns(judged(run_with(g, [7 * EPOCH + 9, 11 * EPOCH + 15])))

    def test_and_where_no_batch_is_smaller(self, g):
        assert "GL301" in warns(judged(run_with(g, [7 * EPOCH - 1, 11 * EPOCH - 1], last=1.0)))


class TestHardBatches:
    def log(self, g, rows, times=3000.0, n=600):
        loss = (0.2 + np.exp(-np.arange(n) / 80)) * np.exp(0.3 * g.standard_normal(n))
        norm = np.exp(0.4 * g.standard_normal(n))
        loss[rows], norm[rows] = times, 60.0 * np.exp(0.3 * g.standard_normal(len(rows)))
        return {"loss": loss, "grad_norm": norm}

    def test_rows_far_beyond_the_start_are_bad_data(self, g):
        run = judged(self.log(g, np.sort(g.choice(np.arange(20, 590), 60, replace=False))))
        assert run.verdict.status == "problem"
        assert run.diagnosis.cause == "bad_data"

    def test_a_tenth_of_the_start_is_a_hard_batch_and_no_more(self, g):
        run = judged(self.log(g, [100, 220, 340, 470], times=12.0))
        assert not any("outliers among targets" in f.message for f in run.findings)


class TestWhatALastBatchThrowsOff:
    def test_the_row_after_it_is_no_bad_batch_either(self, g):
        log = run_with(g, [7 * EPOCH, 11 * EPOCH, 13 * EPOCH])
        assert warns(judged(log)) == []


def test_the_epoch_is_the_shortest_length_that_shows_it(g):
    """Of an epoch of 30 rows, 90 show it by a third of the rows, and by chance more."""
    n = 900
    last = np.arange(29, n, 30)
    noise = 0.03 * g.standard_normal((2, n))
    noise[:, last] *= 8.0
    level = 0.3 + 2.0 * np.exp(-np.arange(n) / 90)
    run = judged({"loss": level * np.exp(noise[0]), "grad_norm": np.exp(4.0 * np.abs(noise[1]))})
    assert warns(run) == []
