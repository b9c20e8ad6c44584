"""What is drawn, before it is: axes with round numbers, pages within their size, names that stay text, maps as pictures."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from gradlens.reporters.html.document import as_data
from gradlens.reporters.html.overview import short_names
from gradlens.reporters.html.panels import Band, Bar, Drawing, Heat, Level, Line, Panel, fitting, packed
from gradlens.reporters.html.png import heat_uri
from gradlens.reporters.html.run_drawings import joined
from gradlens.reporters.html.scales import Scale, round_values
from gradlens.reporters.html.svg import still
from tests.reporters.canonical import HOSTILE


def drawing(n=500, **more):
    x = np.arange(n)
    line = Line(name="loss", tone="loss", x=x, y=1.0 + np.exp(-x / 50.0))
    panel = Panel(title="loss", lines=(line,), levels=(Level(value=1.5, name="C = 1.5"),))
    return Drawing(key="k", title="run", panels=(panel,), first=0, last=n - 1, alt="words", **more)


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0.0, 1.0, 5, [0.0, 0.5, 1.0]),
        (0.0, 1_199.0, 7, [0, 200, 400, 600, 800, 1_000]),
        (0.12, 0.47, 6, [0.2, 0.3, 0.4]),
        (-3.0, 3.0, 4, [-2.0, 0.0, 2.0]),
        (1e-9, 3e-9, 4, [1e-9, 2e-9, 3e-9]),
        (5.0, 5.0, 4, [5.0]),
    ],
)
def test_ticks_are_round(low, high, most, ticks):
    assert round_values(low, high, most) == pytest.approx(ticks)


def test_ticks_of_decades_and_of_less():
    def ticks(low, high):
        return Scale(low=low, high=high, start=0.0, end=100.0, log=True).ticks(6)

    assert ticks(0.02, 300.0) == pytest.approx([0.1, 1.0, 10.0, 100.0])
    assert len(ticks(1.2, 9.0)) > 2
    assert len(ticks(1e-30, 1e30)) <= 6


def test_scales_take_any_floats():
    scale = Scale(low=-1.7e308, high=1.7e308, start=0.0, end=100.0, log=False)
    assert scale(0.0) == 50.0
    assert scale(float("inf")) == 100.0


def test_columns_come_back_as_they_were():
    value = {
        "x": np.array([0, 5, 2**31 - 1]),
        "large": np.array([2**40, 2**41]),
        "y": np.array([1.5, -2.0]),
        "huge": np.array([1e300]),
    }
    kinds = {"i": "<i4", "f": "<f4", "d": "<f8"}
    for column in value.values():
        made = drawing(2)
        panel = replace(made.panels[0], lines=(Line(name="n", tone="loss", x=column, y=np.ones(len(column))),))
        kind, text = packed(replace(made, panels=(panel,)))["panels"][0]["lines"][0][3]
        assert np.array_equal(np.frombuffer(base64.b64decode(text), dtype=kinds[kind]).astype(column.dtype), column)


def test_a_log_axis_serves_positive_values_over_a_decade():
    def log_scale(y):
        return Panel(
            title="t", lines=(Line(name="n", tone="loss", x=np.arange(len(y)), y=np.asarray(y, dtype=float)),)
        ).log_scale

    assert log_scale([1.0, 20.0])
    assert not log_scale([1.0, 5.0])
    assert not log_scale([0.0, 100.0])
    # One low value among many does not spread the axis, one high value does.
    assert not log_scale([*[1.0] * 199, 0.001])
    assert log_scale([*[1.0] * 199, 1_000.0])


def test_many_drawings_share_what_a_page_may_weigh():
    many = [drawing(4_000) for _ in range(60)]
    made = fitting(many, 1_000_000)
    assert sum(len(json.dumps(packed(d))) + len(still(d)) for d in made) < 1_300_000
    assert all(d.panels[0].lines[0].y.max() == 2.0 for d in made)
    assert fitting([drawing(500)], 1_000_000)[0].panels[0].lines[0].y.size == 500


def test_a_page_of_very_many_runs_stays_small(tmp_path):
    from gradlens.analyzer import AnalysisOptions, analyze_runs
    from gradlens.reporters import render
    from tests.figures.test_picture import noisy, run_of

    step, loss, norm = noisy(1_000)
    run = run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm")
    report = analyze_runs([run], AnalysisOptions(picture=True))
    crowd = replace(report, runs=tuple(replace(report.runs[0], id=f"sweep/seed-{i}") for i in range(300)))
    page = render(crowd, "html")
    assert len(page.encode()) < 3_000_000
    assert page.count('<tr data-text="') == 300
    assert page.count("<details id=") == 40


def test_still_pictures_escape_what_comes_from_a_log():
    made = drawing(bands=(Band(first=1, last=2, lane=HOSTILE, text=HOSTILE, tone="error"),), legend=True)
    heat = Heat(names=(HOSTILE, "b"), edge=np.array([0.0, 1.0]), value=np.ones((2, 1)))
    line = replace(made.panels[0].lines[0], name=HOSTILE)
    panels = (replace(made.panels[0], lines=(line,)), Panel(title="layers", heat=heat))
    text = still(replace(made, title=HOSTILE, alt=HOSTILE, panels=panels))
    assert "<b>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    data = as_data(packed(replace(made, panels=panels)))
    assert not re.search("[<>&\x1b\u202e]", data)
    json.loads(data)


@pytest.mark.parametrize(
    "value",
    [
        (1e308, 1.79e308), (1e-308, 1.79e308), (5e-324, 1e-320), (5e-324, 1.79e308), (-1.79e308, 1.79e308), (0.0, 5e-324), (1e308, 1e308),
        (-1.79e308, -1.7e308),
    ],
)  # fmt: skip
def test_values_at_the_edge_of_floats_are_drawn(value):
    panel = drawing().panels[0]
    lines = (replace(panel.lines[0], x=np.array([1.0, 2.0]), y=np.array(value)),)
    for log in {value[0] > 0, False}:
        text = still(replace(drawing(), panels=(replace(panel, lines=lines, log=log),)))
        assert not re.search(r'="-?(?:inf|nan)', text)


def test_a_map_becomes_a_png():
    value = np.array([[1.0, 10.0, np.nan], [100.0, np.inf, 0.0]])
    uri, low, high = heat_uri(value)
    assert (low, high) == pytest.approx((1.0, 100.0))
    raw = base64.b64decode(uri.partition(",")[2])
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", raw[16:24]) == (3, 2)
    size = struct.unpack(">I", raw[33:37])[0]
    rows = zlib.decompress(raw[41 : 41 + size])
    pixels = np.frombuffer(rows, dtype=np.uint8).reshape(2, 13)[:, 1:].reshape(2, 3, 4)
    assert pixels[0, 0].tolist() == [0x44, 0x01, 0x54, 255]
    assert pixels[1, 0].tolist() == [0xFD, 0xE7, 0x25, 255]
    assert pixels[1, 1].tolist() == [198, 40, 40, 255]
    assert pixels[0, 2, 3] == pixels[1, 2, 3] == 0
    assert heat_uri(np.zeros((2, 2))) is None


def test_bars_and_steps_are_drawn_still():
    step = Line(name="rate", tone="lr", x=np.array([0, 10, 20]), y=np.array([1.0, 2.0, 1.0]), style="steps")
    bars = Panel(
        title="clip rate", percent=True, log=False, bars=(Bar(first=0, last=10, share=0.1, name="10 % of 10 clipped"),)
    )
    text = still(replace(drawing(), panels=(Panel(title="rate", lines=(step,)), bars)))
    corners = re.search(r'class="lr steps" points="([^"]+)"', text)[1].split()
    assert len(corners) == 5
    assert "10 % of 10 clipped" in text


def test_steps_close_to_each_other_are_one_band():
    assert joined((5, 1, 2, 100, 101), 3) == [(1, 5), (100, 101)]
    assert joined((), 3) == []


def test_names_lose_the_folders_that_all_share():
    assert short_names(["a/b/x.jsonl", "a/b/y.jsonl"]) == ["x.jsonl", "y.jsonl"]
    assert short_names(["a/b/x", "a/c/x"]) == ["b/x", "c/x"]
    assert short_names(["a", "a"]) == ["a", "a"]


def test_a_notebook_keeps_its_colours_and_gets_no_script():
    from gradlens.analyzer import AnalysisOptions, analyze_runs
    from tests.figures.test_picture import noisy, run_of

    step, loss, norm = noisy(300)
    run = run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm")
    shown = analyze_runs([run], AnalysisOptions(picture=True))._repr_html_()
    style = re.search("<style>(.*?)</style>", shown, re.DOTALL)[1]
    assert not re.search(r"(^|[},;])\s*(:root|body|html|\*)\b", style)
    assert 'class="gl inherit"' in shown
    assert "<svg" in shown
    assert "<script" not in shown
