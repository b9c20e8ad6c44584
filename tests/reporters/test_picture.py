"""The picture of a terminal: round ticks on one step axis, marks where something was found."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rich.color import Color

import gradlens
from gradlens.reporters import palette
from gradlens.reporters.base import Screen
from gradlens.reporters.page import print_parts
from gradlens.reporters.picture import picture, round_ticks
from gradlens.reporters.terminal import TerminalReporter


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        (0, 1199, [0, 200, 400, 600, 800, 1000]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (37, 61, [40, 45, 50, 55, 60]),
        (0, 3, [0, 1, 2, 3]),
        (5, 5, [5]),
        (10**15, 10**15 + 10**6, [10**15 + k * 200_000 for k in range(6)]),
    ],
)
def test_ticks_are_round(first, last, ticks):
    assert round_ticks(first, last) == ticks


def drawn(run, *, width=80, unicode=True):
    screen = Screen(width=width, unicode=unicode)
    return print_parts([picture(run, screen)], screen).splitlines()


@pytest.mark.parametrize("unicode", [True, False])
def test_marks_stand_at_the_steps_of_findings(samples, unicode):
    (run,) = gradlens.analyze(gradlens.read(samples / "bad_data.jsonl"), threshold=1.0).runs
    lines = drawn(run, unicode=unicode)
    (marks,) = [line for line in lines if "GL301" in line]
    mark = "▲" if unicode else "^"
    assert marks.count(mark) == 6
    assert marks.rstrip().endswith("bad-batch")
    # 58 columns stand for 1,200 steps: the mark of step 218 lies in column 10 or 11 of the picture.
    begin = lines[-2].index("┴" if unicode else "+")
    assert marks.index(mark) - begin in {10, 11}
    assert max(map(len, lines)) <= 80
    if not unicode:
        assert "\n".join(lines).isascii()


def layered(n=900, layers=12):
    g = np.random.default_rng(0)
    step = np.arange(n)
    columns = {
        f"grad_norm/model.layers.{k}.mlp": np.exp(
            0.2 * g.standard_normal(n) - 0.3 * k + 2.5 * ((k == 5) & (step > 500) & (step < 560))
        )
        for k in range(layers)
    }
    total = np.sqrt(sum(value**2 for value in columns.values()))
    loss = 2 + np.exp(-step / 200) + 0.05 * g.standard_normal(n)
    loss[700:712] = total[700:712] = np.nan
    val = np.where(step % 100 == 99, 2.2 + np.exp(-step / 200), np.nan)
    rate = 1e-3 * np.minimum((step + 1) / 90, 1)
    return {"step": step, "loss": loss, "grad_norm": total, "lr": rate, "val_loss": val, **columns}


@pytest.mark.parametrize("width", [80, 120])
def test_layers_are_a_strip_on_the_same_axis(width):
    (run,) = gradlens.analyze(layered()).runs
    lines = drawn(run, width=width)
    (first,) = [i for i, line in enumerate(lines) if line.lstrip().startswith("layers")]
    rows = lines[first : first + 6]
    assert [row.partition("–")[2] for row in rows] == [
        "2 of 12",
        "4 of 12",
        "6 of 12",
        "8 of 12",
        "10 of 12",
        "12 of 12",
    ]
    begin = lines[-2].index("┴")
    columns = width - 22
    hot = [i for i, cell in enumerate(rows[2][begin : begin + columns]) if cell == "█"]
    assert 500 / 900 * columns - 2 <= min(hot) <= max(hot) <= 560 / 900 * columns + 1
    assert "▓" in rows[0]
    assert "█" not in rows[5]
    assert max(map(len, lines)) <= width


def test_the_rate_what_is_not_finite_and_the_validation_loss_have_their_places():
    (run,) = gradlens.analyze(layered()).runs
    lines = drawn(run)
    begin = lines[-2].index("┴")
    (rate,) = [line for line in lines if line.lstrip().startswith("rate")]
    assert rate[begin] == "▁"
    assert rate[begin + 10] == "█"
    (bad,) = [line for line in lines if line.startswith("NaN, inf")]
    assert bad.index("×") - begin == pytest.approx(705 / 900 * 58, abs=1.5)
    (val,) = [line for line in lines if line.lstrip().startswith("val ")]
    # The first evaluation is at step 99, a ninth of the way.
    assert len(val[begin:]) - len(val[begin:].lstrip()) in {5, 6}


def test_a_layer_that_is_not_finite_has_its_own_mark():
    data = layered(layers=3)
    data["grad_norm/model.layers.1.mlp"][300:320] = np.inf
    (run,) = gradlens.analyze(data).runs
    lines = drawn(run)
    (first,) = [i for i, line in enumerate(lines) if line.lstrip().startswith("layers")]
    assert ["×" in line for line in lines[first : first + 3]] == [False, True, False]
    assert lines[first].endswith("layers.0.mlp"[-11:])


@pytest.mark.parametrize("color", palette.COLORS)
def test_colours_are_seen_on_black_and_on_white(color):
    def light(channel):
        share = channel / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = Color.parse(color).get_truecolor()
    luminance = 0.2126 * light(red) + 0.7152 * light(green) + 0.0722 * light(blue)
    assert (luminance + 0.05) / 0.05 >= 3.9
    assert 1.05 / (luminance + 0.05) >= 3.9


def test_no_other_colour_is_used(samples):
    reports = gradlens.analyze(
        [samples / "bad_data.jsonl", samples / "lr_too_high.jsonl", samples / "healthy.jsonl"], threshold=1.0
    )
    text = TerminalReporter().render(reports, Screen(color=True, verbose=True))
    used = {
        code
        for found in re.findall(r"\x1b\[([\d;]+)m", text)
        for code in re.sub(r"38;5;\d+", "", found).split(";")
        if code
    }
    assert used <= {"0", "1", "2", "3", "4"}
    assert {f"color({n})" for n in re.findall(r"38;5;(\d+)", text)} <= set(palette.COLORS)
