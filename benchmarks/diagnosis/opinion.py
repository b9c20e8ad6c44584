"""Learns the second opinion and its caution (`benchmarks.diagnosis.naming` has the commands).

Families are what is held back, never single runs: `judged_apart` judges each run by signs and trees that saw nothing of its family. The
caution is set by such answers, so that it knows how often the opinion is wrong on what it has not seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.diagnosis.examples import SOURCES
from benchmarks.diagnosis.fit import CAUSES as SIGN_CAUSES
from benchmarks.diagnosis.fit import Example, Model, learn
from benchmarks.diagnosis.network import fit_network
from benchmarks.diagnosis.table import Table, counts, joined
from benchmarks.diagnosis.trees import fit_trees
from gradlens.diagnosis.network import arrays_of
from gradlens.diagnosis.opinion import Learned, cautious_of, laid_out, opinion_of, silent_on
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import Curves, measure_recorder, trait_names
from gradlens.diagnosis.trees import ARRAYS, softmax, trees_from
from gradlens.diagnosis.weighing import UNEXPLAINED
from gradlens.reports.base import Cause

TARGET = Path(__file__).parent.parent.parent / "gradlens" / "diagnosis" / "opinion.npz"
CAUSES: tuple[Cause, ...] = (
    "healthy", "unknown", "lr_too_high", "no_warmup", "lr_zero", "schedule_mismatch", "bad_data", "nan_sudden", "fp16_overflow",
    "loss_scale_collapse", "clip_too_tight", "clip_too_loose", "clip_before_unscale", "postclip_logged", "exploding", "vanishing",
    "not_learning", "recurring_instability", "l2_contamination", "adam_beta2_lag", "lr_restart", "data_shift",
    "batch_size_change", "resume_artifact", "overfitting",
)  # fmt: skip
HEALTHY = CAUSES.index("healthy")
RECORDED = np.array(sorted(measure_recorder(Curves.nothing())))
RECORDED_SIGNS = np.array([i for i, one in enumerate(SIGNS.values()) if one.grade.__module__.endswith(".recorder")])
KNOTS = 24
#: How many drawn runs an archived one counts as. There are twelve times as many of those, and many show nothing of their fault; the
#: archived families were made by hand, with faults as strong as people meet them.
ARCHIVED_COUNTS = 3.0
#: The share of healthy runs of unseen families that may be called ill by the curves; facts add some.
FALSE_ALARMS = 0.014
FOLDS = 8
#: The four answers on a run.
KINDS = ("bare_signs", "signs", "bare", "full")
#: What has not learned.
NO_TREES = trees_from({f"trees {name}": np.zeros(0) for name in ARRAYS})

Array = NDArray[np.float64]


def scored(table: Table) -> Table:
    """The runs that count: healthy ones, and faults that took effect; each from its beginning to its end."""
    return table.chosen(
        np.array([i for i, label in enumerate(table.labels) if counts(label) and label["share"] == 1.0])
    )


def beginnings(table: Table) -> Table:
    """The logs of healthy runs as they stood on the way."""
    return table.chosen(np.array([i for i, label in enumerate(table.labels) if label["share"] < 1.0], dtype=int))


def accepted_of(table: Table) -> Array:
    """(runs, causes): 1 for the causes that count as right."""
    found = np.zeros((len(table), len(CAUSES)))
    for row, label in zip(found, table.labels, strict=True):
        for cause in (label["expected"], *label["also_acceptable"]):
            row[CAUSES.index(cause)] = 1.0
    return found


def without_recorder(traits: Array) -> Array:
    """The traits of the same logs without the recorder's columns."""
    bare = traits.copy()
    bare[:, RECORDED] = np.nan
    return bare


def without_recorded_signs(grades: Array) -> Array:
    """The grades of the same logs without the recorder's columns: what a log cannot show grades 0."""
    bare = grades.copy()
    bare[:, RECORDED_SIGNS] = 0.0
    return bare


