"""Several starts in one file, counts that overlap regularly, and names that tell runs apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradlens import read
from gradlens.signals.axis import signals_of


def write(path, steps, **more):
    loss = 2 + 6 * np.exp(-np.asarray(steps) / 60)
    rows = [{"step": int(s), "loss": float(v), **more} for s, v in zip(steps, loss, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def codes(run):
    return [notice.code for notice in run.notices]


def test_complete_starts_are_runs_the_last_one_first(tmp_path):
    path = write(tmp_path / "log.jsonl", [*range(250), *range(20), *range(300)], lr=0.1)
    last, first = read(path)
    assert [run.id for run in (last, first)] == [f"{path}:start-2", f"{path}:start-1"]
    # The aborted start stands in front of the one after it, and nothing is lost.
    assert [len(run.loss) for run in (last, first)] == [320, 250]
    assert [len(run.lr) for run in (last, first)] == [320, 250]
    assert len(signals_of(last)) == 300
    assert "several-starts" in codes(last)
    assert "several-starts" not in codes(first)


def test_an_aborted_start_alone_splits_nothing(tmp_path):
    (run,) = read(write(tmp_path / "log.jsonl", [*range(10), *range(250)]))
    assert (run.id.endswith("log.jsonl"), len(run.loss)) == (True, 260)


def test_a_resume_is_joined(tmp_path):
    (run,) = read(write(tmp_path / "log.jsonl", [*range(250), *range(200, 500)]))
    assert len(signals_of(run)) == 500


@pytest.mark.parametrize(("passes", "gain"), [(4, 1024), (3, 1), (8, 64)])
def test_passes_that_overlap_regularly_stand_in_the_order_written(tmp_path, passes, gain):
    steps = [(batch + number) * gain for batch in range(60) for number in range(passes)]
    (run,) = read(write(tmp_path / "log.jsonl", steps))
    signals = signals_of(run)
    assert (len(signals), signals.restarts) == (60 * passes, ())
    assert "overlapping-count" in codes(run)


def test_resumes_after_unequal_times_do_not_overlap_regularly(tmp_path):
    steps, begin = [], 0
    for length in (40, 60, 50, 45, 70, 55, 65, 80):
        steps += range(begin, begin + length)
        begin += length - 10
    (run,) = read(write(tmp_path / "log.jsonl", steps))
    assert "overlapping-count" not in codes(run)
    assert len(signals_of(run).restarts) == 7


def state(path, scale=1.0):
    path.parent.mkdir(exist_ok=True, parents=True)
    history = [{"step": s, "loss": scale / (1 + s), "grad_norm": scale} for s in range(1, 20)]
    path.write_text(json.dumps({"log_history": history}))


def test_trainer_states_of_one_folder_have_names_of_their_own(tmp_path):
    for number in range(3):
        state(tmp_path / f"m{number}_trainer_state.json", 1.0 + number)
    assert [run.id for run in read(tmp_path)] == [f"{tmp_path.name}:m{n}_trainer_state.json" for n in range(3)]


def test_runs_of_several_sources_have_names_of_their_own(tmp_path):
    for name in ("a", "b"):
        state(tmp_path / name / "trainer_state.json")
    sources = [tmp_path / "a", tmp_path / "b"]
    names = [run.id for run in read(sources)]
    assert len(set(names)) == 2
    assert all(str(source) in name for source, name in zip(sources, names, strict=True))
    assert len({run.id for run in read([*sources, *sources])}) == 4
