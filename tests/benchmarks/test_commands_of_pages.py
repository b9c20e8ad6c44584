"""Every command of the README and of the site's pages is run here, or named with the test that runs it."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks import docs
from gradlens.cli.app import run as command_line
from gradlens.cli.commands import COMMANDS

ROOT = docs.ROOT
PAGES = [ROOT / "README.md", ROOT / "sample_logs" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: What fills these blocks is run by `python -m benchmarks.docs --check`, in test_docs below.
GENERATED = re.compile(r"<!-- output: (?P<command>.+?) -->.*?<!-- end -->", re.DOTALL)
WHOLE_PAGES = {ROOT / name for name in docs.PAGES}
PROGRAMS = r"(?:gradlens|make|pip|python|uv|uvx|pipx|docker|kubectl|pre-commit|duckdb)"
LINE = re.compile(rf"\s*(?:- (?:run: )?|\$ |C=\$\()?(?P<command>{PROGRAMS}\b .+?)\)?$")
INLINE = re.compile(r"`(?P<command>(?:gradlens |python -m benchmarks)[^`\n]*)`")

#: Commands that another test runs, as they stand or with this machine in the place of the cluster.
ELSEWHERE = {
    r"pip install (-e )?\.|pip install '\.\[[a-z,]+\]'": "tests/test_extras.py::test_an_installation_of_the_core_alone",
    r"gradlens baseline fleet\.parquet .*|gradlens gate .* --baseline population\.json": "tests/fleet/test_population.py",
    r"gradlens fleet .* --scheduler .*": "tests/fleet/test_cluster.py",
    r"gradlens fleet (s3:.*|.* 's3:.*)": "tests/fleet/test_cluster.py",
    r"gradlens watch run\.jsonl( .*)?": "tests/cli/test_watch.py",
    r"gradlens mcp .*": "tests/serving/test_mcp.py::test_a_client_finds_its_way",
    r"gradlens --install-completion": "tests/test_installing.py::test_completion",
    r"python (train|hf|lit)\.py .*": "tests/recorder/test_page.py",
    r"(for seed in 0 1 2; do )?python examples/train\.py .*": "tests/test_action.py::test_the_example_is_green_and_its_faults_are_red",
    r"gradlens analyze (--verbose )?(cured|hf|hf-cured|lit|lit-cured)\.jsonl": "tests/recorder/test_page.py",
}
#: What only a cluster has.
NOT_HERE = re.compile(r'kubectl (port-forward|delete) .*|python -c "')


class Command(NamedTuple):
    page: str
    line: str


def in_blocks(text: str):
    """The lines of fenced blocks and of blocks set in by four columns."""
    inside = False
    for line in text.splitlines():
        if re.match(r"\s*```", line):
            inside = not inside
        elif inside or line.startswith("    "):
            yield line


def commands():
    for path in PAGES:
        if path in WHOLE_PAGES:
            continue
        text = GENERATED.sub("", path.read_text(encoding="utf-8"))
        name = path.relative_to(ROOT).as_posix()
        for line in in_blocks(text):
            found = LINE.match(line)
            if found:
                yield Command(name, found["command"].split("  #")[0].strip())
        for found in INLINE.finditer(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            yield Command(name, found["command"])


EVERY = sorted(set(commands()))
OF_GRADLENS = [c for c in EVERY if c.line.startswith("gradlens")]


def elsewhere(line: str) -> str | None:
    return next((test for pattern, test in ELSEWHERE.items() if re.fullmatch(pattern, line)), None)


def is_a_form(line: str) -> bool:
    """`gradlens convert SOURCE -o FILE`, `gradlens gate`: a form or a name, and not a command line."""
    words = line.split()
    return (len(words) < 3 and words[-1] not in {"explain", "formats", "--help"}) or bool(
        re.search(r"\b[A-Z]{4,}\b|…|\.\.\.|^gradlens [a-z-]+ --save \S+$", line)
    )


def ids(command: Command) -> str:
    return f"{command.page}: {command.line}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder that has what the pages speak of: sample_logs/, run.jsonl, train.jsonl, baseline.json, runs/."""
    place = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "sample_logs", place / "sample_logs")
    (place / "runs").mkdir()
    log = (ROOT / "sample_logs" / "healthy.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in log.splitlines()]
    for seed in range(3):
        lines = (json.dumps(row | {"loss": row["loss"] * (1 + seed / 1e4)}) for row in rows)
        (place / "runs" / f"seed{seed}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("run.jsonl", "train.jsonl"):
        (place / name).write_text(log, encoding="utf-8")
    assert (
        command_line(["baseline", *map(str, sorted((place / "runs").iterdir())), "-o", str(place / "baseline.json")])
        == 0
    )
    return place


def test_there_are_commands_on_the_pages():
    assert len(OF_GRADLENS) > 40
    assert {c.page for c in EVERY} >= {"README.md", "docs/start.md", "docs/ci.md", "docs/clipping/norms.md"}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(c, id=ids(c), marks=pytest.mark.slow if c.line.startswith("gradlens fleet show") else ())
        for c in OF_GRADLENS
    ],
)
def test_a_command_of_gradlens(command, workplace, monkeypatch, capsys):
    test = elsewhere(command.line)
    if test:
        assert (ROOT / test.partition("::")[0]).is_file()
        return
    words = shlex.split(command.line)[1:]
    if is_a_form(command.line):
        # The words before the first placeholder are a command that there is, and its options are those of its help.
        assert not words or words[0] in {*COMMANDS, "--help"}, words
        assert command_line([words[0], "--help"] if words else ["--help"]) == 0
        told = capsys.readouterr().out
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in told, word
        return
    monkeypatch.chdir(workplace)
    if words[:2] == ["fleet", "show"]:
        pytest.importorskip("pyarrow")
        assert command_line(["fleet", "runs", "-o", "fleet.parquet", "--jobs", "1"]) == 0
    # A gate may fail and --fail-on finds something: both are answers.
    allowed = {0, 1} if {"--fail-on", "gate"} & set(words) else {0}
    assert command_line(words) in allowed, capsys.readouterr().err
    assert not capsys.readouterr().err.startswith("gradlens: error")


