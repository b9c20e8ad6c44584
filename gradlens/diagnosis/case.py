"""The case of one run: what was measured on it, the signs graded, and how likely each cause is by their weights and by the curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.diagnosis.deciding import (
    BECAME,
    HINT,
    UNCHANGED,
    Ruling,
    confidences,
    is_unlike,
    left_out,
    likeliest,
    overshoots,
    plainly_unstable,
    ruling,
    stands,
    stated_by,
    without,
)
from gradlens.diagnosis.facts import Fact, find_facts
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.opinion import MIN_ROWS, Learned, SecondOpinion, second_opinion
from gradlens.diagnosis.outcome import RunOutcome, outcome_of
from gradlens.diagnosis.signs import SIGNS, grade_all
from gradlens.diagnosis.traits import measure
from gradlens.diagnosis.traits.source import curves_of
from gradlens.diagnosis.weighing import Beliefs, Ceiling, Weights, weigh
from gradlens.reports.base import NO_FAULT, Cause, ThresholdSource
from gradlens.run import Run
from gradlens.signals.axis import Signals

#: Causes that may rest on a single row, and the confidence they may then have at most. Our own choice.
ONE_ROW_CAUSES: tuple[Cause, ...] = ("bad_data", "clip_too_loose", "adam_beta2_lag")
ONE_ROW_CEILING = 0.79
SPARSE_INTERVAL = 5.0
#: Rows below which the course of a run is a guess, the causes that are read from it, and how confident they may then be.
SHORT_ROWS = 50
COURSE_CAUSES: tuple[Cause, ...] = ("lr_too_high", "no_warmup", "vanishing", "batch_size_change", "clip_too_loose")
SHORT_CEILING = 0.45
#: The same where the numbers themselves blow up: something is wrong, and so few rows do not tell what.
PLAIN_CEILING = 0.6
#: How sure a log of this many rows may be that a run is healthy, and one without a loss or without norms. Measured: the labelled
#: runs (30 % of them healthy), thinned to this many rows or without that column (`benchmarks/diagnosis/sparse.py`).
HEALTHY_BY_ROWS = ((10.0, 25.0, 50.0, 100.0, 200.0, 400.0), (0.34, 0.40, 0.54, 0.62, 0.70, 1.0))
ONE_COLUMN_CEILING = 0.43


class Case(Measured):
    """One run as the checks see it: measured, and weighed."""

    @cached_property
    def by_signs(self) -> Beliefs:
        """How likely each cause is by the signs alone."""
        return weigh(self.signs, ceilings=self.ceilings, excluded=self.excluded)

    @cached_property
    def beliefs(self) -> Beliefs:
        """How likely each cause is by what decides on this run: the signs, or the second opinion."""
        return self._judged[1]

    @property
    def ruling(self) -> Ruling:
        """Who decides where no fact does, and what came of it."""
        return self._judged[0]

    @cached_property
    def seen_in_curves_only(self) -> bool:
        """Whether a fault is named by the curves, with no fact that proves it and hardly a sign that speaks for it."""
        first = self.cause
        if self.ruling in UNCHANGED or first in NO_FAULT or first != self.beliefs.cause:
            return False
        return self.by_signs.of(first) < HINT

    @cached_property
    def _judged(self) -> tuple[Ruling, Beliefs]:
        return decide(self.by_signs, self.signs, self.facts, self.second, self.ceilings)

    @cached_property
    def second(self) -> SecondOpinion | None:
        """What the curves say; `ruling` says whether it counts.

        None where there are too few rows, and where names say that the course of the loss means nothing.
        """
        return self.second_by(None)

    def second_by(self, learned: Learned | None) -> SecondOpinion | None:
        """The same by what was learned from other runs than what ships."""
        if int(np.isfinite(self.signals.loss).sum()) < MIN_ROWS or not self.has_learned_curves:
            return None
        curves = curves_of(self.run, self.signals, self.threshold, is_known=self.threshold_source != "assumed")
        grades = np.array([self.signs[name] for name in SIGNS])
        return second_opinion(measure(curves), grades, recorded=bool(curves.recorded), learned=learned)

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """What is decided without weights, the gravest first."""
        return find_facts(self)

    @cached_property
    def outcome(self) -> RunOutcome:
        """What became of the run."""
        return outcome_of(self, self.facts)

    @cached_property
    def cause(self) -> Cause:
        """The cause that is named (see `cause_of`)."""
        return cause_of(self.beliefs, self.facts, self.ruling)

    @cached_property
    def ruled_out(self) -> frozenset[Cause]:
        """The causes that the arithmetic of the log rules out."""
        return ruled_out_by(self.facts)

    @cached_property
    def doubted(self) -> frozenset[Cause]:
        """The causes that seldom go with what the log states, and that no arithmetic rules out."""
        return doubted_by(self.facts)

    @cached_property
    def nameless(self) -> Cause | None:
        """The cause that the weighing finds and that is not named, since nothing in the log shows it; None where there is none."""
        likeliest = self.beliefs.cause
        return likeliest if likeliest in unnamed_by(self.facts) and self.cause != likeliest else None

    @property
    def excluded(self) -> frozenset[Cause]:
        """The causes that the signs do not name: ruled out, or doubted."""
        return self.ruled_out | self.doubted

    @property
    def ceilings(self) -> Mapping[Cause, Ceiling]:
        """How confident this log allows us to be in a cause, where that is less than certain. Our own limits.

        A verdict that rests on one or two rows is never sure: had they not been logged, nothing would be seen. Neither is
        one that needs every step from a log that shows every fifth or fewer, nor one about the course of a run from fewer
        than 50 rows, though surer where the numbers themselves blow up. And where little was logged, the absence of signs
        says little.
        """
        ceilings: dict[Cause, Ceiling] = {"healthy": self._healthy_ceiling}
        interval = self.signals.log_interval or 1.0
        if sum(event.rows for event in (*self.events, *self.bursts)) <= 2:
            ceilings |= dict.fromkeys(
                ONE_ROW_CAUSES, Ceiling(at=ONE_ROW_CEILING, why="it would rest on one or two rows")
            )
        elif interval >= SPARSE_INTERVAL:
            why = f"it needs every step, and a row stands for {interval:g}"
            ceilings |= dict.fromkeys(ONE_ROW_CAUSES, Ceiling(at=ONE_ROW_CEILING, why=why))
        plain = max(self.signs[name] for name in ("ends_nonfinite", "loss_explodes", "diverges_in_few_rows"))
        if len(self) < SHORT_ROWS:
            why = f"{len(self)} rows, fewer than {SHORT_ROWS}, hardly show the course of a run"
            at = SHORT_CEILING if plain < 1.0 else PLAIN_CEILING
            ceilings |= dict.fromkeys(COURSE_CAUSES, Ceiling(at=at, why=why))
        return ceilings

    @property
    def _healthy_ceiling(self) -> Ceiling:
        """The share of labelled runs without a sign of trouble that were healthy, when only so much of them was logged."""
        s = self.signals
        rows = [int(np.isfinite(column).sum()) for column in (s.loss, s.norm)]
        if not any(rows):
            return Ceiling(at=0.0, why="neither loss nor norm is finite anywhere")
        least = min(n for n in rows if n)
        known = float(np.interp(least, *HEALTHY_BY_ROWS))
        why = f"no trouble seen in {least:,} rows leaves room for it"
        if all(rows) or known <= ONE_COLUMN_CEILING:
            return Ceiling(at=known, why=why)
        return Ceiling(
            at=ONE_COLUMN_CEILING,
            why=f"no trouble seen without {'norms' if rows[0] else 'a loss'} leaves room for it",
        )

    @cached_property
    def signs(self) -> Mapping[str, float]:
        """The grade of every sign."""
        return grade_all(self)


def ruled_out_by(facts: Iterable[Fact]) -> frozenset[Cause]:
    """The causes that the arithmetic of the log rules out."""
    return frozenset(cause for fact in facts for cause in fact.rules_out)


def doubted_by(facts: Sequence[Fact]) -> frozenset[Cause]:
    """The causes that seldom go with what the log states, and that no arithmetic rules out."""
    return frozenset(cause for fact in facts for cause in fact.doubts) - ruled_out_by(facts)


def unnamed_by(facts: Iterable[Fact]) -> frozenset[Cause]:
    """The causes that nothing in the log shows."""
    return frozenset(cause for fact in facts for cause in fact.unnamed)


def decide(
    by_signs: Beliefs, signs: Mapping[str, float], facts: Sequence[Fact], second: SecondOpinion | None,
    ceilings: Mapping[Cause, Ceiling], weights: Weights | None = None,
) -> tuple[Ruling, Beliefs]:  # fmt: skip
    """Who decides on a run, and how likely each cause then is: from the grades of its signs, its facts, and what the curves say.

    `by_signs` is what the signs say alone, with the ceilings and without what the facts rule out or doubt.
    """
    if second is None:
        return "signs", by_signs
    out, doubted = ruled_out_by(facts), doubted_by(facts)
    serious = [fact for fact in facts if fact.severity.rank > 0]
    before_ceilings = weigh(signs, excluded=out | doubted, weights=weights)
    out = left_out(out, second, serious=bool(serious))
    by_curves = without(second.cautious, out, doubted)
    said = ruling(
        dict(before_ceilings.ranking), second, serious=bool(serious), excluded=out, doubted=doubted,
        plain=plainly_unstable(signs), overshot=overshoots(signs), stated=stated_by(signs),
        proven=any(f.cause is not None and stands(f.cause, f.confidence, by_curves) for f in serious),
    )  # fmt: skip
    # A ceiling that puts another cause first says that so little of a log does not carry a judgement of its course.
    if before_ceilings.cause != by_signs.cause or (said == "signs" and is_unlike(second)):
        return "signs", by_signs
    told = confidences(said, dict(before_ceilings.ranking), second, out, doubted)
    unheard = out | doubted if said == "signs" else out
    heard = weigh(signs, ceilings=ceilings, excluded=unheard, by_curves=told, weights=weights)
    return (said, heard) if heard.cause == likeliest(told)[0] else ("signs", by_signs)


def cause_of(beliefs: Beliefs, facts: Iterable[Fact], said: Ruling) -> Cause:
    """The cause that is named: the one that a fact proves, otherwise the likeliest; `beliefs` without what facts exclude.

    A fact gives way where the weighing is surer of another cause than the fact is of its own. So does one that only says what became of
    a run, where the curves decided why (`said`): beside damage of another kind, a validation loss that rises is a finding and not the
    cause. `healthy` stands for no cause at all. `unknown` where the facts show a problem that the weighing does not see,
    or where it sees one for whose cause nothing in the log speaks.
    """
    facts = tuple(facts)
    serious = [fact for fact in facts if fact.severity.rank > 0]
    proven = next((fact for fact in serious if fact.cause is not None), None)
    likeliest, sure = beliefs.ranking[0]
    if proven is not None and proven.cause is not None and not _gives_way(proven, likeliest, sure, said):
        return proven.cause
    if likeliest in unnamed_by(facts):
        return serious[0].otherwise if serious else "unknown"
    if likeliest == "healthy" and serious:
        return serious[0].otherwise
    return likeliest


def _gives_way(proven: Fact, likeliest: Cause, sure: float, said: Ruling) -> bool:
    if proven.cause in BECAME and said in {"named", "agreed"}:
        return likeliest not in {"healthy", "unknown"}
    return likeliest != "healthy" and sure > proven.confidence


def build_case(
    run: Run, signals: Signals, *, config: TrainingConfig, threshold: float | None, threshold_source: ThresholdSource,
    is_running: bool = False,
) -> Case:  # fmt: skip
    """The case of one run; `is_running` where its end is still to come."""
    return Case(
        run, signals, config=config, threshold=threshold, threshold_source=threshold_source, is_running=is_running
    )
