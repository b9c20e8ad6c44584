"""Measures the diagnosis on labelled runs and writes `docs/diagnosis.md`.

    python -m benchmarks.diagnosis.evaluate [--every 1] [--print] [--workers 2]

Families are left out one at a time: the weights that judge a family never saw it. The unseen runs, of the
families that were made last, are judged by weights that saw none of them. What a report says is judged by signs and trees of
which an eighth of the families was left out. Needs PyTorch. Takes about seven minutes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.diagnosis import opinion, sparse
from benchmarks.diagnosis.examples import LAST, LOOKED_AT, Labelled, load, respelled, scaled, thinned
from benchmarks.diagnosis.fit import Example, Model, learn
from benchmarks.diagnosis.naming import LEARNED
from benchmarks.diagnosis.table import packed
from benchmarks.runs import columns
from gradlens.diagnosis.case import cause_of, decide, doubted_by, ruled_out_by
from gradlens.diagnosis.deciding import Ruling
from gradlens.diagnosis.facts import Fact
from gradlens.diagnosis.opinion import Learned
from gradlens.diagnosis.weighing import Beliefs, Ceiling, Weights, weigh
from gradlens.reports.base import Cause

PAGE = Path(__file__).parent.parent.parent / "docs" / "diagnosis.md"
SURE = 0.8
ALL, UNSEEN, FACTS = "all, by family", "unseen families", "all, with facts"
REPORTED = "all, as reported"
CONFIGURED = "all, with --config"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One run, what counts as right for it, and the answer."""

    run: str
    expected: str
    accepted: frozenset[str]
    harmful: bool
    ranking: tuple[tuple[str, float], ...]

    @property
    def cause(self) -> str:
        return self.ranking[0][0]

    @property
    def right(self) -> bool:
        return self.cause in self.accepted


@dataclass(frozen=True, kw_only=True, slots=True)
class Graded:
    """The signs of one run, with and without the configuration."""

    example: Example
    configured: Example
    ceilings: Mapping[Cause, Ceiling]
    facts: tuple[Fact, ...]
    said: tuple[Ruling, Beliefs] | None
    expected: str
    harmful: bool
    source: str


def grade(item: tuple[str, Labelled, tuple[Model, Learned] | None]) -> Graded:
    """Everything about a run that learning and judging need, and what a report says by weights and trees that do not know it."""
    source, labelled, judge_of = item
    case = labelled.case()
    said = None
    if judge_of is not None:
        weights = weights_of(judge_of[0])
        second = case.second_by(judge_of[1])
        by_signs = weigh(case.signs, ceilings=case.ceilings, excluded=case.excluded, weights=weights)
        said = decide(by_signs, case.signs, case.facts, second, case.ceilings, weights)
    return Graded(
        example=labelled.example(case),
        configured=labelled.example(with_config=True),
        ceilings=case.ceilings,
        facts=case.facts,
        said=said,
        expected=labelled.label["expected"],
        harmful=bool(labelled.label["harmful"]),
        source=source,
    )


def judge(run: Graded, weights: Weights, *, configured: bool = False) -> Judged:
    """The answer for one run."""
    example = run.configured if configured else run.example
    beliefs: Beliefs = weigh(example.signs, ceilings=run.ceilings, weights=weights)
    return Judged(
        run=example.run, expected=run.expected, accepted=example.accepted, harmful=run.harmful, ranking=beliefs.ranking
    )


def with_facts(run: Graded, weights: Weights) -> Judged:
    """The answer of the signs and the facts: what these rule out is left out, and what they prove goes first."""
    excluded = ruled_out_by(run.facts) | doubted_by(run.facts)
    by_signs = weigh(run.example.signs, ceilings=run.ceilings, weights=weights, excluded=excluded)
    return _after_facts(run, ("signs", by_signs), weights)


def reported(run: Graded, weights: Weights) -> Judged:
    """The answer as a report gives it: facts, signs and curves."""
    return judge(run, weights) if run.said is None else _after_facts(run, run.said, weights)


