"""The recorder for PyTorch: follows a training loop by the hooks of its optimizer, and never stands in its way."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch

from gradlens.recorder import measuring
from gradlens.recorder.clipping import Clipper
from gradlens.recorder.demands import asked, require_supported, unwrap_optimizers
from gradlens.recorder.given import Given
from gradlens.recorder.logfile import LogFile
from gradlens.recorder.parameters import Parameters
from gradlens.recorder.plain import as_settings
from gradlens.recorder.probing import Probe
from gradlens.recorder.rows import Row, held
from gradlens.recorder.scaling import LossScaling
from gradlens.recorder.settings import coupled_decay, settings_of

if TYPE_CHECKING:
    from gradlens.recorder.acting import Skip
    from gradlens.recorder.live import Live

_log = logging.getLogger("gradlens.recorder")
#: Seconds after which rows are written even if there are few: a slow training shall be seen, too.
FLUSH_SECONDS = 10.0


class Recorder:
    """Writes the columns that tell causes apart, one row for each optimizer step.

    Parameters
    ----------
    path
        The log, JSON lines. An existing one is continued, and the new start is marked in it; a file that holds anything else
        is refused, and so is one that another recorder is writing.
    model
        Gives layers their names and probes their buffers; None where neither is wanted.
    optimizer
        A `torch.optim` optimizer, or several that step together (one for matrices, one for the rest): their parameters are
        one whole, and a row is complete when each of them has stepped. Two players with a loss each (a GAN) take a recorder
        each.
    max_norm
        The threshold that the training clips by, `math.inf` where it does not clip; None where nobody knows.
    clip
        Clip by `max_norm` just before the optimizer steps, in place of `torch.nn.utils.clip_grad_norm_` in the loop.
    scaler
        The `torch.amp.GradScaler` of the loop, if it has one: norms are those of the unscaled gradients.
    scheduler
        The schedule of the rate, for the settings in the first record.
    accumulate
        Calls of `log` for one optimizer step, where each micro-batch is logged. Losses are averaged (give them before they
        are divided), sizes added.
    by
        "layer", "group" (of parameters) or None: whose norms are logged beside that of the whole, on the rows of
        `update_every`.
    update_every
        Steps between rows with weight norm, update norm, RMS of g²/v and norms of layers. In between nothing is copied.
    probe_every
        Steps between rows with `loss_before` and `loss_after`, where `log` is given a `probe`.
    histogram_every
        Steps between histograms of all gradient elements, 0 for none: clipping by value is judged by them.
    config
        What else is known of the set-up (`batch_size`, `precision`, ...), in any spelling that `--config` takes; a mapping
        or what `argparse` gives.
    loggers
        Where rows go as well, one or several: see `gradlens.recorder.sinks`.
    flush_every
        Steps after which rows are fetched from the device and written; what a killed process loses at most.
    live, skip
        The verdict while the training runs, and steps to leave out: see `Live` and `Skip`. Off unless given; True is one with its defaults.
    first_step
        The number of the first step; by default the one after the last in the log.
    group
        The process group whose ranks have different parts of a batch; all ranks by default.

    Attributes
    ----------
    should_stop
        Whether a live verdict or a series of skipped steps asked to stop; a loop that wants it tests it.

    Raises
    ------
    UsageError
        What cannot be recorded: an optimizer that is none of PyTorch's kind, FSDP of the first kind, clipping with L-BFGS or
        of sparse gradients, a path that cannot be written, and others; the message says what to do instead.

    Notes
    -----
    Whatever fails while recording is logged once under `gradlens.recorder` and switched off; the training goes on. With
    several ranks, all must build the recorder; the first writes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: Any,
        optimizer: Any,
        *,
        max_norm: float | None = None,
        clip: bool = False,
        scaler: Any = None,
        scheduler: Any = None,
        accumulate: int = 1,
        by: str | None = "layer",
        update_every: int = 10,
        probe_every: int = 10,
        histogram_every: int = 0,
        config: Mapping[str, Any] | None = None,
        loggers: Any = (),
        flush_every: int = 20,
        live: Live | bool | None = None,
        skip: Skip | bool | None = None,
        first_step: int | None = None,
        group: Any = None,
    ) -> None:
        from gradlens.recorder.acting import Skip
        from gradlens.recorder.live import Live
        from gradlens.recorder.output import Output, write_pending

        live, skip = asked("live", live, Live), asked("skip", skip, Skip)
        optimizers = unwrap_optimizers(optimizer)
        require_supported(
            model, optimizers, by=by, clip=clip, max_norm=max_norm, scaler=scaler, skip=skip,
            counts={"accumulate": accumulate, "update_every": update_every, "probe_every": probe_every,
                    "flush_every": flush_every},
            from_zero={"histogram_every": histogram_every, "first_step": 0 if first_step is None else first_step},
        )  # fmt: skip
        self._parameters = Parameters(model, optimizers, by)
        self._parameters.refresh()
        self._model, self._optimizers = model, optimizers
        self._scaling = LossScaling(scaler, optimizers)
        self._clipper = Clipper(self._parameters, max_norm if clip else None, skip)
        self._accumulate, self._flush_every = accumulate, flush_every
        self._update_every, self._probe_every, self._histogram_every = update_every, probe_every, histogram_every
        self._threshold, self._clips = max_norm, clip
        file = LogFile(path)
        before = file.earlier()
        told = settings_of(optimizers, scheduler=scheduler, scaler=scaler, max_norm=max_norm)
        if accumulate > 1:
            told["gradient_accumulation_steps"] = accumulate
        self._output = Output(
            file, self._parameters, settings=as_settings(told | as_settings(config)), earlier=before, loggers=loggers,
            n_rows=flush_every, group=group, live=live,
        )  # fmt: skip
        self._given = Given(self._output.tell)
        self._step = int(first_step) if first_step is not None else 0
        if first_step is None and before is not None and before.last_step is not None:
            self._step = before.last_step + 1
        self.should_stop = False
        self._row: Row | None = None
        self._calls = 0
        self._rows: list[Row] = []
        self._stepped: set[int] = set()
        self._is_stepping = False
        self._is_closed = False
        self._before: list[Any] | None = None
        self._probe: Probe | None = None
        self._off: set[str] = set()
        self._flushed_at = time.monotonic()
        self._handles = [o.register_step_pre_hook(_hook(self, "_before_step", keep=clip)) for o in optimizers]
        self._handles += [o.register_step_post_hook(_hook(self, "_after_step", keep=clip)) for o in optimizers]
        self._scaling.watch(weakref.WeakMethod(self._after_skip))
        self._at_exit = _exit_hook(self)
        atexit.register(self._at_exit)
        self._at_end = weakref.finalize(self, write_pending, self._rows, self._output)
        self._at_end.atexit = False

    # The loop

    def log(
        self,
        loss: Any = None,
        *,
        batch_id: Any = None,
        batch_size: Any = None,
        tokens: Any = None,
        grad_norm: Any = None,
        step: Any = None,
        probe: Callable[[], Any] | None = None,
        **more: Any,
    ) -> None:
        """One batch; call it after `backward()` and before clipping and `optimizer.step()`.

        Parameters
        ----------
        loss
            Scalar tensor or number; it stays on its device.
        batch_id
            What identifies the batch: a number, text, or the identifiers of its examples. One number is written.
        batch_size, tokens
            Of this rank and micro-batch; added up.
        grad_norm
            The norm before clipping where the loop knows it already, in place of measuring it.
        step
            The number of this step, in place of counting: a whole number, or its digits.
        probe
            Gives the loss of this batch when called; see `probe_every`. It is called twice on those rows, without gradients.
        more
            Further scalars, written as they are. One that is none is left out, and named once.
        """
        if self._is_closed:
            return
        try:
            self._take(loss, batch_id, batch_size, tokens, grad_norm, step, probe, more)
        except Exception as error:  # noqa: BLE001 - the training must go on
            self._fail("log", error)

    def log_evaluation(self, **values: Any) -> None:
        """A row of its own for what an evaluation found: `val_loss` above all. None is no value."""
        row = self._try("evaluation", self._given.numbers, values)
        if row and not self._is_closed:
            self._try("evaluation", self._output.add_evaluation, {"step": max(self._step - 1, 0), **row})
            if not self._output.are_many:  # several ranks flush together only
                self._flush()

    def flush(self) -> None:
        """Fetch and write the rows so far; with several ranks, all must call it."""
        if not self._is_closed:
            self._flush()

    @property
    def latest(self) -> Mapping[str, float]:
        """The last value written in each column, on the first rank; `flush` brings it up to date."""
        return dict(self._output.latest)

    def close(self) -> None:
        """Write what is left. Clipping goes on as long as the optimizer steps; everything else ends."""
        if self._is_closed:
            return
        self._finish_row()
        self._flush()
        self._is_closed = True
        self._at_end.detach()
        self._try("close", self._output.close)
        atexit.unregister(self._at_exit)
        self._scaling.unwatch()
        if not self._clips:
            for handle in self._handles:
                handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What happens at each moment

    def _take(
        self, loss: Any, batch_id: Any, batch_size: Any, tokens: Any, grad_norm: Any, step: Any,
        probe: Callable[[], Any] | None, more: Mapping[str, Any],
    ) -> None:  # fmt: skip
        if self._stepped:
            self._finish_row()  # not all of the optimizers stepped
        if self._is_stepping and self._row is not None and "loss" in self._row.means:
            self._row.add_sum("closure_calls", 1.0)
            return
        row = self._row = self._row or Row()
        self._calls += 1
        row.step = row.step if step is None else self._given.step(step)
        self._given.add(row, {"loss": loss, **more}, {"batch_size": batch_size, "tokens": tokens})
        grad_norm = self._given.scalars({"grad_norm": grad_norm}).get("grad_norm")
        if batch_id is not None:
            row.ids.append(held(batch_id))
        if self._calls % self._accumulate == 0 or self._is_stepping:
            self._measure(row, grad_norm, probe)

    def _measure(self, row: Row, grad_norm: Any, probe: Callable[[], Any] | None) -> None:
        """What is to be known before the gradients are clipped."""
        self._try("parameters", self._parameters.refresh)
        scale = self._scaling.now(row)
        row.layers.clear()
        if grad_norm is not None:
            row.values["grad_norm"] = grad_norm
        with_layers = self._is_due(self._update_every) and self._parameters.by is not None
        if grad_norm is None or with_layers:
            self._try(
                "gradient norm", measuring.measure_gradients, row, self._parameters, scale, with_layers=with_layers
            )
        if self._is_due(self._update_every) or (probe is not None and self._is_due(self._probe_every)):
            row.is_due = True
            self._try("second moment", measuring.measure_moments, row, self._parameters, scale)
            self._try("penalty", measuring.measure_penalty, row, self._parameters, _decay_of, scale)
        if self._histogram_every and self._is_due(self._histogram_every):
            self._try("histogram", self._output.add_histogram, self._step, self._parameters, scale)
        if probe is not None and self._is_due(self._probe_every):
            self._try("probe", self._begin_probe, row, probe)
        if self._is_stepping and self._clips:  # in the optimizer's own closure: after it, it is too late
            self._clipper.clip()

    def _begin_probe(self, row: Row, closure: Callable[[], Any]) -> None:
        probe = Probe(closure, self._model)
        row.means.pop("loss_before", None)
        row.add_mean("loss_before", probe.before())
        self._probe = probe

    @torch.compiler.disable
    def _before_step(self, optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        has_closure = len(args) > 1 or kwargs.get("closure") is not None
        first = not self._stepped
        if self._clips and first and not has_closure:
            self._clipper.clip()  # the training's own work: what it raises, the training raises
        if self._is_closed:
            return
        self._is_stepping = True
        if first:
            self._try("step", self._prepare, optimizer, has_closure=has_closure)

    def _prepare(self, optimizer: Any, *, has_closure: bool) -> None:
        row = self._row
        if row is None and not has_closure:
            return
        if row is None:
            row = self._row = Row()
        rate = optimizer.param_groups[0].get("lr")
        row.values["lr"] = held(rate) if rate is not None else float("nan")
        if self._scaling.found_inf is not None:
            row.values["skipped"] = held(self._scaling.found_inf)
        if self._clipper.leaves_out(row, self._tell):
            row.values["skipped"] = 1.0
            self.should_stop = self.should_stop or self._clipper.wants_to_stop
        elif row.is_due or (has_closure and self._is_due(self._update_every)):
            self._try("weight norm", measuring.measure_weights, row, self._parameters)
            self._before = self._try("update", measuring.copy_weights, self._parameters)

    @torch.compiler.disable
    def _after_step(self, optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        del args, kwargs
        if self._is_closed:
            return
        self._stepped.add(id(optimizer))
        if len(self._stepped) < len(self._optimizers):
            return
        self._is_stepping = False
        self._finish_row()

    def _after_skip(self) -> None:
        """The scaler left the step out: the gradients are still there, and not finite."""
        row = self._row
        if row is None or self._is_closed:
            return
        self._try("gradient norm", measuring.measure_gradients, row, self._parameters, None, with_layers=False)
        row.values |= {"skipped": 1.0, "lr": held(self._optimizers[0].param_groups[0].get("lr"))}
        self._probe = None
        row.means.pop("loss_before", None)
        self._finish_row()

    def _finish_row(self) -> None:
        """The step is over."""
        row, before, probe = self._row, self._before, self._probe
        stepped = bool(self._stepped)
        self._row, self._before, self._probe, self._calls, self._is_stepping = None, None, None, 0, False
        self._stepped.clear()
        number = self._step
        if row is not None and row.step is not None:
            number = row.step
        self._step = number + 1
        if row is None or not (row.means or row.norms or row.values.keys() - {"lr"}):
            return
        row.step = number
        if stepped and before is not None:
            self._try("update", measuring.measure_update, row, self._parameters, before)
        if stepped and probe is not None:
            self._try("probe", lambda: row.add_mean("loss_after", probe.after()))
        self._rows.append(row)
        is_late = not self._output.are_many and time.monotonic() - self._flushed_at > FLUSH_SECONDS
        if len(self._rows) >= self._flush_every or is_late:
            self._flush()

    def _flush(self) -> None:
        rows = self._rows[:]
        self._rows.clear()  # the list stays: should the recorder vanish, `write_pending` writes what is in it
        self._flushed_at = time.monotonic()
        self._try("writing", self._output.flush, rows)
        self.should_stop = self.should_stop or self._output.wants_to_stop

    # Help

    def _is_due(self, every: int) -> bool:
        step = self._row.step if self._row is not None and self._row.step is not None else self._step
        return step % every == 0

    def _tell(self, event: str, **facts: Any) -> None:
        self._output.tell({"event": event, "at": self._step, **facts})

    def _try(self, what: str, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Do something that may fail without harm; after the first time it is left."""
        if what in self._off:
            return None
        try:
            return work(*args, **options)
        except Exception as error:  # noqa: BLE001 - the training must go on
            self._fail(what, error)
        return None

    def _fail(self, what: str, error: Exception) -> None:
        if what in self._off:
            return
        self._off.add(what)
        _log.warning("%s is no longer recorded: %s: %s", what, type(error).__name__, error)
        try:
            self._tell("failed", what=what, error=f"{type(error).__name__}: {error}"[:200])
        except Exception:  # noqa: BLE001 - nothing is left to do
            _log.debug("could not note the failure", exc_info=True)


def _decay_of(watched: Any) -> float:
    return coupled_decay(watched.optimizer, watched.group)


def _hook(recorder: Recorder, name: str, *, keep: bool) -> Callable[..., None]:
    """A hook; the optimizer keeps the recorder alive by it only where the recorder has the clipping to do."""
    weak = weakref.ref(recorder)
    strong = recorder if keep else None

    def call(optimizer: Any, args: Any, kwargs: Any) -> None:
        found = strong or weak()
        if found is not None:
            getattr(found, name)(optimizer, args, kwargs)

    return call


def _exit_hook(recorder: Recorder) -> Callable[[], None]:
    weak, process = weakref.ref(recorder), os.getpid()

    def close() -> None:
        found = weak()
        if found is not None and os.getpid() == process:  # the log of a forked process is that of its parent
            found.close()

    return close
