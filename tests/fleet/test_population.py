"""A baseline from the healthy runs of a table, and the gate against it, as a user types it."""

from __future__ import annotations

import json

import pytest

import gradlens
from gradlens.fleet.build import build
from gradlens.fleet.engines.local import LocalEngine
from gradlens.fleet.isolation import Limits
from gradlens.fleet.judge import Job
from gradlens.fleet.plan import plan
from tests.fleet.conftest import write_jsonl

RUNS = 40
JOB = Job(threshold=1.5)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Healthy runs of one project, with a diverged one, a copy, a damaged one and a short one among them."""
    folder = tmp_path_factory.mktemp("project")
    for seed in range(RUNS):
        write_jsonl(folder / f"seed{seed:02d}" / "log.jsonl", seed=seed)
    write_jsonl(folder / "bad" / "log.jsonl", seed=50, diverges=True)
    write_jsonl(folder / "short" / "log.jsonl", seed=51, rows=4)
    (folder / "zz").mkdir()
    (folder / "zz" / "log.jsonl").write_bytes((folder / "seed03" / "log.jsonl").read_bytes())
    (folder / "empty.jsonl").write_bytes(b"")
    path = tmp_path_factory.mktemp("table") / "fleet.parquet"
    build(plan([str(folder)]), path, JOB, lambda: LocalEngine(JOB, Limits(), 1))
    return path


@pytest.fixture
def population(table, command, tmp_path):
    path = tmp_path / "population.json"
    code, _, _ = command("baseline", table, "-o", path)
    assert code == 0
    return path


@pytest.fixture
def gate(population, command, tmp_path):
    """Gate a run that is written first: exit code and the JSON report."""

    def call(*options, name="candidate", **how):
        log = tmp_path / name / "log.jsonl"
        write_jsonl(log, **how)
        code, out, err = command(
            "gate", log, "--baseline", population, "--threshold", "1.5", "--format", "json", *options
        )
        return code, json.loads(out) if out else err

    return call


def test_a_baseline_holds_the_healthy_runs_and_says_what_it_left_out(table, command, tmp_path):
    code, out, err = command("baseline", table, "-o", tmp_path / "p.json")
    assert code == 0
    assert f"{RUNS} healthy runs" in out
    assert "at most 4.9% of cases" in out
    for line in ("1 with a problem", "1 too short to judge", "1 not read", "1 copies"):
        assert f"left out: {line}" in err
    document = json.loads((tmp_path / "p.json").read_text())
    assert [run["name"] for run in document["runs"]] == [f"seed{i:02d}/log.jsonl" for i in range(RUNS)]
    command("baseline", table, "-o", tmp_path / "q.json")
    assert (tmp_path / "p.json").read_bytes() == (tmp_path / "q.json").read_bytes()


def test_the_runs_can_be_chosen(table, command, tmp_path):
    code, out, _ = command("baseline", table, "-o", tmp_path / "p.json", "--runs", "seed[0-2]*")
    assert code == 0
    assert "30 healthy runs" in out
    code, _, err = command("baseline", table, "-o", tmp_path / "p.json", "--runs", "seed0*")
    assert code == 2
    assert "10 healthy runs that match seed0* are too few: 19 are needed" in err


def test_a_run_like_them_passes(gate):
    code, report = gate(seed=200)
    assert (code, report["outcome"]) == (0, "pass")
    assert {m["name"]: m["outcome"] for m in report["metrics"]} == {
        "nonfinite": "pass", "clip_rate": "pass", "final_loss": "pass", "loss_course": "pass", "norm_level": "pass",
        "norm_course": "pass", "norm_tail": "pass", "loss_spikes": "pass", "norm_spikes": "pass",
    }  # fmt: skip
    (told,) = [n["message"] for n in report["notices"] if n["code"] == "population"]
    assert "a healthy run fails in at most 4.9 % of cases" in told


def test_a_run_that_is_unlike_them_fails_and_says_where(gate):
    # It comes down more slowly in the middle, and ends as well as the others.
    code, report = gate(seed=201, level=-1.0)
    assert (code, report["outcome"]) == (1, "fail")
    failed = {m["name"]: m for m in report["metrics"] if m["outcome"] == "fail"}
    assert set(failed) == {"loss_course"}
    assert failed["loss_course"]["change"] > failed["loss_course"]["tolerance"] > 0
    assert failed["loss_course"]["p_adjusted"] == pytest.approx(1 / 41)
    assert failed["loss_course"]["worst_steps"][1] < 200


def test_a_nan_never_passes(gate):
    code, report = gate(seed=202, diverges=True)
    assert code == 1
    assert report["metrics"][0]["name"] == "nonfinite"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"rows": 200}, "ends at step 199, the healthy runs at 299 or later"),
        ({"rows": 400}, "ends at step 399, the healthy runs at 299 or before"),
    ],
)
def test_another_length_cannot_be_judged(gate, how, reason):
    code, report = gate(seed=203, **how)
    assert code in {1, 2}
    assert any(reason in m["reason"] for m in report["metrics"] if m["outcome"] == "inconclusive")


def test_another_threshold_cannot_be_judged(population, command, tmp_path):
    write_jsonl(tmp_path / "c" / "log.jsonl", seed=204)
    code, out, _ = command("gate", tmp_path / "c" / "log.jsonl", "--baseline", population, "--threshold", "0.5")
    assert code == 2
    assert "thresholds differ" in " ".join(out.split())


def test_a_column_that_the_others_have_cannot_be_left_out(gate, population, command, tmp_path):
    write_jsonl(tmp_path / "c" / "log.jsonl", seed=205)
    log = tmp_path / "c" / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "grad_norm"}) + "\n" for row in rows))
    code, out, _ = command("gate", log, "--baseline", population)
    assert code == 2
    assert "the candidate has none" in " ".join(out.split())


def test_the_promise_is_shared_among_several_candidates(population, command, tmp_path):
    for seed in (206, 207):
        write_jsonl(tmp_path / f"s{seed}" / "log.jsonl", seed=seed, level=-1.0 if seed == 207 else 0.0)
    logs = [tmp_path / f"s{seed}" / "log.jsonl" for seed in (206, 207)]
    code, out, _ = command("gate", *logs, "--baseline", population, "--threshold", "1.5", "--format", "json")
    names = {m["name"]: m["outcome"] for m in json.loads(out)["metrics"]}
    # One of two may fail in 2.5 % of cases: 40 runs are enough for that, with 1 / 41.
    assert code == 1
    assert [name for name, outcome in names.items() if outcome == "fail"] == [f"{logs[1]}/loss_course"]
    more = [tmp_path / f"m{i}" / "log.jsonl" for i in range(2)]
    for i, log in enumerate(more):
        write_jsonl(log, seed=300 + i)
    code, out, _ = command("gate", *logs, *more, "--baseline", population, "--threshold", "1.5")
    assert code == 2
    assert "too few to tell" in " ".join(out.split())


def test_from_python(population, tmp_path):
    write_jsonl(tmp_path / "c" / "log.jsonl", seed=208, level=-1.0)
    report = gradlens.gate(gradlens.read(tmp_path / "c" / "log.jsonl"), population, threshold=1.5)
    assert report.outcome == "fail"


def edited(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: edited(p, lambda d: d["runs"][0]["figures"].__setitem__(1, 99.0)), "does not match its own checksum"),
        (lambda p: edited(p, lambda d: d["runs"].pop()), "does not match its own checksum"),
        (lambda p: edited(p, lambda d: d.pop("digest")), "does not match its own checksum"),
        (lambda p: edited(p, lambda d: d["runs"].clear()), "holds no runs"),
        (lambda p: edited(p, lambda d: d["runs"][0].pop("figures")), "has no 'figures'"),
        (lambda p: edited(p, lambda d: d["runs"][0]["figures"].pop()), "figures, not"),
        (lambda p: edited(p, lambda d: d["runs"][0]["figures"].__setitem__(0, "many")), "is not a finite number"),
        (lambda p: edited(p, lambda d: d.__setitem__("schema_version", 9)), "version 9 of the format"),
        (lambda p: p.write_text(p.read_text()[:-200]), "the document is incomplete"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_was_written_is_refused(population, command, tmp_path, spoil, message):
    write_jsonl(tmp_path / "c" / "log.jsonl", seed=209)
    spoil(population)
    code, out, err = command("gate", tmp_path / "c" / "log.jsonl", "--baseline", population)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gate", "{log}", "--baseline", "{population}", "--baseline", "{log}"), "compared with alone"),
        (("gate", "{log}", "--baseline", "{population}", "--update"), "is a population"),
        (("baseline", "{table}", "{log}", "-o", "{tmp}/p.json"), "goes into a baseline alone"),
        (("baseline", "{log}", "-o", "{tmp}/p.json", "--runs", "a*"), "chooses among the rows"),
    ],
)
def test_what_cannot_be_asked_is_one_line(table, population, command, tmp_path, arguments, message):
    log = tmp_path / "c" / "log.jsonl"
    write_jsonl(log, seed=210)
    given = [a.format(log=log, population=population, table=table, tmp=tmp_path) for a in arguments]
    code, _, err = command(*given)
    assert code == 2
    assert message in err