def _after_facts(run: Graded, said: tuple[Ruling, Beliefs], weights: Weights) -> Judged:
    ruling, beliefs = said
    named = cause_of(beliefs, run.facts, ruling)
    weighed = dict(beliefs.ranking)
    sure = max([weighed.get(named, weighed["healthy"]), *(f.confidence for f in run.facts if f.cause == named)])
    rest = tuple((cause, p) for cause, p in beliefs.ranking if cause != named)
    return replace(judge(run, weights), ranking=((named, sure), *rest))


def weights_of(model: Model) -> Weights:
    """A learned model in the form in which it ships."""
    return Weights(bias=model.bias, signs=model.weights)


def weights_from(examples: Sequence[Example]) -> Weights:
    """The weights learned from runs that each come twice, with and without their configuration."""
    return weights_of(learn([replace(e, weight=0.5) for e in examples]))


def leave_one_family_out(runs: Sequence[Graded]) -> dict[str, list[Judged]]:
    """Every run judged by weights that were learned without its family: alone, with its configuration, with facts, as reported."""
    judged: dict[str, list[Judged]] = {ALL: [], CONFIGURED: [], FACTS: [], REPORTED: []}
    for family in sorted({r.example.family for r in runs}):
        weights = weights_from([e for r in runs if r.example.family != family for e in (r.example, r.configured)])
        mine = [r for r in runs if r.example.family == family]
        judged[ALL] += [judge(r, weights) for r in mine]
        judged[CONFIGURED] += [judge(r, weights, configured=True) for r in mine]
        judged[FACTS] += [with_facts(r, weights) for r in mine]
        judged[REPORTED] += [reported(r, weights) for r in mine]
    return judged


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """The shares that matter."""
    healthy = [j for j in judged if j.expected == "healthy"]
    faults = [j for j in judged if j.expected != "healthy"]
    harmful = [j for j in faults if j.harmful]
    return {
        "runs": len(judged),
        "healthy runs": len(healthy),
        "false alarms": mean([j.cause != "healthy" for j in healthy] or [0]),
        "faults": len(faults),
        "detected": mean([j.cause != "healthy" for j in faults] or [0]),
        "named": mean([j.right for j in faults] or [0]),
        "named in three": mean([bool(j.accepted & {c for c, _ in j.ranking[:3]}) for j in faults] or [0]),
        "harmful faults": len(harmful),
        "harmful detected": mean([j.cause != "healthy" for j in harmful] or [0]),
        "harmful named": mean([j.right for j in harmful] or [0]),
        "Brier": mean([(j.ranking[0][1] - j.right) ** 2 for j in judged] or [0]),
    }


def invariance(item: Labelled) -> dict[str, bool | None]:
    """Whether the diagnosis of one run stays under changes that should not matter; None where that is not asked."""
    base = item.case().beliefs
    changed = {
        "losses times 0.001": scaled(item, loss=1e-3),
        "losses times 1000": scaled(item, loss=1e3),
        "norms and threshold times 0.001": scaled(item, norm=1e-3),
        "norms and threshold times 1000": scaled(item, norm=1e3),
        "steps moved by 100,000": scaled(item, offset=100_000),
        "other spellings of the columns": respelled(item),
    }
    found: dict[str, bool | None] = {k: v.case().beliefs.cause == base.cause for k, v in changed.items()}
    sure = base.ranking[0][1] > SURE
    found["every second row"] = thinned(item).case().beliefs.cause == base.cause if sure else None
    return found


def calibration(judged: Iterable[Judged]) -> list[tuple[str, int, float, float]]:
    """Confidence against being right, in five bins: range, runs, mean confidence, share right."""
    bins: dict[int, list[Judged]] = defaultdict(list)
    for j in judged:
        bins[min(int(j.ranking[0][1] * 5), 4)].append(j)
    return [
        (f"{k / 5:.1f} to {(k + 1) / 5:.1f}", len(v), mean(j.ranking[0][1] for j in v), mean(j.right for j in v))
        for k, v in sorted(bins.items())
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
    ]


def _figure(name: str, value: float) -> str:
    if name in {"runs", "healthy runs", "faults", "harmful faults"}:
        return f"{value:.0f}"
    return f"{value:.3f}" if name == "Brier" else f"{value:.1%}"


