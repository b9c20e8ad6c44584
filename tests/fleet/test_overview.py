"""What ails a fleet, from rows alone."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.errors import UsageError
from gradlens.fleet.overview import changes_between, overview
from gradlens.fleet.relations import relate
from gradlens.fleet.row import COLUMNS
from gradlens.reporters.fleet_terminal import onset_sentence


def row(name, **values):
    base = dict.fromkeys(column for column, _, _ in COLUMNS)
    return {**base, "name": name, "source": f"logs/{name}/log.jsonl", "status": "clear", "outcome": "learned",
            "cause": "healthy", "confidence": 0.9, "headline": "", "steps": 100, **values}  # fmt: skip


def sweep():
    rates = np.repeat([1e-4, 1e-3, 1e-2, 1e-1], 10)
    return [
        row(f"r{i}", learning_rate=float(rate), **({"status": "problem", "outcome": "diverged", "cause": "lr_too_high"}
                                                  if rate > 5e-3 and i % 5 else {}))
        for i, rate in enumerate(rates)
    ]  # fmt: skip


def test_groups_and_the_rate_at_which_trouble_starts():
    found = overview(sweep(), "t", by=["learning_rate"])
    assert [(g.settings["learning_rate"], g.runs, g.trouble) for g in found.groups] == [
        (1e-4, 10, 0), (1e-3, 10, 0), (1e-2, 10, 8), (1e-1, 10, 8),
    ]  # fmt: skip
    (onset,) = found.onsets
    assert (onset.value, onset.rises, onset.interval) == (1e-2, True, (1e-2, 1e-2))
    assert onset.p_value == pytest.approx(0.001)
    assert (onset.troubled.runs, onset.troubled.share, onset.quiet.runs) == (16, 0.8, 0)


def test_no_onset_where_the_setting_does_not_matter():
    generator = np.random.default_rng(3)
    p = []
    for _ in range(60):
        rows = [
            row(f"r{i}", learning_rate=float(generator.choice([1, 2, 3, 4])),
                status="problem" if generator.random() < 0.3 else "clear") for i in range(40)
        ]  # fmt: skip
        onsets = overview(rows, "t", by=["learning_rate"]).onsets
        p += [onset.p_value for onset in onsets]
    # The cut is chosen from three: its p-value must know that. Of 60, 7 or more below .05 happen in one of 40 cases.
    assert sum(value <= 0.05 for value in p) < 8


def test_copies_count_once_and_the_worst_come_first():
    rows = [row("a", digest="x"), row("b", digest="x"), row("c", status="problem", outcome="nonfinite", cause="exploding"),
            row("d", status="problem", outcome="stalled", cause="vanishing"), row("e", error="d: broken", status=None)]  # fmt: skip
    relate(rows)
    found = overview(rows, "t")
    assert (found.runs, found.copies, found.unread) == (3, 1, 1)
    assert [run.name for run in found.worst] == ["c", "d"]
    assert found.errors[0].what == "d: broken"


def test_a_restart_is_recognised():
    rows = [
        row("a/1", source="logs/a/1/log.jsonl", format="jsonl", config="{}", first_step=0, last_step=500, log_interval=1.0,
            loss_first=4.0, loss_last=1.0),
        row("a/2", source="logs/a/2/log.jsonl", format="jsonl", config="{}", first_step=480, last_step=900, log_interval=1.0,
            loss_first=1.1, loss_last=0.8),
        row("a/3", source="logs/a/3/log.jsonl", format="jsonl", config="{}", first_step=0, last_step=900, log_interval=1.0,
            loss_first=4.1, loss_last=0.8),
    ]  # fmt: skip
    relate(rows)
    assert [r["continues"] for r in rows] == [None, "a/1", None]


def test_changes_name_new_gone_and_other_verdicts():
    before = [row("a"), row("b"), row("c")]
    now = [row("a"), row("b", status="problem", cause="bad_data"), row("d")]
    assert changes_between(before, now) == [["b", "clear", "bad_data"], ["c", "clear", None], ["d", None, "clear"]]


def test_an_unknown_column_is_refused():
    with pytest.raises(UsageError, match="no such column"):
        overview([], "t", by=["learning_rat"])


def test_a_number_with_many_values_is_grouped_into_ranges_of_about_as_many_runs():
    rows = [row(f"r{i:03d}", warmup_steps=float(i // 2), status="problem" if i < 30 else "clear", cause="bad_data")
            for i in range(100)]  # fmt: skip
    rows += [row("missing"), row("tied1", warmup_steps=9.0), row("tied2", warmup_steps=9.0)]
    groups = overview(rows, "t", by=["warmup_steps"]).groups
    assert [g.settings["warmup_steps"] for g in groups] == [
        "0 to 9", "10 to 19", "20 to 29", "30 to 39", "40 to 49", None,
    ]  # fmt: skip
    assert [(g.runs, g.trouble) for g in groups] == [(22, 20), (20, 10), (20, 0), (20, 0), (20, 0), (1, 0)]
    assert all(g.interval[0] <= g.rate <= g.interval[1] for g in groups)


def test_few_values_and_texts_stay_as_they_are():
    rows = [row(f"r{i}", optimizer=name, learning_rate=rate)
            for i, (name, rate) in enumerate([("adamw", 1e-3), ("sgd", 0.1), ("adamw", 1e-2)])]  # fmt: skip
    groups = overview(rows, "t", by=["optimizer", "learning_rate"]).groups
    assert [tuple(g.settings.values()) for g in groups] == [("adamw", 1e-3), ("adamw", 1e-2), ("sgd", 0.1)]


def test_threshold_advice_over_the_seeds_of_one_configuration():
    rows = [row(f"a{i}", learning_rate=1e-3, suggested_threshold=v) for i, v in enumerate((1.0, 1.2, 1.5))]
    rows += [row(f"b{i}", learning_rate=1e-2, suggested_threshold=9.0) for i in range(2)]
    rows += [
        row("ill", learning_rate=1e-3, suggested_threshold=50.0, status="problem"),
        row("none", learning_rate=1e-3),
    ]
    (advice,) = overview(rows, "t").advice
    assert (advice.threshold, advice.lowest, advice.highest, advice.runs) == (1.2, 1.0, 1.5, 3)
    assert advice.settings == {"learning_rate": 1e-3}


def test_what_is_said_holds_intervals_and_counts():
    (onset,) = overview(sweep(), "t", by=["learning_rate"]).onsets
    text = onset_sentence(onset)
    assert text == (
        "learning_rate: from 0.01 on: problems in 80% (58% to 92%) of 20 runs there, 0% (0% to 16%) of 20 runs elsewhere; "
        "p = 0.001"
    )


def test_settings_that_differ_are_listed():
    assert overview(sweep(), "t").settings == ("learning_rate",)
    assert overview([row("a"), row("b")], "t").settings == ()
