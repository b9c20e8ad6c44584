"""What the loss is, where its course means nothing."""

from __future__ import annotations

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.kind import MEANINGLESS, UNLEARNED, WORDS
from gradlens.diagnosis.measured import Measured
from gradlens.reports.base import Cause, Severity

#: Causes that are read off the course of a loss, or off rows in which loss and norm stand out together.
BY_COURSE: frozenset[Cause] = frozenset({
    "lr_too_high", "no_warmup", "bad_data", "clip_too_tight", "clip_too_loose", "vanishing", "adam_beta2_lag", "lr_restart",
    "data_shift", "batch_size_change", "l2_contamination", "recurring_instability", "overfitting", "exploding",
})  # fmt: skip


#: Causes that the noise or a jump of the rate shows, whatever the course of the loss means.
BY_NOISE: frozenset[Cause] = frozenset({"batch_size_change", "lr_restart"})


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note that says which kind of loss this is; nothing that is read off a course can be named beside it.

    Where names tell of an agent or of adversaries, rewards and opponents change the noise as well. A loss that only takes both signs may
    be a density or a sum of tasks: its noise and its answer to the rate are judged, and the rest by its curves alone, which are compared
    with those of such losses. Signs that look for rows that stand out are silent: of labelled healthy runs with such a loss one in
    twelve has some, by its nature.
    """
    kind = measured.loss_kind
    if kind not in MEANINGLESS or not measured.has("loss"):
        return ()
    what, instead = WORDS[kind]
    by_curves = kind not in UNLEARNED
    return (
        Fact(
            code="GL010",
            severity=Severity.NOTE,
            message=f"{measured.run.columns.loss} is {what}: its course is not a measure of progress, so "
            f"{'how far it came down' if by_curves else 'it'} was not judged; {instead} instead",
            advice=instead,
            rules_out=frozenset() if by_curves else BY_COURSE,
            doubts=BY_COURSE - BY_NOISE if by_curves else frozenset(),
        ),
    )
