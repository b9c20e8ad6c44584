"""The recorder in an ordinary loop: what it writes is right, and the training does not notice it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import gradlens
from gradlens.errors import UsageError

torch = pytest.importorskip("torch")

from tests.recorder.conftest import loss_of, make_batches, make_net, read_marks, read_rows  # noqa: E402

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
}


def train(optimizer, path=None, *, n=25, clip=None, by_recorder=False, **options):
    """The weights and buffers after some steps, with a recorder where there is a path."""
    model = make_net()
    opt = OPTIMIZERS[optimizer](model.parameters())
    rec = None
    if path is not None:
        rec = gradlens.Recorder(path, model, opt, max_norm=clip, clip=by_recorder, **options)
    for batch in make_batches(n):
        loss = loss_of(model, batch)
        opt.zero_grad()
        loss.backward()
        if rec is not None:
            rec.log(loss=loss, batch_size=len(batch[0]), probe=lambda b=batch: loss_of(model, b))
        if clip is not None and not by_recorder:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        opt.step()
    if rec is not None:
        rec.close()
    return model.state_dict(), torch.get_rng_state()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("every", [1, 10])
def test_training_is_the_same_to_the_bit(tmp_path, optimizer, clip, every):
    plain, plain_rng = train(optimizer, clip=clip)
    recorded, rng = train(
        optimizer, tmp_path / "run.jsonl", clip=clip, update_every=every, probe_every=every, histogram_every=every
    )
    assert plain.keys() == recorded.keys()
    assert all(torch.equal(plain[name], recorded[name]) for name in plain)
    assert torch.equal(plain_rng, rng)


def test_clipping_by_the_recorder_is_that_of_the_loop(tmp_path):
    plain, _ = train("adamw", clip=0.3)
    recorded, _ = train("adamw", tmp_path / "run.jsonl", clip=0.3, by_recorder=True)
    assert all(torch.equal(plain[name], recorded[name]) for name in plain)


def test_the_norm_is_what_clip_grad_norm_returns(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt)
    returned = []
    for batch in make_batches(12):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss)
        returned.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.2)))
        opt.step()
    rec.close()
    norms = [row["grad_norm"] for row in read_rows(tmp_path / "run.jsonl")]
    assert norms == [float(f"{value:.9g}") for value in returned]


def test_every_column_agrees_with_its_definition(tmp_path):
    """Adam with a coupled decay, computed again in float64 from copies of weights, gradients and state."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).double()
    opt = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=1, probe_every=1)
    wanted = []
    for x, y in make_batches(8):
        batch = (x.double(), y)
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        flat = lambda ts: torch.cat([t.detach().reshape(-1) for t in ts])  # noqa: E731
        g, w = flat(p.grad for p in model.parameters()), flat(model.parameters())
        state = [opt.state.get(p) for p in model.parameters()]
        rms = None
        if state[0]:
            v = flat(s["exp_avg_sq"] for s in state) / (1 - 0.99 ** float(state[0]["step"]))
            rms = float((g**2 / v).mean().sqrt())
        rec.log(loss=loss, batch_id=["a", 1], batch_size=16, tokens=7, probe=lambda b=batch: loss_of(model, b))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        opt.step()
        delta = flat(model.parameters()) - w
        after = loss_of(model, batch).item()
        wanted.append({
            "loss": loss.item(), "grad_norm": float(g.norm()), "weight_norm": float(w.norm()), "lr": 0.01,
            "update_norm": float(delta.norm()), "data_norm": float(g.norm()), "penalized_norm": float((g + 0.1 * w).norm()),
            "loss_before": loss.item(), "loss_after": after, "grad_dot_update": float(g @ delta), "rms_ratio": rms,
            "batch_size": 16, "tokens": 7,
            "grad_norm/0": float(flat(p.grad for p in model[0].parameters()).norm()),
        })  # fmt: skip
        last_layer = wanted[-1].pop("grad_norm/0")  # measured after clipping here
        assert last_layer <= 0.1 + 1e-9
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert len(rows) == 8
    for row, want in zip(rows, wanted, strict=True):
        for name, value in want.items():
            if value is None:
                assert name not in row
            else:
                assert row[name] == pytest.approx(value, rel=1e-7), name
        assert math.hypot(row["grad_norm/0"], row["grad_norm/2"]) == pytest.approx(row["grad_norm"], rel=1e-7)
    assert len({row["batch_id"] for row in rows}) == 1


