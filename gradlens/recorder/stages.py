"""What is measured at which moment of an optimizer step: with the gradients there, before the update, and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradlens.recorder import measuring
from gradlens.recorder.probing import Probe
from gradlens.recorder.rows import held
from gradlens.recorder.settings import coupled_decay

if TYPE_CHECKING:
    from gradlens.recorder.guarding import Guard
    from gradlens.recorder.output import Output
    from gradlens.recorder.parameters import Parameters
    from gradlens.recorder.rows import Row
    from gradlens.recorder.scaling import LossScaling


@dataclass(frozen=True, slots=True)
class Intervals:
    """Steps between rows with everything, with a probe, and between histograms (0 for none)."""

    update: int
    probe: int
    histogram: int


class Stages:
    """Measures one step at a time; each measurement that fails is left out from then on."""

    def __init__(
        self, model: Any, parameters: Parameters, scaling: LossScaling, intervals: Intervals, guard: Guard, output: Output
    ) -> None:  # fmt: skip
        self._model, self._parameters, self._scaling = model, parameters, scaling
        self._every, self._guard, self._output = intervals, guard, output
        self._probe: Probe | None = None
        self._before: list[Any] | None = None

    def at_gradients(self, row: Row, number: int, *, given_norm: Any, probe: Callable[[], Any] | None) -> None:
        """What is to be known before the gradients are clipped; `number` is that of the step."""
        attempt, parameters = self._guard.attempt, self._parameters
        attempt("parameters", parameters.refresh)
        scales = self._scaling.now(row)
        row.is_measured = True
        row.layers.clear()
        if given_norm is not None:
            row.values["given_norm"] = held(given_norm)
        is_due, is_probed = number % self._every.update == 0, probe is not None and number % self._every.probe == 0
        if given_norm is None or is_due or is_probed:
            attempt("gradient norm", measuring.measure_gradients, row, parameters, scales, with_layers=is_due)
        if is_due or is_probed:
            row.is_due = True
            attempt("second moment", measuring.measure_moments, row, parameters, scales)
            attempt("penalty", measuring.measure_penalty, row, parameters, coupled_decay, scales)
        if self._every.histogram and number % self._every.histogram == 0:
            attempt("histogram", self._output.add_histogram, number, parameters, scales)
        if is_probed:
            attempt("probe", self._begin_probe, row, probe)

    def _begin_probe(self, row: Row, closure: Callable[[], Any]) -> None:
        probe = Probe(closure, self._model)
        row.means.pop("loss_before", None)
        row.add_mean("loss_before", probe.before())
        self._probe = probe

    def before_update(self, row: Row, number: int, *, has_closure: bool) -> None:
        """The weights; with a closure the gradients, and whether the row is due, come only now."""
        if row.is_due or (has_closure and number % self._every.update == 0):
            self._guard.attempt("weight norm", measuring.measure_weights, row, self._parameters)
            self._before = self._guard.attempt("update", measuring.copy_weights, self._parameters)

    def after_update(self, row: Row) -> None:
        """What the step has changed."""
        if self._before is not None:
            self._guard.attempt("update", measuring.measure_update, row, self._parameters, self._before)
        probe = self._probe
        if probe is not None:
            self._guard.attempt("probe", lambda: row.add_mean("loss_after", probe.after()))

    def after_skip(self, row: Row) -> None:
        """The step was left out by the scaler, which has unscaled the gradients: they are there, and not finite."""
        self._guard.attempt("gradient norm", measuring.measure_gradients, row, self._parameters, {}, with_layers=False)
        self.leave(row)

    def leave(self, row: Row) -> None:
        """No update follows."""
        self._probe = None
        row.means.pop("loss_before", None)

    def reset(self) -> None:
        """The step is over."""
        self._before, self._probe = None, None
