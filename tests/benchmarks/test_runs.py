"""The generator of labelled runs: reproducible, archived exactly, judged by the written rules."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.runs import archive, labels
from benchmarks.runs.catalogue.build import catalogue
from benchmarks.runs.families import BLIND, DEVELOP, FRESH, TEST, UNSEEN
from benchmarks.runs.produce import chosen
from benchmarks.runs.recording import smoothed
from benchmarks.runs.scaling import LossScale
from benchmarks.runs.schedule import FLOOR, SHAPES, rate_at
from benchmarks.runs.spec import HEALTHY, Spec
from benchmarks.runs.store import write_rows

# The causes a log may show, as the contract of the program lists them.
CAUSES = set(labels.RULES) | {"healthy"}
LEFT_OUT = {labels.MILD, labels.UNCLEAR, labels.INVISIBLE}
SCORER_READS = {
    "run", "expected", "also_acceptable", "manifested", "harmful", "clip", "opt", "lr", "beta2", "l2", "warmup",
    "schedule", "batch", "precision", "log_every",
}  # fmt: skip


def spec(**fields):
    return Spec(
        **({"run": "x", "family": "noisy", "seed": 0, "recipe": "r", "split": "develop", "steps": 100} | fields)
    )


class TestCatalogue:
    def test_every_run_follows_what_it_needs(self):
        seen = set()
        for one in catalogue():
            assert set(one.needs) <= seen
            seen.add(one.run)

    def test_names_are_unique_and_say_what_was_done(self):
        specs = catalogue()
        assert len({one.run for one in specs}) == len(specs)
        assert all(one.fault in one.run and one.run.startswith(f"{one.family}-s{one.seed}-") for one in specs)

    def test_scored_families_share_nothing_with_development(self):
        for one in catalogue():
            held_out = "test" if one.family in TEST or one.recipe.startswith("t_") else "develop"
            later = dict.fromkeys(FRESH, "fresh") | dict.fromkeys(BLIND, "blind") | dict.fromkeys(UNSEEN, "unseen")
            assert one.split == later.get(one.family, held_out)
            assert one.family in DEVELOP + TEST + FRESH + BLIND + UNSEEN
        assert len({*DEVELOP, *TEST, *FRESH, *BLIND, *UNSEEN}) == len(DEVELOP + TEST + FRESH + BLIND + UNSEEN)

    def test_every_cause_is_made_in_several_families_of_every_split(self):
        for cause in labels.RULES:
            families = {
                split: {s.family for s in catalogue() if s.fault == cause and s.split == split}
                for split in archive.SPLITS
            }
            assert len(families["develop"]) >= 3, cause
            assert len(families["develop"] | families["test"]) >= 4, cause
            assert len(families["fresh"]) >= 3, cause
            assert len(families["blind"]) >= 3, cause
            assert len(families["unseen"]) >= 3, cause

    def test_healthy_runs_do_not_share_one_recipe(self):
        healthy = [one for one in catalogue() if one.fault == HEALTHY]
        assert {0} < {one.warmup for one in healthy}
        assert {"const", "cosine", "step", "wsd", "linear"} <= {one.schedule for one in healthy}
        assert {0.9, 0.95, 0.98, 0.99, 0.999} <= {one.beta2 for one in healthy}
        assert {1, 10, 50} <= {one.log_every for one in healthy}
        assert {"warm_restarts", "doubled_restarts", "stairs"} <= {one.schedule for one in healthy}
        assert any(one.l2 for one in healthy)
        assert any(one.log_smooth for one in healthy)
        assert {None} < {one.clip_rule and one.clip_rule.quantile for one in healthy}

    def test_asking_for_a_fault_brings_its_twin(self):
        names = [one.run for one in chosen("density-s0-postclip_logged-*", None)]
        assert names == [
            "density-s0-healthy-plain-noclip",
            "density-s0-healthy-plain",
            "density-s0-postclip_logged-plain-q0.45",
        ]


class TestSchedule:
    @pytest.mark.parametrize("schedule", SHAPES)
    def test_warms_up_to_the_peak_and_never_below_the_floor(self, schedule):
        one = spec(schedule=schedule, warmup=10, lr=2.0)
        rates = [rate_at(one, step) for step in range(100)]
        assert rates[0] == pytest.approx(0.2)
        assert max(rates) == pytest.approx(2.0)
        assert min(rates[10:]) >= 2.0 * min(FLOOR, 0.04) * 0.99

    def test_restart_begins_the_shape_again_at_its_peak(self):
        one = spec(schedule="cosine", lr=1.0, restarts=(60,), restart_peak=3.0)
        assert rate_at(one, 59) < 0.5
        assert rate_at(one, 60) == pytest.approx(3.0)


def test_planned_restarts_raise_the_rate_and_stairs_never_do():
    def rises(schedule):
        rates = [rate_at(spec(schedule=schedule, steps=700), step) for step in range(700)]
        return [step for step in range(1, 700) if rates[step] > 1.5 * rates[step - 1]]

    assert [len(rises(schedule)) for schedule in ("warm_restarts", "doubled_restarts", "stairs")] == [2, 2, 0]


def test_a_smoothed_loss_begins_at_its_first_value_and_follows_slowly():
    values = smoothed(np.array([4.0, 4.0, 0.0, 0.0]), 0.5)
    assert values[:2] == pytest.approx([4.0, 4.0])
    assert 0 < values[3] < values[2] < 4


def test_loss_scale_halves_on_overflow_and_doubles_after_clean_steps():
    scaler = LossScale(init_scale=8.0, growth_interval=2)
    scales = []
    for overflow in (True, False, False, True):
        scaler.update(overflow=overflow)
        scales.append(scaler.scale)
    assert scales == [4.0, 4.0, 8.0, 4.0]


def back(value):
    mantissa, power = archive.encode(value)
    return archive.decode(np.array([mantissa]), np.array([power]))[0]


class TestArchive:
    @pytest.mark.parametrize(
        "value",
        [
            0.0,
            1.0,
            -2.5,
            123456.0,
            1.23456e-17,
            4.5e-129,
            9.87654e30,
            0.00234567,
            65536.0,
            2.9802322e-08,
            math.inf,
            -math.inf,
        ],
    )
    def test_numbers_come_back_to_the_bit(self, value):
        assert back(value) == value

    def test_nan_comes_back(self):
        assert math.isnan(back(math.nan))
        assert math.isnan(back(None))

    def test_a_folder_comes_back_byte_for_byte(self, tmp_path):
        rng = np.random.default_rng(0)
        rows = [
            {"step": i, "loss": float(f"{rng.normal():.6g}"), "grad_norm": math.nan if i == 3 else 0.25, "lr": 1e-05}
            for i in range(9)
        ]
        for row in rows[1:]:
            row["rms_ratio"] = float(f"{rng.random():.4g}")
        rows[4]["val_loss"] = 0.125
        folder = tmp_path / "in" / "develop" / "a"
        folder.mkdir(parents=True)
        write_rows(folder / "extra.jsonl", rows)
        write_rows(folder / "run.jsonl", [{k: v for k, v in row.items() if k != "rms_ratio"} for row in rows])
        label = dict.fromkeys(archive.INDEX_COLUMNS) | {"run": "a", "split": "develop"}
        (folder / "label.json").write_text(json.dumps(label, indent=1) + "\n")
        archive.pack_split(tmp_path / "in" / "develop", tmp_path / "develop.npz")
        assert archive.unpack(tmp_path / "out", ("develop",), tmp_path) == 1
        for name in ("run.jsonl", "extra.jsonl", "label.json"):
            assert (tmp_path / "out" / "develop" / "a" / name).read_bytes() == (folder / name).read_bytes()

    def test_a_split_that_was_not_trained_is_neither_packed_nor_missed(self, tmp_path):
        folder = tmp_path / "in" / "test" / "a"
        folder.mkdir(parents=True)
        write_rows(folder / "extra.jsonl", [{"step": 0, "loss": 1.5, "grad_norm": 0.25, "lr": 0.1}])
        label = dict.fromkeys(archive.INDEX_COLUMNS) | {"run": "a", "split": "test"}
        (folder / "label.json").write_text(json.dumps(label, indent=1) + "\n")
        archive.pack_split(tmp_path / "in" / "test", tmp_path / "test.npz")
        assert archive.splits_in(tmp_path) == ("test",)
        archive.write_index(tmp_path)
        assert len((tmp_path / "INDEX.tsv").read_text().splitlines()) == 2
        assert archive.unpack(tmp_path / "out", source=tmp_path) == 1

    @pytest.mark.slow
    def test_what_is_archived_is_what_the_scorer_reads(self, tmp_path):
        count = archive.unpack(tmp_path)
        folders = [path.parent for path in tmp_path.glob("*/*/label.json")]
        assert len(folders) == count >= 250
        for folder in folders:
            label = json.loads((folder / "label.json").read_text())
            assert set(label) >= SCORER_READS
            assert label["run"] == folder.name
            assert label["expected"] in CAUSES | LEFT_OUT
            assert label["manifested"] in (None, True, False)
            first = json.loads((folder / "run.jsonl").read_text().splitlines()[0])
            assert list(first)[:4] == ["step", "loss", "grad_norm", "lr"]
            assert not set(first) & set(archive.EXTRA)

    @pytest.mark.slow
    def test_the_rules_still_give_the_archived_labels(self):
        runs = {
            label["run"]: labels.judged(label, _without_extra(rows))
            for label, rows in archive.archived(archive.FOLDER / "test.npz")
        }
        for run in runs.values():
            twin = runs.get(run.label["twin"])
            verdict = (
                labels.judge_healthy(run, twin) if run.label["fault_kind"] == HEALTHY else labels.judge_fault(run, twin)
            )
            assert verdict.expected == run.label["expected"], run.label["run"]


def _without_extra(rows):
    return [{key: row[key] for key in row if key not in archive.EXTRA} for row in rows]


def judged(loss, norm, **label):
    facts = {
        "evaluations": [[0, 2.0], [50, 1.0], [80, 0.5], [90, 0.5], [95, 0.5], [100, 0.5]],
        "diverged": False, "true_clip_rate": 0.0, "median_true_norm": 1.0, "max_true_norm": 2.0, "first_loss": 2.0,
        "final_loss": 0.5,
    }  # fmt: skip
    base = {
        "run": "x",
        "facts": facts,
        "first_step": 0,
        "log_every": 1,
        "steps": len(loss),
        "twin": "",
        "expected": "healthy",
    }
    rows = [{"step": i, "loss": a, "grad_norm": b, "lr": 0.1} for i, (a, b) in enumerate(zip(loss, norm, strict=True))]
    return labels.judged(base | label, rows)


class TestRules:
    loss = np.linspace(2.0, 0.5, 200) + 0.01 * np.random.default_rng(1).normal(size=200)
    norm = 1 + 0.05 * np.random.default_rng(2).normal(size=200)

    def test_a_learning_run_is_healthy(self):
        assert labels.judge_healthy(judged(self.loss, self.norm), None).expected == "healthy"

    def test_a_run_that_clips_most_steps_is_left_out(self):
        run = judged(self.loss, self.norm)
        run.facts["true_clip_rate"] = 0.9
        verdict = labels.judge_healthy(run, None)
        assert verdict.expected == labels.MILD
        assert verdict.evidence["harmless_high_clip"]

    def test_bad_batches_count_only_where_the_log_shows_them(self):
        loss, norm = self.loss.copy(), self.norm.copy()
        fault = {"fault_kind": "bad_data", "bad_steps": [60, 120]}
        twin = judged(self.loss, self.norm)
        assert labels.judge_fault(judged(loss, norm, **fault), twin).expected == labels.MILD
        loss[[60, 120]] += 3
        norm[[60, 120]] *= 5
        verdict = labels.judge_fault(judged(loss, norm, **fault), twin)
        assert (verdict.expected, verdict.manifested, verdict.harmful) == ("bad_data", True, False)

    def test_a_fault_with_an_unclear_twin_is_unclear(self):
        twin = judged(self.loss, self.norm, expected=labels.UNCLEAR)
        run = judged(self.loss, self.norm, fault_kind="vanishing")
        assert labels.judge_fault(run, twin).expected == labels.UNCLEAR

    def test_steps_that_go_back_are_a_resume(self):
        run = judged(self.loss, self.norm, fault_kind="resume_artifact", resume=[100, 80])
        run.step[100:] -= 20
        assert labels.judge_fault(run, judged(self.loss, self.norm)).expected == "resume_artifact"


class TestTraining:
    @pytest.fixture(autouse=True)
    def _torch(self):
        pytest.importorskip("torch", reason="our training runs need PyTorch")

    def test_a_short_run_is_reproducible_to_the_bit(self):
        from benchmarks.runs.recording import log_rows
        from benchmarks.runs.training import train

        one = spec(family="noisy", steps=60, batch=2, opt="adam", lr=0.01, schedule="cosine", clip=1.0, log_after=True)
        first, second = (json.dumps(list(log_rows(train(one), extra=True))) for _ in range(2))
        assert first == second
        assert first != json.dumps(list(log_rows(train(spec(steps=60, batch=2, seed=1)), extra=True)))

    def test_overflowing_gradients_back_the_scale_off_and_skip_the_step(self):
        from benchmarks.runs.training import train

        one = spec(steps=20, precision="fp16", scaler={"init_scale": 2.0**24}, lr=0.01)
        recording = train(one)
        assert recording.skipped > 0
        assert recording.columns["loss_scale"][-1] == 2.0 ** (24 - recording.skipped)
        assert math.isinf(recording.columns["grad_norm"][0])
        assert recording.columns["update_norm"][0] == 0

    def test_norms_are_logged_before_clipping_unless_asked(self):
        from benchmarks.runs.training import train

        free, after = (
            train(spec(steps=30, clip=0.05, log_postclip=flag)).column("grad_norm") for flag in (False, True)
        )
        assert free.min() > 0.05
        assert np.allclose(after, 0.05, rtol=1e-3)

    @pytest.mark.slow
    @pytest.mark.parametrize("family", DEVELOP + TEST + FRESH + BLIND + UNSEEN)
    def test_every_family_trains_and_can_be_spoilt(self, family):
        pytest.importorskip("sklearn", reason="the digits come from scikit-learn")
        from benchmarks.runs.training import train

        kind = "garbage" if family in {"prenorm", "postnorm", "copy"} else "shuffle"
        recording = train(spec(family=family, steps=25, batch=8, bad_kind=kind, bad_steps=(10,), opt="sgd", lr=0.001))
        assert len(recording) == 25
        assert np.isfinite(recording.column("loss")).all()
        assert recording.column("grad_norm").min() > 0


def test_the_rules_are_written_down():
    text = (Path(labels.__file__).parent / "LABELS.md").read_text()
    assert all(f"| `{cause}` |" in text for cause in labels.RULES)
