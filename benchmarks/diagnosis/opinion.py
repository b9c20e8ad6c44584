"""Learns the second opinion and its join with the signs (`benchmarks.diagnosis.naming` has the commands).

Families are what is held back, never single runs: `judged_apart` judges each run by signs, opinion and join that saw nothing
of its family. The join is learned from such answers, so that it knows how much each opinion is worth on what it has not seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.diagnosis.examples import SOURCES
from benchmarks.diagnosis.fit import CAUSES as SIGN_CAUSES
from benchmarks.diagnosis.fit import Example, Model, learn
from benchmarks.diagnosis.table import Table, counts
from gradlens.diagnosis.opinion import (
    FACTS_DECIDE,
    FLOOR,
    NEVER,
    Network,
    inputs_of,
    is_plain,
    joined_of,
    opinion_of,
    silent_on,
)
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import Curves, measure_recorder, trait_names
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
ARITHMETIC = np.array([cause in FACTS_DECIDE for cause in CAUSES])
KNOTS = 24
HIDDEN, MEMBERS, EPOCHS, BATCH = 96, 3, 20, 128
#: The share of healthy runs of unseen families that may be called ill.
FALSE_ALARMS = 0.022
FOLDS = 4
#: Confidences of the signs that may make a cause plain; the share of healthy runs that may have it so, the runs that must, and the
#: share of them that must be named rightly.
PLAIN_FROM, PLAIN_ALARMS, PLAIN_RUNS, PLAIN_RIGHT = (0.6, 0.7, 0.8, 0.9, 0.95), 0.001, 5, 0.9
#: The four answers on a run.
KINDS = ("bare_signs", "signs", "bare", "full")
#: What the weights of signs and opinion are pulled to, and how strongly.
START, PULL = (0.4, 0.8), 3.0

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


def targets_of(table: Table) -> Array:
    """(runs, causes): what the network should say: mostly the expected cause, a quarter of it the others that count."""
    accepted = accepted_of(table)
    expected = np.zeros_like(accepted)
    expected[np.arange(len(table)), [CAUSES.index(label["expected"]) for label in table.labels]] = 1.0
    return 0.75 * expected + 0.25 * accepted / accepted.sum(axis=1, keepdims=True)


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


def fit_network(table: Table, *, seed: int = 0, members: int = MEMBERS, epochs: int = EPOCHS) -> Network:
    """Learn the ensemble; in each epoch a run is shown once, whole or sparse, with the recorder's columns or without."""
    import torch
    from scipy.special import ndtri

    scores = ndtri((np.arange(KNOTS) + 0.5) / KNOTS).astype(np.float32)
    known = np.flatnonzero(np.isfinite(table.traits).any(axis=0))
    views = [(table.traits, table.signs), (without_recorder(table.traits), without_recorded_signs(table.signs)),
             (table.sparse, table.sparse_signs), (without_recorder(table.sparse), without_recorded_signs(table.sparse_signs))]  # fmt: skip
    views = [(traits[:, known], grades) for traits, grades in views]
    seen = np.concatenate([views[0][0], views[2][0]])
    with np.errstate(all="ignore"):
        levels = [np.nanquantile(column, (np.arange(KNOTS) + 0.5) / KNOTS) for column in seen.T]
    knots = np.nan_to_num(np.array(levels)).astype(np.float16).astype(np.float32)
    gone = np.isnan(np.concatenate([traits for traits, _ in views])).mean(axis=0)
    flagged = np.flatnonzero((gone > 0.01) & (gone < 0.99))
    versions = [
        torch.from_numpy(np.concatenate([inputs_of(traits, knots, scores, flagged), grades.astype(np.float32)], axis=1))
        for traits, grades in views
    ]
    wanted = torch.from_numpy(targets_of(table)).float()
    torch.set_num_threads(1)
    layers = []
    for member in range(members):
        torch.manual_seed(1000 * seed + member)
        net = torch.nn.Sequential(
            torch.nn.Dropout(0.1), torch.nn.Linear(versions[0].shape[1], HIDDEN), torch.nn.GELU("tanh"), torch.nn.Dropout(0.35),
            torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.GELU("tanh"), torch.nn.Dropout(0.35), torch.nn.Linear(HIDDEN, len(CAUSES)),
        )  # fmt: skip
        moves = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=3e-2)
        steps = epochs * -(-len(wanted) // BATCH)
        rate = torch.optim.lr_scheduler.OneCycleLR(moves, 2e-3, total_steps=steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(wanted)).split(BATCH):
                kind = torch.multinomial(torch.tensor([0.35, 0.35, 0.15, 0.15]), len(rows), replacement=True)
                x = torch.stack([v[rows] for v in versions])[kind, torch.arange(len(rows))]
                loss = torch.nn.functional.cross_entropy(net(x), wanted[rows], label_smoothing=0.03)
                moves.zero_grad()
                loss.backward()
                moves.step()
                rate.step()
        linear = [m for m in net if isinstance(m, torch.nn.Linear)]
        layers.append(tuple(
            torch.cat([m.weight.T, m.bias[None]]).detach().numpy().astype(np.float16).astype(np.float32) for m in linear
        ))  # fmt: skip
    return Network(
        causes=CAUSES, traits=tuple(trait_names()[i] for i in known), signs=tuple(SIGNS), knots=knots, scores=scores, flagged=flagged,
        layers=tuple(layers), join=np.zeros((2, 5, len(CAUSES))),
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
    power = np.exp(score - score.max(axis=1, keepdims=True))
    p: Array = power / power.sum(axis=1, keepdims=True)
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


def answers(table: Table, model: Model, network: Network) -> Answers:
    """Ask both."""
    grades = without_recorded_signs(table.signs)
    return Answers(
        bare_signs=signs_say(grades, model), signs=signs_say(table.signs, model),
        bare=opinion_of(without_recorder(table.traits), grades, network), full=opinion_of(table.traits, table.signs, network),
    )  # fmt: skip


def fit_join(said: Answers, table: Table, *, recorded: bool, false_alarms: float = FALSE_ALARMS) -> Array:
    """(5, causes): weights and offsets that make the joint answers likeliest, then so many of the healthy called ill."""
    a, b = (np.log(np.maximum(p, FLOOR)) for p in said.of(recorded=recorded))
    accepted, k = accepted_of(table), len(CAUSES)
    start = np.concatenate([np.full(k, START[0]), np.full(k, START[1]), np.zeros(k)])

    def objective(theta: Array) -> tuple[float, Array]:
        one, two, three = theta.reshape(3, k)
        score = one * a + two * b + three
        score = score - score.max(axis=1, keepdims=True)
        p = np.exp(score)
        p /= p.sum(axis=1, keepdims=True)
        right = np.maximum((p * accepted).sum(axis=1, keepdims=True), 1e-9)
        slope = p - p * accepted / right
        away = theta - start
        grad = np.concatenate([(slope * a).sum(axis=0), (slope * b).sum(axis=0), slope.sum(axis=0)]) + 2 * PULL * away
        return float(-np.log(right).sum() + PULL * (away**2).sum()), grad

    bounds = [(0.0, 2.0)] * (2 * k) + [(-4.0, 4.0)] * k
    join: Array = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x.reshape(3, k)
    plain = plain_from(np.exp(a), accepted)
    plain[ARITHMETIC] = NEVER
    caution = np.zeros(k)
    join = np.concatenate([join, caution[None], plain[None]])
    caution[HEALTHY] = _caution(a, b, join, table, false_alarms)
    join[3] = caution
    return join


def plain_from(signs: Array, accepted: Array) -> Array:
    """(causes,): the confidence of the signs from which on a cause is plain: hardly a healthy run of an unseen family has it.

    2 (never) where no confidence will do. At least nine in ten of the runs that the signs are so sure of must be named rightly.
    """
    first, found = signs.argmax(axis=1), np.full(len(CAUSES), 2.0)
    sure, right = signs[np.arange(len(signs)), first], accepted[np.arange(len(signs)), first] > 0
    healthy = accepted[:, HEALTHY] > 0
    for cause in range(1, len(CAUSES)):
        for limit in PLAIN_FROM:
            named = (first == cause) & (sure >= limit)
            few = (named & healthy).sum() <= PLAIN_ALARMS * healthy.sum()
            if few and named.sum() >= PLAIN_RUNS and right[named].mean() >= PLAIN_RIGHT:
                found[cause] = limit
                break
    return found


def _caution(a: Array, b: Array, join: Array, table: Table, false_alarms: float) -> float:
    """The operating point: what must be added to `healthy` so that few healthy runs are called ill, those that must be included.

    An alarm on which both agree, or that is plain to the signs, stands whatever is added.
    """
    healthy = np.array([label["expected"] == "healthy" for label in table.labels])
    score = np.where(join[4] == NEVER, -np.inf, join[0] * a[healthy] + join[1] * b[healthy] + join[2])
    lead = np.delete(score, HEALTHY, axis=1).max(axis=1) - score[:, HEALTHY]
    one, two = a[healthy].argmax(axis=1), b[healthy].argmax(axis=1)
    plain = is_plain(np.exp(a[healthy]), join)
    stands = ((one == two) & (one != HEALTHY) & (lead > 0)) | plain
    allowed = max(false_alarms * len(lead) - int(stands.sum()), 0.0)
    free = np.sort(lead[~stands])[::-1]
    return max(float(free[min(int(allowed), len(free) - 1)]), 0.0) + 1e-9 if len(free) else 0.0


def folds_of(families: Sequence[str], count: int = FOLDS, among: Sequence[str] = ()) -> NDArray[np.intp]:
    """The fold of each run: families (`among`, or those that are there), in an order of their own, dealt out."""
    names = sorted(among or set(families))
    random.Random("folds").shuffle(names)
    return np.array([names.index(family) % count for family in families])


def learned_apart(table: Table, *, folds: int = FOLDS) -> list[tuple[Model, Network]]:
    """For each part of the families the signs' weights and a network that learned from all others."""
    fold = folds_of([label["family"] for label in table.labels], folds)
    seen = [table.chosen(np.flatnonzero(fold != k)) for k in range(folds)]
    return [(learn(examples_of(rows)), fit_network(rows, seed=k, members=1)) for k, rows in enumerate(seen)]


def answers_apart(
    table: Table, others: Sequence[Table] = (), learned: Sequence[tuple[Model, Network]] | None = None
) -> list[Answers]:
    """The answers on every run of a table, then of others, by signs and a network that learned from the table without its family.

    The others are more logs of the same families: nothing is learned from them.
    """
    learned = learned_apart(table) if learned is None else learned
    tables = (table, *others)
    names = sorted({label["family"] for label in table.labels})
    fold = [folds_of([label["family"] for label in t.labels], len(learned), names) for t in tables]
    said = [Answers(**{name: np.zeros((len(t), len(CAUSES))) for name in KINDS}) for t in tables]
    for k, (model, network) in enumerate(learned):
        for t, where, into in zip(tables, fold, said, strict=True):
            mine = np.flatnonzero(where == k)
            found = answers(t.chosen(mine), model, network)
            for name in KINDS:
                getattr(into, name)[mine] = getattr(found, name)
    return said


def judges_apart(table: Table) -> dict[str, tuple[Model, Network]]:
    """By family, weights and a joined network that saw no run of it."""
    learned = learned_apart(table)
    said = answers_apart(table, learned=learned)[0]
    names = [label["family"] for label in table.labels]
    fold = folds_of(names, len(learned))
    joins = []
    for k, (model, network) in enumerate(learned):
        rest = np.flatnonzero(fold != k)
        joins.append((model, with_join(network, said.chosen(rest), table.chosen(rest))))
    return {name: joins[k] for name, k in zip(names, fold.tolist(), strict=True)}


def judged_apart(
    said: Answers, table: Table, others: Sequence[tuple[Answers, Table]] = (), *, recorded: bool, folds: int = FOLDS
) -> list[Array]:
    """(runs, causes): the joint answers on every run, and on others of the same families, by a join that saw nothing of its family."""
    names = sorted({label["family"] for label in table.labels})
    both = ((said, table), *others)
    fold = [folds_of([label["family"] for label in t.labels], folds, names) for _, t in both]
    found = [np.zeros((len(t), len(CAUSES))) for _, t in both]
    for k in range(folds):
        rest = np.flatnonzero(fold[0] != k)
        join = fit_join(said.chosen(rest), table.chosen(rest), recorded=recorded)
        for (answered, logs), where, into in zip(both, fold, found, strict=True):
            mine = np.flatnonzero(where == k)
            signs, curves = answered.of(recorded=recorded)
            into[mine] = joined_of(signs[mine], curves[mine], join, silent_on(logs.traits[mine], CAUSES))
    return found


def sparse_of(table: Table) -> Table:
    """The same runs by their sparse logs."""
    return replace(table, signs=table.sparse_signs, traits=table.sparse)


def with_join(network: Network, said: Answers, table: Table) -> Network:
    """The network with a join learned from answers on families that it and the signs had not seen."""
    join = np.stack([fit_join(said, table, recorded=recorded) for recorded in (False, True)])
    return replace(network, join=join)


def learned_signs(table: Table) -> Model:
    """The weights of the signs, learned from the archived runs of a table."""
    return learn(examples_of(table))


def together(one: Answers, two: Answers) -> Answers:
    """Answers on the rows of one table and then those of another."""
    return Answers(**{name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in KINDS})


def write(network: Network, target: Path = TARGET) -> None:
    """The network as data: half precision, which is what it was judged with."""
    arrays: dict[str, NDArray[np.generic]] = {
        "causes": np.array(network.causes), "traits": np.array(network.traits), "signs": np.array(network.signs),
        "knots": network.knots.astype(np.float16), "scores": network.scores,
        "flagged": network.flagged.astype(np.int16), "join": network.join,
    }  # fmt: skip
    for i, matrices in enumerate(network.layers):
        for name, matrix in zip(("first", "second", "third"), matrices, strict=True):
            arrays[f"{i} {name}"] = matrix.astype(np.float16)
    np.savez(target, **arrays)  # type: ignore[arg-type]
