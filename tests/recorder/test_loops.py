"""Loops as people write them: closures, frozen layers, several optimizers, steps left out, copies and forks."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import gradlens

torch = pytest.importorskip("torch")

from tests.recorder.conftest import loss_of, make_batches, make_net, read_marks, read_rows  # noqa: E402

clip_grad_norm_ = torch.nn.utils.clip_grad_norm_


def total_norm(parameters):
    return float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def nothing():
    return None


@pytest.mark.parametrize("how", ["none", "idle", "real", "keyword", "logged"])
def test_the_recorder_clips_whatever_closure_a_step_is_given(tmp_path, how):
    def train(path):
        model = make_net()
        opt = torch.optim.SGD(model.parameters(), lr=0.5)
        rec = path and gradlens.Recorder(path, model, opt, max_norm=0.05, clip=True, update_every=1)
        for batch in make_batches(8):

            def closure(batch=batch, opt=opt, model=model, rec=rec):
                opt.zero_grad()
                loss = loss_of(model, batch)
                loss.backward()
                if not rec:
                    clip_grad_norm_(model.parameters(), 0.05)
                elif how == "logged":
                    rec.log(loss=loss)
                return loss

            if rec is None or how in {"real", "keyword", "logged"}:
                if rec and how != "logged":
                    rec.log(loss=1.0)
                opt.step(closure=closure) if how == "keyword" else opt.step(closure)
                continue
            rec.log(loss=closure())
            opt.step(None if how == "none" else nothing)
        if rec:
            rec.close()
        return model

    assert same(train(None), train(tmp_path / "run.jsonl"))
    assert all(row["update_norm"] <= 0.0250001 for row in read_rows(tmp_path / "run.jsonl"))


def test_gradients_are_clipped_once_by_two_optimizers_with_idle_closures(tmp_path):
    def train(path):
        model = make_net()
        opts = [torch.optim.SGD(m.parameters(), lr=0.5) for m in (model.first, model.last)]
        rec = path and gradlens.Recorder(path, model, opts, max_norm=0.05, clip=True)
        for batch in make_batches(8):
            model.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            if rec:
                rec.log(loss=loss)
            else:
                clip_grad_norm_([*model.first.parameters(), *model.last.parameters()], 0.05)
            for opt in opts:
                opt.step(nothing)
        if rec:
            rec.close()
        return model

    assert same(train(None), train(tmp_path / "run.jsonl"))


@pytest.mark.parametrize("unscales", [0, 1, 2])
def test_two_optimizers_under_a_scaler_are_unscaled_before_their_joint_norm(tmp_path, unscales):
    """By the recorder, by the loop for the first alone, or by the loop."""

    def train(path):
        model = make_net()
        opts = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model.first, model.last)]
        trained = [*model.first.parameters(), *model.last.parameters()]
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        rec = path and gradlens.Recorder(path, model, opts, max_norm=0.05, clip=True, scaler=scaler, update_every=1)
        norms = []
        for batch in make_batches(8):
            model.zero_grad()
            loss = loss_of(model, batch)
            scaler.scale(loss).backward()
            for opt in opts if rec is None else opts[:unscales]:
                scaler.unscale_(opt)
            if rec:
                rec.log(loss=loss)
            else:
                norms.append(float(clip_grad_norm_(trained, 0.05)))
            for opt in opts:
                scaler.step(opt)
            scaler.update()
        if rec:
            rec.close()
        return model, norms

    plain, norms = train(None)
    assert same(plain, train(tmp_path / "run.jsonl")[0])
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["grad_norm"] for row in rows] == pytest.approx(norms, rel=1e-6)
    assert all(row["update_norm"] <= 0.0050001 for row in rows)


def test_layers_are_unfrozen_frozen_and_exchanged_in_mid_run(tmp_path):
    def train(path):
        model = make_net()
        model.first.requires_grad_(requires_grad=False)
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        rec = path and gradlens.Recorder(path, model, opt, max_norm=0.05, clip=True, update_every=1)
        norms = []
        for number, batch in enumerate(make_batches(16)):
            if number == 4:
                model.first.requires_grad_(requires_grad=True)
            if number == 8:
                model.norm.requires_grad_(requires_grad=False)
            if number == 12:
                torch.manual_seed(1)
                model.last = torch.nn.Linear(16, 3)
                opt.param_groups[0]["params"][-2:] = list(model.last.parameters())
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            norms.append(total_norm(model.parameters()))
            if rec:
                rec.log(loss=loss)
            else:
                clip_grad_norm_(model.parameters(), 0.05)
            opt.step()
        if rec:
            rec.close()
        return model, norms

    (plain, norms), (recorded, _) = train(None), train(tmp_path / "run.jsonl")
    assert same(plain, recorded)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["grad_norm"] for row in rows] == pytest.approx(norms, rel=1e-6)
    assert all("update_norm" in row for row in rows)
    layers = [{name for name in row if name.startswith("grad_norm/")} for row in rows]
    assert layers[3] == {"grad_norm/norm", "grad_norm/last"}
    assert layers[4] == {"grad_norm/first", "grad_norm/norm", "grad_norm/last"}
    assert layers[8] == layers[12] == {"grad_norm/first", "grad_norm/last"}


def test_settings_that_an_optimizer_has_loaded_count(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.5)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=1)
    saved = opt.state_dict()
    saved["param_groups"][0]["weight_decay"] = 0.0
    opt.load_state_dict(saved)
    loss = loss_of(model, make_batches(1)[0])
    loss.backward()
    rec.log(loss=loss)
    opt.step()
    rec.close()
    assert "penalized_norm" not in read_rows(tmp_path / "run.jsonl")[0]


class Centred(torch.nn.Module):
    """Assigns its running mean again in each forward pass."""

    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        self.register_buffer("mean", torch.zeros(16))

    def forward(self, x):
        hidden = self.first(x)
        self.mean = 0.9 * self.mean + 0.1 * hidden.detach().mean(0)
        return self.last(torch.relu(hidden - self.mean))


def test_a_probe_moves_no_buffer_that_the_model_assigns(tmp_path):
    def train(path):
        torch.manual_seed(0)
        model = Centred()
        opt = torch.optim.AdamW(model.parameters(), lr=0.01)
        rec = path and gradlens.Recorder(path, model, opt, probe_every=1)
        for batch in make_batches(12):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            if rec:
                rec.log(loss=loss, probe=lambda batch=batch, model=model: loss_of(model, batch))
            opt.step()
        if rec:
            rec.close()
        return model

    plain, recorded = train(None), train(tmp_path / "run.jsonl")
    assert same(plain, recorded)
    assert torch.equal(plain.mean, recorded.mean)


def test_a_norm_that_the_loop_gives_is_that_of_the_row_and_the_rest_is_of_whole_gradients(tmp_path):
    """Two runs, logged before clipping and after it with the norm given, hold the same."""
    found = []
    for after in (False, True):
        model = make_net()
        opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
        path = tmp_path / f"{after}.jsonl"
        rec = gradlens.Recorder(path, model, opt, max_norm=0.05, update_every=1)
        for batch in make_batches(6):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            if not after:
                rec.log(loss=loss)
            norm = clip_grad_norm_(model.parameters(), 0.05)
            if after:
                rec.log(loss=loss, grad_norm=norm)
            opt.step()
        rec.close()
        found.append(read_rows(path))
    for before, given in zip(*found, strict=True):
        assert before.keys() == given.keys()
        assert before["grad_norm"] == given["grad_norm"]
        assert all(given[name] == pytest.approx(value, rel=1e-4) for name, value in before.items())
    assert {"rms_ratio", "penalized_norm", "grad_dot_update", "grad_norm/first"} <= found[1][-1].keys()


def test_a_batch_that_the_loop_leaves_out_is_a_row_of_its_own(tmp_path, caplog):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt)
    for number, batch in enumerate(make_batches(8)):
        opt.zero_grad()
        loss = loss_of(model, batch) * (float("nan") if number == 3 else 1.0)
        loss.backward()
        rec.log(loss=loss, batch_size=16, batch_id=number)
        if torch.isfinite(loss):
            opt.step()
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["batch_id"] for row in rows] == [row["step"] for row in rows] == list(range(8))
    assert {row["batch_size"] for row in rows} == {16}
    assert [row["step"] for row in rows if row.get("skipped")] == [3]
    assert caplog.text.count("no optimizer step followed") == 1


def test_a_second_log_without_a_loss_adds_to_the_row(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt)
    for batch in make_batches(3):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss)
        rec.log(accuracy=0.5)
        opt.step()
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["accuracy"] for row in rows] == [0.5] * 3
    assert not any("skipped" in row for row in rows)


def test_an_optimizer_that_the_loop_has_replaced_is_said_and_nothing_piles_up(tmp_path, caplog):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt)
    for number, batch in enumerate(make_batches(60)):
        if number == 10:
            opt = torch.optim.SGD(model.parameters(), lr=0.01)
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss, batch_id=number)
        opt.step()
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["batch_id"] for row in rows] == list(range(60))
    assert not any(row.get("skipped") for row in rows[40:])
    assert caplog.text.count("make a new recorder") == 1
    assert {"no-step", "no-steps"} <= {mark["event"] for mark in read_marks(tmp_path / "run.jsonl")}


def test_a_log_that_comes_after_the_step_is_said_once(tmp_path, caplog):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt)
    for batch in make_batches(6):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        opt.step()
        rec.log(loss=loss)
    rec.close()
    assert caplog.text.count("before optimizer.step()") == 1
    assert "step-without-log" in {mark["event"] for mark in read_marks(tmp_path / "run.jsonl")}


def test_optimizers_that_step_in_the_backward_pass_are_said(tmp_path, caplog):
    model = make_net()
    opts = {p: torch.optim.SGD([p], lr=0.05) for p in model.parameters()}
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, list(opts.values()))
    for p in model.parameters():
        p.register_post_accumulate_grad_hook(lambda p: opts[p].step() or opts[p].zero_grad())
    for batch in make_batches(4):
        loss = loss_of(model, batch)
        loss.backward()
        rec.log(loss=loss)
    rec.close()
    assert "before optimizer.step()" in caplog.text


@pytest.mark.parametrize("every", [1, 4])
def test_a_step_with_fewer_logs_than_accumulate_has_its_norm(tmp_path, every):
    """A last step of two micro-batches, and one log for each step."""
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, accumulate=4, update_every=1)
    norms = []
    for number, batch in enumerate(make_batches(10)):
        loss = loss_of(model, batch)
        (loss / 4).backward()
        if number % every == every - 1 or number == 9:
            rec.log(loss=loss)
        if number % 4 == 3 or number == 9:
            norms.append(total_norm(model.parameters()))
            opt.step()
            opt.zero_grad()
    rec.close()
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["grad_norm"] for row in rows] == pytest.approx(norms, rel=1e-6)
    assert all("update_norm" in row for row in rows)


def test_identifiers_are_those_of_their_moment(tmp_path):
    def record(name, give):
        model = make_net()
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        path = tmp_path / f"{name}.jsonl"
        rec = gradlens.Recorder(path, model, opt)
        for number, batch in enumerate(make_batches(4)):
            opt.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            rec.log(loss=loss, batch_id=give(number))
            opt.step()
        rec.close()
        return [row["batch_id"] for row in read_rows(path)]

    reused, kept = np.zeros(3, dtype=int), [0, 0, 0]

    def in_array(number):
        reused[:] = number
        return reused

    def in_list(number):
        kept[:] = [number] * 3
        return kept

    fresh = record("fresh", lambda number: [number] * 3)
    assert len(set(fresh)) == 4
    assert record("array", in_array) == record("list", in_list) == fresh
    assert record("tensor", lambda number: torch.full((3,), number)) == fresh
    assert record("tensors", lambda number: [torch.tensor(number)] * 3) == fresh
    large = record("large", lambda number: 2**60 + number)
    assert len(set(large)) == 4
    assert large == record("large-tensor", lambda number: torch.tensor(2**60 + number))
    assert all(0 <= number < 2**53 for number in large)


def test_a_set_of_names_is_one_number_in_every_process():
    script = "from gradlens.recorder.rows import held_ids\nprint(held_ids({f'x{n}' for n in range(9)}))"
    said = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(said) == 1


def test_two_recorders_share_a_scaler_and_it_is_copied_as_before(tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    nets = make_net(0), make_net(1)
    opts = [torch.optim.SGD(net.parameters(), lr=0.1) for net in nets]
    recs = [
        gradlens.Recorder(tmp_path / f"{n}.jsonl", net, opt, scaler=scaler)
        for n, net, opt in zip("ab", nets, opts, strict=True)
    ]
    for number, batch in enumerate(make_batches(8)):
        if number == 3:
            recs[0].close()
        for net, opt, rec in zip(nets, opts, recs, strict=True):
            opt.zero_grad()
            loss = loss_of(net, batch) * (float("inf") if number == 5 else 1.0)
            scaler.scale(loss).backward()
            rec.log(loss=loss)
            scaler.step(opt)
        scaler.update()
        if number == 1:
            for twin in (pickle.loads(pickle.dumps(scaler)), copy.deepcopy(scaler)):
                assert twin.state_dict() == scaler.state_dict()
                assert twin.step.__self__ is twin
    recs[1].close()
    assert [row["step"] for row in read_rows(tmp_path / "b.jsonl") if row.get("skipped")] == [5]
    assert "step" not in vars(scaler)


def test_a_model_that_keeps_its_recorder_is_copied_and_saved(tmp_path):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    model.rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt)
    for batch in make_batches(4):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        model.rec.log(loss=loss)
        opt.step()
        saved = io.BytesIO()
        torch.save(model, saved)
        saved.seek(0)
        for twin in (copy.deepcopy(model), torch.load(saved, weights_only=False)):
            assert same(twin, model)
            twin.rec.log(loss=loss)
            twin.rec.log_evaluation(val_loss=1.0)
            twin.rec.flush()
            twin.rec.close()
            assert (twin.rec.latest, twin.rec.should_stop) == ({}, False)
    model.rec.close()
    assert [row["step"] for row in read_rows(tmp_path / "run.jsonl")] == list(range(4))


def test_a_forked_process_writes_no_rows_of_its_parent(tmp_path):
    path = tmp_path / "run.jsonl"
    script = textwrap.dedent(f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        import torch, gradlens
        from tests.recorder.conftest import loss_of, make_batches, make_net
        torch.set_num_threads(1)
        model = make_net()
        opt = torch.optim.Adam(model.parameters(), lr=.01)
        rec = gradlens.Recorder({str(path)!r}, model, opt)
        for n, batch in enumerate(make_batches(12)):
            opt.zero_grad(); loss = loss_of(model, batch); loss.backward()
            rec.log(loss=loss); opt.step()
            if n == 5:
                pid = os.fork()
                if pid == 0: sys.exit(0)
                os.waitpid(pid, 0)
    """)
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    assert [row["step"] for row in read_rows(path)] == list(range(12))


