"""The gate against a population: false alarms on held-back healthy runs, and its power beside the pairwise gate.

    python -m benchmarks.gate.population train FOLDER [--projects 12]   # needs torch; 15 s of one core per project
    python -m benchmarks.gate.population score FOLDER

A project is one training of `benchmarks.runs.drawn`: a task, a network and a recipe. Its healthy runs differ in their seed;
in every third project in their learning rate as well, by up to a factor of 1.6 either way, as in a sweep. Faults are drawn
for the same recipe. Runs are healthy or harmed by the rules of `benchmarks/runs/drawn/LABELS.md`, which know nothing of the
gate; the form of the gate's score was fixed before any of them was scored.

`score` makes the table with `gradlens fleet`, takes the population from a random part of its healthy runs (those that gradlens
itself finds healthy, as `gradlens baseline` does), and gates the other healthy runs and the harmed ones; then the same runs
against one healthy run and against five by the pairwise gate. Takes 15 s per project to train, some minutes to score.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlens.fleet.against import gate_rows
from gradlens.fleet.population import Population, is_healthy, population_of
from gradlens.fleet.row import Row
from gradlens.fleet.table import load_table
from gradlens.gating.assess import assess, summarize_runs
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary
from gradlens.reading.read import read
from gradlens.stats.conformal import false_alarm_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.runs.drawn.group import Built
    from benchmarks.runs.drawn.recipe import Recipe
    from benchmarks.runs.drawn.rules import Run
    from benchmarks.runs.drawn.space import Swept

#: The number of the drawn group; the runs that the diagnosis learned from have 0 and 1.
GROUP = 7
HEALTHY, FAULTS, PROBES = 200, 60, 8
#: Healthy runs in the population, the size that is set beside the pairwise gate, and how often each project is split.
SIZES, SHOWN, SPLITS, HELD_BACK = (19, 39, 59, 99), 59, 5, 40
PAIRWISE = {"one healthy run": 1, "five healthy runs": 5}
WAYS = (f"the population of {SHOWN} healthy runs", *PAIRWISE)


def train(folder: Path, projects: int) -> None:
    """Train what is missing, a project at a time."""
    import torch

    from benchmarks.runs.drawn.space import DEAR, LEARN, families

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    named = [family for family in families(LEARN) if family.net not in DEAR]
    made = 0
    for family in named:
        if made == projects:
            return
        target = folder / f"{made:02d}-{family.name}"
        if not (target / "labels.json").is_file():
            begun = time.perf_counter()
            runs = _project(family, sweep=made % 3 == 2)
            if runs is None:
                continue
            _write(target, runs)
            print(f"{target.name}: {len(runs)} runs, {time.perf_counter() - begun:.0f} s", flush=True)
        made += 1


def _project(family: Any, *, sweep: bool) -> list[Run] | None:
    """All runs of a project; None where none of the recipes that were tried is healthy."""
    from benchmarks.runs.drawn.group import build
    from benchmarks.runs.drawn.group import sweep as swept_rates
    from benchmarks.runs.drawn.space import healthy, setting

    built = build(setting(family, GROUP))
    swept: dict[str, Swept] = swept_rates(built)
    recipes = [healthy(built.setting, i, swept) for i in range(PROBES)] if swept else []
    probes = _trained(built, [r for r in recipes if not r.pretrained], [])
    chosen = next((run for run in probes if run.verdict.expected == "healthy"), None)
    if chosen is None:
        return None
    dice = random.Random(f"{family.name} population")
    recipe = chosen.recorded.recipe
    seeds = [
        replace(recipe, seed=recipe.seed + 1000 * (i + 1), lr=_varied(recipe.lr, dice) if sweep else recipe.lr)
        for i in range(HEALTHY)
    ]
    well = _trained(built, seeds, [])
    return well + _trained(built, *_faults(built, well, dice))


def _varied(rate: float, dice: random.Random) -> float:
    return float(f"{rate * 10 ** dice.uniform(-0.2, 0.2):.3g}")


def _trained(built: Built, recipes: Sequence[Recipe], faults: Sequence[tuple[tuple[str, ...], Run]]) -> list[Run]:
    """Runs with their labels; `faults` are what was done to each and its healthy twin, none for healthy recipes."""
    from benchmarks.runs.drawn.lanes import train as train_lanes
    from benchmarks.runs.drawn.rules import judged_run

    recorded = train_lanes(built.group, built.start(recipes, None), list(recipes), built.keys) if recipes else []
    done: list[tuple[tuple[str, ...], Run | None]] = [*faults] or [((), None) for _ in recorded]
    return [judged_run(built.setting, run, *what) for run, what in zip(recorded, done, strict=True)]


def _faults(
    built: Built, well: Sequence[Run], dice: random.Random
) -> tuple[list[Recipe], list[tuple[tuple[str, ...], Run]]]:
    """Recipes to which something is done, as many as asked for, each of a healthy run."""
    from benchmarks.runs.drawn.faults import draw
    from benchmarks.runs.drawn.group import _twin

    able = [run for run in well if run.verdict.expected == "healthy"]
    recipes, done = [], []
    for number in range(FAULTS):
        twin = dice.choice(able)
        drawn = draw(twin.recorded.recipe, _twin(twin.recorded, built.group.task, built.group.inputs), dice)
        recipes.append(
            replace(twin.recorded.recipe, **drawn.changes, seed=twin.recorded.recipe.seed + 500_000 + number)
        )
        done.append((drawn.faults, twin))
    return recipes, done


def _write(target: Path, runs: Sequence[Run]) -> None:
    """A folder per run with its log and its settings, and the labels of all."""
    shutil.rmtree(target, ignore_errors=True)
    labels = {}
    for number, run in enumerate(runs):
        name = f"run{number:03d}"
        recipe = run.recorded.recipe
        place = target / name
        place.mkdir(parents=True)
        columns = {k: v for k, v in run.table.items() if k in {"step", "loss", "grad_norm", "lr", "loss_scale"}}
        rows = zip(*(v.tolist() for v in columns.values()), strict=True)
        lines = (json.dumps({k: _plain(v) for k, v in zip(columns, row, strict=True)}) for row in rows)
        (place / "run.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        known = {"max_grad_norm": recipe.clip, "learning_rate": recipe.lr, "optimizer": recipe.opt}
        (place / "config.json").write_text(json.dumps({k: v for k, v in known.items() if v is not None}), "utf-8")
        labels[name] = {
            "faults": list(run.faults), "expected": run.verdict.expected, "harmful": run.verdict.harmful,
            "clip": recipe.clip,
        }  # fmt: skip
    (target / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


def _plain(value: float) -> float:
    return int(value) if isinstance(value, int) else float(f"{value:.6g}") if math.isfinite(value) else value


def score(folder: Path, only: str) -> None:
    """Print the tables of the docs; the outcomes of a project are kept beside it, and not counted again."""
    alarms = {n: Counter[str]() for n in SIZES}
    power = {name: Counter[str]() for name in WAYS}
    healthy = {name: Counter[str]() for name in WAYS}
    doubted = Counter[str]()
    count = 0
    projects = sorted(path.parent for path in folder.glob(f"{only}/labels.json"))
    for path in projects:
        kept = path.with_name(f"{path.name}.outcomes.json")
        if not kept.is_file():
            kept.write_text(json.dumps(_outcomes(Project.of(path))), encoding="utf-8")
        found = json.loads(kept.read_text(encoding="utf-8"))
        if not found:
            print(
                f"{path.name}: too few runs that are finite throughout and that gradlens finds healthy", file=sys.stderr
            )
            continue
        count += 1
        doubted.update(found["doubted"])
        print(path.name, found, file=sys.stderr, flush=True)
        for n in SIZES:
            alarms[n].update(found["alarms"][str(n)])
        for name in WAYS:
            power[name].update(found["power"][name])
            healthy[name].update(found["healthy"][name])
    print(
        f"{count} projects; {doubted.total()} more runs that are healthy by the labels and not by gradlens: {dict(doubted)}\n"
    )
    print("| healthy runs in the population | promised | gates of held-back healthy runs | red | cannot judge |")
    print("|--:|--:|--:|--:|--:|")
    for n, counts in alarms.items():
        print(f"| {n} | {false_alarm_rate(n, 0.05):.1%} | {counts.total():,} | {_shares(counts)} |")
    print(
        "\n| compared with | gates of harmed runs | red | cannot judge | gates of healthy runs | red | cannot judge |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in WAYS:
        print(f"| {name} | {power[name].total():,} | {_shares(power[name])} "
              f"| {healthy[name].total():,} | {_shares(healthy[name])} |", flush=True)  # fmt: skip


def _shares(counts: Counter[str]) -> str:
    total = max(counts.total(), 1)
    return f"{counts['fail'] / total:.1%} | {counts['inconclusive'] / total:.1%}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """All runs of a project: their rows by name, their summaries, and what is known of them."""

    rows: dict[str, Row]
    labels: dict[str, dict[str, Any]]
    summaries: dict[str, RunSummary]

    @staticmethod
    def of(path: Path) -> Project:
        """Read a project; its table is made, or brought up to date, by `gradlens fleet`."""
        table = path.with_name(f"{path.name}.parquet")
        subprocess.run(
            [sys.executable, "-m", "gradlens", "fleet", str(path), "-o", str(table), "--jobs", "1"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        rows = {str(row["name"]).partition("/")[0]: row for row in load_table(table)[0] if row["error"] is None}
        labels = json.loads((path / "labels.json").read_text(encoding="utf-8"))
        return Project(rows=rows, labels=labels, summaries={})

    def summary(self, name: str) -> RunSummary:
        """What the gate keeps of a run."""
        if name not in self.summaries:
            source = self.rows[name]["source"]
            self.summaries[name] = summarize_runs(read(source, columns="needed", split_starts=False))[0]
        return self.summaries[name]

    def healthy(self) -> list[str]:
        """Runs to which nothing was done and that are healthy by the labels."""
        return [
            name for name in self.rows if self.labels[name]["expected"] == "healthy" and not self.labels[name]["faults"]
        ]

    def finite(self, name: str) -> bool:
        """Whether every loss and norm of a run is finite."""
        row = self.rows[name]
        return not row["nonfinite_loss"] and not row["nonfinite_grad_norm"]

    def harmed(self) -> list[str]:
        """Runs that something was done to and that are the worse for it, by the labels."""
        return [name for name in self.rows if self.labels[name]["faults"] and self.labels[name]["harmful"]]


def _outcomes(project: Project) -> dict[str, dict[str, Any]]:
    """Held-back runs against populations drawn from the others; how often each outcome was."""
    alarms = {n: Counter[str]() for n in SIZES}
    power = {name: Counter[str]() for name in WAYS}
    healthy = {name: Counter[str]() for name in WAYS}
    others = Counter[str]()
    harmed = project.harmed()
    # What the user's table holds are runs that gradlens finds healthy; what it takes for ill is gated, too, and told apart.
    # Overflows of fp16 without the logged scale that explains them fail every gate, whatever it compares with.
    well = [name for name in project.healthy() if is_healthy(project.rows[name]) and project.finite(name)]
    doubted = [name for name in project.healthy() if not is_healthy(project.rows[name])]
    if len(well) < SIZES[-1] + HELD_BACK:
        return {}
    dice = random.Random("splits")
    dice.shuffle(well)
    held_back, rest = well[:HELD_BACK], well[HELD_BACK:]
    for split in range(SPLITS):
        dice.shuffle(rest)
        for n in SIZES:
            kept = rest[:n]
            population, _ = population_of([project.rows[name] for name in kept])
            alarms[n].update(_against_population(project, name, population) for name in held_back)
            if n != SHOWN or split:
                continue
            others.update(_against_population(project, name, population) for name in doubted)
            power[WAYS[0]].update(_against_population(project, name, population) for name in harmed)
            healthy[WAYS[0]].update(_against_population(project, name, population) for name in held_back)
            for way, count in PAIRWISE.items():
                sides = [project.summary(name) for name in kept[:count]]
                for names, into in ((harmed, power), (held_back, healthy)):
                    into[way].update(assess([project.summary(name)], sides, GateSettings()).outcome for name in names)
    return {
        "doubted": dict(others),
        "alarms": {str(n): dict(found) for n, found in alarms.items()},
        "power": {name: dict(found) for name, found in power.items()},
        "healthy": {name: dict(found) for name, found in healthy.items()},
    }


def _against_population(project: Project, name: str, population: Population) -> str:
    return gate_rows([project.rows[name]], [project.summary(name)], population, GateSettings()).outcome


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    trainer = actions.add_parser("train")
    trainer.add_argument("folder", type=Path)
    trainer.add_argument("--projects", type=int, default=12)
    scorer = actions.add_parser("score")
    scorer.add_argument("folder", type=Path)
    scorer.add_argument("--only", default="*", metavar="GLOB", help="projects to score")
    arguments = parser.parse_args()
    if arguments.action == "train":
        train(arguments.folder, arguments.projects)
    else:
        score(arguments.folder, arguments.only)


if __name__ == "__main__":
    main()