def test_curvature_along_the_step_of_a_quadratic(tmp_path):
    """Loss before and after, and the product with the update, give eta·lambda exactly on a quadratic of one dimension."""
    for eta_lambda in (1.99, 2.03):
        w = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        opt = torch.optim.SGD([w], lr=eta_lambda / 4)
        path = tmp_path / f"{eta_lambda}.jsonl"
        rec = gradlens.Recorder(path, None, opt, update_every=1, probe_every=1)
        for _ in range(5):
            opt.zero_grad()
            loss = 2 * (w**2).sum()
            loss.backward()
            rec.log(loss=loss, probe=lambda w=w: 2 * (w**2).sum())
            opt.step()
        rec.close()
        for row in read_rows(path):
            second = 2 * (row["loss_after"] - row["loss_before"] - row["grad_dot_update"]) / row["update_norm"] ** 2
            assert second * row["lr"] == pytest.approx(eta_lambda, rel=1e-6)


def test_only_due_rows_hold_more_than_loss_and_norm(tmp_path):
    train("adamw", tmp_path / "run.jsonl", update_every=10, probe_every=20)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows if "update_norm" in r] == [0, 10, 20]
    assert [r["step"] for r in rows if "loss_after" in r] == [0, 20]
    assert [r["step"] for r in rows if "grad_norm/first" in r] == [0, 10, 20]
    assert all({"loss", "grad_norm", "lr", "batch_size"} <= r.keys() for r in rows)


def test_accumulated_gradients_are_one_row(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, accumulate=4)
    losses, norms = [], []
    for number, batch in enumerate(make_batches(24)):
        loss = loss_of(model, batch)
        (loss / 4).backward()
        losses.append(loss.item())
        rec.log(loss=loss, batch_size=16, batch_id=number)
        if number % 4 == 3:
            norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])))
            opt.step()
            opt.zero_grad()
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows] == list(range(6))
    assert [r["loss"] for r in rows] == pytest.approx(np.mean(np.reshape(losses, (6, 4)), axis=1), rel=1e-6)
    assert [r["grad_norm"] for r in rows] == pytest.approx(norms, rel=1e-6)
    assert {r["batch_size"] for r in rows} == {64}
    assert read_marks(tmp_path / "run.jsonl", "config")[0]["gradient_accumulation_steps"] == 4


class ScriptedScaler(torch.amp.GradScaler):
    """A real scaler, on the processor."""


def test_norms_under_a_scaler_are_unscaled_and_skipped_steps_are_rows(tmp_path):
    for own_unscale in (False, True):
        model = make_net()
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=5)
        path = tmp_path / f"{own_unscale}.jsonl"
        rec = gradlens.Recorder(path, model, opt, scaler=scaler, flush_every=3)
        wanted = []
        for number, batch in enumerate(make_batches(12)):
            opt.zero_grad()
            loss = loss_of(model, batch) * (float("inf") if number == 7 else 1.0)
            scale = scaler.get_scale()
            scaler.scale(loss).backward()
            grads = [p.grad / scale for p in model.parameters()]
            wanted.append(float(torch.nn.utils.get_total_norm(grads)))
            if own_unscale:
                scaler.unscale_(opt)
            rec.log(loss=loss)
            scaler.step(opt)
            scaler.update()
        rec.close()
        rows = read_rows(path)
        assert [r["step"] for r in rows] == list(range(12))
        assert [r["grad_norm"] for r in rows] == pytest.approx(wanted, rel=1e-6, nan_ok=True)
        assert [r["step"] for r in rows if r.get("skipped")] == [7]
        assert rows[0]["loss_scale"] == 1024
        assert rows[6]["loss_scale"] == 2048
        assert not math.isfinite(rows[7]["grad_norm"])
        assert read_marks(path, "config")[0]["precision"] == "fp16"
        assert "step" not in vars(scaler)


