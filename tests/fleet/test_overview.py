"""What ails a fleet, from rows alone."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.errors import UsageError
from gradlens.fleet.overview import changes_between, overview
from gradlens.fleet.relations import relate
from gradlens.fleet.row import COLUMNS


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
