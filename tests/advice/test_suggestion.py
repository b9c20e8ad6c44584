"""The threshold advice: right on a known distribution, silent where the log supports nothing, easy in a shell."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gradlens
from gradlens.advice.snippets import SNIPPETS
from gradlens.cli.app import run as command_line


def lognormal_rows(n=4000, sigma=0.3, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    norm = scale * np.exp(sigma * rng.standard_normal(n))
    return [
        {"step": i, "loss": float(2 + 0.1 * rng.standard_normal()), "grad_norm": float(g)} for i, g in enumerate(norm)
    ]


def advice_of(path, **options):
    (run,) = gradlens.read(path)
    return gradlens.suggest_threshold(run, threshold=None, **options)


def test_safety_net_is_the_99_percent_quantile_of_a_stationary_run(write_jsonl):
    advice = advice_of(write_jsonl(lognormal_rows()))
    true = np.exp(0.3 * 2.3263)
    assert advice.interval[0] < true < advice.interval[1]
    assert advice.threshold == pytest.approx(true, rel=0.1)
    assert advice.expected.rate == pytest.approx(0.01, abs=0.005)


def test_step_limiter_and_target_rate(write_jsonl):
    path = write_jsonl(lognormal_rows())
    assert advice_of(path, mode="step_limiter").threshold == pytest.approx(np.exp(0.3 * 1.2816), rel=0.08)
    assert advice_of(path, target_clip_rate=0.5).threshold == pytest.approx(1.0, rel=0.08)


def test_scaling_the_norms_scales_the_threshold(write_jsonl):
    one = advice_of(write_jsonl(lognormal_rows(), "a.jsonl")).threshold
    thousand = advice_of(write_jsonl(lognormal_rows(scale=1000.0), "b.jsonl")).threshold
    assert thousand == pytest.approx(1000 * one, rel=1e-6)


def test_what_if_equals_a_numpy_recomputation(samples):
    (run,) = gradlens.read(samples / "healthy.jsonl")
    advice = gradlens.suggest_threshold(run, threshold=None)
    norm = run.grad_norm.value
    assert "suggested" in {row.label for row in advice.what_if}
    for row in advice.what_if:
        assert row.clip_rate == pytest.approx(np.mean(norm > row.threshold))
        assert row.shrink_factor == pytest.approx(np.mean(np.minimum(1, row.threshold / norm)))
    assert "first-order" in advice.note


def test_the_rate_is_that_of_the_latest_norms(samples):
    for name in ("healthy.jsonl", "lr_too_high.jsonl", "fp16_overflow.jsonl", "clip_too_tight.jsonl"):
        (run,) = gradlens.read(samples / name)
        advice = gradlens.suggest_threshold(run, threshold=None)
        late = run.grad_norm.value[run.grad_norm.step >= advice.expected.since]
        late = late[np.isfinite(late)]
        assert len(late) == advice.expected.n >= 200
        assert advice.expected.rate == np.mean(late > advice.threshold)
        assert 0.01 / 3 <= advice.expected.rate <= 0.03


def test_one_suggestion_has_one_spelling(capsys, samples):
    for name in ("healthy.jsonl", "lr_too_high.jsonl", "fp16_overflow.jsonl"):
        path = str(samples / name)

        def out(*arguments, path=path):
            assert command_line([arguments[0], path, "--threshold", "none", *arguments[1:]]) == 0
            return capsys.readouterr().out

        number = out("suggest-threshold", "--quiet").strip()
        text = out("suggest-threshold", "--framework", "pytorch")
        assert f"C = {number} " in text
        assert f"max_norm={number})" in text
        (advice,) = json.loads(out("suggest-threshold", "--format", "json"))["runs"]
        (run,) = json.loads(out("analyze", "--format", "json"))["runs"]
        assert advice["threshold"] == run["suggestion"]["threshold"] == float(number)
        assert number in {f"{row['threshold']:g}" for row in advice["what_if"] if row["label"] == "suggested"}
        # A run that broke down is mended first.
        words = f"would give {number})" if name == "lr_too_high.jsonl" else f"Suggested: {number} ("
        assert words in " ".join(out("analyze").split())


def test_both_rates_of_a_threshold_say_what_they_refer_to(capsys, samples):
    assert command_line(["suggest-threshold", str(samples / "fp16_overflow.jsonl")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "clips 1.0 % of the latest 200 norms, those since step 792" in text
    assert "What a fixed threshold would have done, over all norms of the run" in text


def test_abstains_on_norms_after_clipping(samples):
    (run,) = gradlens.read(samples / "postclip.jsonl")
    advice = gradlens.suggest_threshold(run, threshold=0.3)
    assert advice.threshold is None
    assert advice.abstained
    assert "ZClip" in advice.policy
    assert not advice.what_if


def test_abstains_on_few_points(write_jsonl):
    advice = advice_of(write_jsonl(lognormal_rows(n=150)))
    assert advice.threshold is None
    assert "200" in advice.abstained
    assert "ZClip" in advice.policy


def test_abstains_on_drift_and_offers_a_moving_policy(write_jsonl):
    rows = lognormal_rows(n=2000)
    for i, row in enumerate(rows):
        row["grad_norm"] *= float(np.exp(-i / 300))
    advice = advice_of(write_jsonl(rows))
    assert advice.threshold is None
    assert "drift" in advice.abstained
    assert "moving policy" in advice.policy


def test_quiet_prints_the_number_alone(capsys, samples):
    assert command_line(["suggest-threshold", str(samples / "healthy.jsonl"), "--quiet"]) == 0
    assert float(capsys.readouterr().out) > 0


def test_quiet_prints_nothing_and_fails_where_it_abstains(capsys, samples):
    arguments = ["suggest-threshold", str(samples / "postclip.jsonl"), "--threshold", "0.3", "--quiet"]
    assert command_line(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no advice" in captured.err


def test_json_is_strict(capsys, samples):
    assert command_line(["suggest-threshold", str(samples / "healthy.jsonl"), "--format", "json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["threshold"] > 0
    assert set(run["snippets"]) == set(SNIPPETS)


@pytest.mark.parametrize("framework", SNIPPETS)
def test_snippets_hold_the_number(capsys, samples, framework):
    arguments = ["suggest-threshold", str(samples / "healthy.jsonl"), "--framework", framework]
    assert command_line(arguments) == 0
    assert "1.2" in capsys.readouterr().out.split("To paste")[1]


@pytest.mark.parametrize(
    "arguments", [["--mode", "tight"], ["--target-clip-rate", "2"], ["--framework", "jax"], ["--format", "xml"]]
)
def test_wrong_options(capsys, samples, arguments):
    assert command_line(["suggest-threshold", str(samples / "healthy.jsonl"), *arguments]) == 2
    assert capsys.readouterr().err.startswith("gradlens: error: ")