def test_frozen_and_shared_parameters_count_once(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(requires_grad=False)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=1)
    model(torch.randn(2, 4)).square().mean().backward()
    rec.log(loss=1.0)
    trained = {id(p): p for p in model.parameters() if p.requires_grad}.values()
    weights = float(torch.cat([p.detach().reshape(-1) for p in trained]).norm())
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in trained]))
    opt.step()
    rec.close()
    (row,) = read_rows(tmp_path / "run.jsonl")
    assert row["weight_norm"] == pytest.approx(weights, rel=1e-6)
    assert row["grad_norm"] == pytest.approx(norm, rel=1e-6)


def test_sparse_gradients(tmp_path):
    torch.manual_seed(0)
    table = torch.nn.Embedding(50, 8, sparse=True)
    model = torch.nn.Sequential(table)
    opt = torch.optim.SGD(model.parameters(), lr=0.5)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=1)
    for _ in range(3):
        opt.zero_grad()
        loss = model(torch.tensor([1, 4, 4, 7])).square().sum()
        loss.backward()
        g = table.weight.grad.to_dense()
        rec.log(loss=loss)
        opt.step()
    rec.close()
    row = read_rows(tmp_path / "run.jsonl")[-1]
    assert row["grad_norm"] == pytest.approx(float(g.norm()), rel=1e-6)
    assert row["update_norm"] == pytest.approx(0.5 * float(g.norm()), rel=1e-5)
    assert row["grad_dot_update"] == pytest.approx(-0.5 * float(g.square().sum()), rel=1e-5)
    with pytest.raises(UsageError, match="sparse gradients"):
        gradlens.Recorder(tmp_path / "x.jsonl", model, opt, max_norm=1.0, clip=True)


def test_optimizers_that_step_together_make_one_row(tmp_path):
    model = make_net()
    one = torch.optim.SGD(model.first.parameters(), lr=0.1)
    two = torch.optim.AdamW([*model.norm.parameters(), *model.last.parameters()], lr=0.01)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, [one, two], update_every=1)
    norms = []
    for batch in make_batches(5):
        model.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])))
        rec.log(loss=loss)
        one.step()
        two.step()
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows] == list(range(5))
    assert [r["grad_norm"] for r in rows] == pytest.approx(norms, rel=1e-6)
    assert all(r["update_norm"] > 0 for r in rows)
    assert read_marks(tmp_path / "run.jsonl", "config")[0]["optimizer"] == "SGD+AdamW"


def test_two_players_take_a_recorder_each(tmp_path):
    nets = make_net(0), make_net(1)
    opts = [torch.optim.Adam(net.parameters(), lr=0.01) for net in nets]
    recs = [gradlens.Recorder(tmp_path / f"{n}.jsonl", net, opt) for n, net, opt in zip("gd", nets, opts, strict=True)]
    for batch in make_batches(6):
        for net, opt, rec in zip(nets, opts, recs, strict=True):
            opt.zero_grad()
            loss = loss_of(net, batch)
            loss.backward()
            rec.log(loss=loss)
            opt.step()
    for rec in recs:
        rec.close()
    assert all(len(read_rows(tmp_path / f"{n}.jsonl")) == 6 for n in "gd")


def test_lbfgs_logs_the_first_evaluation_of_its_closure(tmp_path):
    def run(path):
        model = make_net().eval()
        opt = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
        rec = None if path is None else gradlens.Recorder(path, model, opt, update_every=1)
        first = []
        for batch in make_batches(4):
            calls = []

            def closure(batch=batch, calls=calls):
                opt.zero_grad()
                loss = loss_of(model, batch)
                loss.backward()
                calls.append(loss.item())
                if rec is not None:
                    rec.log(loss=loss)
                return loss

            opt.step(closure)
            first.append(calls)
        if rec is not None:
            rec.close()
        return model.state_dict(), first

    plain, _ = run(None)
    recorded, calls = run(tmp_path / "run.jsonl")
    assert all(torch.equal(plain[name], recorded[name]) for name in plain)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["loss"] for r in rows] == pytest.approx([c[0] for c in calls], rel=1e-6)
    assert [r["closure_calls"] + 1 for r in rows] == [len(c) for c in calls]
    assert all(r["update_norm"] > 0 for r in rows)
    opt = torch.optim.LBFGS(make_net().parameters())
    with pytest.raises(UsageError, match="L-BFGS"):
        gradlens.Recorder(tmp_path / "x.jsonl", None, opt, max_norm=1.0, clip=True)


