"""Event files: the columnar decoder against TensorBoard's own protobuf classes and loader, and damage of every kind."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradlens
from gradlens.errors import MalformedLogError
from gradlens.readers.base import ReadOptions
from gradlens.readers.events import frames as event_frames
from gradlens.readers.events import tensorboard
from gradlens.readers.events.contents import Plugins
from gradlens.readers.events.crc32c import header_of, masked
from gradlens.readers.events.places import read_places
from gradlens.readers.events.tensorboard import TensorBoardReader
from gradlens.sources.files import Source

event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
summary_pb2 = pytest.importorskip("tensorboard.compat.proto.summary_pb2")
tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
Event, Summary = event_pb2.Event, summary_pb2.Summary


def frame(data: bytes) -> bytes:
    return header_of(len(data)) + data + struct.pack("<I", masked(data))


def encode(events) -> bytes:
    start = Event(wall_time=1.7e9, file_version="brain.Event:2")
    return b"".join(frame(e.SerializeToString()) for e in (start, *events))


def simple(tag, value):
    return Summary.Value(tag=tag, simple_value=value)


def tensor(tag, value, dtype):
    return Summary.Value(tag=tag, tensor=tensor_util.make_tensor_proto(np.array(value, dtype=dtype)))


def content(tag, value, dtype):
    result = tensor(tag, value, dtype)
    result.tensor.Clear()
    result.tensor.dtype = tensor_util.make_tensor_proto(np.array(value, dtype=dtype)).dtype
    result.tensor.tensor_content = np.array(value, dtype=dtype).tobytes()
    return result


def event(step, *values, wall=1.7e9):
    return Event(wall_time=wall, step=step, summary=Summary(value=values))


def read_bytes(data: bytes, name: str = "events.out.tfevents.1.host"):
    (raw,) = TensorBoardReader().read([Source(name=name, data=data)], ReadOptions())
    return raw


def points(raw):
    return {
        s.name: list(zip(s.step.tolist(), s.wall_time_s.tolist(), s.value.tolist(), strict=True)) for s in raw.series
    }


def expected(events):
    """What the generated protobuf classes say."""
    found = {}
    for e in events:
        for v in e.summary.value:
            number = (
                v.simple_value
                if v.HasField("simple_value")
                else float(tensor_util.make_ndarray(v.tensor).reshape(-1)[0])
            )
            found.setdefault(v.tag, []).append((e.step, e.wall_time, number))
    return found


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(np.array(a[k]), np.array(b[k]), equal_nan=True) for k in a)


VALUES = [
    simple,
    lambda tag, x: tensor(tag, x, "f4"),
    lambda tag, x: tensor(tag, x, "f8"),
    lambda tag, x: tensor(tag, x, "f2"),
    lambda tag, x: content(tag, x, "f4"),
    lambda tag, x: content(tag, x, "f8"),
    lambda tag, x: tensor(tag, int(x) if np.isfinite(x) else 0, "i8"),
    lambda tag, x: content(tag, int(x) % 100 if np.isfinite(x) else 0, "i4"),
]
numbers = st.floats(width=16, allow_nan=True, allow_infinity=True)
#: A recurring group of records: which tags, by which encoding, one event each or all in one.
groups = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, len(VALUES) - 1)), min_size=1, max_size=4),
        st.booleans(),
        st.integers(1, 60),
        st.sampled_from([0, 1, 120, 16_380, 2**31, -5]),
    ),
    min_size=1,
    max_size=5,
)


# Half-precision numbers are drawn with many that are left out, which is no fault of the test.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(groups, st.lists(numbers, min_size=3, max_size=9), st.sampled_from([256, 4096, 1 << 22]))
def test_same_as_protobuf(parts, values, window):
    events = []
    for members, together, repeats, first in parts:
        for index in range(repeats):
            made = [VALUES[kind](tag, values[(index + n) % len(values)]) for n, (tag, kind) in enumerate(members)]
            walls = 1.7e9 + index / 8
            events += [event(first + index, *made, wall=walls)] if together else [
                event(first + index, value, wall=walls + n) for n, value in enumerate(made)
            ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_frames, "WINDOW", window)
        # Tags that are at step 0 throughout are of no concern here.
        patch.setattr(tensorboard, "_numbered", lambda series, _book: series)
        raw = read_bytes(encode(events))
    assert same(points(raw), expected(events))
    assert not raw.notices


def regular(steps, tags=("loss", "grad_norm", "lr")):
    rng = random.Random(0)
    return [event(s, simple(tag, rng.random()), wall=1.7e9 + s) for s in range(steps) for tag in tags]


def test_any_flipped_byte_costs_one_record():
    events = regular(12)
    data = encode(events)
    whole = points(read_bytes(data))
    total = sum(map(len, whole.values()))
    for at in range(24 + 16, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        raw = read_bytes(bytes(damaged))
        found = points(raw)
        assert sum(map(len, found.values())) == total - 1, at
        assert all(set(found[tag]) <= set(whole[tag]) for tag in found)
        assert [n.code for n in raw.notices] in (["damaged-record"], ["truncated-record"]), at


@pytest.mark.parametrize("window", [512, 1 << 22])
def test_damage_inside_a_long_cycle(monkeypatch, window):
    monkeypatch.setattr(event_frames, "WINDOW", window)
    events = regular(3000)
    data = bytearray(encode(events))
    whole = points(read_bytes(bytes(data)))
    rng = random.Random(3)
    places = rng.sample(range(2000, len(data)), 25)
    for at in places:
        data[at] ^= 1 << rng.randrange(8)
    raw = read_bytes(bytes(data))
    found = points(raw)
    lost = sum(map(len, whole.values())) - sum(map(len, found.values()))
    assert 20 <= lost <= 25
    assert all(set(found[tag]) <= set(whole[tag]) for tag in found)
    assert all(np.all(np.diff(s.step) >= 0) for s in raw.series)
    (notice,) = raw.notices
    assert notice.code == "damaged-record"
    assert notice.count == lost


def test_every_truncation_is_noticed():
    events = regular(4)
    data = encode(events)
    ends = {len(encode(events[:n])): n for n in range(len(events) + 1)}
    for size in range(min(ends) + 1, len(data)):
        kept = max(n for end, n in ends.items() if end <= size)
        if kept == 0:
            with pytest.raises(MalformedLogError, match="without scalars"):
                read_bytes(data[:size])
            continue
        raw = read_bytes(data[:size])
        assert same(points(raw), expected(events[:kept]))
        assert [n.code for n in raw.notices] == ([] if size in ends else ["truncated-record"])


def test_a_hole_of_zeros_and_a_tail_of_zeros():
    head, tail = regular(40), [event(s, simple("loss", 1.0)) for s in range(100, 140)]
    data = encode(head) + bytes(70_000) + encode(tail)
    raw = read_bytes(data + bytes(5000))
    assert same(points(raw), expected(head + tail))
    assert {n.code: n.count for n in raw.notices} == {"damaged-record": 2}


def test_files_of_one_folder_in_the_order_of_their_names_times(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "events.out.tfevents.1700000900.host").write_bytes(encode([event(1, simple("loss", 2.0))]))
    (folder / "events.out.tfevents.999.host").write_bytes(encode([event(0, simple("loss", 1.0))]))
    other = tmp_path / "other"
    other.mkdir()
    (other / "events.out.tfevents.5.host").write_bytes(encode([event(7, tensor("loss", 3.0, "f4"))]))
    runs = gradlens.read(tmp_path)
    assert [r.id for r in runs] == ["other/events.out.tfevents.5.host", "run"]
    assert runs[1].loss.value.tolist() == [1.0, 2.0]
    assert runs[0].loss.value.tolist() == [3.0]
    assert any(n.code == "files-joined" and n.count == 2 for n in runs[1].notices)


def write(folder, steps, start, suffix, *, pace=1.0, tags=("loss", "grad_norm")):
    """A file as tensorboardX writes it; a step of None is none."""
    events = pytest.importorskip("tensorboardX").SummaryWriter(str(folder), filename_suffix=suffix)
    for place, step in enumerate(steps):
        for tag in tags:
            events.add_scalar(tag, 1.0 + place, step, walltime=start + pace * place)
    events.close()


def codes(run):
    return {n.code: n.count for n in run.notices}


class TestWriters:
    def test_two_at_the_same_time_are_two_runs(self, tmp_path):
        write(tmp_path, range(50), 1.7e9, ".a")
        write(tmp_path, range(40), 1.7e9 + 3, ".b", pace=1.2)
        first, second = gradlens.read(tmp_path)
        assert {first.id.rpartition(".")[2], second.id.rpartition(".")[2]} == {"a", "b"}
        assert first.id.startswith(f"{tmp_path.name}:")
        assert [len(run.loss) for run in (first, second)] == [50, 40]
        for run in (first, second):
            assert codes(run).keys() == {"several-writers"}
            assert codes(run)["several-writers"] == 2

    def test_both_resumed(self, tmp_path):
        for suffix, start in ((".a", 0), (".b", 5)):
            write(tmp_path, range(50), 1.7e9 + start, suffix)
            write(tmp_path, range(40, 90), 1.7e9 + 1000 + start, suffix + "2")
        for place, path in enumerate(sorted(tmp_path.iterdir(), key=lambda p: p.name.rpartition(".")[2])):
            path.rename(tmp_path / f"events.out.tfevents.{place % 2}.node{place // 2}.77.{place}")
        runs = gradlens.read(tmp_path)
        assert [run.id for run in runs] == [f"{tmp_path.name}:node{n}" for n in (0, 1)]
        for run in runs:
            assert run.loss.step.tolist() == [*range(50), *range(40, 90)]
            assert codes(run)["files-joined"] == 2

    def test_one_after_the_other_is_a_resume(self, tmp_path):
        write(tmp_path, range(50), 1.7e9, ".a")
        write(tmp_path, range(40, 90), 1.7e9 + 50, ".b")
        (run,) = gradlens.read(tmp_path)
        assert "several-writers" not in codes(run)

    def test_other_tags_belong_to_one_run(self, tmp_path):
        write(tmp_path, range(50), 1.7e9, ".a", tags=("loss", "epoch"))
        write(tmp_path, range(50), 1.7e9, ".b", tags=("grad_norm", "epoch"))
        (run,) = gradlens.read(tmp_path)
        assert (len(run.loss), len(run.grad_norm)) == (50, 50)


class TestWithoutSteps:
    def test_points_are_numbered_in_the_order_written(self, tmp_path):
        write(tmp_path, [None] * 30, 1.7e9, "")
        (run,) = gradlens.read(tmp_path)
        assert run.loss.step.tolist() == run.grad_norm.step.tolist() == list(range(30))
        assert codes(run) == {"no-step": 60}

    def test_a_value_that_each_start_writes_at_step_0_is_not(self, tmp_path):
        write(tmp_path, range(30), 1.7e9, "")
        write(tmp_path, [0, 0], 1.8e9, "b", tags=("hp_metric",))
        (run,) = gradlens.read(tmp_path)
        assert run.series["hp_metric"].step.tolist() == [0, 0]
        assert "no-step" not in codes(run)


def test_simple_and_tensor_values_of_one_tag():
    events = [event(s, simple("loss", s) if s % 2 else tensor("loss", s, "f8")) for s in range(300)]
    assert same(points(read_bytes(encode(events))), expected(events))


def test_many_tags_are_found_as_one_cycle():
    tags = [f"grad_norm/layer.{n}.weight" for n in range(300)]
    events = regular(40, ("loss", *tags))
    assert same(points(read_bytes(encode(events))), expected(events))


def test_only_wanted_columns_are_decoded():
    data = encode(regular(40, ("loss", "grad_norm", "gpu/temperature", "eval/bleu")))
    (raw,) = TensorBoardReader().read([Source(name="x", data=data)], ReadOptions(columns="needed"))
    assert {"loss", "grad_norm"} <= {s.name for s in raw.series}
    assert "gpu/temperature" not in {s.name for s in raw.series}


def test_histograms_of_both_kinds():
    old = Summary.Value(tag="grads")
    old.histo.min, old.histo.max, old.histo.num = -1.0, 3.0, 6
    old.histo.bucket_limit.extend([0.0, 2.0, 1e300])
    old.histo.bucket.extend([1.0, 2.0, 3.0])
    table = np.array([[-1.0, 0.0, 1.0], [0.0, 2.0, 2.0], [2.0, 3.0, 3.0]])
    new = tensor("weights", table, "f8")
    new.metadata.plugin_data.plugin_name = "histograms"
    later = tensor("weights", table, "f8")
    raw = read_bytes(encode([event(1, old), event(1, new), event(2, later), event(2, simple("loss", 1.0))]))
    by_name = {h.name: h for h in raw.histograms}
    assert by_name["weights"].step.tolist() == [1, 2]
    for histogram in by_name.values():
        assert histogram.limits[0].tolist() == [-1.0, 0.0, 2.0, 3.0]
        assert histogram.counts[0].tolist() == [1.0, 2.0, 3.0]


def test_settings_from_hparams_and_text():
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    session = hparams_pb({"lr": 0.1, "optimizer": "adam", "fused": True})
    text = tensor_util.make_tensor_proto([b'{"max_grad_norm": 0.5, "warmup_steps": 10}'])
    args = Summary.Value(tag="args/text_summary", tensor=text)
    args.metadata.plugin_data.plugin_name = "text"
    raw = read_bytes(
        encode([Event(summary=session), event(0, args), *(event(s, simple("loss", 1.0)) for s in range(3))])
    )
    assert raw.config == {"lr": 0.1, "optimizer": "adam", "fused": True, "max_grad_norm": 0.5, "warmup_steps": 10}


def test_text_only_file_says_so():
    text = tensor_util.make_tensor_proto([b"hello"])
    with pytest.raises(MalformedLogError, match="without scalars") as caught:
        read_bytes(encode([event(0, Summary.Value(tag="note", tensor=text))]))
    assert caught.value.hint


def test_places_of_a_single_event_agree_with_its_values():
    made = event(70_000, simple("loss", 0.25), content("x", 0.5, "f8"))
    data = made.SerializeToString()
    found = read_places(data, Plugins())
    assert found.is_plain
    assert [struct.unpack_from("<f", data, found.scalars[0].offset)[0], found.step] == [0.25, 70_000]
    assert struct.unpack_from("<d", data, found.scalars[1].offset)[0] == 0.5


@pytest.mark.corpus
def test_public_files_as_the_loader_of_tensorboard_reads_them(corpus):
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    checked = 0
    for path in sorted(corpus.glob("real/tfevents/*")) + sorted(corpus.glob("labelled_exports/*/tensorboard/*")):
        events = [e for e in LegacyEventFileLoader(str(path)).Load() if e.HasField("summary")]
        for e in events:
            kept = [v for v in e.summary.value if v.HasField("simple_value") or v.tensor.dtype == 1]
            del e.summary.value[:]
            e.summary.value.extend(kept)
        truth = expected(events)
        if truth:
            (raw,) = TensorBoardReader().read([Source(name=str(path), path=path)], ReadOptions())
            assert same(points(raw), truth), path.name
            checked += 1
    assert checked >= 10