def by_cause(judged: Sequence[Judged]) -> list[str]:
    """Detected and named by cause, and what each was taken for."""
    rows = []
    for cause in sorted({j.expected for j in judged}):
        of = [j for j in judged if j.expected == cause]
        taken = Counter(j.cause for j in of if not j.right)
        found = "" if cause == "healthy" else f"{mean(j.cause != 'healthy' for j in of):.0%}"
        rows.append((cause, len(of), found, f"{mean(j.right for j in of):.0%}",
                     ", ".join(f"{c} {n}" for c, n in taken.most_common())))  # fmt: skip
    return table(("cause", "runs", "detected", "named", "wrongly taken for"), rows)


def page(sets: Mapping[str, Sequence[Judged]], stays: Sequence[Mapping[str, bool | None]], thin: Sequence[str]) -> str:
    """The documentation page; `thin` is the table of sparse logs."""
    shares = {name: figures(judged) for name, judged in sets.items()}
    names = list(next(iter(shares.values())))
    lines = ["# How well the diagnosis does", "", TEXT.strip(), ""]
    lines += table(("", *sets), ((n, *(_figure(n, s[n]) for s in shares.values())) for n in names))
    main = next(iter(sets))
    lines += ["", f"## By cause ({main})", "", *by_cause(sets[main])]
    lines += ["", f"## By cause ({FACTS})", "", *by_cause(sets[FACTS])]
    lines += ["", f"## By cause ({REPORTED})", "", *by_cause(sets[REPORTED])]
    lines += ["", f"## By cause ({UNSEEN})", "", *by_cause(sets[UNSEEN])]
    lines += ["", f"## Confidence ({main})", ""]
    lines += table(("confidence", "runs", "mean confidence", "right"),
                   ((r, n, f"{c:.2f}", f"{s:.0%}") for r, n, c, s in calibration(sets[main])))  # fmt: skip
    lines += ["", "## Invariance", "", STAYS.strip().format(sure=SURE), ""]
    rows = []
    for kind in stays[0] if stays else ():
        asked = [s[kind] for s in stays if s[kind] is not None]
        rows.append((kind, len(asked), f"{mean(bool(a) for a in asked):.1%}" if asked else "–"))
    lines += table(("change", "runs", "same diagnosis"), rows)
    lines += ["", SPARSE.strip(), "", *thin]
    lines += ["", CONFUSIONS.strip(), "", *columns.page(), ""]
    return "\n".join(lines)


TEXT = """
Written by `python -m benchmarks.diagnosis.evaluate`. The *given* runs came with the project (multilayer perceptron,
convolutional, recurrent and small GPT models); our *own* and the *unseen* ones are trained by `benchmarks.runs`, each by
written labelling rules that were fixed before training (`benchmarks/runs/LABELS.md`). Left out by family: the weights
that judge a family were learned without it; the signs themselves were made while looking at the given and our own runs.
The sixteen unseen families were written last, by somebody who knew neither signs nor scores, and were scored once before,
and some times after, the changes named below; their columns are by weights that saw none of the sixteen. The weights that
ship were learned from everything.

Accuracy on first contact with a new family, which is what a user's run is (before any change that it led to):

| first evaluation on | false alarms | detected | named | in three | harmful detected, named | Brier |
|---|---|---|---|---|---|---|
| 325 runs of 16 new families | 10.6% | 87.3% | 77.8% | 95.5% | 84.8%, 75.0% | 0.138 |
| 198 runs of 7 more | 16.7% | 92.0% | 79.0% | 94.9% | 90.3%, 75.0% | 0.142 |
| the 212 unseen runs of 16 more | 18.3% | 94.1% | 77.3% | 92.4% | 90.7%, 74.4% | 0.170 |

Half of the false alarms at the first two evaluations came from reinforcement learning, whose losses grow or return to zero while
the agent learns. The healthy runs of the third were made to be hard: adversarial and energy losses, critics, fine-tuning,
planned restarts, losses at exactly zero. Five of its seventeen false alarms are planned restarts of the rate to which the
norm responds. The labels that came with the project call just that `lr_restart`, and no log tells a plan from an accident:
such healthy runs are not scored below, and beside another fault `lr_restart` counts as right. Without them the third
had 13.6% false alarms, 95.0% detected, 82.4% named. What was changed after it: norms that fall by less than the loss did not
start huge, and rows are not a multiple of a level of zero. The unseen columns below are therefore no longer strictly unseen.

*With facts* is what signs and facts say, *as reported* what a report says: facts, signs and curves, by weights and trees
that were learned without an eighth of the families, those of the drawn runs among them ([naming](naming.md)).

A false alarm is a healthy run that gets any warning or error. A fault is detected if it gets one, named if the first
cause is the expected one or one that the label also accepts. Harmful faults cost more than 5 % of the progress of the
same run without the fault. Brier is the mean squared difference between confidence and being right.
"""

