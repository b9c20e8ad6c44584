"""The recorder around a gradient transformation of optax.

>>> tx = record(optax.adamw(1e-3), "run.jsonl", learning_rate=1e-3, beta2=0.999)
>>> updates, state = tx.update(grads, state, params, value=loss)  # within jit

The values leave the compiled step by a callback of JAX, which does not hold the step up.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradlens.recorder.guarding import Guard
from gradlens.recorder.hooks import exit_hook
from gradlens.recorder.logfile import LogFile
from gradlens.recorder.plain import as_settings
from gradlens.recorder.writing import shorten

#: As in `gradlens.recorder.measuring`.
_MIN_MOMENT = 1e-16


class RecordState(NamedTuple):
    """The state of what is recorded, and the number of steps."""

    inner: Any
    count: Any


class Writer:
    """Rows as they come from the device, written in the order of their steps. What fails ends the log, and never the training."""

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any], flush_every: int) -> None:
        self._file, self._flush_every = LogFile(path), flush_every
        self._guard = Guard(lambda *_, **__: None)
        self._rows: list[dict[str, Any]] = []
        self._is_closed = False
        earlier = self._file.earlier()
        self._after = 0 if earlier is None or earlier.last_step is None else earlier.last_step + 1
        #: What is added to the counts of the state, once one was seen.
        self._offset: int | None = None
        marks = [] if earlier is None else [{"recorder": {"event": "started-again", "after": earlier.last_step}}]
        self._file.claim()
        self._guard.attempt("writing", self._file.write, [{"config": dict(settings)}, *marks])
        self._at_exit = exit_hook(self)
        atexit.register(self._at_exit)

    def take(self, columns: Mapping[str, Any]) -> None:
        """One row, from JAX's callback."""
        self._guard.attempt("a row", self._take, columns)

    def _take(self, columns: Mapping[str, Any]) -> None:
        row = {name: float(np.asarray(value)) for name, value in columns.items()}
        self._rows.append({"step": int(row.pop("step"))} | {name: shorten(value) for name, value in row.items()})
        if len(self._rows) >= self._flush_every:
            self._flush()

    def close(self) -> None:
        """Write what is left, once the device is done; the end of the program does so, too."""
        if self._is_closed:
            return
        self._guard.attempt("the device", jax.effects_barrier)
        self._flush()
        self._is_closed = True
        self._guard.attempt("close", self._file.close)
        atexit.unregister(self._at_exit)

    def _flush(self) -> None:
        rows, self._rows = sorted(self._rows, key=lambda row: row["step"]), []
        if rows and not self._is_closed:
            if self._offset is None:
                # A state that begins at 0 begins a training, which goes on behind the rows of the log; a restored one counts itself.
                self._offset = self._after if rows[0]["step"] == 0 else 0
            self._guard.attempt(
                "writing", self._file.write, [row | {"step": row["step"] + self._offset} for row in rows]
            )


class Recorded(NamedTuple):
    """A transformation as optax knows it, and the writer to close at the end."""

    init: Callable[..., Any]
    update: Callable[..., Any]
    writer: Writer


def record(
    inner: Any, path: str | os.PathLike[str], *, learning_rate: Any = None, beta2: float | None = None,
    config: Mapping[str, Any] | None = None, flush_every: int = 20,
) -> Recorded:  # fmt: skip
    """The same transformation, recorded.

    Parameters
    ----------
    inner
        A gradient transformation; put clipping into it, so that the recorded norm is the one before.
    path
        The log.
    learning_rate
        A number or a schedule of the step, for the column `lr`.
    beta2
        That of the second moment in `inner`, for `rms_ratio`: optax keeps none that is corrected for its start.
    config
        What is known of the set-up, in any spelling that `--config` takes (`max_grad_norm`, `batch_size`, ...).
    flush_every
        Rows that are written together.

    Returns
    -------
    Recorded
        `init` and `update` as of any transformation; `update` takes the loss as `value`, optax's own name for it.
        `writer.close()` writes the last rows; the end of the program does so, too.
    """
    inner = optax.with_extra_args_support(inner)
    told = {"learning_rate": learning_rate if isinstance(learning_rate, (int, float)) else None, "beta2": beta2}
    settings = {name: value for name, value in told.items() if value is not None} | as_settings(config)
    writer = Writer(path, settings, flush_every)

    def init(params: Any) -> RecordState:
        return RecordState(inner.init(params), jnp.zeros([], jnp.int32))

    def update(grads: Any, state: RecordState, params: Any = None, **extra: Any) -> tuple[Any, RecordState]:
        updates, after = inner.update(grads, state.inner, params, **extra)
        columns = {
            "step": state.count, "grad_norm": optax.tree.norm(grads), "update_norm": optax.tree.norm(updates),
            "grad_dot_update": optax.tree.vdot(grads, updates),
        }  # fmt: skip
        if "value" in extra:
            columns["loss"] = extra["value"]
        if learning_rate is not None:
            columns["lr"] = learning_rate(state.count) if callable(learning_rate) else jnp.asarray(learning_rate)
        if params is not None:
            columns["weight_norm"] = optax.tree.norm(params)
        ratio = _rms_ratio(grads, state, beta2)
        if ratio is not None:
            columns["rms_ratio"] = ratio
        jax.debug.callback(writer.take, columns)
        return updates, RecordState(after, state.count + 1)

    return Recorded(init, update, writer)


def _rms_ratio(grads: Any, state: RecordState, beta2: float | None) -> Any:
    """The RMS of g²/v before this update, NaN at the first step; None where v or beta2 is not known."""
    moments = optax.tree.get_all_with_path(state.inner, "nu")
    if beta2 is None or len(moments) != 1:
        return None
    correction = 1.0 - jnp.asarray(beta2) ** state.count

    def ratio(v: Any, g: Any) -> Any:
        # What a mask leaves out has no moment.
        return None if _is_masked(v) else (jnp.sum(g * g / jnp.maximum(v / correction, _MIN_MOMENT)), g.size)

    known = jax.tree.leaves(
        jax.tree.map(ratio, moments[0][1], grads, is_leaf=_is_masked), is_leaf=lambda x: isinstance(x, tuple)
    )
    if not known:
        return None
    mean = sum(total for total, _ in known) / sum(size for _, size in known)
    return jnp.where(state.count > 0, jnp.sqrt(mean), jnp.nan)


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)