@pytest.mark.slow
def test_compiled_models(tmp_path):
    def run(path):
        model = make_net()
        compiled = torch.compile(model, backend="aot_eager")
        opt = torch.optim.AdamW(compiled.parameters(), lr=0.01)
        rec = None if path is None else gradlens.Recorder(path, compiled, opt)
        for batch in make_batches(12):
            opt.zero_grad()
            loss = loss_of(compiled, batch)
            loss.backward()
            if rec is not None:
                rec.log(loss=loss, probe=lambda b=batch: loss_of(compiled, b))
            opt.step()
        if rec is not None:
            rec.close()
        return model.state_dict()

    plain, recorded = run(None), run(tmp_path / "run.jsonl")
    assert all(torch.equal(plain[name], recorded[name]) for name in plain)
    rows = read_rows(tmp_path / "run.jsonl")
    assert {"grad_norm/first", "grad_norm/last", "loss_after"} <= rows[0].keys()


def test_a_crash_of_the_recorder_does_not_stop_the_training(tmp_path, caplog):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=1, probe_every=1, flush_every=2)

    def broken():
        raise RuntimeError("no loss here")

    for number, batch in enumerate(make_batches(6)):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss, batch_size="many" if number == 2 else 16, probe=broken)
        opt.step()
    rec.close()
    assert "no loss here" in caplog.text
    assert len(read_rows(tmp_path / "run.jsonl")) >= 4
    assert {"probe"} <= {m["what"] for m in read_marks(tmp_path / "run.jsonl") if m["event"] == "failed"}


def test_a_full_disk_does_not_stop_the_training(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        (tmp_path / "folder").open("a")
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder("/dev/full", model, opt, flush_every=1)
    for batch in make_batches(3):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss)
        opt.step()
    rec.close()


