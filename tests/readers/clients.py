"""Logs written by the real clients and trainers: the points, and the functions that log them.

`python -m tests.readers.clients FOLDER` writes all of them; the small ones below `tests/data` were made that way.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

#: What the metric loggers log: one step a row, with a NaN and an infinity in it.
ROWS = [
    {"train/loss": 4.0 - n / 8, "train/grad_norm": math.inf if n == 7 else 1.0 + n / 16, "lr": 0.001 * n}
    for n in range(1, 21)
]
ROWS[4]["train/loss"] = math.nan
CONFIG = {"optimizer": "AdamW", "learning_rate": 0.02, "max_grad_norm": 0.5, "betas": [0.9, 0.95], "batch_size": 16}


def wandb(folder: Path) -> Path:
    """An offline run of the W&B client; gives the `.wandb` file."""
    os.environ.update(
        {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder), "WANDB_DISABLE_CODE": "true"}
    )
    import wandb as client

    folder.mkdir(parents=True, exist_ok=True)
    run = client.init(
        project="gradlens", config=CONFIG, dir=str(folder), mode="offline",
        settings=client.Settings(console="off", x_disable_stats=True, x_disable_meta=True, save_code=False),
    )  # fmt: skip
    for step, row in enumerate(ROWS, 1):
        # The trainer counts in steps of ten, W&B its own calls.
        run.log({**row, "train/global_step": 10 * step})
        if step % 10 == 0:
            run.log({"eval/loss": 3.5})
    run.finish()
    return next(folder.rglob("run-*.wandb"))


def mlflow_files(folder: Path) -> Path:
    """A run in MLflow's file store; gives the store."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    _mlflow(f"file://{(folder / 'mlruns').resolve()}")
    return folder / "mlruns"


def mlflow_sqlite(folder: Path) -> Path:
    """A run in MLflow's SQLite store; gives the database."""
    folder.mkdir(parents=True, exist_ok=True)
    _mlflow(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
    return folder / "mlflow.db"


def _mlflow(uri: str) -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("gradlens")
    with mlflow.start_run(experiment_id=experiment, run_name="bold-bird"):
        mlflow.log_params(CONFIG)
        for step, row in enumerate(ROWS, 1):
            mlflow.log_metrics(row, step=10 * step)


def tensorboard_torch(folder: Path) -> Path:
    """Scalars and a histogram of gradients by PyTorch's SummaryWriter."""
    from torch.utils.tensorboard import SummaryWriter

    return _summary_writer(SummaryWriter(str(folder)), folder)


def tensorboardx(folder: Path) -> Path:
    """The same by tensorboardX."""
    from tensorboardX import SummaryWriter

    return _summary_writer(SummaryWriter(str(folder)), folder)


def _summary_writer(events, folder: Path) -> Path:
    import numpy as np

    for step, row in enumerate(ROWS, 1):
        for tag, value in row.items():
            events.add_scalar(tag, value, 10 * step)
        if step % 10 == 0:
            events.add_histogram("grad/head", np.linspace(-2.0, 2.0, 101), 10 * step)
    events.close()
    return next(folder.glob("*tfevents*"))


def tensorboard_tensors(folder: Path) -> Path:
    """Scalars as tensors, the way TensorFlow 2 writes them."""
    import numpy as np
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.metadata import create_summary_metadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    events = EventFileWriter(str(folder))
    metadata = create_summary_metadata(display_name="", description="")
    for step, row in enumerate(ROWS, 1):
        for tag, value in row.items():
            tensor = make_tensor_proto(np.array(value, dtype=np.float32))
            summary = Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])
            events.add_event(Event(wall_time=1.7e9 + step, step=10 * step, summary=summary))
    events.close()
    return next(folder.glob("*tfevents*"))


def lightning(folder: Path) -> Path:
    """Lightning's CSVLogger under its real Trainer, a tiny model with the norm logged by a hook."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    from lightning.pytorch import LightningModule, Trainer, seed_everything
    from lightning.pytorch.loggers import CSVLogger
    from lightning.pytorch.utilities import grad_norm

    class Tiny(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"learning_rate": 0.1})
            self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))

        def training_step(self, batch, _):
            loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, _):
            self.log("val_loss", torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))

        def on_before_optimizer_step(self, _):
            self.log_dict(grad_norm(self.net, norm_type=2))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    seed_everything(0, verbose=False)
    data = torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randn(64, 1))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    trainer = Trainer(
        max_epochs=2, logger=CSVLogger(folder, name="logs"), log_every_n_steps=1, accelerator="cpu", gradient_clip_val=0.5,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Tiny(), loader, loader)
    return next(folder.rglob("metrics.csv"))


def transformers(folder: Path) -> Path:
    """The Trainer of Transformers on a tiny model; gives the output folder with its checkpoints and event files."""
    import torch
    from transformers import Trainer, TrainingArguments

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(4, 1)

        def forward(self, x, labels=None):
            out = self.net(x).squeeze(-1)
            return {"loss": torch.nn.functional.mse_loss(out, labels), "logits": out}

    torch.manual_seed(0)
    data = [{"x": torch.randn(4), "labels": torch.randn(())} for _ in range(64)]
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=8, max_steps=20, logging_steps=2, save_steps=10, eval_strategy="steps",
        eval_steps=10, report_to=[], use_cpu=True, max_grad_norm=0.25, learning_rate=0.05, disable_tqdm=True, seed=0,
    )  # fmt: skip
    Trainer(model=Tiny(), args=arguments, train_dataset=data, eval_dataset=data[:8]).train()
    for heavy in folder.rglob("*"):
        if heavy.is_file() and heavy.suffix in {".pt", ".pth", ".safetensors", ".bin"}:
            heavy.unlink()
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "wandb": wandb,
    "mlflow": mlflow_files,
    "mlflow-sqlite": mlflow_sqlite,
    "tensorboard-torch": tensorboard_torch,
    "tensorboardx": tensorboardx,
    "tensorboard-tensors": tensorboard_tensors,
    "lightning": lightning,
    "transformers": transformers,
}

if __name__ == "__main__":
    for name, write in WRITERS.items():
        write(Path(sys.argv[1]) / name)
