"""Restarts: of the rate, by plan; of the run, where a step is logged twice. And the layer that grows before the others."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from tests.diagnosis.test_facts import finding, judged

N = 1000


@pytest.fixture
def g():
    return np.random.default_rng(3)


class TestWarmRestarts:
    def run(self, g, rounds, *, cost=0.0, **options):
        part = np.concatenate([np.linspace(0, 1, k, endpoint=False) for k in rounds])
        lr = 0.05 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * part)))
        n = len(lr)
        loss = 2.5 + 6.0 * np.exp(-np.arange(n) / (n / 12)) + 0.4 * lr / 0.05 + 0.02 * g.standard_normal(n)
        loss -= 0.3 * np.arange(n) / n
        loss[sum(rounds[:-1]) :] += cost
        return judged({"loss": loss, "grad_norm": 0.2 * np.exp(0.2 * g.standard_normal(n)), "lr": lr}, **options)

    @pytest.mark.parametrize("rounds", [(250,) * 4, (70, 140, 280, 560)], ids=["equal", "each twice as long"])
    def test_on_the_beat_they_are_meant(self, g, rounds):
        run = self.run(g, rounds)
        assert run.verdict.status == "clear"
        assert "on the beat" in finding(run, "GL203").message

    def test_a_name_in_the_configuration_suffices(self, g):
        run = self.run(g, (700, 300), config={"lr_scheduler": "CosineAnnealingWarmRestarts"})
        assert run.verdict.status == "clear"
        assert "CosineAnnealingWarmRestarts" in finding(run, "GL203").message

    def test_one_restart_without_a_name_is_told(self, g):
        run = self.run(g, (600, 400), cost=0.5)
        assert run.diagnosis.cause == "lr_restart"

    def test_nor_do_they_excuse_a_loss_that_stays_up(self, g):
        run = self.run(g, (250,) * 4, cost=1.5)
        assert run.verdict.status == "problem"


class TestAStepLoggedTwice:
    def log(self, g, jump):
        step = np.concatenate((np.arange(1, 601), np.arange(600, N)))
        n, at = len(step), 600
        loss = 2.0 + 5.0 * np.exp(-np.arange(n) / 90) + 0.03 * g.standard_normal(n)
        loss[at:] += jump * np.exp(-np.arange(n - at) / 200)
        return {
            "step": step,
            "loss": loss,
            "grad_norm": 0.8 * np.exp(0.15 * g.standard_normal(n)),
            "lr": np.full(n, 1e-4),
        }

    def test_on_the_row_of_a_jump_it_is_a_resume(self, g):
        run = gradlens.analyze(self.log(g, 2.0)).runs[0]
        assert run.diagnosis.cause == "resume_artifact"
        assert "logged twice" in finding(run, "GL007").message

    def test_elsewhere_it_is_nothing(self, g):
        run = gradlens.analyze(self.log(g, 0.0)).runs[0]
        assert run.verdict.status == "clear"
        assert not [f for f in run.findings if f.code == "GL007"]


class TestTheLayerThatGrowsFirst:
    def run(self, g, lead):
        begin, end = 500, 700
        layers = {}
        for k in range(6):
            value = 0.3 * np.exp(0.1 * g.standard_normal(N))
            late = begin + (0 if k == 2 else lead)
            value[late:] *= np.exp(np.minimum(np.arange(N - late) / 25, 30))
            value[end:] = np.nan
            layers[f"grad_norm/layers.{k}.weight"] = value
        norm = np.sqrt(sum(value**2 for value in layers.values()))
        loss = 1.0 + 4.0 * np.exp(-np.arange(N) / 80) + 0.02 * g.standard_normal(N)
        loss[end:] = np.nan
        return judged({"loss": loss, "grad_norm": norm, "lr": np.full(N, 1e-4), **layers})

    def test_it_is_named_though_all_end_in_one_row(self, g):
        run = self.run(g, lead=80)
        assert run.diagnosis.cause == "exploding"
        assert "layers.2.weight grows first" in finding(run, "GL512").message

    def test_where_all_grow_together_none_is(self, g):
        assert not [f for f in self.run(g, lead=0).findings if f.code == "GL512"]
