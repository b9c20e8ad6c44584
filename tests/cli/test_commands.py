"""The small commands: explain, formats, convert, watch, settings, outputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gradlens
from gradlens import reporters
from gradlens.cli.app import run as command_line
from gradlens.cli.commands import COMMANDS, load
from gradlens.cli.settings import find_settings
from gradlens.errors import ConfigError
from gradlens.explain import METHODS
from gradlens.export import SUFFIXES
from gradlens.registry import Entry
from gradlens.reporters import suffixes


def out_of(capsys, *arguments, code=0) -> str:
    assert command_line([str(a) for a in arguments]) == code
    return capsys.readouterr().out


def test_explain_lists_every_check_and_method(capsys):
    text = out_of(capsys, "explain")
    assert "GL103" in text
    for name in METHODS:
        assert name in text


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_page(capsys, name):
    assert len(out_of(capsys, "explain", name)) > 300


def figures(document, path=()):
    """The paths of all numbers in a JSON document, without the places in lists."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from figures(value, (*path, key))
    elif isinstance(document, list):
        for value in document:
            yield from figures(value, path)
    elif isinstance(document, float | int) and not isinstance(document, bool):
        yield ".".join(path)


@pytest.mark.parametrize("command", ["analyze", "suggest-threshold"])
def test_every_number_of_a_document_leads_to_its_method(capsys, samples, command):
    found = set()
    for name in ("healthy.jsonl", "fp16_overflow.jsonl", "lr_too_high.jsonl"):
        (run,) = json.loads(out_of(capsys, command, samples / name, "--format", "json"))["runs"]
        found |= set(figures(run))
    found = {path for path in found if not path.startswith("config.")}  # what the log says of itself
    assert len(found) > (60 if command == "analyze" else 15)
    for path in sorted(found):
        assert len(out_of(capsys, "explain", path)) > 300


def test_every_label_of_the_text_leads_to_its_method(capsys, samples):
    from gradlens.reporters.report_words import number_rows

    for name in ("healthy.jsonl", "fp16_overflow.jsonl", "postclip.jsonl"):
        (run,) = gradlens.analyze(gradlens.read(samples / name)).runs
        for label, _ in number_rows(run):
            assert len(out_of(capsys, "explain", label)) > 300


@pytest.mark.parametrize(
    ("figure", "method"),
    [("tail.xi", "pareto-tail"), ("runs.0.clipping.n_effective", "effective-n"), ("coincidence", "coincidence"),
     ("spikes.coincidence.same_step.p_adjusted", "holm"), ("by phase", "warm-up"), ("suggestion", "suggestion")],
)  # fmt: skip
def test_a_figure_leads_to_its_method(capsys, figure, method):
    assert out_of(capsys, "explain", figure) == out_of(capsys, "explain", method)


def test_explain_takes_code_and_name_alike(capsys):
    assert out_of(capsys, "explain", "GL103") == out_of(capsys, "explain", "high-clip-rate")


def test_explain_suggests_near_names(capsys):
    assert command_line(["explain", "high-clip-rat"]) == 2
    assert "high-clip-rate" in capsys.readouterr().err


def test_formats_names_every_format_and_its_extra(capsys):
    text = out_of(capsys, "formats")
    assert "jsonl" in text
    assert "tensorboard" in text


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_convert_keeps_every_value(capsys, samples, tmp_path, suffix):
    target = tmp_path / f"run{suffix}"
    out_of(capsys, "convert", samples / "fp16_overflow.jsonl", "-o", target)
    (before,), (after,) = gradlens.read(samples / "fp16_overflow.jsonl"), gradlens.read(target)
    assert set(before.series) == set(after.series)
    for name, series in before.series.items():
        np.testing.assert_array_equal(series.step, after.series[name].step)
        np.testing.assert_array_equal(series.value, after.series[name].value)


def test_convert_refuses_other_suffixes(capsys, samples, tmp_path):
    assert command_line(["convert", str(samples / "healthy.jsonl"), "-o", str(tmp_path / "run.xlsx")]) == 2
    assert ".parquet" in capsys.readouterr().err


