"""Mutants: each changes one thing, is put in place for everybody, and the tests that reach its line are found."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from benchmarks.mutants.__main__ import TARGETS, changed_lines, modules
from benchmarks.mutants.changing import live_functions, mutants, put_in_place
from benchmarks.mutants.running import is_of, reaching
from gradlens.stats import multiple

MODULE = Path("gradlens/stats/multiple.py")


def test_each_mutant_changes_the_module_in_one_place(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    whole = ast.unparse(ast.parse(MODULE.read_text(encoding="utf-8"))).splitlines()
    every = mutants(MODULE)
    assert len(every) > 5
    for mutant in every:
        changed = ast.unparse(mutant.tree()).splitlines()
        assert sum(a != b for a, b in zip(whole, changed, strict=True)) == 1


def test_a_mutant_is_put_in_place_for_all_who_imported_the_function(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    functions = live_functions()
    before = {f: f.__code__ for f in functions[multiple.__name__]}
    inside = 0
    try:
        for mutant in mutants(MODULE):
            if put_in_place(mutant, functions):
                assert any(f.__code__ is not code for f, code in before.items())
                inside += 1
            for function, code in before.items():
                function.__code__ = code
    finally:
        for function, code in before.items():
            function.__code__ = code
    assert inside > 5


def test_the_tests_of_a_mutant_are_those_that_run_its_line(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    mutant = mutants(MODULE)[-1]
    lines = {MODULE.as_posix(): {mutant.line: ["slow", "quick"], mutant.line + 1: ["other"]}}
    assert reaching(mutant, (lines, {"slow": 3.0, "quick": 0.1, "other": 0.1})) == ["quick", "slow"]
    assert reaching(mutant, ({}, {})) == reaching(mutant, ({}, {"slow": 3.0})) == []


def test_what_runs_when_a_module_without_functions_loads_is_any_tests(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    (mutant,) = [m for m in mutants(Path("gradlens/diagnosis/facts/base.py")) if m.at_load]
    assert not mutants(MODULE)[-1].at_load
    assert reaching(mutant, ({}, {"slow": 3.0, "quick": 0.1})) == ["quick", "slow"]


def test_tests_are_found_at_places_as_the_command_line_spells_them():
    test = "tests/stats/test_multiple.py::test_a[1]"
    assert all(is_of(test, ["tests/gating", place]) for place in ("tests/stats", "tests/", test[:28], test))
    assert not is_of(test, ["tests/stat", "tests/stats/test_multiple", "tests/stats/test_multiple.py::test_a"])


def test_what_survives_some_tests_is_tried_with_others(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some/__init__.py").touch()
    (tmp_path / "some/module.py").write_text(
        "def double(x):\n    return x * 2\n\n\ndef least(x):\n    return min(x, 3)\n"
    )
    header = "from some.module import double, least\n\n\n"
    (tmp_path / "test_one.py").write_text(f"{header}def test_one():\n    assert double(0) == 0\n")
    (tmp_path / "test_two.py").write_text(
        f"{header}def test_two():\n    assert double(3) == 6\n    assert least(1) == 1\n"
    )
    given = ["some/module.py", "--sample", "9", "--tests", "test_one.py"]

    def told(*more):
        root = str(Path(__file__).parent.parent.parent)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.mutants", *given, *more], cwd=tmp_path, env={"PYTHONPATH": root},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.splitlines(), done.returncode

    lines, code = told()
    assert lines[-1].startswith("0 of 3 mutants killed (0.0%); as a sample of 3")
    assert code == 1
    lines, code = told("--then", "test_one.py", "test_two.py")
    assert lines[0] == "some/module.py:6: 3 -> 7: survived (2 tests)"
    assert lines[-1].startswith(
        "2 of 3 mutants killed (66.7%), 2 of them only by the tests of --then; as a sample of 3"
    )

    (tmp_path / "test_one.py").write_text(f"{header}def test_one():\n    assert double(1) == 0\n")
    assert told() == ([], 4)  # a test that fails anyhow kills nothing


def test_a_package_is_changed_as_well(tmp_path):
    (tmp_path / "some").mkdir()
    text = "from some import other\n\nLIMIT = 3\n\n\ndef least(x):\n    return min(x, LIMIT) + other.ONE\n"
    (tmp_path / "some/__init__.py").write_text(f"{text}# {'what is shorter holds nothing ' * 20}\n")
    (tmp_path / "some/other.py").write_text("ONE = 1\n")
    (tmp_path / "test_one.py").write_text("import some\n\n\ndef test_one():\n    assert some.least(5) == 4\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.mutants", "some/__init__.py", "--sample", "9", "--tests", "test_one.py"], cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent.parent.parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith("2 of 2 mutants killed")


def test_the_targets_are_there(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    found = modules(list(TARGETS))
    assert Path("gradlens/gating/judge.py") in found
    assert len(found) > 40


def test_changed_lines_are_those_since_a_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=n@example.org", *arguments], check=True, capture_output=True
        )

    git("init", "-q")
    Path("a.py").write_text("".join(f"x{i} = {i}\n" for i in range(9)))
    Path("b.py").write_text("y = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    lines = Path("a.py").read_text().splitlines(keepends=True)
    lines[2], lines[5:5] = "x2 = 7\n", ["new = 1\n", "newer = 2\n"]
    Path("a.py").write_text("".join(lines))
    assert {path.as_posix(): found for path, found in changed_lines("HEAD").items()} == {"a.py": {3, 6, 7}}
    git("commit", "-qam", "second")
    assert changed_lines("HEAD") == {}
    assert list(changed_lines("HEAD~1")) == [Path("a.py")]
