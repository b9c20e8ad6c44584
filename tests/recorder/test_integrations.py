"""The recorder in real trainers, on tiny models: each in a process of its own, as the libraries set global state."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import gradlens
from tests.recorder.conftest import read_marks, read_rows

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


def needs(*names):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def run(folder, code, **env):
    """Run a script in a folder; what it prints last, read as JSON."""
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    settings = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | env
    script = "import warnings; warnings.simplefilter('ignore')\nimport torch; torch.set_num_threads(1)\n"
    done = subprocess.run(
        [sys.executable, "-c", script + textwrap.dedent(code)],
        cwd=folder, env=settings, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


HF = """
    import json, torch, transformers
    from torch import nn
    from transformers import Trainer, TrainingArguments, TrainerCallback
    from gradlens.recorder.integrations.transformers import RecorderCallback

    class Data(torch.utils.data.Dataset):
        def __len__(self): return 64
        def __getitem__(self, i):
            g = torch.Generator().manual_seed(i)
            x = torch.randn(8, generator=g)
            return {"x": x, "labels": x[:3].argmax()}

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 3)
        def forward(self, x, labels=None):
            logits = self.last(torch.relu(self.first(x)))
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    class Seen(TrainerCallback):
        logs = []
        def on_log(self, args, state, control, logs=None, **k): self.logs.append(dict(logs))

    def train(recorded, **options):
        transformers.set_seed(0)
        torch.manual_seed(0)
        model = Net()
        args = TrainingArguments("out", max_steps=24, per_device_train_batch_size=4, logging_steps=6, use_cpu=True,
            report_to=[], max_grad_norm=0.5, learning_rate=0.02, warmup_steps=4, save_strategy="no", disable_tqdm=True,
            **options)
        trainer = Trainer(model, args, train_dataset=Data(), callbacks=[Seen()])
        callback = None
        if recorded:
            callback = RecorderCallback(recorded, trainer, flush_every=7, probe=lambda m, b: m(**b)["loss"])
            trainer.add_callback(callback)
        trainer.train()
        norms = [l["grad_norm"] for l in trainer.state.log_history if "grad_norm" in l]
        untouched = "training_step" not in vars(trainer) and "clip_grad_norm_" not in vars(trainer.accelerator)
        return {n: v.tolist() for n, v in model.state_dict().items()}, norms, untouched
