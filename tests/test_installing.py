"""Installing from the checkout: pip, pipx and uv, each into an environment of its own, and what comes with the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def run(*command, **options):
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}} | options.pop(
        "env", {}
    )
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=environment, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name):
    """A program beside the Python of the tests or on the path; the test is skipped without it."""
    found = shutil.which(
        name,
        path=f"{Path(sys.executable).resolve().parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )
    if found is None:
        for folder in sys.path:
            program = Path(folder).parent.parent.parent / "bin" / name
            if program.is_file():
                return str(program)
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The checkout as a clone would have it: nothing that was built in it, nothing that git ignores."""
    target = tmp_path_factory.mktemp("checkout")
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, files):
        if (name.startswith("gradlens/") or "/" not in name) and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def shows_a_report(program, folder):
    assert re.fullmatch(r"gradlens \d+\.\d+\.\d+\n", run(program, "--version", cwd=folder))
    shown = run(program, "demo", cwd=folder, env={"NO_COLOR": "1"})
    assert "Bad batches" in shown
    assert "steps 412, 733, 951" in shown


@pytest.mark.slow
def test_with_pip(source, tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", source)
    shows_a_report(tmp_path / "venv" / "bin" / "gradlens", tmp_path)


@pytest.mark.slow
def test_with_uv_tool(source, tmp_path):
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    run(tool("uv"), "tool", "install", "--quiet", "--python", sys.executable, source, env=places)
    shows_a_report(tmp_path / "bin" / "gradlens", tmp_path)


@pytest.mark.slow
def test_with_pipx(source, tmp_path):
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run(tool("pipx"), "install", "--quiet", "--python", sys.executable, source, env=places)
    shows_a_report(tmp_path / "bin" / "gradlens", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    """Each shell's script, and what it asks the program for."""
    shown = run(sys.executable, "-m", "gradlens", "--show-completion", shell)
    assert "gradlens" in shown
    assert "_GRADLENS_COMPLETE" in shown
    asked = {"bash": {"COMP_WORDS": "gradlens wat", "COMP_CWORD": "1"}, "zsh": {"_TYPER_COMPLETE_ARGS": "gradlens wat"},
             "fish": {"_TYPER_COMPLETE_ARGS": "gradlens wat", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}}[shell]  # fmt: skip
    program = tool("gradlens")
    assert "watch" in run(program, env={"_GRADLENS_COMPLETE": f"complete_{shell}", **asked})


def hooks():
    return {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}


def hook_on(name, *arguments, cwd):
    entry = shlex.split(hooks()[name]["entry"])
    assert entry[0] == "gradlens"
    return subprocess.run(
        [sys.executable, "-m", *entry, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_hooks_for_pre_commit_are_whole():
    assert set(hooks()) == {"gradlens-analyze", "gradlens-gate"}
    for hook in hooks().values():
        assert hook["language"] == "python"
        assert hook["name"]
        assert hook["description"]
    files = re.compile(hooks()["gradlens-analyze"]["files"])
    assert all(files.search(name) for name in ("a/run.jsonl", "log.csv", "events.out.tfevents.17.host", "run-1.wandb"))
    assert not files.search("train.py")


@pytest.mark.slow
def test_the_hooks_do_what_they_say(tmp_path, samples):
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_bytes((samples / "healthy.jsonl").read_bytes())
    lines = (samples / "healthy.jsonl").read_text().splitlines()
    bad.write_text(
        "\n".join([*lines[:500], *(f'{{"step": {500 + i}, "loss": NaN, "grad_norm": NaN}}' for i in range(300))])
    )
    assert hook_on("gradlens-analyze", good, cwd=tmp_path).returncode == 0
    assert hook_on("gradlens-analyze", good, bad, cwd=tmp_path).returncode == 1
    assert hook_on("gradlens-gate", "--max-nonfinite", "0", bad, cwd=tmp_path).returncode == 1
    assert hook_on("gradlens-gate", "--max-nonfinite", "0", good, cwd=tmp_path).returncode == 0


def test_the_image_copies_all_that_building_needs():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    (copied,) = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY pyproject.toml")]
    assert {f"!{name}" for name in (*copied, "gradlens")} <= set(ignored)
    assert 'ENTRYPOINT ["gradlens"]' in DOCKERFILE
    assert re.search(r"^USER (?!root)", DOCKERFILE, re.MULTILINE)


@pytest.mark.slow
def test_the_steps_of_the_image_one_by_one(tmp_path, source):
    """What the Dockerfile copies and runs, without Docker: the same folders, the same commands with other places."""
    build, target = tmp_path / "source", tmp_path / "opt"
    build.mkdir()
    for line in DOCKERFILE.split("\nFROM")[1].splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY":
            *names, place = rest.split()
            for name in names:
                copy = shutil.copytree if (source / name).is_dir() else shutil.copy
                copy(source / name, build / (name if place == "./" else place))
        elif word == "RUN":
            # The extras are many megabytes, and each is installed by another test.
            command = rest.replace("/opt/gradlens", str(target)).replace('".[all]"', '"."')
            run("bash", "-ec", command.replace("python -m venv", f"{sys.executable} -m venv"), cwd=build)
    (tmp_path / "home").mkdir()
    run(
        target / "bin" / "gradlens",
        "--help",
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path / "home")},
    )
    shows_a_report(target / "bin" / "gradlens", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0,
    reason="no Docker daemon",
)
def test_the_image_itself(tmp_path):
    run("docker", "build", "--quiet", "--tag", "gradlens-test", ROOT)
    assert "Bad batches" in run("docker", "run", "--rm", "gradlens-test", "demo")
