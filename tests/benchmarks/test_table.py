"""The packed table that is learned from: what facts say stands beside it, so that new facts rewrite nothing else."""

from __future__ import annotations

import numpy as np

from benchmarks.diagnosis import table
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import trait_names

KEPT = {"run": "a", "part": "archive", "share": 1.0}
SAID = {"proven": None, "grave": None, "sure": 0.0, "excluded": [], "doubted": [], "means": True}


def measured(folder, *, traits=1.0, **facts):
    made = table.Table(
        labels=[KEPT | SAID | facts], signs=np.full((1, len(SIGNS)), 0.2), traits=np.full((1, len(trait_names())), traits),
        sparse_signs=np.zeros((1, len(SIGNS))), sparse=np.full((1, len(trait_names())), np.nan),
    )  # fmt: skip
    table.save(made, folder / "measured" / "archive" / "given.npz")


def test_new_facts_rewrite_one_small_file(tmp_path):
    folder, target = tmp_path / "runs", tmp_path / "packed"
    target.mkdir()
    measured(folder)
    table.pack(folder, target)
    before = (target / "archive.npz").stat().st_mtime_ns
    measured(folder, proven="lr_zero", sure=0.9, excluded=["bad_data"])
    table.pack(folder, target)
    assert (target / "archive.npz").stat().st_mtime_ns == before
    found = table.open_table(target / "archive.npz")
    assert found.labels == [KEPT | SAID | {"proven": "lr_zero", "sure": 0.9, "excluded": ["bad_data"]}]
    measured(folder, traits=2.0)
    table.pack(folder, target)
    found = table.open_table(target / "archive.npz")
    assert found.labels == [KEPT | SAID]
    assert found.traits[0, 0] == 2.0


def test_the_packed_facts_are_of_the_packed_runs():
    assert set(table.packed("third").labels[0]) >= {*KEPT, *SAID}


def test_facts_of_parts_that_are_not_packed_again_stay(tmp_path):
    target = tmp_path / "packed"
    target.mkdir()
    measured(tmp_path / "runs", proven="lr_zero")
    table.pack(tmp_path / "runs", target)
    table.pack(tmp_path / "no runs", target)
    assert table.open_table(target / "archive.npz").labels == [KEPT | SAID | {"proven": "lr_zero"}]