def fit_opinion(table: Table, begun: Table, *, seed: int = 0) -> Learned:
    """Learn from whole and sparse logs, each with the recorder's columns and without; without any caution yet.

    Healthy runs on their way (`begun`) are learned from as well: a log that breaks off early is no fault.
    """
    table = joined([table, begun])
    scores = ndtri((np.arange(KNOTS) + 0.5) / KNOTS).astype(np.float32)
    known = np.flatnonzero(np.isfinite(table.traits).any(axis=0))
    views = [(table.traits, table.signs), (without_recorder(table.traits), without_recorded_signs(table.signs)),
             (table.sparse, table.sparse_signs), (without_recorder(table.sparse), without_recorded_signs(table.sparse_signs))]  # fmt: skip
    seen = np.concatenate([table.traits, table.sparse])[:, known]
    with np.errstate(all="ignore"):
        levels = [np.nanquantile(column, (np.arange(KNOTS) + 0.5) / KNOTS) for column in seen.T]
    gone = np.isnan(np.concatenate([traits[:, known] for traits, _ in views])).mean(axis=0)
    learned = Learned(
        causes=CAUSES, traits=tuple(trait_names()[i] for i in known), signs=tuple(SIGNS),
        knots=np.nan_to_num(np.array(levels)).astype(np.float16).astype(np.float32), scores=scores,
        flagged=np.flatnonzero((gone > 0.01) & (gone < 0.99)), trees=NO_TREES, network=(), caution=np.zeros(2),
    )  # fmt: skip
    expected = np.array([CAUSES.index(label["expected"]) for label in table.labels])
    weight = np.array([ARCHIVED_COUNTS if label["part"] in SOURCES else 1.0 for label in table.labels])
    inputs = [laid_out(traits, grades, learned) for traits, grades in views]
    return replace(
        learned, trees=fit_trees(inputs, expected, len(CAUSES), weight=weight, seed=seed),
        network=fit_network(inputs, expected, accepted_of(table), weight=weight, seed=seed),
    )  # fmt: skip


def examples_of(table: Table) -> list[Example]:
    """What the weights of the signs are learned from: the archived runs, as in `benchmarks.diagnosis.learn`; no drawn ones."""
    names, known = list(SIGNS), frozenset(SIGN_CAUSES)
    return [
        Example(run=label["run"], family=label["family"], signs=dict(zip(names, row, strict=True)),
                accepted=frozenset((label["expected"], *label["also_acceptable"])) & known)
        for label, row in zip(table.labels, table.signs.tolist(), strict=True)
        if label["part"] in SOURCES and label["expected"] in known
    ]  # fmt: skip


def signs_say(grades: Array, model: Model) -> Array:
    """(runs, causes): the confidence of each cause by the signs alone, as `gradlens.diagnosis.weighing` gives it."""
    names = list(SIGNS)
    score = np.full((len(grades), len(CAUSES)), -np.inf)
    for cause in SIGN_CAUSES:
        weights = np.array([model.weights[cause].get(name, 0.0) for name in names])
        score[:, CAUSES.index(cause)] = model.bias[cause] + grades @ weights
    p = softmax(score)
    ill = p.argmax(axis=1) != HEALTHY
    p[ill] *= 1 - UNEXPLAINED
    p[ill, CAUSES.index("lr_too_high")] += UNEXPLAINED
    # What no sign speaks of looks healthy to the signs.
    silent = [i for i, cause in enumerate(CAUSES) if cause not in SIGN_CAUSES]
    p[:, silent] = p[:, [HEALTHY]]
    return p


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answers:
    """What signs and opinion say apart, (runs, causes) each, without and with the recorder's columns."""

    bare_signs: Array
    signs: Array
    bare: Array
    full: Array

    def of(self, *, recorded: bool) -> tuple[Array, Array]:
        """The signs' answers and the opinion's of one kind of log."""
        return (self.signs, self.full) if recorded else (self.bare_signs, self.bare)

    def chosen(self, rows: NDArray[np.intp]) -> Answers:
        """Some of the rows."""
        return Answers(
            bare_signs=self.bare_signs[rows], signs=self.signs[rows], bare=self.bare[rows], full=self.full[rows]
        )


def answers(table: Table, model: Model, learned: Learned) -> Answers:
    """Ask both."""
    grades = without_recorded_signs(table.signs)
    return Answers(
        bare_signs=signs_say(grades, model), signs=signs_say(table.signs, model),
        bare=opinion_of(without_recorder(table.traits), grades, learned), full=opinion_of(table.traits, table.signs, learned),
    )  # fmt: skip


def caution_of(said: Answers, table: Table, *, recorded: bool, false_alarms: float = FALSE_ALARMS) -> float:
    """The operating point: what must be added to the log-odds of `healthy` so that so few of the healthy runs are called ill."""
    healthy = np.array([label["expected"] == "healthy" for label in table.labels])
    p = np.maximum(cautious(said, table, recorded=recorded, caution=0.0)[healthy], 1e-12)
    lead = np.sort(np.log(np.delete(p, HEALTHY, axis=1).max(axis=1)) - np.log(p[:, HEALTHY]))[::-1]
    return max(float(lead[min(int(false_alarms * len(lead)), len(lead) - 1)]), 0.0) + 1e-9 if len(lead) else 0.0


def cautious(said: Answers, table: Table, *, recorded: bool, caution: float) -> Array:
    """(runs, causes): the opinion with its caution."""
    return cautious_of(said.of(recorded=recorded)[1], silent_on(table.traits, CAUSES), caution)


def folds_of(families: Sequence[str], count: int = FOLDS, among: Sequence[str] = ()) -> NDArray[np.intp]:
    """The fold of each run: families (`among`, or those that are there), in an order of their own, dealt out."""
    names = sorted(among or set(families))
    random.Random("folds").shuffle(names)
    return np.array([names.index(family) % count for family in families])


