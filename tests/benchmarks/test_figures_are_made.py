"""Every command that a page names for its figures is run, as small as it goes; those that are not are listed with the reason."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import browser
from tests.benchmarks.test_commands_of_pages import EVERY, ROOT
from tests.readers.console_examples import EXAMPLES


@dataclass(frozen=True, kw_only=True, slots=True)
class Small:
    """The same command on less: `options` in place of the page's, what its output must have, what it needs to be installed."""

    options: str
    shows: str
    needs: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = (0,)


#: By the command as a page has it. {place} is a folder of the test, which `place` below fills.
SMALL: dict[str, Small] = {
    "benchmarks.beside build/beside": Small(
        options="{place}/beside --steps 60", shows=r"gradlens\.txt: exit 0, \d+ lines", needs=("torch",)
    ),
    # One repetition, by which a promise may well be broken: that is exit code 1.
    "benchmarks.calibration coincidence": Small(
        options="coincidence --scale 0.001", shows=r"clustered, 80 on each side +\d\.\d+", exit_codes=(0, 1)
    ),
    "benchmarks.calibration coverage": Small(
        options="coverage --scale 0.001", shows=r"AR\(1\) phi 0\.9 +5000 +\d\.\d+", exit_codes=(0, 1)
    ),
    "benchmarks.calibration powerlaw": Small(
        options="powerlaw --scale 0.001", shows=r"n 3000: ours \d.* powerlaw \d", needs=("powerlaw",), exit_codes=(0, 1)
    ),
    "benchmarks.calibration spikes": Small(
        options="spikes --scale 0.001", shows=r"exp Student t3 +\d\.\d+", exit_codes=(0, 1)
    ),
    "benchmarks.calibration tails": Small(
        options="tails --scale 0.001", shows=r"shifts +5000 +\d\.\d+ (.*\n)+GPD +\d", exit_codes=(0, 1)
    ),
    "benchmarks.consoles FOLDER": Small(options="{place}/consoles", shows=r"\| all of them \| [1-9]"),
    "benchmarks.diagnosis.evaluate": Small(
        options="--every 150", shows=r"\| false alarms \| \d(.*\n)+\| `lr_too_high` or `healthy` \| [1-9]"
    ),
    "benchmarks.diagnosis.sparse": Small(
        options="--sources given --every 40", shows=r"\| as logged \| [1-9].*\n\| about 25 rows, sampled \|"
    ),
    "benchmarks.fleet make FOLDER --runs 10000": Small(options="make {place}/made --runs 3", shows=r"^$"),
    "benchmarks.fleet measure FOLDER --counts 100 1000 10000 --jobs 1 2 --dask 2": Small(
        options="measure {place}/fleet --counts 10 --jobs 1", shows=r"\| 10 \| 1 process \| \d", needs=("pyarrow",)
    ),
    "benchmarks.fleet cost FOLDER": Small(
        options="cost {place}/fleet --counts 10", shows=r"10 runs, 20 files opened: \d", needs=("pyarrow",)
    ),
    "benchmarks.fuzz --cases 300000 --seed 12": Small(
        options="--cases 12 --seed 12", shows=r"12 cases of \d+ samples \(seed 12\)", needs=("tensorboard", "pyarrow")
    ),
    "benchmarks.gate.simulated": Small(
        options="--pairs 2 --seeds 1 --steps 500", shows=r"(?m)^same +0\.5 +500 +1 +\d.*\n(.*\n)+doubled-noise +0\.9"
    ),
    "benchmarks.gate.runs": Small(
        options="--seeds {place}/recipes", shows=r"one run against 2, recipes set: [1-9]\d* gates, pass"
    ),
    "benchmarks.programs": Small(
        options="--only NaN", shows=r"\| one input is NaN \| not finite \| problem \|", needs=("torch",)
    ),
    "benchmarks.programs_second": Small(
        options="--only ReLU", shows=r"\| ReLU on the logits \| \w+ \| \w+ \|", needs=("torch",)
    ),
    "benchmarks.healthy_oddities --runs 200": Small(
        options="--runs 1 --out {place}/oddities.md", shows=r"\| GAN \| 300 \| \d"
    ),
    "benchmarks.lead --sources given unseen": Small(
        options="--sources given --runs 3", shows=r"(?m)^ +100% \|.*\| +\d.*%\n\n.*\n(.*\n)*all +[1-9]"
    ),
    # Other versions are installed elsewhere: that is exit code 1.
    "benchmarks.licences": Small(options="--check", shows=r"^$", exit_codes=(0, 1)),
    "benchmarks.limits": Small(
        options="--scale 0.0001 --only 'links*' --folder {place}", shows=r"\| links in circles \| 0\.0 \| 0 \| \d"
    ),
    "benchmarks.pages": Small(
        options="--steps 3000 --spikes 3",
        shows=r"spikes: 3 in loss and norm each, missing on the page: 0 and 0",
        needs=("bokeh",),
    ),
    "benchmarks.reading": Small(
        options="--steps 50 --runs 1 --only json csv console document", shows=r"\| gradlens, again \| \d.*\n.*pyarrow"
    ),
    "benchmarks.reading --large 5": Small(options="--large 0.01", shows=r"0\.01 GB in .*\nMB/s by tenth"),
    "benchmarks.real_logs FOLDER": Small(options="{place}/public", shows=r"2 files, of which 1 hold a loss or a norm"),
    "benchmarks.real_logs FOLDER --reports docs/real-reports.md": Small(
        options="{place}/public --reports {place}/reports.md", shows=r"^$"
    ),
    "benchmarks.recorder": Small(
        options="--steps 1 --batch 1 --length 8 --threads 1",
        shows=r"the recorder takes \d.*% of a step",
        needs=("torch",),
    ),
    "benchmarks.retrain --out docs/retrain.md": Small(
        options="--seeds 1 --steps 40 --out {place}/retrain.md", shows=r"\| GRU, SGD \| 0 \|", needs=("torch",)
    ),
    "benchmarks.rows FOLDER": Small(options="sample_logs", shows=r"\| [1-9]\d* \| [1-9]\d* \| \d+ \| 0 \|"),
    "benchmarks.scaling": Small(options="--sizes 500 --repeats 1", shows=r"\| 500 \| \d"),
    "benchmarks.site.pictures": Small(options="bad_data --out {place}", shows=r"bad_data\.svg: [1-9]\d* kB"),
    "benchmarks.thinned --every 1": Small(
        options="--sources given --every 40 --workers 1", shows=r"\| about 25, sampled \| [1-9]"
    ),
    "benchmarks.variants": Small(options="--each 1 --only spike", shows=r"\|.*spike.*\| 1 \| 1 \|"),
    "benchmarks.variants --second": Small(
        options="--second --each 1 --only detached", shows=r"\| detached \| fault \| 1 \| 1 \|"
    ),
    "benchmarks.variants --fifth": Small(
        options="--fifth --each 1 --only infinite", shows=r"\| all norms infinite \| fault \| 1 \| [01] \|"
    ),
    "benchmarks.variants --fourth": Small(
        options="--fourth --each 1 --only rewarded", shows=r"\| never rewarded \| fault \| 1 \| [01] \|"
    ),
    "benchmarks.variants --third": Small(
        options="--third --each 1 --only head", shows=r"\| head alone has a gradient \| fault \| 1 \| 1 \|  \| 6 \|"
    ),
    "benchmarks.watching load": Small(options="load --seconds 2 --rate 100", shows=r'"share of a core"|core'),
    "benchmarks.watching quiet": Small(options="quiet --share 0.01 --runs 1 --store {place}/quiet.jsonl", shows=r"200"),
}
#: Commands whose work is that of another one here: all sections instead of one, more steps.
LIKE = {
    "benchmarks.calibration": "benchmarks.calibration coverage",
    "benchmarks.reading --steps 1000000": "benchmarks.reading",
    # The page that `evaluate` prints ends with this table.
    "benchmarks.runs.columns": "benchmarks.diagnosis.evaluate",
}
#: Run by another test as they stand.
ELSEWHERE = {
    "benchmarks.docs": "tests/benchmarks/test_commands_of_pages.py",
    "benchmarks.gate.fooling": "tests/benchmarks/test_fooling.py",
}
#: Only the command line of these is tried (`test_commands_of_pages.py`), for this reason.
COMMAND_LINE_ONLY = {
    "benchmarks.beside build/beside --given": "trainspotter, which CI doesn't install, judges 158 runs",
    "benchmarks.dependencies": "starts some fifty processes: half a minute at least",
    "benchmarks.diagnosis.newest FOLDER": "scores logs that are not part of the repository",
    "benchmarks.diagnosis.naming": "ten minutes of learning, and it writes what ships; tests/diagnosis try its parts",
    "benchmarks.mutants": "runs the tests of what it changes, again for each change; test_mutants.py tries its parts",
    "benchmarks.gate.population": "trains 15 s per project; tests/fleet/test_population.py gates against a population",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the inputs of the commands: public logs, console logs, seeds of a recipe, a small fleet."""
    folder = tmp_path_factory.mktemp("figures")
    samples = ROOT / "sample_logs"
    (folder / "public").mkdir()
    shutil.copy(samples / "healthy.jsonl", folder / "public")
    (folder / "public" / "nothing.txt").write_text("no log\n", encoding="utf-8")
    (folder / "public" / "MANIFEST.tsv").write_text(
        "saved_file\trepo\tpath\nhealthy.jsonl\tours\thealthy.jsonl\nnothing.txt\tours\tnothing.txt\n", encoding="utf-8"
    )
    (folder / "consoles").mkdir()
    for name, examples in EXAMPLES.items():
        (folder / "consoles" / f"{name}.log").write_text(examples[0].text, encoding="utf-8")
    (folder / "recipes" / "mlp").mkdir(parents=True)
    (folder / "recipes" / "mlp" / "recipe.json").write_text('{"clip": null}\n', encoding="utf-8")
    for seed in range(3):
        shutil.copy(samples / "healthy.jsonl", folder / "recipes" / "mlp" / f"s{seed}.jsonl")
    run("benchmarks.fleet", "make", str(folder / "fleet"), "--runs", "10")
    return folder


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as a reader of the page would type it."""
    return subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def made_by() -> dict[str, str]:
    """The commands of all pages, spelled the same way, with the first page that has each."""
    found: dict[str, str] = {}
    for page, line in EVERY:
        words = line.split()
        if words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
            found.setdefault(" ".join(words[2:]), page)
        elif words[0] == "python" and words[1].startswith("benchmarks/"):
            module = words[1].removesuffix(".py").replace("/", ".")
            found.setdefault(" ".join([module, *words[2:]]), page)
    return found


def test_every_command_is_run_here_or_has_a_reason():
    tables = (SMALL, LIKE, ELSEWHERE, COMMAND_LINE_ONLY)
    named = [command for table in tables for command in table]
    assert sorted(named) == sorted(made_by())
    assert set(LIKE.values()) <= set(SMALL)
    for test in ELSEWHERE.values():
        assert (ROOT / test).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", SMALL)
def test_a_command_makes_its_figures(command, place):
    small = SMALL[command]
    for name in small.needs:
        if find_spec(name) is None:
            pytest.skip(f"needs {name}")
    if command == "benchmarks.pages" and (missing := browser.why_not()):
        pytest.skip(missing)
    module = command.split()[0]
    done = run(module, *shlex.split(small.options.format(place=place)))
    assert done.returncode in small.exit_codes, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert re.search(small.shows, done.stdout), done.stdout
    for path in small.options.format(place=place).split():
        if path.endswith(".md"):
            assert "|" in Path(path).read_text(encoding="utf-8") or "# " in Path(path).read_text(encoding="utf-8")
