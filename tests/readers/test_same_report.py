"""One run, in every format that can be written, packed, shuffled, split and resumed: the same report but for source and notices."""

from __future__ import annotations

import gzip
import json
import random

import pytest

import gradlens
from gradlens.readers import READERS
from tests.readers.writers import WRITERS

#: Sixty-fourths, so that formats of single precision and of six decimals hold them exactly.
GENERATOR = random.Random(7)
ROWS = [
    {
        "step": n,
        "loss": round(64 * (2 + 4 * 0.985**n + GENERATOR.gauss(0, 0.05))) / 64,
        "grad_norm": round(64 * (1 + GENERATOR.lognormvariate(-1, 0.4))) / 64,
        "lr": 2**-10,
    }
    for n in range(1, 301)
]
#: What may differ: where the run came from, what was noticed, and what the format says of settings and of its norm.
APART = frozenset({"id", "source", "format", "columns", "notices", "provenance", "config"})
#: What a resume may change: whether it did harm is a question of its own.
JUDGED = frozenset({"verdict", "diagnosis", "checks", "findings"})
#: Golden files number their values from 0.
FROM_ZERO = "megatron-golden"


def report_of(path):
    (document,) = gradlens.analyze(gradlens.read(path), threshold=1.5).to_dict()["runs"]
    return {key: value for key, value in document.items() if key not in APART}


def without(document, keys):
    return {key: value for key, value in document.items() if key not in keys}


def folder(where, name):
    (where / name).mkdir()
    return where / name


def plain(document):
    return json.loads(json.dumps(document))


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    return plain(report_of(WRITERS["jsonl"](ROWS, tmp_path_factory.mktemp("jsonl"))))


@pytest.mark.parametrize("name", sorted(READERS))
def test_in_every_format(name, wanted, tmp_path):
    got = plain(report_of(WRITERS[name](ROWS, folder(tmp_path, name))))
    if name == FROM_ZERO:
        rows = [row | {"step": row["step"] - 1} for row in ROWS]
        wanted = plain(report_of(WRITERS["jsonl"](rows, folder(tmp_path, "rows"))))
    # Its writer adds a record of validation: one more loss to tell of, and more that can be judged.
    apart = {"courses", "curves", *JUDGED} if name == "phased-jsonl" else set()
    assert without(got, apart) == without(wanted, apart)


def test_packed(wanted, tmp_path):
    path = WRITERS["jsonl"](ROWS, tmp_path)
    packed = tmp_path / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert plain(report_of(packed)) == wanted


@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_shuffled(name, wanted, tmp_path):
    rows = list(ROWS)
    random.Random(3).shuffle(rows)
    assert plain(report_of(WRITERS[name](rows, tmp_path))) == wanted


@pytest.mark.parametrize("name", ["jsonl", "csv", "console"])
def test_resumed(name, wanted, tmp_path):
    got = plain(report_of(WRITERS[name]([*ROWS[:200], *ROWS[180:]], tmp_path)))
    assert without(got, JUDGED) == without(wanted, JUDGED)
    # Rows that are merely logged twice change no verdict; that they are is a note.
    assert got["verdict"] == wanted["verdict"]
    assert got["diagnosis"]["cause"] == wanted["diagnosis"]["cause"]
    assert [f for f in got["findings"] if f["code"] != "GL007"] == wanted["findings"]


def test_split(wanted, tmp_path):
    WRITERS["tensorboard"](ROWS[:150], tmp_path)
    WRITERS["tensorboard"](ROWS[150:], tmp_path, start=1.8e9)
    assert plain(report_of(tmp_path)) == wanted
