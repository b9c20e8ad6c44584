"""The recorder in the Trainer of Hugging Face, and in those of TRL, which are Trainers too.

>>> trainer = Trainer(model, args, ...)
>>> trainer.add_callback(RecorderCallback("run.jsonl", trainer))
>>> trainer.train()

Loops of Accelerate are ordinary loops: `gradlens.Recorder(path, model, optimizer)` takes what `accelerator.prepare` gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from gradlens.errors import UsageError
from gradlens.recorder.batches import fingerprint, size_of, tokens_of
from gradlens.recorder.plain import as_settings
from gradlens.recorder.recorder import Recorder

#: Columns that the trainer logs itself, of its own moments.
_ITS_OWN = frozenset({"step", "loss", "grad_norm", "lr", "val_loss"})


class RecorderCallback(TrainerCallback):
    """Records a training, and gives the same columns to the loggers of `report_to`.

    Parameters
    ----------
    path
        The log.
    trainer
        The trainer that the callback is added to: the loss of a step and the norm before clipping are told to no callback,
        so `training_step` and `accelerator.clip_grad_norm_` are listened to while it trains.
    probe
        Gives the loss of a batch: `probe(model, inputs)`. See `Recorder.log`.
    options
        Those of `Recorder`: `update_every`, `by`, `live`, `loggers` and so on.

    Raises
    ------
    UsageError
        Under DeepSpeed, whose engine steps no optimizer of PyTorch; when the training begins.
    """

    def __init__(
        self, path: Any, trainer: Any, *, probe: Callable[[Any, Any], Any] | None = None, **options: Any
    ) -> None:
        self._path, self._trainer, self._options = path, trainer, options
        self._probe = probe
        self.recorder: Recorder | None = None
        self._losses: list[Any] = []
        self._inputs: list[Any] = []
        self._norm: Any = None
        self._undo: list[Callable[[], None]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Make the recorder; the optimizer exists now."""
        del state, control
        if getattr(self._trainer, "is_deepspeed_enabled", False):
            raise UsageError("DeepSpeed's engine cannot be recorded", hint="train with FSDP2 or DDP, or without it")
        self._let_go()  # of a training that was interrupted, which tells no callback
        accelerator = self._trainer.accelerator
        self._listen(self._trainer, "training_step", self._heard_step)
        self._listen(accelerator, "clip_grad_norm_", self._heard_norm)
        self._put_first()
        options = dict(self._options)
        clips = (args.max_grad_norm or 0) > 0
        self.recorder = Recorder(
            self._path, given.get("model"), given["optimizer"], max_norm=args.max_grad_norm if clips else math.inf,
            scaler=getattr(accelerator, "scaler", None), scheduler=given.get("lr_scheduler"),
            config=_settings(args) | as_settings(options.pop("config", None)), **options,
        )  # fmt: skip

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """One row: micro-batches are over, gradients are clipped, the norm before that is known."""
        del args, control
        if self.recorder is None:
            return
        model, inputs, probe = given.get("model"), self._inputs, self._probe
        counts = [tokens_of(one) for one in inputs]
        self.recorder.log(
            # What `training_step` returns is divided already: micro-batches add up.
            loss=sum(self._losses) if self._losses else None,
            grad_norm=self._norm,
            batch_size=sum(size_of(one) or 0 for one in inputs) or None,
            tokens=sum(counts) if counts and None not in counts else None,
            batch_id=fingerprint(inputs[0]) if inputs else None,
            step=state.global_step + 1,
            probe=None if probe is None or not inputs else lambda: probe(model, inputs[-1]),
        )
        self._losses, self._inputs, self._norm = [], [], None

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:
        """Stop, if a live verdict was told to."""
        del args, state, given
        if self.recorder is not None and self.recorder.should_stop:
            control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **given: Any) -> None:
        """Add the columns to what the loggers get; the trainer's own values stay."""
        del args, state, control, given
        if self.recorder is None or logs is None or "loss" not in logs:
            return
        self.recorder.flush()
        for name, value in self.recorder.latest.items():
            if name not in _ITS_OWN:
                logs.setdefault(name, value)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **given: Any) -> None:
        """The validation loss in a row of its own."""
        del args, state, control, given
        if self.recorder is not None and metrics and "eval_loss" in metrics:
            self.recorder.log_evaluation(val_loss=float(metrics["eval_loss"]))

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write what is left and leave the trainer as it was."""
        del args, state, control, given
        self._let_go()

    def _let_go(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo, self._losses, self._inputs, self._norm = [], [], [], None
        if self.recorder is not None:
            self.recorder.close()

    def _put_first(self) -> None:
        """Before the loggers, so that they get what `on_log` adds."""
        callbacks = self._trainer.callback_handler.callbacks
        if self in callbacks:
            callbacks.remove(self)
            callbacks.insert(0, self)

    def _listen(self, owner: Any, name: str, heard: Callable[..., None]) -> None:
        inner, was = getattr(owner, name), vars(owner).get(name)

        def listening(*args: Any, **kwargs: Any) -> Any:
            result = inner(*args, **kwargs)
            heard(result, args)
            return result

        def undo() -> None:
            if was is None:
                vars(owner).pop(name, None)
            else:
                setattr(owner, name, was)

        setattr(owner, name, listening)
        self._undo.append(undo)

    def _heard_step(self, loss: Any, args: tuple[Any, ...]) -> None:
        self._losses.append(loss.detach())
        self._inputs += args[1:2]

    def _heard_norm(self, norm: Any, args: tuple[Any, ...]) -> None:
        del args
        self._norm = norm


def _settings(args: Any) -> dict[str, Any]:
    """What the arguments of a Trainer tell beyond optimizer and schedule."""
    accumulated = args.gradient_accumulation_steps
    return {
        "batch_size": args.train_batch_size * accumulated * args.world_size,
        "gradient_accumulation_steps": accumulated,
        "precision": "bf16" if args.bf16 else "fp16" if args.fp16 else "fp32",
    }