"""


@needs("transformers", "accelerate")
@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_trainer_of_hugging_face(tmp_path, accumulated):
    code = (
        HF
        + f"""
    plain, _, _ = train(None, gradient_accumulation_steps={accumulated})
    Seen.logs.clear()
    weights, norms, untouched = train("run.jsonl", gradient_accumulation_steps={accumulated})
    print(json.dumps({{"same": plain == weights, "norms": norms, "untouched": untouched, "logs": Seen.logs}}))
    """
    )
    found = run(tmp_path, code)
    assert found["same"]
    assert found["untouched"]
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows] == list(range(1, 25))
    # The trainer logs the norm of the last step of each interval: the recorder has those of all.
    assert [rows[s - 1]["grad_norm"] for s in (6, 12, 18, 24)] == pytest.approx(found["norms"], rel=1e-5)
    # And the mean loss of each interval.
    means = [sum(r["loss"] for r in rows[a : a + 6]) / 6 for a in (0, 6, 12, 18)]
    assert means == pytest.approx([log["loss"] for log in found["logs"] if "loss" in log], abs=2e-3)
    assert all(r["batch_size"] == 4 * accumulated for r in rows)
    assert len({r["batch_id"] for r in rows}) > 12
    assert "loss_after" in rows[9]
    assert "update_norm" in rows[9]
    assert all("update_norm" in log for log in found["logs"] if "grad_norm" in log and log is not found["logs"][0])
    config = gradlens.read(tmp_path / "run.jsonl")[0].config
    assert (config.max_grad_norm, config.warmup_steps, config.optimizer) == (0.5, 4, "AdamW")
    assert (config.batch_size, config.precision) == (4 * accumulated, "fp32")


@needs("transformers", "accelerate")
def test_a_live_verdict_stops_a_trainer_that_is_told_to(tmp_path):
    code = (
        HF
        + """
    from gradlens.recorder import Live
    import gradlens.recorder.live as live, time
    def bad(path, step):
        return {"at": step, "status": "problem", "cause": "lr_too_high", "confidence": 0.9, "headline": "too high"}
    live.judge = bad
    torch.manual_seed(0)
    args = TrainingArguments("out", max_steps=400, per_device_train_batch_size=4, use_cpu=True, report_to=[],
        save_strategy="no", disable_tqdm=True, logging_steps=10)
    trainer = Trainer(Net(), args, train_dataset=Data())
    told = []
    trainer.add_callback(RecorderCallback("run.jsonl", trainer, flush_every=5,
        live=Live(every=10, first=10, patience=2, stop=True, alert=told.append)))
    trainer.train()
    print(json.dumps({"steps": trainer.state.global_step, "told": told}))
    """
    )
    found = run(tmp_path, code)
    assert 20 <= found["steps"] < 400
    assert [t["cause"] for t in found["told"]] == ["lr_too_high"]
    events = [mark["event"] for mark in read_marks(tmp_path / "run.jsonl")]
    assert events.count("verdict") >= 2
    assert {"alert", "stop-asked"} <= set(events)


@needs("transformers", "accelerate")
def test_a_trainer_that_is_interrupted_and_trains_again_is_heard_once(tmp_path):
    code = (
        HF
        + """
    class Stop(TrainerCallback):
        steps = 0
        def on_step_end(self, args, state, control, **given):
            self.steps += 1
            if self.steps == 15: raise KeyboardInterrupt
    torch.manual_seed(0)
    args = TrainingArguments("out", max_steps=20, per_device_train_batch_size=4, use_cpu=True, report_to=[],
        save_strategy="no", disable_tqdm=True, logging_steps=1, max_grad_norm=-1)
    trainer = Trainer(Net(), args, train_dataset=Data())
    trainer.add_callback(RecorderCallback("run.jsonl", trainer))
    trainer.add_callback(Stop())
    try: trainer.train()
    except KeyboardInterrupt: trainer.train()
    print(json.dumps([log["loss"] for log in trainer.state.log_history if "loss" in log]))
    """
    )
    losses = run(tmp_path, code)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows] == [*range(1, 16), *range(1, 21)]
    assert {r["batch_size"] for r in rows} == {4}
    assert [r["loss"] for r in rows[15:]] == pytest.approx(losses, abs=1e-3)


@needs("trl", "datasets")
def test_a_trainer_of_trl(tmp_path):
    code = """
    import json, torch, transformers
    from datasets import Dataset
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
    from tokenizers import Tokenizer, models, pre_tokenizers
    from trl import SFTConfig, SFTTrainer
    from gradlens.recorder.integrations.transformers import RecorderCallback

    words = {w: i for i, w in enumerate(["<pad>", "<eos>", "<unk>", *"abcdefgh"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    data = Dataset.from_list([{"text": " ".join("abcdefgh"[(i + j) % 8] for j in range(12))} for i in range(32)])
    model = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=32, n_embd=16, n_layer=2, n_head=2, pad_token_id=0,
        bos_token_id=1, eos_token_id=1))
    args = SFTConfig("out", max_steps=12, per_device_train_batch_size=4, logging_steps=4, use_cpu=True, report_to=[],
        save_strategy="no", disable_tqdm=True, bf16=False, max_length=24)
    trainer = SFTTrainer(model, args=args, train_dataset=data, processing_class=tokenizer)
    trainer.add_callback(RecorderCallback("run.jsonl", trainer))
    trainer.train()
    print(json.dumps([l["grad_norm"] for l in trainer.state.log_history if "grad_norm" in l]))
    """
    norms = run(tmp_path, code)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows] == list(range(1, 13))
    assert [rows[s - 1]["grad_norm"] for s in (4, 8, 12)] == pytest.approx(norms, rel=1e-4)
    assert all(r["tokens"] > 0 for r in rows)


@needs("accelerate")
def test_a_loop_of_accelerate(tmp_path):
    code = """
    import json, torch, gradlens
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model, optimizer = accelerator.prepare(model, optimizer)
    rec = gradlens.Recorder("run.jsonl", model, optimizer, scaler=accelerator.scaler, accumulate=2)
    norms = []
    for i in range(20):
        x = torch.randn(4, 8)
        with accelerator.accumulate(model):
            loss = torch.nn.functional.cross_entropy(model(x), x[:, :3].argmax(1))
            accelerator.backward(loss)
            rec.log(loss=loss, batch_size=4)
            if accelerator.sync_gradients:
                norms.append(accelerator.clip_grad_norm_(model.parameters(), 1.0).item())
            optimizer.step()
            optimizer.zero_grad()
    rec.close()
    print(json.dumps(norms))
    """
    norms = run(tmp_path, code)
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["grad_norm"] for r in rows] == pytest.approx(norms, rel=1e-6)
    assert {r["batch_size"] for r in rows} == {8}


LIGHTNING = """
    import json, torch, lightning
    from torch import nn
    from lightning.pytorch import LightningModule, Trainer, seed_everything, Callback
    from lightning.pytorch.loggers import CSVLogger
    from gradlens.recorder.integrations.lightning import RecorderCallback

    class Net(LightningModule):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 3)
            self.norms = []
        def loss_of(self, batch):
            x, y = batch
            return nn.functional.cross_entropy(self.last(torch.relu(self.first(x))), y)
        def training_step(self, batch, _):
            loss = self.loss_of(batch)
            self.log("train_loss", loss)
            return loss
        def validation_step(self, batch, _):
            self.log("val_loss", self.loss_of(batch))
        def on_before_optimizer_step(self, _):
            self.norms.append(torch.nn.utils.get_total_norm([p.grad for p in self.parameters()]).item())
        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=0.02)

    def train(recorded, **options):
        seed_everything(0, verbose=False)
        x = torch.randn(96, 8)
        data = torch.utils.data.TensorDataset(x, x[:, :3].argmax(1))
        model = Net()
        loader = torch.utils.data.DataLoader(data, batch_size=8)
        callbacks = [RecorderCallback("run.jsonl", probe=lambda m, b: m.loss_of(b))] if recorded else []
        trainer = Trainer(max_epochs=2, accelerator="cpu", logger=CSVLogger("csv"), callbacks=callbacks,
            gradient_clip_val=0.5, log_every_n_steps=4, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, **options)
        trainer.fit(model, loader, loader)
        return {n: v.tolist() for n, v in model.state_dict().items()}, model.norms, trainer.logger.log_dir
