"""What can be changed in a module without a test that fails?

    python -m benchmarks.mutants                    # 400 mutants of the modules of `TARGETS`, and all of those of `WHOLE`
    python -m benchmarks.mutants gradlens/gating/judge.py [--sample N] [--tests tests/gating]
    python -m benchmarks.mutants --since main       # those of the lines changed since then
    python -m benchmarks.mutants gradlens/gating --tests tests/gating/test_judge.py --then tests/gating

Of each mutant the tests are run that reach its line, the quick ones first, in a fork, until one fails; on what survives them
those of `--then`, too. Printed are the survivors. The exit code is 1 where fewer than `--least` of the mutants are killed. Takes
about as long as all those tests, and a second or two per mutant.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.mutants.changing import Mutant, mutants
from benchmarks.mutants.running import LATE, run, spread
from gradlens.stats.clipping import wilson_interval

#: What decides what a user is told: statistics, signs, facts, what is made of them, and the gate.
TARGETS = (
    "gradlens/stats", "gradlens/diagnosis/facts", "gradlens/diagnosis/signs", "gradlens/diagnosis/outcome.py",
    "gradlens/diagnosis/status.py", "gradlens/diagnosis/deciding.py", "gradlens/diagnosis/ranking.py",
    "gradlens/diagnosis/weighing.py", "gradlens/diagnosis/kind.py", "gradlens/diagnosis/case.py", "gradlens/diagnosis/opinion.py",
    "gradlens/diagnosis/opinions.py", "gradlens/diagnosis/trees.py", "gradlens/diagnosis/network.py", "gradlens/gating",
)  # fmt: skip
WHOLE = ("gradlens/gating/judge.py",)
TESTS = (
    "tests/stats",
    "tests/gating",
    "tests/diagnosis",
    "tests/checks",
    "tests/advice",
    "tests/figures",
    "tests/test_analyzer.py",
)


def modules(places: list[str]) -> list[Path]:
    """The modules at some places, files or folders."""
    found = [
        p for place in places for p in ([Path(place)] if place.endswith(".py") else sorted(Path(place).rglob("*.py")))
    ]
    return [path for path in found if path.name != "__init__.py" or path.stat().st_size > 500]


def changed_lines(since: str) -> dict[Path, set[int]]:
    """The lines of each module that are new or other since a commit."""
    text = subprocess.run(
        ["git", "diff", "-U0", since, "--", "*.py"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[Path, set[int]] = {}
    path = Path()
    for line in text.splitlines():
        if line.startswith("+++ "):
            path = Path(line[6:])
        elif match := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(match[1]), int(match[2] or 1)
            found.setdefault(path, set()).update(range(first, first + count))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="files or folders, instead of those that decide what a user is told")
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument(
        "--then", nargs="+", default=[], metavar="TESTS", help="tests for what survives those of --tests"
    )
    parser.add_argument("--sample", type=int, default=400, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--since", metavar="COMMIT", help="only the lines changed since then")
    parser.add_argument("--least", type=float, default=0.85, help="the share that must be killed")
    given = parser.parse_args()
    every = {path: mutants(path) for path in modules(given.modules or list(TARGETS))}
    if given.since:
        lines = changed_lines(given.since)
        every = {path: [m for m in found if m.line in lines.get(path, ())] for path, found in every.items()}
    every = {path: found for path, found in every.items() if found}
    noise = random.Random(given.seed)
    # Of lines that were changed all mutants are tried, up to the size of the sample.
    complete = [m for path, found in every.items() if path.as_posix() in WHOLE and not given.modules for m in found]
    rest = {path: found for path, found in every.items() if not complete or path.as_posix() not in WHOLE}
    chosen = complete + list(spread(rest, given.sample, noise.sample)) if rest else complete
    if not chosen:
        print("no mutant to try")
        return 0
    outcomes: dict[Path, Counter[str]] = {}

    def told(mutant: Mutant, outcome: str, tests: int) -> None:
        outcomes.setdefault(mutant.path, Counter())[outcome] += 1
        if outcome not in {"killed", LATE}:
            print(f"{mutant.place}: {mutant.what}: {outcome} ({tests} tests)", flush=True)

    code = run(sorted(chosen), given.tests, told, given.then)
    if code:
        return code
    for path, counted in outcomes.items():
        print(f"{path.as_posix()}: {counted['killed'] + counted[LATE]} of {counted.total()}")
    total = sum((counted for counted in outcomes.values()), Counter[str]())
    killed, tried = total["killed"] + total[LATE], total.total()
    low, high = wilson_interval(killed / tried, tried)
    late = f", {total[LATE]} of them only by the tests of --then" if given.then else ""
    print(
        f"{killed} of {tried} mutants killed ({killed / tried:.1%}){late}; as a sample of "
        f"{sum(map(len, every.values()))}: {low:.0%} to {high:.0%}"
    )
    return 0 if killed >= given.least * tried else 1


if __name__ == "__main__":
    sys.exit(main())