def test_complex_parameters(tmp_path):
    def train(path):
        torch.manual_seed(0)
        model = torch.nn.Linear(8, 3, dtype=torch.complex64)
        opt = torch.optim.Adam(model.parameters(), lr=0.1)
        rec = path and gradlens.Recorder(path, model, opt, update_every=1, histogram_every=1)
        wanted = []
        for x, _ in make_batches(5):
            opt.zero_grad()
            loss = (model(x.to(torch.complex64)).abs() ** 2).mean()
            loss.backward()
            gradients = [p.grad.clone() for p in model.parameters()]
            before = [p.detach().clone() for p in model.parameters()]
            if rec:
                rec.log(loss=loss)
            opt.step()
            pairs = zip(gradients, model.parameters(), before, strict=True)
            dot = sum(float((g.conj() * (p.detach() - b)).real.sum()) for g, p, b in pairs)
            wanted.append((float(torch.nn.utils.get_total_norm(gradients)), dot))
        if rec:
            rec.close()
        return model, wanted

    (plain, wanted), (recorded, _) = train(None), train(tmp_path / "run.jsonl")
    assert same(plain, recorded)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [row["grad_norm"] for row in rows] == pytest.approx([norm for norm, _ in wanted], rel=1e-5)
    assert [row["grad_dot_update"] for row in rows] == pytest.approx([dot for _, dot in wanted], rel=1e-4)
    assert all("rms_ratio" in row for row in rows[1:])


def test_a_column_that_the_recorder_measures_is_not_overridden(tmp_path, caplog):
    model = make_net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    rec = gradlens.Recorder(tmp_path / "run.jsonl", model, opt, update_every=1)
    loss = loss_of(model, make_batches(1)[0])
    loss.backward()
    rec.log(loss=loss, lr=7.0, weight_norm=7.0, epoch=1)
    opt.step()
    rec.close()
    (row,) = read_rows(tmp_path / "run.jsonl")
    assert (row["lr"], row["epoch"]) == (0.1, 1)
    assert row["weight_norm"] != 7
    assert "log was given lr, weight_norm" in caplog.text
