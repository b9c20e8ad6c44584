"""Trainer states and lists of records read value by value: the same as by `json.loads` of the whole."""

from __future__ import annotations

import json
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from gradlens.errors import GradlensError
from gradlens.readers import hf, json_document
from gradlens.readers.base import ReadOptions
from gradlens.readers.json_stream import JsonStream
from gradlens.sources.files import Source

numbers = st.sampled_from(
    ["1", "2.5", "-0.0", "1e-5", "1E+400", "NaN", "Infinity", "-Infinity", "123456789012", "1" + "0" * 320]
)
others = st.sampled_from(
    ['"0.5"', '"nan"', '"a}, {b"', "true", "null", "[1, 2]", '{"x": 1}', '[{"a": 1}, {"b": 2}]', '"log_history"', "01", "nul", "🚀"]
)  # fmt: skip
keys = st.sampled_from(["loss", "grad_norm", "step", "epoch", "eval_loss", "train_runtime", "train_loss", "naïve"])
spaces = st.sampled_from(["", "", " ", "\n", "\r\n\t  "])


@st.composite
def objects(draw, odd=10):
    """The text of an object, with what is not a number, or no JSON, in one of `odd` values."""
    values = [
        draw(others) if draw(st.integers(1, odd)) == odd else draw(numbers) for _ in range(draw(st.integers(0, 4)))
    ]
    fields = (f'"{draw(keys)}"{draw(spaces)}:{draw(spaces)}{value}' for value in values)
    return "{" + draw(spaces) + f",{draw(spaces)}".join(fields) + draw(spaces) + "}"


@st.composite
def lists(draw):
    records = st.one_of(*[objects(odd=draw(st.sampled_from([10, 1000])))] * 9, others)
    return "[" + f"{draw(spaces)},{draw(spaces)}".join(draw(st.lists(records, max_size=8))) + draw(spaces) + "]"


@st.composite
def states(draw):
    members = [f'"log_history": {draw(lists())}', f'"global_step":{draw(spaces)}{draw(numbers)}']
    members += draw(
        st.lists(
            st.builds('"{}": {}'.format, st.sampled_from(["max_steps", "best"]), st.one_of(numbers, others)), max_size=2
        )
    )
    if draw(st.integers(0, 9)) == 0:
        members.append(f'"log_history": {draw(lists())}')
    return (
        "{"
        + f"{draw(spaces)},{draw(spaces)}".join(draw(st.permutations(members)))
        + "}"
        + draw(st.sampled_from(["", "", "\n", "{}"]))
    )


@st.composite
def cut(draw, texts):
    """Whole for the most part; some are cut off, or lose a few characters."""
    text = draw(texts)
    if draw(st.integers(0, 2)):
        return text
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(["", "", text[at + 1 :]]))


def shown(read):
    try:
        runs = read()
    except GradlensError as error:
        return str(error)
    return [
        (r.n_rows, [(c.name, c.value.tobytes(), repr(c.row)) for c in r.columns], repr(r.config), r.notices)
        for r in runs
    ]


@settings(max_examples=500, deadline=None)
@given(cut(states()), st.integers(1, 200))
def test_states(text, piece):
    source = Source(name="trainer_state.json", data=text.encode())
    whole = shown(lambda: [hf._run(hf._load_whole(source, is_alone=True), "", 0)])
    with mock.patch("gradlens.sources.files._PIECE", piece):
        assert shown(lambda: hf.TrainerStateReader().read([source], ReadOptions())) == whole


@settings(max_examples=300, deadline=None)
@given(cut(lists()), st.integers(1, 200))
def test_lists_of_records(text, piece):
    def read():
        return json_document.JsonDocumentReader().read([Source(name="log.json", data=text.encode())], ReadOptions())

    with mock.patch.object(json_document, "_list_of_records", return_value=json_document.TableBuilder()):
        whole = shown(read)
    with mock.patch("gradlens.sources.files._PIECE", piece):
        assert shown(read) == whole


@given(st.lists(st.one_of(numbers, st.sampled_from(['"a b"', "[1, 2]", "true"])), min_size=1), st.integers(1, 9))
def test_values(tokens, size):
    text = f"[{' , '.join(tokens)}]".encode()
    stream = JsonStream(text[at : at + size] for at in range(0, len(text), size))
    found = []
    for _ in tokens:
        stream.take("," if found else "[")
        found.append(stream.value())
    assert repr(found) == repr(json.loads(text))
    assert stream.peek() == "]"


def test_a_state_of_many_records_is_not_read_whole():
    history = [{"loss": 2.5, "step": n} for n in range(1000)]
    source = Source(name="trainer_state.json", data=json.dumps({"log_history": history, "global_step": 1000}).encode())
    with mock.patch.object(hf, "_load_whole", None), mock.patch("gradlens.sources.files._PIECE", 1000):
        (run,) = hf.TrainerStateReader().read([source], ReadOptions())
    assert run.n_rows == 1000
    assert run.config == {"global_step": 1000}
