"""The recorder for PyTorch: follows a training loop by the hooks of its optimizer, and never stands in its way."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch

from gradlens.recorder.clipping import Changed, Clipper, closure_of
from gradlens.recorder.demands import asked, require_supported, unwrap_optimizers
from gradlens.recorder.given import Given
from gradlens.recorder.guarding import Guard
from gradlens.recorder.hooks import exit_hook, step_hook, weak_call
from gradlens.recorder.logfile import LogFile
from gradlens.recorder.output import ORDER, Output, write_pending
from gradlens.recorder.parameters import Parameters
from gradlens.recorder.plain import as_settings
from gradlens.recorder.rows import Row, held, held_ids
from gradlens.recorder.scaling import LossScaling
from gradlens.recorder.settings import settings_of
from gradlens.recorder.stages import Intervals, Stages

if TYPE_CHECKING:
    from gradlens.recorder.acting import Skip
    from gradlens.recorder.live import Live

#: Seconds after which rows are written even if there are few: a slow training shall be seen, too.
FLUSH_SECONDS = 10.0
#: Batches in a row that a loop may leave out; with more, it steps by another optimizer.
MAX_UNSTEPPED = 20


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
        Clip by `max_norm` just before the optimizer steps, or after its closure, in place of `torch.nn.utils.clip_grad_norm_` in the loop.
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
    several ranks each makes the recorder and logs, in the same order where there are several recorders; the first writes.
    One that does not is left out after a while, which is said.
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

        live, skip = asked("live", live, Live), asked("skip", skip, Skip)
        optimizers = unwrap_optimizers(optimizer)
        require_supported(
            model, optimizers, by=by, clip=clip, max_norm=max_norm, scaler=scaler, skip=skip,
            counts={"accumulate": accumulate, "update_every": update_every, "probe_every": probe_every,
                    "flush_every": flush_every},
            from_zero={"histogram_every": histogram_every, "first_step": 0 if first_step is None else first_step},
        )  # fmt: skip
        self._guard = Guard(weak_call(self._tell))
        self._parameters = Parameters(model, optimizers, by)
        self._parameters.refresh()
        self._optimizers = optimizers
        self._scaling = LossScaling(scaler, optimizers)
        self._clipper = Clipper(self._parameters, self._scaling, max_norm if clip else None, skip)
        self._accumulate, self._flush_every, self._clips = accumulate, flush_every, clip
        file = LogFile(path)
        before = file.earlier()
        told = settings_of(optimizers, scheduler=scheduler, scaler=scaler, max_norm=max_norm)
        if accumulate > 1:
            told["gradient_accumulation_steps"] = accumulate
        self._output = Output(
            file, self._parameters, settings=as_settings(told | as_settings(config)), earlier=before, loggers=loggers,
            group=group, live=live, notice=self._guard.notice,
        )  # fmt: skip
        self._given = Given(self._output.tell)
        every = Intervals(update=update_every, probe=probe_every, histogram=histogram_every)
        self._stages = Stages(model, self._parameters, self._scaling, every, self._guard, self._output)
        self._step = int(first_step) if first_step is not None else 0
        if first_step is None and before is not None and before.last_step is not None:
            self._step = before.last_step + 1
        self.should_stop = False
        self._row: Row | None = None
        self._calls = 0
        self._n_finished = 0
        self._n_unstepped = 0
        self._rows: list[Row] = []
        self._stepped: set[int] = set()
        self._is_stepping = False
        self._is_closed = False
        self._process = os.getpid()
        self._flushed_at = time.monotonic()
        self._handles = [o.register_step_pre_hook(step_hook(self, "_before_step", keep=clip)) for o in optimizers]
        self._handles += [o.register_step_post_hook(step_hook(self, "_after_step", keep=clip)) for o in optimizers]
        self._scaling.watch(weakref.WeakMethod(self._after_skip))
        self._at_exit = exit_hook(self)
        atexit.register(self._at_exit)
        self._at_end = weakref.finalize(self, write_pending, self._rows, self._output)
        self._at_end.atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of what holds a recorder (a module, say) gets one that is closed: one log has one writer."""
        return _closed_recorder, ()

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

        When the next batch is logged and no step was made, this one is a row of its own, marked as skipped. A further call
        without a loss adds to the row.

        Parameters
        ----------
        loss
            Scalar tensor or number; it stays on its device.
        batch_id
            What identifies the batch: a number, text, or the identifiers of its examples. One number is written.
        batch_size, tokens
            Of this rank and micro-batch; added up.
        grad_norm
            The norm before clipping where the loop knows it already, in place of measuring it. The gradients may be clipped
            by then; what is derived from them is scaled to this norm.
        step
            The number of this step, in place of counting: a whole number, or its digits.
        probe
            Gives the loss of this batch when called; see `probe_every`. It is called twice on those rows, without gradients.
        more
            Further scalars, written as they are, unless the recorder measures a column of that name. One that is none is left
            out, and named once.
        """
        if self._is_over:
            return
        try:
            self._take(loss, batch_id, batch_size, tokens, grad_norm, step, probe, more)
        except Exception as error:  # noqa: BLE001 - the training must go on
            self._guard.fail("log", error)

    def log_evaluation(self, **values: Any) -> None:
        """A row of its own for what an evaluation found: `val_loss` above all. None is no value."""
        row = None if self._is_over else self._guard.attempt("evaluation", self._given.numbers, values)
        if row:
            self._guard.attempt("evaluation", self._output.add_evaluation, {"step": max(self._step - 1, 0), **row})
            self._flush()

    def flush(self) -> None:
        """Fetch and write the rows so far; with several ranks, the first waits some seconds for those of the others."""
        if not self._is_over:
            self._flush(wait=True)

    @property
    def latest(self) -> Mapping[str, float]:
        """The last value written in each column, on the first rank; `flush` brings it up to date."""
        return {} if self._is_forgotten else dict(self._output.latest)

    def close(self) -> None:
        """Write what is left. Clipping goes on as long as the optimizer steps; everything else ends."""
        if self._is_over:
            return
        self._finish_row()
        self._guard.attempt("writing", self._output.finish, self._rows[:])
        self._rows.clear()
        self._is_closed = True
        self._at_end.detach()
        self._guard.attempt("close", self._output.close)
        atexit.unregister(self._at_exit)
        self._scaling.unwatch()
        if not self._clips:
            for handle in self._handles:
                handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _is_forgotten(self) -> bool:
        """Whether this is a copy, or that of a forked process: the log, and the rows not written, are another's."""
        return self._process != os.getpid()

    @property
    def _is_over(self) -> bool:
        return self._is_closed or self._is_forgotten

    # What happens at each moment

    def _take(
        self, loss: Any, batch_id: Any, batch_size: Any, tokens: Any, grad_norm: Any, step: Any,
        probe: Callable[[], Any] | None, more: Mapping[str, Any],
    ) -> None:  # fmt: skip
        if self._stepped:
            self._finish_row()  # not all of the optimizers stepped
        row = self._row
        if row is not None and loss is not None and "loss" in row.means:
            if self._is_stepping:
                row.add_sum("closure_calls", 1.0)
                return
            if self._calls >= self._accumulate:
                self._leave_out(row)
        row = self._row = self._row or Row()
        self._calls += 1
        row.step = row.step if step is None else self._given.step(step)
        self._put(row, loss, batch_size, tokens, more)
        grad_norm = self._given.scalars({"grad_norm": grad_norm}).get("grad_norm")
        if batch_id is not None:
            row.ids.append(held_ids(batch_id))
        if self._calls % self._accumulate == 0 or self._is_stepping:
            self._stages.at_gradients(row, self._number, given_norm=grad_norm, probe=probe)

    def _put(self, row: Row, loss: Any, batch_size: Any, tokens: Any, more: Mapping[str, Any]) -> None:
        own = {name for name in more if name in ORDER or name.startswith("grad_norm/")}
        if own:
            self._guard.notice(
                "own-column",
                f"log was given {', '.join(sorted(own))}, which the recorder measures itself: its own count",
            )
        means = {"loss": loss, **{name: value for name, value in more.items() if name not in own}}
        self._given.add(row, means, {"batch_size": batch_size, "tokens": tokens})

    def _leave_out(self, row: Row) -> None:
        """Another batch comes and no optimizer has stepped: the loop has left this one out, or steps by another optimizer."""
        self._n_unstepped += 1
        if self._n_unstepped <= MAX_UNSTEPPED:
            row.values["skipped"] = 1.0
            self._guard.notice(
                "no-step", "a batch was logged and no optimizer step followed: its row is marked as skipped "
                "(where gradients are accumulated, give the recorder accumulate=)",
            )  # fmt: skip
        else:
            self._guard.notice(
                "no-steps", f"{MAX_UNSTEPPED} batches were logged and the recorder's optimizer never stepped: updates "
                "are not recorded (where the loop has a new optimizer, make a new recorder)",
            )  # fmt: skip
        self._stages.leave(row)
        self._finish_row()

    @torch.compiler.disable
    def _before_step(self, optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Changed:
        is_first = not self._stepped
        if not self._is_over:
            if is_first:
                self._guard.attempt("step", self._prepare, optimizer, closure_of(args, kwargs))
            self._is_stepping = True
        # The training's own work: what it raises, the training raises.
        return self._clipper.before_step(optimizer, args, kwargs, is_first=is_first)

    def _prepare(self, optimizer: Any, closure: Any) -> None:
        row = self._row
        if row is None and closure is None:
            return
        if row is None:
            row = self._row = Row()
        elif not row.is_measured:  # fewer micro-batches than `accumulate`
            self._stages.at_gradients(row, self._number, given_norm=None, probe=None)
        rate = optimizer.param_groups[0].get("lr")
        if rate is not None:
            row.values["lr"] = held(rate)
        if self._scaling.found_inf is not None:
            row.values["skipped"] = held(self._scaling.found_inf)
        if self._clipper.leaves_out(row, self._tell):
            row.values["skipped"] = 1.0
            self.should_stop = self.should_stop or self._clipper.wants_to_stop
        else:
            self._stages.before_update(row, self._number, has_closure=closure is not None)

    @torch.compiler.disable
    def _after_step(self, optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        del args, kwargs
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._finish_row()

    def _after_skip(self) -> None:
        """The scaler left the step out."""
        row = self._row
        if row is None or self._is_over:
            return
        self._stages.after_skip(row)
        row.values["skipped"] = 1.0
        rate = self._optimizers[0].param_groups[0].get("lr")
        if rate is not None:
            row.values["lr"] = held(rate)
        self._finish_row()

    def _finish_row(self) -> None:
        """The step is over."""
        row, number, has_stepped = self._row, self._number, bool(self._stepped)
        self._row, self._calls, self._is_stepping = None, 0, False
        self._stepped.clear()
        if self._is_over:
            return
        is_told = row is not None and bool(row.means or row.norms or row.values.keys() - {"lr"})
        if has_stepped:
            self._n_unstepped = 0
            if not is_told:
                self._guard.notice(
                    "step-without-log", "the optimizer stepped and no batch was logged, so that the step has no row: "
                    "call log after backward() and before optimizer.step()",
                )  # fmt: skip
        if has_stepped or is_told:
            self._step, self._n_finished = number + 1, self._n_finished + 1
        if row is not None and is_told:
            row.step, row.index = number, self._n_finished
            if has_stepped:
                self._stages.after_update(row)
            self._rows.append(row)
        self._stages.reset()
        if len(self._rows) >= self._flush_every or (self._rows and time.monotonic() - self._flushed_at > FLUSH_SECONDS):
            self._flush()

    def _flush(self, *, wait: bool = False) -> None:
        rows = self._rows[:]
        self._rows.clear()  # the list stays: should the recorder vanish, `write_pending` writes what is in it
        self._flushed_at = time.monotonic()
        self._guard.attempt("writing", self._output.flush, rows, wait=wait)
        self.should_stop = self.should_stop or self._output.wants_to_stop

    @property
    def _number(self) -> int:
        """The number of the step under way."""
        return self._row.step if self._row is not None and self._row.step is not None else self._step

    def _tell(self, event: str, **facts: Any) -> None:
        self._output.tell({"event": event, "at": self._step, **facts})


def _closed_recorder() -> Recorder:
    copy = Recorder.__new__(Recorder)
    copy.should_stop = False
    copy._process = -1  # noqa: SLF001 - its own class
    copy._is_closed = True  # noqa: SLF001 - likewise
    return copy