def test_convert_never_writes_over_what_it_reads(capsys, samples, tmp_path, monkeypatch):
    log = tmp_path / "logs" / "t.jsonl"
    log.parent.mkdir()
    log.write_bytes(before := (samples / "healthy.jsonl").read_bytes())
    (tmp_path / "link.jsonl").symlink_to(log)
    monkeypatch.chdir(tmp_path)
    for source, target in (("logs/t.jsonl", log), (log, "link.jsonl"), ("logs", "logs/t.jsonl"), ("logs/*", log)):
        assert command_line(["convert", str(source), "-o", str(target)]) == 2
        assert "would overwrite the input " in capsys.readouterr().err
        assert log.read_bytes() == before
    out_of(capsys, "convert", "logs", "-o", "logs/new.csv")


@pytest.mark.parametrize(
    "command", [("analyze",), ("compare", "b.json"), ("gate", "--max-nonfinite", "0"), ("baseline",)]
)
def test_no_output_goes_where_a_log_is_read_from(capsys, samples, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b.json"):
        Path(name).write_bytes((samples / "healthy.jsonl").read_bytes())
    before = Path("a.json").read_bytes()
    option = "-o" if command[0] == "baseline" else "--save"
    assert command_line([command[0], "a.json", *command[1:], option, "a.json"]) == 2
    assert f"{option} a.json would overwrite the input a.json" in capsys.readouterr().err
    assert Path("a.json").read_bytes() == before


def test_watch_tells_news_once_and_waits_for_a_log_that_is_not_there_yet(capsys, samples, tmp_path):
    text = out_of(capsys, "watch", samples / "bad_data.jsonl", "--threshold", "1", "--polls", "2", "--interval", "0.01")
    assert text.count("step 1,199") == 1
    assert "new: " in text
    (tmp_path / "run.jsonl").write_text("")
    assert command_line(["watch", str(tmp_path / "run.jsonl"), "--polls", "1"]) == 2
    assert "waiting" in capsys.readouterr().err


@pytest.mark.parametrize("polls", [1, 2])
def test_watch_could_not_judge_what_was_never_there(capsys, polls):
    arguments = ["watch", "missing.jsonl", "--polls", str(polls), "--interval", "0.01"]
    assert command_line(arguments) == 2
    assert f"nothing to read in {polls} poll" in capsys.readouterr().err


@pytest.fixture
def crashed(write_jsonl):
    """A run whose loss and norm are NaN from step 300 on, and that writes no more."""
    good = [{"step": i, "loss": 2 / (1 + i / 50), "grad_norm": 0.5 + 0.1 * np.sin(7.3 * i)} for i in range(300)]
    return write_jsonl([*good, *({"step": 300 + i, "loss": np.nan, "grad_norm": np.nan} for i in range(200))])


@pytest.mark.parametrize(("patience", "polls", "code"), [(1, 1, 1), (3, 6, 1), (3, 3, 1), (3, 2, 0)])
def test_watch_fails_on_a_run_that_stopped_writing(capsys, crashed, patience, polls, code):
    arguments = ["--fail-on", "error", "--patience", patience, "--polls", polls, "--interval", "0.01"]
    text = out_of(capsys, "watch", crashed, *arguments, code=code)
    assert text.count("step 499") == 1


def test_watch_counts_a_row_without_loss_and_norm_once(capsys, crashed):
    line = json.loads(out_of(capsys, "watch", crashed, "--polls", "1", "--format", "json"))
    assert line["nonfinite"] == 200


def test_watch_fails_once_findings_last(capsys, samples):
    arguments = ["watch", samples / "clip_too_tight.jsonl", "--threshold", "0.05", "--fail-on", "warning"]
    out_of(capsys, *arguments, "--patience", "1", "--format", "json", code=1)


def test_watch_prints_json_lines(capsys, samples):
    text = out_of(capsys, "watch", samples / "healthy.jsonl", "--polls", "1", "--format", "json")
    assert json.loads(text)["step"] == 999


def test_settings_of_a_project_are_defaults(tmp_path, monkeypatch, capsys, samples):
    (tmp_path / "gradlens.toml").write_text('threshold = 1.5\nfail-on = "note"\n')
    monkeypatch.chdir(tmp_path)
    run = json.loads(out_of(capsys, "analyze", samples / "healthy.jsonl", "--format", "json", "--fail-on", "never"))
    assert run["runs"][0]["clipping"]["threshold"] == 1.5
    assert run["runs"][0]["clipping"]["threshold_source"] == "option"
    text = out_of(capsys, "analyze", samples / "healthy.jsonl", "--fail-on", "never")
    assert "above C = 1.5 (given)" in text
    assert "--threshold" not in text


def test_settings_may_stand_in_pyproject(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.gradlens]\nloss = "my/loss"\n')
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert find_settings().get("loss") == "my/loss"


@pytest.mark.parametrize("text", ["thresold = 1\n", "select = 3\n", 'fail-on = "always"\n', "threshold = \n"])
def test_wrong_settings_are_named(tmp_path, text):
    (tmp_path / "gradlens.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"gradlens\.toml"):
        find_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"max_grad_norm": 1.5, "learning_rate": 4e-3, "betas": [0.9, 0.95]}'),
        ("config.yaml", "trainer:\n  gradient_clip_val: 1.5\noptimizer:\n  lr: 4.0e-3\n"),
        ("config.toml", "[training]\nmax_norm = 1.5\n"),
    ],
)
def test_config_gives_the_threshold(capsys, samples, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    run = json.loads(
        out_of(capsys, "analyze", samples / "healthy.jsonl", "--config", tmp_path / name, "--format", "json")
    )
    assert run["runs"][0]["clipping"]["threshold"] == 1.5
    assert run["runs"][0]["clipping"]["threshold_source"] == "config"


def test_a_configuration_without_a_known_setting_is_an_error(capsys, samples, tmp_path):
    (tmp_path / "config.json").write_text('{"colour": "blue"}')
    assert command_line(["analyze", str(samples / "healthy.jsonl"), "--config", str(tmp_path / "config.json")]) == 2
    assert "max_grad_norm" in capsys.readouterr().err


def test_every_command_is_in_the_readme_and_in_the_help(capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    told = out_of(capsys, "--help")
    for name, entry in COMMANDS.items():
        assert f"gradlens {name}" in readme, name
        assert f"  {name} " in told
        assert f"{entry.summary}\n" in told, "longer than a line of 80 columns"
        assert load(name).help


@pytest.mark.parametrize("command", ["analyze", "gate", "compare"])
def test_the_help_lists_the_formats_and_suffixes_that_there_are(capsys, command):
    assert command_line([command, "a.jsonl", "b.jsonl", "--format", "nothing"]) == 2
    offered = capsys.readouterr().err.splitlines()[1].removeprefix("  one of ")
    told = " ".join(out_of(capsys, command, "--help").split())
    assert f"One of {offered}. [default: text]" in told
    assert f"its suffix ({', '.join(suffixes())}) chooses the format" in told
    assert "{" not in told.replace("{SOURCE...}", "")


def test_the_help_lists_the_formats_of_plug_ins(capsys, monkeypatch):
    added = {
        **reporters.table(),
        "elsewhere": Entry(target="nowhere:It", title="of a plug-in", patterns=(".elsewhere",)),
    }
    monkeypatch.setattr(reporters, "table", lambda: added)
    told = " ".join(out_of(capsys, "analyze", "--help").split())
    assert "bencher, elsewhere. [default: text]" in told
    assert ".bencher.json, .elsewhere)" in told


def test_the_help_of_convert_lists_the_suffixes_that_there_are(capsys):
    told = " ".join(out_of(capsys, "convert", "--help").split())
    assert f"A {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file." in told


@pytest.mark.parametrize("output_format", ["junit", "sarif", "github", "metrics", "bencher"])
def test_a_format_that_cannot_show_it_is_refused_before_anything_is_read(capsys, output_format):
    assert command_line(["compare", "a.jsonl", "b.jsonl", "--format", output_format]) == 2
    assert "cannot show a comparison" in capsys.readouterr().err


def test_since_leaves_out_what_was_known_in_every_output_and_in_the_exit_code(capsys, samples, tmp_path):
    # The findings of this log point to steps 218 to 932.
    command = ["analyze", str(samples / "bad_data.jsonl"), "--threshold", "1", "--format", "brief"]
    command += ["--fail-on", "warning", "--save", str(tmp_path / "run.brief.json")]
    for step, code, left_out in ((932, 1, 0), (933, 0, 1)):
        assert command_line([*command, "--since", str(step)]) == code
        captured = capsys.readouterr()
        document = json.loads(captured.out)
        (run,) = document["runs"]
        assert document["since"] == step
        assert run["findings_before"] == left_out
        assert len(run["findings"]) == 1 - left_out
        assert (run["status"], run["cause"]["name"]) == ("problem", "bad_data")
        assert captured.err == ("gradlens: 1 finding before step 933 left out by --since\n" if left_out else "")
        assert (tmp_path / "run.brief.json").read_text() == captured.out
