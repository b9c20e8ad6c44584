"""The figures of the README are those of the pages that measure them."""

from __future__ import annotations

import re

import pytest

from benchmarks import docs
from benchmarks.site import accuracy

README = " ".join((docs.ROOT / "README.md").read_text(encoding="utf-8").split())


def percent(cell: str) -> float:
    return float(re.match(r"[\d.]+", cell)[0])


def test_the_table_of_the_diagnosis_has_the_unflattering_rows():
    table = accuracy.accuracy()
    assert " ".join(table.split()) in README
    words = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert "signs alone, kinds of training left out" in words
    # The newest look: nothing below it in the table of looks is newer.
    looks = [row["look"].partition(",")[0] for row in accuracy.table_of("naming", "look")]
    assert words[-1] == f"as reported, the {looks[-1]} and newest look at new kinds"


def test_every_figure_of_the_table_stands_in_the_page():
    page = (docs.ROOT / "docs" / "naming.md").read_text(encoding="utf-8")
    for line in accuracy.accuracy().splitlines()[2:]:
        for cell in line.split("|")[2:-1]:
            assert cell.strip() in page


def test_variants_of_known_situations():
    told = "529 of 530"
    assert f"{told} right" in (accuracy.DOCS / "variants.md").read_text(encoding="utf-8")
    assert f"| {told} variants of 53 situations judged rightly" in README


def test_odd_but_healthy_runs():
    rows = accuracy.table_of("healthy-oddities", "kind")
    alarmed = sum(percent(row["alarmed"]) > 0 for row in rows)
    assert alarmed == 1
    assert max(percent(row["alarmed"]) for row in rows) == 0.5  # of 200
    assert "flat fine-tuning, Gaussian norms, full batch: one alarm in 4,200 simulated runs, 600 of each" in README
    assert {row["kind"] for row in rows} >= {"GRPO", "policy gradient", "TD loss", "GAN", "flat fine-tuning"}


def test_coverage_of_the_interval():
    table = next(t for t in accuracy.tables("methods") if t[0][0] == "process")
    name, shares = "", []
    for row in table[1:]:
        name = row[0] or name
        # Norms whose neighbours are alike; the page says that the interval is too wide where they are not.
        if "phi -" not in name and "phi 0" not in name:
            shares += [float(cell) for cell in row[2:]]
    assert f"covers {100 * min(shares):.0f} to {100 * max(shares):.0f} % on autocorrelated norms" in README


def test_the_gate_and_the_naive_test():
    rows = [row for row in accuracy.table_of("ci", "candidate") if row["candidate"] == "the same process"]
    red, naive = (max(percent(row[column]) for row in rows) for column in ("red", "naive red"))
    assert f"go red in at most {red:.0f} % of pairs, where a two-proportion test does in up to {naive:.0f} %" in README


def test_gradlens_beside_trainspotter_is_what_the_page_of_the_diagnosis_says():
    page = (docs.ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    assert accuracy.given() in page


def test_a_page_without_the_table_is_an_error():
    with pytest.raises(ValueError, match="no table of 'nothing'"):
        accuracy.table_of("naming", "nothing")