STAYS = """
Share of the runs whose diagnosis stays the same. Every second row was left out only of runs with a confidence above {sure}.
"""

SPARSE = """
## Sparse and incomplete logs

All labelled runs, with only some of their rows (every k-th, or means of k losses with the last norm), or without a
column (`python -m benchmarks.diagnosis.sparse`). The weights have seen the runs, but not these logs of them. The last
column is what `healthy` means there: how often it was right, with three healthy runs in ten, and the confidence given.
"""

CONFUSIONS = """
## What is confused, and which column would tell it apart

- *A mild high learning rate, healthy*: the loss falls smoothly to a level that a lower rate would have beaten; nothing
  in the run says so. The update-to-weight ratio would, or a tenth of the run at a third of the rate.
- *A rate that stops learning at once, a task that is learned at once*: loss and norm fall within the first rows and stand
  still in both. The growth of the weights tells.
- *Missing warm-up, healthy or high rate*: the damage of the first updates may show only in where the run ends. The loss
  on fixed data after the first updates would tell.
- *Adam's lag, bad batch*: the same shock; the swelling of the loss after it comes with every beta2 and is only higher with
  a slow second moment. No column that our runs log tells them apart; beta2 with `--config` helps.
- *Adam's lag, data shift*: both are a step of the loss that slowly relaxes. Update norm and RMS of g²/v would tell.
- *One bad batch, healthy*: a norm spike with an ordinary loss is what healthy runs show too. The loss on the same batch
  after the update would tell.
- *Vanishing, learning late*: both sit on a plateau until one of them moves. Norms of single layers would tell.
- *Smaller batch, natural growth of the noise*: losses close to zero have noise that grows by itself on the log scale.
  Examples or tokens of each step would tell.

Our own runs log such columns. How well the best statistic we know of the ordinary columns and one of an extra column order
the two causes, over all of our runs (area under the curve: 1 is perfect, .5 is chance; `python -m benchmarks.runs.columns`):
"""


def main() -> None:
    """Judge everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="every N-th run, to learn from as well; implies --print"
    )
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    items = [(source, run) for source in (*LOOKED_AT, LAST) for run in islice(load(source), 0, None, arguments.every)]
    rows = packed(*LEARNED)
    seen, begun = (
        t.chosen(np.arange(0, len(t), arguments.every)) for t in (opinion.scored(rows), opinion.beginnings(rows))
    )
    judges = opinion.judges_apart(seen, begun, arguments.workers)
    with ProcessPoolExecutor(arguments.workers) as pool:
        graded = [(source, run, judges.get(run.family)) for source, run in items if run.accepted]
        runs = list(pool.map(grade, graded, chunksize=8))
        stays = list(pool.map(invariance, [run for source, run in items if source == "given"], chunksize=4))
    looked_at = [r for r in runs if r.source != LAST]
    unseen = [r for r in runs if r.source == LAST]
    apart = weights_from([e for r in looked_at for e in (r.example, r.configured)])
    out = leave_one_family_out(runs)
    given = {r.example.run for r in runs if r.source == "given"}
    sets = {
        ALL: out[ALL],
        "given": [j for j in out[ALL] if j.run in given],
        "own": [j for j in out[ALL] if j.run not in given],
        CONFIGURED: out[CONFIGURED],
        FACTS: out[FACTS],
        REPORTED: out[REPORTED],
        UNSEEN: [judge(r, apart) for r in unseen],
        UNSEEN + ", with --config": [judge(r, apart, configured=True) for r in unseen],
    }
    text = page(sets, stays, sparse.table([run for _, run in items if run.accepted], arguments.workers))
    if arguments.print or arguments.every > 1:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
        print(json.dumps({name: figures(judged) for name, judged in sets.items()}, indent=1))


if __name__ == "__main__":
    main()