def test_a_killed_process_loses_at_most_the_last_rows_and_a_restart_is_marked(tmp_path):
    path = tmp_path / "run.jsonl"
    script = textwrap.dedent(f"""
        import os, signal, sys
        sys.path[:0] = {sys.path!r}
        import torch, gradlens
        from tests.recorder.conftest import loss_of, make_batches, make_net
        model = make_net()
        opt = torch.optim.Adam(model.parameters(), lr=.01)
        rec = gradlens.Recorder({str(path)!r}, model, opt, flush_every=5)
        for n, batch in enumerate(make_batches(50)):
            opt.zero_grad(); loss = loss_of(model, batch); loss.backward()
            rec.log(loss=loss); opt.step()
            if n == 33: os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert [r["step"] for r in read_rows(path)] == list(range(30))
    with path.open("a") as handle:
        handle.write('{"step": 30, "lo')
    model = make_net()
    opt = torch.optim.Adam(model.parameters(), lr=0.01)
    with gradlens.Recorder(path, model, opt) as rec:
        for batch in make_batches(10):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            rec.log(loss=loss)
            opt.step()
    (run,) = gradlens.read(path)
    assert run.loss.step.tolist() == list(range(40))
    assert {"recorder-restarted", "malformed-record"} <= {n.code for n in run.notices}


def test_the_first_record_tells_the_set_up(tmp_path):
    model = make_net()
    opt = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    warm = torch.optim.lr_scheduler.LinearLR(opt, 0.01, total_iters=7)
    rest = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 20)
    schedule = torch.optim.lr_scheduler.SequentialLR(opt, [warm, rest], milestones=[7])
    path = tmp_path / "run.jsonl"
    with gradlens.Recorder(path, model, opt, scheduler=schedule, max_norm=0.5, config={"batch_size": 16}) as rec:
        for batch in make_batches(60):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            rec.log(loss=loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            opt.step()
            schedule.step()
    config = gradlens.read(path)[0].config
    assert (config.optimizer, config.learning_rate, config.beta2) == ("AdamW", 3e-3, 0.95)
    assert (config.weight_decay, config.decoupled_weight_decay) == (0.1, True)
    assert (config.warmup_steps, config.max_grad_norm, config.batch_size, config.world_size) == (7, 0.5, 16, 1)
    assert config.lr_schedule == "LinearLR+CosineAnnealingLR"
    clipping = gradlens.analyze(gradlens.read(path)).to_dict()["runs"][0]["clipping"]
    assert (clipping["threshold"], clipping["threshold_source"]) == (0.5, "config")


def test_histograms_of_gradients_are_read_back(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    path = tmp_path / "run.jsonl"
    beyond = total = 0
    with gradlens.Recorder(path, model, opt, histogram_every=1) as rec:
        for batch in make_batches(5):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            g = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
            beyond, total = beyond + int((g.abs() > 2**-5).sum()), total + g.numel()
            rec.log(loss=loss)
            opt.step()
    (run,) = gradlens.read(path)
    (histogram,) = run.histograms.values()
    assert sum(int(c.sum()) for c in histogram.counts) == total
    from gradlens.figures.measure import value_clipping

    assert value_clipping(run, 2.0**-5).share == pytest.approx(beyond / total, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: gradlens.Recorder(p, None, object()), "none"),
        (lambda p: gradlens.Recorder(p, None, []), "no optimizer"),
        (lambda p: gradlens.Recorder(p, make_net(), sgd(), clip=True), "max_norm"),
        (lambda p: gradlens.Recorder(p, make_net(), sgd(), update_every=0), "update_every"),
        (lambda p: gradlens.Recorder(p, make_net(), sgd(), by="tensor"), "by layer"),
        (lambda p: gradlens.Recorder(p, make_net(), sgd(), loggers=["run.txt"]), "csv"),
    ],
)
def test_what_cannot_be_recorded_is_said_at_once(tmp_path, make, words):
    with pytest.raises(UsageError, match=words):
        make(tmp_path / "run.jsonl")
    assert not list(tmp_path.iterdir())


def sgd():
    return torch.optim.SGD(make_net().parameters(), lr=0.1)


def test_identifiers_become_numbers_that_are_the_same_for_the_same_batch():
    from gradlens.recorder.writing import batch_number

    assert batch_number([7]) == 7
    assert batch_number([[1, 2, 3]]) == batch_number([[1.0, 2.0, 3.0]]) != batch_number([[3, 2, 1]])
    assert batch_number(["train-0001.tar"]) != batch_number(["train-0002.tar"])
    assert batch_number([np.arange(3)]) == batch_number([[0, 1, 2]])
    assert 0 <= batch_number([["a"]]) < 2**53
    assert json.loads(json.dumps(float(batch_number([["a"]])))) == batch_number([["a"]])


def test_norms_by_group(tmp_path):
    model = make_net()
    groups = [{"params": model.first.parameters(), "name": "body"}, {"params": model.last.parameters()}]
    opt = torch.optim.SGD(groups, lr=0.1)
    with gradlens.Recorder(tmp_path / "run.jsonl", model, opt, by="group") as rec:
        loss_of(model, make_batches(1)[0]).backward()
        rec.log(loss=1.0)
        opt.step()
    (row,) = read_rows(tmp_path / "run.jsonl")
    assert {"grad_norm/body", "grad_norm/group1"} <= row.keys()


def test_large_tensors_on_a_processor_are_measured_piece_by_piece_to_the_same_values(monkeypatch):
    from gradlens.recorder import measuring
    from gradlens.recorder.parameters import Parameters
    from gradlens.recorder.rows import Row, fetch

    torch.manual_seed(0)
    model = torch.nn.Linear(300, 500)
    opt = torch.optim.Adam(model.parameters(), lr=0.01)
    for p in model.parameters():
        p.grad = torch.randn_like(p)
        moments = {"exp_avg_sq": torch.rand_like(p) + 0.1, "exp_avg": torch.zeros_like(p)}
        opt.state[p] = moments | {"step": torch.tensor(3.0)}
    found = []
    for piece in (1 << 16, 1 << 30):
        monkeypatch.setattr(measuring, "CPU_PIECE", piece)
        row, parameters = Row(), Parameters(model, (opt,), None)
        parameters.refresh()
        measuring.measure_moments(row, parameters, {})
        found.append(fetch([row])[0].products[None])
    assert found[0]["rms_count"] == 150_500
    assert found[0] == pytest.approx(found[1], rel=1e-5)
