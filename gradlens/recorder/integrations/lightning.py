"""The recorder in Lightning.

>>> trainer = Trainer(callbacks=[RecorderCallback("run.jsonl")])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback

from gradlens.errors import UsageError
from gradlens.recorder.batches import fingerprint, size_of, tokens_of
from gradlens.recorder.plain import as_settings
from gradlens.recorder.recorder import Recorder


class RecorderCallback(Callback):
    """Records a training with automatic optimization, and gives the same columns to the trainer's loggers.

    Parameters
    ----------
    path
        The log.
    probe
        Gives the loss of a batch: `probe(module, batch)`. See `Recorder.log`.
    options
        Those of `Recorder`: `update_every`, `by`, `live`, `loggers` and so on.

    Raises
    ------
    UsageError
        Manual optimization, several optimizers, or a strategy whose optimizer is none of PyTorch's; when the fit begins.
    """

    def __init__(self, path: Any, *, probe: Callable[[Any, Any], Any] | None = None, **options: Any) -> None:
        self._path, self._options = path, options
        self._probe = probe
        self.recorder: Recorder | None = None
        self._losses: list[Any] = []
        self._batches: list[Any] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the recorder; the optimizer exists now."""
        if not pl_module.automatic_optimization or len(trainer.optimizers) != 1:
            raise UsageError(
                "the callback follows automatic optimization with one optimizer",
                hint="with several, or manual optimization, make a gradlens.Recorder for each in configure_optimizers",
            )
        algorithm = trainer.gradient_clip_algorithm
        by_value = str(getattr(algorithm, "value", algorithm)) == "value"
        schedules = trainer.lr_scheduler_configs
        options = dict(self._options)
        config = {"precision": str(trainer.precision), "gradient_accumulation_steps": trainer.accumulate_grad_batches}
        self.recorder = Recorder(
            self._path, pl_module, trainer.optimizers[0],
            max_norm=math.inf if by_value else trainer.gradient_clip_val or math.inf,
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            scheduler=schedules[0].scheduler if schedules else None,
            first_step=trainer.global_step, config=config | as_settings(options.pop("config", None)), **options,
        )  # fmt: skip

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Remember the batch until its gradients are there."""
        del trainer, pl_module, batch_idx
        self._batches.append(batch)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """The loss of a micro-batch, which Lightning has divided."""
        del pl_module
        self._losses.append(loss.detach() * trainer.accumulate_grad_batches)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """One row: after unscaling, before clipping."""
        del trainer, optimizer
        if self.recorder is None:
            return
        batches, probe = self._batches, self._probe
        counts = [tokens_of(one) for one in batches]
        self.recorder.log(
            loss=sum(self._losses) / len(self._losses) if self._losses else None,
            batch_size=sum(size_of(one) or 0 for one in batches) or None,
            tokens=sum(counts) if counts and None not in counts else None,
            batch_id=fingerprint(batches[0]) if batches else None,
            probe=None if probe is None or not batches else lambda: probe(pl_module, batches[-1]),
        )
        self._losses, self._batches = [], []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Feed the loggers as often as the trainer does; stop, if a live verdict was told to."""
        del pl_module, outputs, batch, batch_idx
        if self.recorder is None:
            return
        every = trainer.log_every_n_steps
        if every and trainer.global_step % every == 0 and not self._batches:
            self.recorder.flush()
            row = {name: value for name, value in self.recorder.latest.items() if name != "step"}
            for logger in trainer.loggers if row else ():
                logger.log_metrics(row, step=trainer.global_step - 1)
        trainer.should_stop = trainer.should_stop or self.recorder.should_stop

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """The validation loss in a row of its own, under whichever of its names was logged."""
        del pl_module
        metrics = trainer.callback_metrics
        found = next((metrics[name] for name in ("val_loss", "val/loss") if name in metrics), None)
        if self.recorder is not None and found is not None and not trainer.sanity_checking:
            self.recorder.log_evaluation(val_loss=float(found))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write what is left."""
        del trainer, pl_module
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write what is left of a training that failed."""
        del exception
        self.on_train_end(trainer, pl_module)