@pytest.mark.parametrize("command", [c for c in EVERY if c.line.startswith("make ")], ids=ids)
def test_a_target_of_make(command, tmp_path):
    """What it would run; the demonstration and the site are run, as the rest takes minutes and runs these tests."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    (target,) = command.line.split()[1:2]
    bin_folder = Path(sys.executable).parent
    (tmp_path / "bin").symlink_to(bin_folder)
    for stamp in (".installed", ".fast", ".dev", ".docs"):
        (tmp_path / stamp).touch()
    runs = target == "demo" and (bin_folder / "gradlens").exists()
    words = ["make", *([] if runs else ["-n"]), target, f"VENV={tmp_path}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Bad batches" in done.stdout if runs else done.stdout


def benchmarks_named():
    """Commands of this repository that the pages name for their figures, with their options."""
    for page, line in EVERY:
        words = line.split()
        if words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
            yield page, words[2], words[3:]
        elif words[0] == "python" and words[1].startswith("benchmarks/"):
            yield page, words[1].removesuffix(".py").replace("/", "."), words[2:]


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted({module for _, module, _ in benchmarks_named()}))
def test_a_command_behind_a_figure_is_there_and_has_its_options(module, monkeypatch, capsys):
    """Its command line; `test_figures_are_made.py` runs most of them, on less."""
    assert module in docs.commands_here()
    path = ROOT / f"{module.replace('.', '/')}.py"
    source = path if path.is_file() else path.with_suffix("") / "__main__.py"
    if "argparse" not in source.read_text(encoding="utf-8"):
        # It takes no options, and would begin its work.
        assert not [options for _, named, options in benchmarks_named() if named == module and options]
        return
    try:
        loaded = importlib.import_module(module if path.is_file() else f"{module}.__main__")
    except ModuleNotFoundError as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        loaded.main()
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for _, named, options in benchmarks_named():
        for option in options if named == module else ():
            if not re.fullmatch(r"[\d./]+|(docs|build)/.*", option) and option.islower():
                assert option in told, option


def test_every_command_is_run_or_named_with_the_test_that_runs_it():
    for command in EVERY:
        known = (
            command.line.startswith(("gradlens", "make ", "python -m benchmarks", "python benchmarks/"))
            or elsewhere(command.line)
            or NOT_HERE.fullmatch(command.line)
        )
        assert known, command
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8")


def python_blocks():
    for path in PAGES:
        for place, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)):
            if "import gradlens\n" in block and "Recorder" not in block and "# hf.py" not in block:
                yield pytest.param(block, id=f"{path.name}-{place}")


@pytest.mark.parametrize("block", list(python_blocks()))
def test_a_program_of_a_page(block, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    exec(compile(block, "page", "exec"), {})


@pytest.mark.slow
def test_the_generated_blocks_and_pages_are_what_the_program_says(monkeypatch):
    """`make lint` checks it too."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COLUMNS", raising=False)
    stale = [str(p) for p, text in docs.pages().items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    assert stale == [], "`make docs` writes them again"
