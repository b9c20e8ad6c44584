"""Live verdicts, alarms, and steps left out: only if told to, with patience, and all of it in the log."""

from __future__ import annotations

import http.server
import json
import sys
import threading

import numpy as np
import pytest

import gradlens

torch = pytest.importorskip("torch")

from gradlens.recorder import Live, Skip  # noqa: E402
from gradlens.recorder.live import judge  # noqa: E402
from gradlens.watching.telling import deliver  # noqa: E402
from tests.recorder.conftest import loss_of, make_batches, make_net, read_marks, read_rows  # noqa: E402

UNSURE = {
    "at": 9,
    "status": "problem",
    "outcome": "learned",
    "cause": "bad_data",
    "confidence": 0.5,
    "headline": "a row",
}
BAD = {"at": 9, "status": "problem", "cause": "lr_too_high", "confidence": 0.9, "headline": "it climbs"}


def write_sick(path, n=400, seed=0):
    """A run whose loss climbs back while the rate is high."""
    rng = np.random.default_rng(seed)
    shape = np.concatenate((np.geomspace(3, 0.5, n // 3), np.geomspace(0.5, 4, n - n // 3)))
    rows = [
        {"step": i, "loss": float(s * np.exp(0.05 * rng.standard_normal())),
         "grad_norm": float(s * np.exp(0.2 * rng.standard_normal())), "lr": 0.1}
        for i, s in enumerate(shape)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_verdict_is_that_of_analyze(tmp_path):
    path = tmp_path / "run.jsonl"
    write_sick(path)
    report = gradlens.analyze(gradlens.read(path)).to_dict()["runs"][0]
    found = judge(path, 399)
    assert found["status"] == report["verdict"]["status"] == "problem"
    assert found["cause"] == report["diagnosis"]["cause"]
    assert found["headline"]


def run_live(live, path, steps):
    """Let it see a log that is written already."""
    told = []
    for step in steps:
        live.saw(path, step, tell=told.append)
        live.close()
    return told


def test_patience_and_a_record_of_everything(tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    write_sick(path)
    alarmed = []
    live = Live(every=10, first=0, patience=3, alert=alarmed.append, stop=True)
    told = run_live(live, path, (10, 20))
    assert [t["event"] for t in told] == ["verdict", "verdict"]
    assert not alarmed
    assert not live.wants_to_stop
    told = run_live(live, path, (30, 40, 50))
    assert [t["event"] for t in told] == ["verdict", "stop-asked", "alert", "verdict", "verdict"]
    assert len(alarmed) == 1
    assert live.wants_to_stop


def test_nothing_is_stopped_that_was_not_told_to(tmp_path):
    path = tmp_path / "run.jsonl"
    write_sick(path)
    live = Live(every=10, first=0, patience=1)
    told = run_live(live, path, (10, 20, 30))
    assert {t["event"] for t in told} == {"verdict"}
    assert not live.wants_to_stop


def test_an_alarm_that_fails_harms_nobody(tmp_path):
    path = tmp_path / "run.jsonl"
    write_sick(path)
    live = Live(every=10, first=0, patience=1, alert=(["/no/such/program"], "http://127.0.0.1:9/"))
    told = run_live(live, path, (10,))
    assert [t["result"].split(":")[0] for t in told if t["event"] == "alert"] == ["failed", "failed"]


def test_the_stop_does_not_wait_for_whoever_is_told(tmp_path):
    path = tmp_path / "run.jsonl"
    write_sick(path)
    heard, go_on = threading.Event(), threading.Event()

    def slow(_verdict):
        heard.set()
        go_on.wait(60)

    live = Live(every=10, first=0, patience=1, alert=slow, stop=True)
    live.saw(path, 10, tell=lambda _event: None)
    assert heard.wait(60)
    assert live.wants_to_stop
    go_on.set()
    live.close()


def test_an_alarm_that_ends_its_program_or_speaks_in_lines_is_told_in_one(tmp_path, caplog):
    path = tmp_path / "run.jsonl"
    write_sick(path)

    def leaves(_verdict):
        sys.exit("over\nand out")

    def fails(_verdict):
        raise RuntimeError("first\nsecond")

    live = Live(every=10, first=0, patience=1, alert=(leaves, fails), stop=True)
    told = run_live(live, path, (10,))
    assert [t["event"] for t in told] == ["verdict", "stop-asked", "alert", "alert"]
    assert [t["result"] for t in told[2:]] == ["failed: SystemExit: over and out", "failed: RuntimeError: first second"]
    assert not any("\n" in r.getMessage() for r in caplog.records)


def test_a_command_gets_the_verdict_on_its_standard_input(tmp_path):
    code = f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read())"
    assert deliver([sys.executable, "-c", code], BAD).result == "exit code 0"
    assert json.loads((tmp_path / "got").read_text()) == BAD


def test_a_webhook():
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert deliver(f"http://127.0.0.1:{server.server_port}/hook", BAD).result == "posted: 204"
        thread.join(10)
    assert got == [BAD]


def test_a_loop_that_is_told_to_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("gradlens.recorder.live.judge", lambda _path, step: BAD | {"at": step})
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    live = Live(every=5, first=0, patience=2, stop=True)
    path = tmp_path / "run.jsonl"
    with gradlens.Recorder(path, model, opt, live=live, flush_every=5) as rec:
        for batch in make_batches(200):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            rec.log(loss=loss)
            opt.step()
            live.close()
            if rec.should_stop:
                break
    assert 10 <= len(read_rows(path)) <= 20
    (run,) = gradlens.read(path)
    assert "recorder-stop" in {n.code for n in run.notices}


def train(path, skip, bad=(), n=60):
    model = make_net()
    opt = torch.optim.AdamW(model.parameters(), lr=0.01)
    with gradlens.Recorder(path, model, opt, skip=skip) as rec:
        for number, batch in enumerate(make_batches(n)):
            opt.zero_grad()
            loss = loss_of(model, batch) * bad.get(number, 1.0) if bad else loss_of(model, batch)
            loss.backward()
            rec.log(loss=loss)
            opt.step()
    return model, rec


def test_steps_far_above_the_level_are_left_out(tmp_path):
    path = tmp_path / "run.jsonl"
    model, _ = train(path, Skip(factor=10.0), bad={40: 1e4, 41: float("nan"), 50: float("inf")})
    rows = read_rows(path)
    assert [r["step"] for r in rows if r.get("skipped")] == [40, 41, 50]
    assert all(p.isfinite().all() for p in model.parameters())
    assert [m["at"] for m in read_marks(path) if m["event"] == "step-skipped"] == [40, 41, 50]
    assert {n.code: n.count for n in gradlens.read(path)[0].notices}["recorder-skipped-step"] == 3


def test_a_level_that_stays_raised_is_taken_after_patience(tmp_path):
    path = tmp_path / "run.jsonl"
    train(path, Skip(factor=5.0, patience=4), bad=dict.fromkeys(range(30, 60), 100.0))
    assert [r["step"] for r in read_rows(path) if r.get("skipped")] == [30, 31, 32, 33]


def test_gradients_that_stay_nonfinite_ask_for_a_stop(tmp_path):
    model, rec = train(tmp_path / "run.jsonl", Skip(patience=3), bad={i: float("nan") for i in range(30, 60)})
    assert rec.should_stop
    assert all(p.isfinite().all() for p in model.parameters())


def test_without_being_told_nothing_is_left_out(tmp_path):
    path = tmp_path / "run.jsonl"
    train(path, None, bad={40: 1e4})
    assert not [r for r in read_rows(path) if r.get("skipped")]


def test_no_more_than_one_copy_of_the_weights_is_kept(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=4)
    held = []
    opt.register_step_post_hook(lambda *_: held.append(rec._stages._before is not None))
    opt.register_step_pre_hook(lambda *_: held.append(sum(t.numel() for _, t in rec._stages._before or ())))
    for batch in make_batches(8):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss)
        opt.step()
    rec.close()
    size = sum(p.numel() for p in model.parameters())
    assert held[::2] == [size, 0, 0, 0, size, 0, 0, 0]
    assert not any(held[1::2])


def test_a_cause_that_is_not_sure_counts_only_with_a_fact():
    live = Live(patience=1)
    assert not live.stands(UNSURE)
    assert live.stands({**UNSURE, "outcome": "ended_worse"})
    assert Live(patience=1, confidence=0.5).stands(UNSURE)
