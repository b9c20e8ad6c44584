"""The output model: plain frozen data from which every output is made.

`Report.to_dict()` is the JSON document of the contract; `gradlens/schemas/report-1.json` describes it and is generated
from these classes. A reporter needs nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from gradlens.frozen import frozen
from gradlens.registry import load
from gradlens.reports.base import Cause, Interval, ProvenanceVerdict, Severity, ThresholdSource, plain_data
from gradlens.reports.frames import Findings, figures_frame
from gradlens.reports.picture import BESIDE, LayerMap, Picture
from gradlens.reports.verdict import Verdict
from gradlens.run import Columns, Notice

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
#: Steps that a check of ours lists at most: a list this long may have been cut.
MAX_STEPS_LISTED = 20


@frozen
class Evidence:
    """One measured fact behind a finding. `threshold` is what it was compared with, where there is one."""

    label: str
    value: float | int | str | None
    threshold: float | None = None
    unit: str = ""
    n: int | None = None


@frozen
class Finding:
    """What a check found. `message` is one line; `cause` the cause it speaks for, if any."""

    code: str
    name: str
    severity: Severity
    message: str
    cause: Cause | None = None
    evidence: tuple[Evidence, ...] = ()
    steps: tuple[int, ...] = ()
    advice: str = ""
    reference: str = ""


@frozen
class CheckResult:
    """What became of a check: `passed`, `failed` (it has findings), `skipped` (see `reason`) or `errored`."""

    code: str
    name: str
    status: Literal["passed", "failed", "skipped", "errored"]
    reason: str = ""


@frozen
class Provenance:
    """Whether the norm is the one before clipping and unscaled, and why we think so.

    `averaged` says that a row holds the mean of several steps, whatever else is wrong with it; `cumulative` that it holds the
    mean of all steps so far.
    """

    verdict: ProvenanceVerdict
    reason: str
    averaged: bool = False
    cumulative: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def placeholder(self) -> bool:
        """Whether the norm was never measured."""
        return self.verdict == "placeholder"

    @property
    def trusted(self) -> bool:
        """Whether clip rates and threshold advice may be drawn from the norm."""
        return self.verdict in {"pre_clip", "averaged", "unknown"} and not self.cumulative


@frozen(eq=False)
class Window:
    """The clip rate of one part of the run."""

    first_step: int
    last_step: int
    n: int
    clip_rate: float | None
    interval: Interval | None = None


@frozen(eq=False)
class Phase:
    """The clip rate of a phase of the schedule: warmup, rise, stable, decay, or main where no learning rate is logged."""

    name: str
    first_step: int
    last_step: int
    n: int
    clip_rate: float | None
    interval: Interval | None = None


@frozen(eq=False)
class Clipping:
    """How often clipping engaged: share of finite norms strictly above the threshold.

    `threshold` None means that the run did not clip, or with the source `assumed` that nobody knows; then `customary` tells what
    the usual threshold would have clipped. `withheld` says why there is no rate (norms after clipping, ...),
    `rough` that the steps are worth too few independent ones for a sharp interval.
    """

    threshold: float | None
    threshold_source: ThresholdSource
    clip_rate: float | None
    interval: Interval | None
    n: int
    n_effective: float | None
    shrink_factor: float | None
    one_in: float | None = None
    rough: bool = False
    windows: tuple[Window, ...] = ()
    phases: tuple[Phase, ...] = ()
    withheld: str | None = None
    customary: CustomaryClipping | None = None
    value_clipping: ValueClipping | None = None


@frozen(eq=False)
class CustomaryClipping:
    """What the usual threshold would have clipped of a run whose own is not known, and that in a conditional sentence."""

    threshold: float
    clip_rate: float
    sentence: str


@frozen(eq=False)
class ValueClipping:
    """Share of gradient elements beyond a value, from logged histograms."""

    threshold: float | None
    share: float | None
    share_beyond_fp16: float
    n_histograms: int


@frozen(eq=False)
class NonFinite:
    """Counts of NaN and infinite values; `rows` counts a row in which both are bad once."""

    loss: int
    grad_norm: int
    rows: int
    longest_streak: int = 0
    first_step: int | None = None


@frozen(eq=False)
class Fit:
    """One family fitted by maximum likelihood. `ks` is the distance to the data, `adequate` whether it fits at all."""

    family: str
    parameters: Mapping[str, float]
    log_likelihood: float
    aic: float
    ks: float
    ks_limit: float
    adequate: bool


@frozen(eq=False)
class Vuong:
    """A power law against another family on the same tail: `log_ratio` above 0 speaks for the power law.

    `better` says that the other family fits better by more than chance explains.
    """

    family: str
    log_ratio: float
    normalised: float | None
    p_value: float
    better: bool = False


@frozen(eq=False)
class PowerLaw:
    """Clauset-Shalizi-Newman power law above `xmin`; the p-value costs seconds and is null unless asked for."""

    alpha: float | None
    xmin: float | None
    n_tail: int
    ks: float | None
    p_value: float | None = None
    alpha_error: float | None = None
    alternatives: tuple[Vuong, ...] = ()


@frozen(eq=False)
class ParetoTail:
    """Generalized Pareto tail above `threshold`, the quantile `level` of the detrended norms.

    `p_value` is that of its Anderson-Darling distance, `band` the range of the index over all higher thresholds,
    `rejected` that no threshold passed and the highest was taken.
    """

    level: float
    threshold: float
    n: int
    sigma: float | None
    xi: float | None
    xi_error: float | None
    p_value: float | None
    band: Interval | None
    rejected: bool


@frozen(eq=False)
class GaussianNull:
    """What norms of Gaussian gradients of the same spread would do."""

    effective_dimension: float | None
    expected_clip_rate: float | None
    observed_clip_rate: float | None = None


@frozen(eq=False)
class TailIndices:
    """Hill, moment and Pickands estimates of the tail index from the `k` largest values."""

    hill: float | None
    hill_error: float | None
    moment: float | None
    pickands: float | None
    k: int


@frozen(eq=False)
class RawTail:
    """The same verdict on the norms as logged, where a drifting level fakes a heavy tail."""

    family: str | None
    heavy: bool | None
    xi: float | None
    xi_interval: Interval | None


@frozen(eq=False)
class Tail:
    """How heavy the upper tail of the norms is around their level; `raw` beside it.

    `extremal_index` is 1 for isolated large norms; `widening` the factor by which clusters of them widen errors.
    """

    family: str | None
    heavy: bool | None
    xi: float | None
    xi_interval: Interval | None
    detrended: bool
    verdict: str
    fits: tuple[Fit, ...]
    power_law: PowerLaw | None
    gaussian_null: GaussianNull
    indices: TailIndices
    pareto_tail: ParetoTail | None
    extremal_index: float
    widening: float
    raw: RawTail


@frozen
class Spike:
    """One event, at its onset: the largest value, its `z` above the level before, `length` in rows.

    `size` is value over level, `recovery` the first step back at the old level, None where the curve did not come back.
    """

    step: int
    value: float
    z: float
    length: int
    size: float
    recovery: int | None = None


@frozen(eq=False)
class SpikeScore:
    """Share of values at least 7 standard deviations from the rolling mean (the OLMo 2 spike score)."""

    loss: float | None
    grad_norm: float | None


@frozen(eq=False)
class CoincidenceTest:
    """One of three disjoint tests: events counted, expected under shifts within windows, Holm-adjusted p."""

    count: int
    expected: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None


@frozen(eq=False)
class Coincidence:
    """Whether loss spikes and norm spikes belong together, and who leads."""

    same_step: CoincidenceTest
    norm_leads: CoincidenceTest
    loss_leads: CoincidenceTest
    median_lag: float | None
    leader: str | None = None
    leader_p: float | None = None
    verdict: str = ""


@frozen(eq=False)
class ReturnPeriod:
    """How rare spikes are: the judged rows per spike, with its 95 % interval.

    The upper end is null where not even one spike is certain to come back.
    """

    events: int
    steps_between: float | None
    interval: tuple[float, float | None]


@frozen(eq=False)
class Spikes:
    """Spike tables of loss and norm; at most 50 of each, the largest, in order of step; `counts` has them all.

    A spike stands out in its own series. `joint_events` counts the rows in which loss and norm stand out together, each by
    less than a spike must (see GL301). `withheld` is the reason where the norms say nothing about spikes; their table is then
    empty and they have no count.
    """

    loss: tuple[Spike, ...]
    grad_norm: tuple[Spike, ...]
    score: SpikeScore
    coincidence: Coincidence | None
    counts: Mapping[str, int]
    z_threshold: Mapping[str, float | None]
    expected_false_alarms: Mapping[str, float]
    return_period: Mapping[str, ReturnPeriod]
    joint_events: int = 0
    withheld: str | None = None


@frozen
class WeighedSign:
    """One sign behind a score: what it says, its grade from 0 to 1, its weight, and `added`, the product of both.

    `gradlens explain SIGN` tells its limits.
    """

    sign: str
    text: str
    grade: float
    weight: float
    added: float


@frozen
class Shift:
    """By how much a confidence was raised or lowered after the weighing, and why."""

    why: str
    by: float


@frozen
class Ranked:
    """One cause with its confidence; the confidences of a ranking sum to at most one.

    The sum can be done by hand: `score` is `bias` and all that the `signs` add, `share` is exp(score) over the sum of all
    exp(score) (see `Diagnosis.scores`), and `share` with all `shifts` is the confidence. `ceiling` is how sure of the cause
    the log allows to be. Causes that are decided without weights have no score.
    """

    cause: Cause
    confidence: float
    because: tuple[str, ...] = ()
    bias: float | None = None
    signs: tuple[WeighedSign, ...] = ()
    score: float | None = None
    share: float | None = None
    ceiling: float | None = None
    shifts: tuple[Shift, ...] = ()


@frozen
class Opinion:
    """What one judge says: the hand-made signs, or the trees that judge signs and curves."""

    source: Literal["signs", "curves"]
    ranking: tuple[Ranked, ...]


@frozen
class Diagnosis:
    """The ranked causes; `experiment` is what would tell the first two apart, `scores` the score of every weighed cause.

    `decided` says in a sentence which of the two opinions decided, `opinions` what each says alone.
    """

    cause: Cause
    confidence: float
    ranking: tuple[Ranked, ...]
    experiment: str = ""
    summary: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    decided: str = ""
    opinions: tuple[Opinion, ...] = ()


@frozen
class ExpectedClipping:
    """What a suggested threshold clips of the `n` latest norms, those from step `since` on, and in how many bursts.

    `clustered` says that the bursts are few for so many clipped norms.
    """

    rate: float | None = None
    since: int | None = None
    n: int = 0
    bursts: int = 0
    clustered: bool = False


@frozen(eq=False)
class Suggestion:
    """The threshold advice in one line; `abstained` is the reason where the log cannot support a number."""

    threshold: float | None
    interval: Interval | None
    mode: Literal["safety_net", "step_limiter"]
    abstained: str | None
    expected: ExpectedClipping = ExpectedClipping()
    policy: str = ""


@frozen(eq=False)
class NotableStep:
    """A step worth looking at, with its norm and loss; `clipped_to` is C / norm where it was clipped at a known C."""

    step: int
    grad_norm: float | None
    loss: float | None
    times_median: float | None
    clipped_to: float | None = None


@frozen(eq=False)
class Course:
    """From where to where a loss went: its first, lowest and last value (the median of the last rows), with their steps."""

    first: float
    lowest: float
    lowest_step: int
    last: float
    last_step: int


@frozen(eq=False)
class Curve:
    """A series reduced to at most a few hundred bins for drawing: the range and median of each bin; None where empty."""

    first_step: tuple[int, ...]
    low: tuple[float | None, ...]
    median: tuple[float | None, ...]
    high: tuple[float | None, ...]
    nonfinite: tuple[int, ...]


@frozen(eq=False)
class Logged:
    """How often a quantity is logged: the rows that hold it, and the median distance between them in steps."""

    rows: int
    interval: float | None


@frozen(eq=False)
class RunReport:
    """Everything about one run."""

    id: str
    source: str
    format: str
    steps: int
    first_step: int | None
    last_step: int | None
    log_interval: float | None
    logged: Mapping[str, Logged]
    columns: Columns
    layers: int
    config: Mapping[str, Any]
    notices: tuple[Notice, ...]
    provenance: Provenance
    clipping: Clipping
    percentiles: Mapping[str, float]
    nonfinite: NonFinite
    tail: Tail | None
    spikes: Spikes
    findings: tuple[Finding, ...]
    verdict: Verdict
    diagnosis: Diagnosis
    suggestion: Suggestion
    checks: tuple[CheckResult, ...] = ()
    notable_steps: tuple[NotableStep, ...] = ()
    #: What to do, in order, with the numbers of the run filled in.
    actions: tuple[str, ...] = ()
    #: Of the training loss (`loss`) and the validation loss (`val_loss`), where they are logged.
    courses: Mapping[str, Course] = field(default_factory=dict)
    curves: Mapping[str, Curve] | None = None
    #: The findings left out by `--since`.
    findings_before: int = 0
    #: Norms of layers over the run, for pictures; no part of the JSON document.
    layer_norms: LayerMap | None = field(default=None, metadata=BESIDE)
    #: What a page draws; no part of the JSON document.
    picture: Picture | None = field(default=None, metadata=BESIDE)

    def __repr__(self) -> str:
        return f"RunReport({self.id!r}, {self.verdict.status}, {self.diagnosis.cause} {100 * self.diagnosis.confidence:.0f} %)"

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, None where there is none."""
        return max((f.severity for f in self.findings), key=lambda s: s.rank, default=None)


