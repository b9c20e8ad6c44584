"""Following real files, looked at by hand with a clock of our own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gradlens.analyzer import AnalysisOptions
from gradlens.errors import UsageError
from gradlens.readers.base import ReadOptions
from gradlens.reports.base import Severity
from gradlens.watching.following import Follower
from gradlens.watching.rhythm import MIN_SECONDS
from gradlens.watching.watcher import Watcher


def rows(first, last, seed=0, **more):
    g = np.random.default_rng([seed, first])
    for i in range(first, last):
        row = {"step": i, "loss": (0.5 + 2 * math.exp(-i / 300)) * math.exp(0.04 * g.standard_normal()),
               "grad_norm": math.exp(0.2 * g.standard_normal()), "lr": 1e-3}  # fmt: skip
        yield row | more.get(f"at{i}", {})


def text(records):
    return "".join(json.dumps(row) + "\n" for row in records)


OPEN = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPEN:
        OPEN.pop().close()


class Watch:
    """A watcher and the file that it follows."""

    def __init__(self, *paths, **options):
        followers = [Follower(str(path), ReadOptions(columns="needed", split_starts=False)) for path in paths]
        self.watcher = Watcher(followers, AnalysisOptions(threshold=1.0), **options)
        self.now = 1000.0
        self.events, self.polls = [], []
        OPEN.append(self.watcher)

    def look(self, seconds=100.0):
        """Look after so many seconds, enough for a verdict by default; the new events."""
        self.now += seconds
        polls = list(self.watcher.look(self.now))
        self.polls += polls
        new = [event for poll in polls for event in poll.events]
        self.events += new
        return new

    @property
    def state(self):
        (state,) = self.polls[-1].states
        return state


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def append(path, records):
    with path.open("a") as file:
        file.write(text(records))


def spike(step):
    return {f"at{step}": {"loss": 30.0, "grad_norm": 40.0}}


def kinds(events):
    return [event.kind for event in events]


def test_where_a_run_stands(path):
    path.write_text(text([{"config": {"max_steps": 2000}}, *rows(0, 500)]))
    watch = Watch(path)
    watch.look()
    append(path, rows(500, 1000))
    watch.look(10.0)
    state = watch.state
    assert (state.step, state.rows, state.total) == (999, 1000, 2000)
    assert state.speed == pytest.approx(50.0)
    assert state.left == pytest.approx((2000 - 999) / 50.0)
    assert state.best <= state.loss
    assert state.rate == 1e-3
    assert state.report.steps == 1000
    assert not state.is_done


def test_a_spike_is_told_before_any_verdict_and_once(path):
    path.write_text(text(rows(0, 600)))
    watch = Watch(path)
    watch.look()
    append(path, rows(600, 800, **spike(700)))
    watch.look(0.1)
    first, second = watch.polls[-2:]
    assert [(e.kind, e.steps) for e in first.events] == [("spike", (700,)), ("spike", (700,))]
    assert not first.is_whole
    assert [(e.kind, e.code) for e in second.events] == [("finding", "GL301")]
    append(path, rows(800, 1000))
    assert "spike" not in kinds(watch.look())


def test_further_events_of_a_known_finding_are_told_with_their_steps(path):
    path.write_text(text(rows(0, 800, **spike(400), **spike(600))))
    watch = Watch(path)
    (finding,) = [e for e in watch.look() if e.code == "GL301"]
    assert (finding.kind, finding.steps) == ("finding", (400, 600))
    append(path, rows(800, 1000, **spike(900)))
    (again,) = [e for e in watch.look() if e.code == "GL301"]
    assert (again.kind, again.steps, again.level) == ("again", (900,), Severity.WARNING)
    append(path, rows(1000, 1200))
    assert not [e for e in watch.look() if e.code == "GL301"]


def test_values_that_are_not_finite_are_told_once_until_they_are_finite_again(path):
    path.write_text(text(rows(0, 400)))
    watch = Watch(path)
    watch.look()
    append(path, rows(400, 420, at410={"loss": math.nan}, at411={"loss": math.nan}))
    assert [(e.kind, e.steps) for e in watch.look() if e.kind == "nonfinite"] == [("nonfinite", (410,))]
    append(path, rows(420, 440, at430={"loss": math.inf}))
    assert [(e.message, e.steps) for e in watch.look() if e.kind == "nonfinite"] == [("loss is infinite", (430,))]


def test_silence_is_an_alert_after_the_logs_own_rhythm_and_once(path):
    path.write_text(text(rows(0, 400)))
    watch = Watch(path)
    for n in range(6):
        append(path, rows(400 + 10 * n, 410 + 10 * n))
        watch.look(20.0)
    assert not watch.look(59.0)
    (silent,) = watch.look(2.0)
    assert (silent.kind, silent.level, silent.step) == ("silent", Severity.ERROR, 459)
    assert "1 min 1 s" in silent.message
    assert watch.state.is_silent
    assert not watch.look(1000.0)
    append(path, rows(460, 470))
    assert "grows-again" in kinds(watch.look())
    assert not watch.state.is_silent


def test_a_log_that_nobody_writes_is_no_alert(path):
    path.write_text(text(rows(0, 400)))
    watch = Watch(path)
    watch.look()
    (silent,) = [e for e in watch.look(MIN_SECONDS + 600) if e.kind == "silent"]
    assert silent.level is Severity.NOTE


def test_a_run_that_is_done_is_not_silent(path):
    path.write_text(text([{"config": {"max_steps": 500}}, *rows(0, 400)]))
    watch = Watch(path)
    for n in range(10):
        append(path, rows(400 + 10 * n, 410 + 10 * n))
        watch.look(5.0)
    assert "done" in kinds(watch.events)
    assert not watch.look(10_000.0)


def test_rotation_goes_on_with_all_rows(path):
    path.write_text(text(rows(0, 500)))
    watch = Watch(path)
    watch.look()
    append(path, rows(500, 520))
    path.rename(path.with_suffix(".jsonl.1"))
    path.write_text(text(rows(520, 700)))
    (event,) = watch.look()
    assert (event.kind, event.steps) == ("rotated", (520,))
    assert watch.state.rows == 700
    append(path, rows(700, 720))
    watch.look()
    assert watch.state.rows == 720
    assert watch.state.report.steps == 720


def test_truncation_in_place_goes_on_as_well(path):
    path.write_text(text(rows(0, 500)))
    watch = Watch(path)
    watch.look()
    path.write_text(text(rows(500, 560)))
    assert kinds(watch.look()) == ["rotated"]
    assert watch.state.rows == 560


def test_another_training_under_the_name_begins_anew(path):
    path.write_text(text(rows(0, 500)))
    watch = Watch(path)
    watch.look()
    other = path.with_suffix(".new")
    other.write_text(text(rows(0, 80, seed=9)))
    other.replace(path)
    (event,) = watch.look()
    assert (event.kind, event.step) == ("restarted", 0)
    assert (watch.state.rows, watch.state.step) == (80, 79)


def test_a_document_that_is_rewritten_all_the_time_makes_no_events(tmp_path):
    path = tmp_path / "trainer_state.json"

    def write(n):
        part = path.with_suffix(".part")
        records = [{"step": r["step"], "loss": r["loss"], "grad_norm": r["grad_norm"]} for r in rows(0, n)]
        part.write_text(json.dumps({"log_history": records, "global_step": n}))
        part.replace(path)

    write(400)
    watch = Watch(path)
    watch.look()
    assert watch.state.rows == 400
    for n in (450, 500):
        write(n)
        assert not [e for e in watch.look() if e.kind in {"rotated", "restarted"}]
        assert watch.state.rows == n


def test_a_file_that_is_not_there_yet_or_away_for_a_while(path):
    watch = Watch(path)
    watch.look()
    assert watch.polls[-1].problems == (f"{path}: no such file or folder",)
    path.write_text("")
    watch.look()
    assert "empty so far" in watch.polls[-1].problems[0]
    append(path, rows(0, 300))
    watch.look()
    assert watch.state.rows == 300
    path.unlink()
    watch.look()
    assert watch.state.rows == 300
    path.write_text(text(rows(300, 310)))
    watch.look()
    assert watch.state.step == 309


def test_the_half_line_of_a_killed_writer_is_waited_for(path):
    path.write_text(text(rows(0, 400)) + '{"step": 400, "lo')
    watch = Watch(path)
    watch.look()
    assert watch.state.step == 399
    with path.open("a") as file:
        file.write('ss": 0.6, "grad_norm": 1.0}\n')
    watch.look()
    assert watch.state.step == 400


@pytest.mark.parametrize("make", ["csv", "folder"])
def test_what_cannot_be_read_in_pieces_is_read_again(tmp_path, make):
    log = tmp_path / ("run.csv" if make == "csv" else "logs/run.jsonl")
    log.parent.mkdir(exist_ok=True)

    def write(n):
        if make == "csv":
            lines = ["step,loss,grad_norm", *(f"{r['step']},{r['loss']},{r['grad_norm']}" for r in rows(0, n))]
            log.write_text("\n".join(lines) + "\n")
        else:
            log.write_text(text(rows(0, n)))

    write(400)
    watch = Watch(log if make == "csv" else log.parent)
    watch.look()
    assert watch.state.rows == 400
    write(450)
    watch.look()
    assert watch.state.rows == 450


def test_several_files_each_with_its_own_silence(tmp_path):
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path in (a, b):
        path.write_text(text(rows(0, 400)))
    watch = Watch(a, b)
    for n in range(12):
        append(a, rows(400 + n, 401 + n))
        if n < 6:
            append(b, rows(400 + n, 401 + n))
        watch.look(10.0)
    assert [(e.kind, e.run) for e in watch.events if e.kind == "silent"] == [("silent", str(b))]
    assert {state.run: state.step for state in watch.polls[-1].states} == {str(a): 411, str(b): 405}


def test_reading_again_takes_no_more_than_its_share(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("step,loss\n" + "".join(f"{i},{1 / (1 + i)}\n" for i in range(5000)))
    watch = Watch(path)
    watch.look()
    judged = 0
    for n in range(50):
        with path.open("a") as file:
            file.write(f"{5000 + n},0.1\n")
        watch.look(0.01)
        judged += bool(watch.polls[-1].judged)
    assert judged <= 5


def test_what_cannot_be_followed(tmp_path):
    with pytest.raises(UsageError, match="standard input"):
        Follower("-", ReadOptions())
    with pytest.raises(UsageError, match="device"):
        Watch("/dev/null").look()