"""


@needs("lightning")
@pytest.mark.parametrize("accumulated", [1, 3])
def test_lightning(tmp_path, accumulated):
    code = (
        LIGHTNING
        + f"""
    plain, _, _ = train(False, accumulate_grad_batches={accumulated})
    weights, norms, folder = train(True, accumulate_grad_batches={accumulated})
    print(json.dumps({{"same": plain == weights, "norms": norms, "folder": folder}}))
    """
    )
    found = run(tmp_path, code)
    assert found["same"]
    rows = [r for r in read_rows(tmp_path / "run.jsonl") if "loss" in r]
    assert [r["grad_norm"] for r in rows] == pytest.approx(found["norms"], rel=1e-6)
    assert [r["step"] for r in rows] == list(range(24 // accumulated))
    assert {r["batch_size"] for r in rows} == {8 * accumulated}
    assert {"update_norm", "loss_after", "grad_dot_update"} <= rows[0].keys()
    assert rows[0]["loss_after"] < rows[0]["loss_before"]
    assert any("val_loss" in r for r in read_rows(tmp_path / "run.jsonl"))
    config = gradlens.read(tmp_path / "run.jsonl")[0].config
    assert (config.max_grad_norm, config.gradient_accumulation_steps) == (0.5, accumulated)
    with (tmp_path / found["folder"] / "metrics.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert any(row.get("update_norm") for row in table)


@needs("keras")
def test_keras_on_pytorch(tmp_path):
    code = """
    import json, keras, numpy as np
    from gradlens.recorder.integrations.keras import RecorderCallback
    def train(recorded):
        keras.utils.set_random_seed(0)
        x = np.random.default_rng(0).standard_normal((96, 8)).astype("float32")
        y = x[:, :3].argmax(1)
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)])
        model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.5),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        logger = keras.callbacks.CSVLogger("keras.csv")
        callbacks = [RecorderCallback("run.jsonl", update_every=2), logger] if recorded else [logger]
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=callbacks, shuffle=False, validation_data=(x, y))
        return [w.tolist() for w in model.get_weights()]
    plain = train(False)
    print(json.dumps({"same": plain == train(True)}))
    """
    found = run(tmp_path, code, KERAS_BACKEND="torch")
    assert found["same"]
    rows = [r for r in read_rows(tmp_path / "run.jsonl") if "loss" in r]
    assert [r["step"] for r in rows] == list(range(24))
    assert all(r["grad_norm"] > 0 and r["lr"] == pytest.approx(0.01) for r in rows)
    assert {"update_norm", "weight_norm", "grad_dot_update"} <= rows[0].keys()
    assert rows[4]["rms_ratio"] > 0
    config = gradlens.read(tmp_path / "run.jsonl")[0].config
    assert (config.optimizer, config.max_grad_norm, config.beta2) == ("Adam", 0.5, 0.999)
    assert "update_norm" in (tmp_path / "keras.csv").read_text().splitlines()[0]


@needs("optax")
def test_an_optax_transformation(tmp_path):
    code = """
    import json, jax, jax.numpy as jnp, numpy as np, optax
    from gradlens.recorder.integrations.optax import record
    data = np.random.default_rng(0).standard_normal((30, 16, 8)).astype("float32")
    schedule = optax.linear_schedule(0.0, 0.02, 5)
    inner = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(schedule, b2=0.99))
    def loss_of(params, x):
        y = x[:, :3].argmax(1)
        logits = jnp.tanh(x @ params["a"]) @ params["b"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
    def train(tx):
        keys = jax.random.split(jax.random.key(0))
        params = {"a": jax.random.normal(keys[0], (8, 16)) * .3, "b": jax.random.normal(keys[1], (16, 3)) * .3}
        state, seen = tx.init(params), []
        @jax.jit
        def step(params, state, x):
            loss, grads = jax.value_and_grad(loss_of)(params, x)
            updates, state = tx.update(grads, state, params, value=loss)
            return optax.apply_updates(params, updates), state, loss, optax.global_norm(grads)
        for x in data:
            params, state, loss, norm = step(params, state, x)
            seen.append((float(loss), float(norm)))
        return jax.tree.map(lambda v: np.asarray(v).tolist(), params), seen
    plain, seen = train(optax.with_extra_args_support(inner))
    tx = record(inner, "run.jsonl", learning_rate=schedule, beta2=0.99, config={"max_grad_norm": 0.5, "optimizer": "adam"})
    weights, _ = train(tx)
    tx.writer.close()
    print(json.dumps({"same": plain == weights, "seen": seen}))
    """
    found = run(tmp_path, code, JAX_PLATFORMS="cpu")
    assert found["same"]
    rows = read_rows(tmp_path / "run.jsonl")
    assert [r["step"] for r in rows] == list(range(30))
    assert [(r["loss"], r["grad_norm"]) for r in rows] == [pytest.approx(pair, rel=1e-5) for pair in found["seen"]]
    assert rows[10]["lr"] == pytest.approx(0.02)
    assert all(r["grad_dot_update"] <= 0 for r in rows[:3])
    assert 0.3 < rows[10]["rms_ratio"] < 5
    assert gradlens.read(tmp_path / "run.jsonl")[0].config.max_grad_norm == 0.5


OPTAX = """
    import os, sys, json, jax, jax.numpy as jnp, numpy as np, optax
    from gradlens.recorder.integrations.optax import record
    params = {"a": jnp.ones((8, 4)), "b": jnp.ones(4)}
    def train(tx, n, params=params, state=None):
        state = tx.init(params) if state is None else state
        @jax.jit
        def step(params, state, x):
            loss, grads = jax.value_and_grad(lambda p: ((x @ p["a"] + p["b"] - 1.0) ** 2).mean())(params)
            updates, state = tx.update(grads, state, params, value=loss)
            return optax.apply_updates(params, updates), state, loss
        for k in range(n):
            params, state, loss = step(params, state, jnp.asarray(np.random.default_rng(k).standard_normal((16, 8))))
            float(loss)
        return params, state
"""


@needs("optax")
def test_an_optax_training_goes_on_counting_from_its_own_state_or_behind_the_log(tmp_path):
    code = (
        OPTAX
        + """
    tx = record(optax.adamw(1e-2), "run.jsonl", config={"out": __import__("pathlib").Path("x")})
    params, state = train(tx, 30)
    tx.writer.close()
    tx = record(optax.adamw(1e-2), "run.jsonl")
    train(tx, 10, params, state)
    tx.writer.close()
    tx = record(optax.adamw(1e-2), "run.jsonl")
    train(tx, 10)
    tx.writer.close()
    print(json.dumps({"done": True}))
    """
    )
    assert run(tmp_path, code, JAX_PLATFORMS="cpu") == {"done": True}
    assert [r["step"] for r in read_rows(tmp_path / "run.jsonl")] == list(range(50))


@needs("optax")
def test_optax_is_recorded_without_pytorch():
    code = "import sys, gradlens.recorder.integrations.optax; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@needs("optax")
def test_nothing_about_the_log_ends_an_optax_training(tmp_path):
    code = (
        OPTAX
        + """
    tx = record(optax.adamw(1e-2), "/dev/full")
    train(tx, 50)
    tx.writer.close()
    tx = record(optax.masked(optax.adamw(1e-2), {"a": True, "b": False}), "masked.jsonl", beta2=0.999)
    train(tx, 30)
    tx.writer.close()
    tx = record(optax.adamw(1e-2), "open.jsonl")
    train(tx, 15)
    print(json.dumps({"done": True}))
    """
    )
    assert run(tmp_path, code, JAX_PLATFORMS="cpu") == {"done": True}
    assert all(r["rms_ratio"] > 0 for r in read_rows(tmp_path / "masked.jsonl")[1:])
    assert len(read_rows(tmp_path / "open.jsonl")) == 15  # written when the program ended