@frozen(eq=False)
class Report:
    """The whole report: one `RunReport` a run."""

    gradlens_version: str
    settings: Mapping[str, Any]
    runs: tuple[RunReport, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding of all runs."""
        return max((w for run in self.runs if (w := run.worst)), key=lambda s: s.rank, default=None)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: plain dicts, lists and numbers; non-finite numbers are None."""
        document: dict[str, Any] = plain_data(self)
        return {"schema_version": document.pop("schema_version"), **document}

    @property
    def findings(self) -> Findings:
        """The findings of all runs, with `.to_pandas()`."""
        return Findings((run.id, finding) for run in self.runs for finding in run.findings)

    def to_pandas(self) -> pd.DataFrame:
        """A frame with a row per run: verdict, cause and the figures that people compare."""
        return figures_frame(self.runs)

    def to_text(self, *, verbose: bool = False) -> str:
        """What `gradlens analyze` prints into a pipe."""
        text: str = load("gradlens.reporters:render")(self, "text", verbose=verbose)
        return text

    def to_html(self) -> str:
        """One self-contained page."""
        page: str = load("gradlens.reporters:render")(self, "html")
        return page

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report to a file, whole or not at all; the suffix chooses the format, as for `--save`.

        Raises
        ------
        UsageError
            No format for that suffix.
        OutputError
            The file cannot be written.
        """
        load("gradlens.reporters:save")(self, path)

    def __repr__(self) -> str:
        told = ", ".join(f"{run.id}: {run.diagnosis.cause}" for run in self.runs[:3])
        return f"Report({told}{', ...' if len(self.runs) > 3 else ''})"

    def _repr_html_(self) -> str:
        # By name: outputs know the models, and not the models the outputs.
        fragment: str = load("gradlens.reporters.html:render_fragment")(self)
        return fragment