def learned_apart(table: Table, begun: Table, *, folds: int = FOLDS, workers: int = 1) -> list[tuple[Model, Learned]]:
    """For each part of the families the signs' weights and trees that learned from all others."""
    names = sorted({label["family"] for label in table.labels})
    begun = begun.chosen(np.flatnonzero([label["family"] in set(names) for label in begun.labels]))
    fold, others = (folds_of([label["family"] for label in t.labels], folds, names) for t in (table, begun))
    parts = [
        (table.chosen(np.flatnonzero(fold != k)), begun.chosen(np.flatnonzero(others != k)), k) for k in range(folds)
    ]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_learned_from, parts))


def _learned_from(part: tuple[Table, Table, int]) -> tuple[Model, Learned]:
    table, begun, seed = part
    return learn(examples_of(table)), fit_opinion(table, begun, seed=seed)


def answers_apart(table: Table, others: Sequence[Table], learned: Sequence[tuple[Model, Learned]]) -> list[Answers]:
    """The answers on every run of a table, then of others, by signs and trees that learned without its family."""
    tables = (table, *others)
    names = sorted({label["family"] for label in table.labels})
    fold = [folds_of([label["family"] for label in t.labels], len(learned), names) for t in tables]
    said = [Answers(**{name: np.zeros((len(t), len(CAUSES))) for name in KINDS}) for t in tables]
    for k, (model, trees) in enumerate(learned):
        for t, where, into in zip(tables, fold, said, strict=True):
            mine = np.flatnonzero(where == k)
            found = answers(t.chosen(mine), model, trees)
            for name in KINDS:
                getattr(into, name)[mine] = getattr(found, name)
    return said


def judges_apart(table: Table, begun: Table, workers: int = 1) -> dict[str, tuple[Model, Learned]]:
    """By family, weights and trees that saw no run of it, with a caution that was set without it."""
    learned = learned_apart(table, begun, workers=workers)
    said = answers_apart(table, (), learned)[0]
    names = [label["family"] for label in table.labels]
    fold = folds_of(names, len(learned))
    judges = []
    for k, (model, trees) in enumerate(learned):
        rest = np.flatnonzero(fold != k)
        judges.append((model, with_caution(trees, said.chosen(rest), table.chosen(rest))))
    return {name: judges[k] for name, k in zip(names, fold.tolist(), strict=True)}


def judged_apart(
    said: Answers, table: Table, others: Sequence[tuple[Answers, Table]] = (), *, recorded: bool, folds: int = FOLDS
) -> list[Array]:
    """(runs, causes): the cautious answers on every run, and on others of the same families, by a caution set without its family."""
    names = sorted({label["family"] for label in table.labels})
    both = ((said, table), *others)
    fold = [folds_of([label["family"] for label in t.labels], folds, names) for _, t in both]
    found = [np.zeros((len(t), len(CAUSES))) for _, t in both]
    for k in range(folds):
        rest = np.flatnonzero(fold[0] != k)
        caution = caution_of(said.chosen(rest), table.chosen(rest), recorded=recorded)
        for (answered, logs), where, into in zip(both, fold, found, strict=True):
            mine = np.flatnonzero(where == k)
            into[mine] = cautious(answered.chosen(mine), logs.chosen(mine), recorded=recorded, caution=caution)
    return found


def sparse_of(table: Table) -> Table:
    """The same runs by their sparse logs."""
    return replace(table, signs=table.sparse_signs, traits=table.sparse)


def with_caution(learned: Learned, said: Answers, table: Table) -> Learned:
    """The same with a caution set by answers on families that trees and signs had not seen."""
    return replace(
        learned, caution=np.array([caution_of(said, table, recorded=recorded) for recorded in (False, True)])
    )


def learned_signs(table: Table) -> Model:
    """The weights of the signs, learned from the archived runs of a table."""
    return learn(examples_of(table))


def together(one: Answers, two: Answers) -> Answers:
    """Answers on the rows of one table and then those of another."""
    return Answers(**{name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in KINDS})


def write(learned: Learned, target: Path = TARGET) -> None:
    """What was learned as data: in half precision, which is what it was judged with."""
    arrays: dict[str, NDArray[np.generic]] = {
        "causes": np.array(learned.causes), "traits": np.array(learned.traits), "signs": np.array(learned.signs),
        "knots": learned.knots.astype(np.float16), "scores": learned.scores,
        "flagged": learned.flagged.astype(np.int16), "caution": learned.caution,
    }  # fmt: skip
    small = {"cause": np.int8, "feature": np.int16, "leaves": np.float16}
    for name in ARRAYS:
        values = getattr(learned.trees, name)
        arrays[f"trees {name}"] = values.astype(small.get(name, values.dtype))
    arrays |= {name: values.astype(np.float16) for name, values in arrays_of(learned.network).items()}
    np.savez(target, **arrays)  # type: ignore[arg-type]
