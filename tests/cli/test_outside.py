"""What surrounds a command: encodings, a full disk, a closed pipe. None of them is a bug in gradlens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def gradlens(*arguments, encoding="utf-8", **options):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "gradlens", *map(str, arguments)]
    return subprocess.run(command, env=environment, check=False, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("output_format", ["text", "markdown", "html", "json", "junit", "github"])
def test_every_format_in_a_narrow_encoding(samples, encoding, output_format):
    done = gradlens(
        "analyze", samples / "bad_data.jsonl", "--format", output_format, encoding=encoding, stdout=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding if output_format == "text" else "utf-8")


def test_pages_and_names_in_a_narrow_encoding(samples, tmp_path):
    log = tmp_path / "\u635f\u5931.jsonl"
    log.write_bytes((samples / "healthy.jsonl").read_bytes())
    for arguments in (("explain", "adam"), ("explain",), ("suggest-threshold", log), ("gate", log, "--max-loss", "9")):
        done = gradlens(*arguments, encoding="ascii", stdout=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, b""), arguments
        assert done.stdout.isascii()


def test_a_saved_document_is_utf8_whatever_the_terminal(samples, tmp_path):
    page = tmp_path / "page.md"
    gradlens("analyze", samples / "bad_data.jsonl", "--save", page, encoding="ascii", stdout=subprocess.DEVNULL)
    printed = gradlens(
        "analyze", samples / "bad_data.jsonl", "--format", "markdown", encoding="ascii", stdout=subprocess.PIPE
    )
    assert page.read_bytes() == printed.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", ["analyze", "suggest-threshold"])
def test_a_full_disk_is_said_and_is_no_bug(samples, command):
    with Path("/dev/full").open("wb") as full:
        done = gradlens(command, samples / "bad_data.jsonl", stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"gradlens: error: standard output: No space left on device\n"


def test_a_closed_pipe_is_fine(samples):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = gradlens("analyze", samples / "bad_data.jsonl", stdout=closed)
    assert (done.returncode, done.stderr) == (0, b"")
