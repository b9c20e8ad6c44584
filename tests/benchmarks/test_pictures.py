"""The pages of the causes: each has its picture, its sections and its figures; a picture loses no spike."""

from __future__ import annotations

import re
from typing import get_args
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks.site import causes, pictures
from benchmarks.site.svg import Panel, picture, round_steps, thinned
from benchmarks.site.training import RECIPES, train
from gradlens.reports.base import Cause

EXPLAINED = sorted(set(get_args(Cause)) - {"healthy", "undetermined", "unknown"})
SECTIONS = ["How it looks", "Why it happens", "How to be sure", "How to cure it", "When gradlens is wrong"]


def test_every_cause_has_a_run_a_picture_and_a_page():
    assert sorted(pictures.CAUSES) == EXPLAINED
    assert sorted(causes.pages()) == EXPLAINED
    assert sorted(p.stem for p in pictures.FOLDER.glob("*.md")) == sorted([*EXPLAINED, "index"])


@pytest.mark.parametrize("cause", EXPLAINED)
def test_a_page_has_its_sections_its_picture_and_its_figures(cause):
    text = (pictures.FOLDER / f"{cause}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert f"]({cause}.svg)" in text
    assert "gradlens says:" in text
    svg = ET.parse(pictures.FOLDER / f"{cause}.svg").getroot()
    assert "polyline" in {element.tag.rpartition("}")[2] for element in svg.iter()}
    assert (pictures.FOLDER / f"{cause}.svg").stat().st_size < 40_000


@pytest.mark.parametrize(("page", "heading", "who"), causes.MEASURED)
def test_the_tables_of_figures_are_found(page, heading, who):
    found = causes.figures(page, heading)
    assert {"lr_too_high", "bad_data", "healthy"} <= set(found), who
    assert all(len(cells) == 4 for cells in found.values())


def test_a_picture_keeps_the_highest_and_the_lowest_value():
    steps = np.arange(100_000)
    values = np.ones(len(steps))
    values[12_345], values[54_321] = 9.0, -9.0
    kept = dict(thinned(steps, values))
    assert (kept[12_345], kept[54_321]) == (9.0, -9.0)
    assert list(kept) == sorted(kept)
    assert len(kept) < 1_000


def test_a_picture_shows_values_that_are_not_finite_and_escapes_names():
    steps = np.arange(10)
    values = np.array([1.0, 2, np.nan, np.nan, 5, 6, 7, np.inf, 9, 10])
    text = picture("<b>", "a & b", [Panel(title="x", curves=[("<script>", steps, values)], level=("C = 3", 3.0))], [4])
    assert text.count('opacity="0.35"') == 2
    assert "<script>" not in text
    ET.fromstring(text)


@pytest.mark.parametrize(("first", "last"), [(0, 999), (5, 12), (0, 0), (1_000_000, 3_000_000)])
def test_steps_of_an_axis_are_round(first, last):
    steps = round_steps(first, last)
    assert 1 <= len(steps) <= 14
    assert all(first <= step <= last for step in steps)


@pytest.mark.slow
@pytest.mark.parametrize("cause", pictures.CAUSES)
def test_a_caption_says_what_gradlens_says_now(cause):
    text = (pictures.FOLDER / f"{cause}.md").read_text(encoding="utf-8")
    told = pictures.caption(pictures.shown(cause)).partition(" gradlens says: ")[2].partition(".")[0]
    assert f"gradlens says: {told}." in text, "python -m benchmarks.site.pictures, then make docs"


@pytest.mark.parametrize("cause", RECIPES)
def test_a_training_has_what_was_done_to_it(cause):
    rows = list(train(RECIPES[cause][1]))
    assert len(rows) == RECIPES[cause][1].steps
    if cause == "nan_sudden":
        assert next(row["step"] for row in rows if np.isnan(row["loss"])) == 230
    elif cause == "not_learning":
        assert {row["grad_norm"] for row in rows} == {0.0}
    elif cause == "lr_zero":
        assert rows[150]["lr"] == 0.0 < rows[149]["lr"]
    else:
        assert all(np.isfinite(row["loss"]) for row in rows)
