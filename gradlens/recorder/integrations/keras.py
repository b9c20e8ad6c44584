"""The recorder in Keras 3 on PyTorch.

>>> model.fit(x, y, callbacks=[RecorderCallback("run.jsonl")])

On JAX a step is one compiled function: there, `gradlens.recorder.integrations.optax` records a loop of one's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from gradlens.errors import UsageError
from gradlens.recorder.demands import Adapter
from gradlens.recorder.plain import as_settings
from gradlens.recorder.recorder import Recorder

_ITS_OWN = frozenset({"step", "loss", "val_loss"})


class RecorderCallback(keras.callbacks.Callback):
    """Records `fit`, and gives the same columns to the callbacks that log what stands in `logs`.

    Parameters
    ----------
    path
        The log.
    options
        Those of `Recorder`: `update_every`, `by`, `live`, `loggers` and so on. Put it before the callbacks that log.

    Raises
    ------
    UsageError
        Another backend than PyTorch, a scaled loss, or accumulated gradients; when the fit begins.
    """

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__()
        self._path, self._options = path, options
        self.recorder: Recorder | None = None
        self._adapter: KerasOptimizer | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Make the recorder."""
        del logs
        optimizer = self.model.optimizer
        _require_supported(optimizer)
        self.on_train_end()  # of a fit that was interrupted, which tells no callback
        self._adapter = KerasOptimizer(optimizer, self.model.trainable_variables, self._step)
        options = dict(self._options)
        clip = getattr(optimizer, "global_clipnorm", None)
        config = self._adapter.settings() | as_settings(options.pop("config", None))
        self.recorder = Recorder(
            self._path, self.model, self._adapter, max_norm=clip or math.inf, config=config, **options
        )

    def _step(self, loss: Any) -> None:
        if self.recorder is not None:
            self.recorder.log(loss=loss)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop, if a live verdict was told to."""
        del batch, logs
        if self.recorder is not None and self.recorder.should_stop:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the columns to what CSVLogger and its like write; the validation loss becomes a row of its own."""
        del epoch
        if self.recorder is None or logs is None:
            return
        if "val_loss" in logs:
            self.recorder.log_evaluation(val_loss=float(logs["val_loss"]))
        self.recorder.flush()
        for name, value in self.recorder.latest.items():
            if name not in _ITS_OWN:
                logs.setdefault(name, value)

    def on_train_end(self, logs: Any = None) -> None:
        """Write what is left and leave the optimizer as it was."""
        del logs
        if self._adapter is not None:
            self._adapter.let_go()
        if self.recorder is not None:
            self.recorder.close()


def _require_supported(optimizer: Any) -> None:
    if keras.backend.backend() != "torch":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()}: only on PyTorch are gradients there to be measured",
            hint="set KERAS_BACKEND=torch, or on JAX see gradlens.recorder.integrations.optax",
        )
    if type(optimizer).__name__ == "LossScaleOptimizer" or getattr(optimizer, "loss_scale_factor", None):
        raise UsageError("Keras scales this loss within its optimizer", hint="train in bfloat16 or float32")
    if getattr(optimizer, "gradient_accumulation_steps", None):
        raise UsageError("Keras accumulates gradients within its optimizer", hint="a larger batch does the same")


class KerasOptimizer(Adapter):
    """An optimizer of Keras as the recorder knows those of PyTorch.

    Parameters
    ----------
    optimizer
        Of Keras.
    variables
        What it trains.
    before
        Called with the loss once the gradients are there.
    """

    def __init__(self, optimizer: Any, variables: list[Any], before: Callable[[Any], None]) -> None:
        self._optimizer, self._variables = optimizer, list(variables)
        self._pre: list[Callable[..., None]] = []
        self._post: list[Callable[..., None]] = []
        self._loss: Any = None
        apply, scale_loss = optimizer.apply, optimizer.scale_loss

        def listening_scale(loss: Any) -> Any:
            self._loss = loss.detach()
            return scale_loss(loss)

        def listening_apply(grads: Any, trainable_variables: Any = None) -> Any:
            before(self._loss)
            for hook in self._pre:
                hook(self, (self,), {})
            result = apply(grads, trainable_variables)
            for hook in self._post:
                hook(self, (self,), {})
            return result

        optimizer.apply, optimizer.scale_loss = listening_apply, listening_scale

    def let_go(self) -> None:
        """Put the optimizer back as it was."""
        for name in ("apply", "scale_loss"):
            vars(self._optimizer).pop(name, None)

    def settings(self) -> dict[str, Any]:
        """The set-up in the spellings of the recorder."""
        o = self._optimizer
        decay = getattr(o, "weight_decay", None)
        found = {
            "optimizer": type(o).__name__, "beta1": getattr(o, "beta_1", None), "beta2": getattr(o, "beta_2", None),
            "weight_decay": decay, "decoupled_weight_decay": True if decay else None,  # Keras takes it from the weights
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """One group: the trained parameters and the rate."""
        rate = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
        group: dict[str, Any] = {"params": [v.value for v in self._variables], "lr": rate}
        if hasattr(self._optimizer, "beta_2"):
            group["betas"] = (self._optimizer.beta_1, self._optimizer.beta_2)
        return [group]

    @property
    def state(self) -> Mapping[Any, dict[str, Any]]:
        """The second moments by parameter, where the optimizer keeps some."""
        return dict(self._states())

    def _states(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        optimizer = self._optimizer
        moments = getattr(optimizer, "_velocities", None)
        done = float(keras.ops.convert_to_numpy(optimizer.iterations))
        if moments is None or not hasattr(optimizer, "beta_2") or not done:
            return
        for place, variable in enumerate(self._variables):
            yield variable.value, {"exp_avg_sq": moments[place].value, "step": done}

    def register_step_pre_hook(self, hook: Callable[..., None]) -> _Handle:
        """As PyTorch's optimizers do."""
        self._pre.append(hook)
        return _Handle(self._pre, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> _Handle:
        """As PyTorch's optimizers do."""
        self._post.append(hook)
        return _Handle(self._post, hook)


class _Handle:
    """Takes a hook away again."""

    def __init__(self, hooks: list[Callable[..., None]], hook: Callable[..., None]) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)
