"""What every reader promises, run on each format of the table: a new one is tested as soon as it is registered."""

from __future__ import annotations

import gzip
import random
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradlens
from gradlens.readers import READERS
from gradlens.readers.detect import load
from gradlens.sources.files import Source
from tests.readers.writers import NO_EXTRAS, WRITERS

ROLES = ("loss", "grad_norm", "lr")
ROWS = [{"step": n, "loss": 4.0 - n / 8, "grad_norm": 1.0 + n / 16, "lr": 0.001 * n} for n in range(1, 25)]
FORMATS = sorted(READERS)
WRITTEN = [name for name in FORMATS if name in WRITERS]
#: Formats whose steps the writer fixes, so that they can neither repeat nor start elsewhere.
EVERY_STEP = {"megatron-golden"}


def written(name, rows, folder):
    folder.mkdir(parents=True, exist_ok=True)
    return WRITERS[name](rows, folder)


def a_log(name, folder):
    """A small log of a format, from its writer or, where there is none, the example of its reader."""
    if name in WRITERS:
        return written(name, ROWS[:12], folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "example"
    path.write_bytes(load(name).example)
    return path


def files_of(path):
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def values_of(run, role):
    series = getattr(run, role)
    return [] if series is None else list(zip(series.step.tolist(), series.value.tolist(), strict=True))


def same(got, want):
    assert len(got) == len(want)
    for (step, value), (other_step, other_value) in zip(got, want, strict=True):
        assert step == other_step
        np.testing.assert_allclose(value, other_value, rtol=1e-6)


def points(rows, role):
    return [(int(row["step"]), row[role]) for row in rows if role in row]


def runs_or_error(path, **options):
    """The runs, or none where an error of ours says in one line why not."""
    message, runs = "fine", []
    try:
        runs = gradlens.read(path, **options)
    except gradlens.GradlensError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return runs


@pytest.mark.parametrize("name", FORMATS)
def test_the_table_says_what_each_format_is(name):
    entry, reader = READERS[name], load(name)
    assert reader.name == name
    assert type(reader).__doc__
    assert entry.title
    assert name in WRITERS or reader.example, (
        f"{name}: give the reader an `example`, or tests/readers/writers.py a writer"
    )


@pytest.mark.parametrize("name", FORMATS)
class TestAnyLog:
    """What can be tried on any log of the format: what its writer writes, or the example that its reader has."""

    def test_a_log_is_read_as_what_it_is(self, name, tmp_path):
        for run in gradlens.read(a_log(name, tmp_path)):
            assert run.format == name
            assert run.loss is not None or run.grad_norm is not None
            for series in run.series.values():
                assert series.step.dtype == np.int64
                assert series.value.dtype == np.float64
                assert not series.value.flags.writeable

    def test_needed_columns_give_the_same_roles(self, name, tmp_path):
        path = a_log(name, tmp_path)
        (full,), (needed,) = gradlens.read(path), gradlens.read(path, columns="needed")
        assert needed.columns == full.columns
        for role in ROLES:
            same(values_of(needed, role), values_of(full, role))

    def test_named_format_and_gzip(self, name, tmp_path):
        path = a_log(name, tmp_path)
        if path.is_dir():
            assert len(gradlens.read(path, input_format=name)) == 1
            return
        packed = tmp_path / (path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        (run,) = gradlens.read(packed)
        assert run.format == name
        same(values_of(run, "loss"), values_of(gradlens.read(path, input_format=name)[0], "loss"))

    @pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 64, b"\xff\xfe", b"{", b"[]", b"{}", b"step,loss\n"])
    def test_nothing_to_read_is_a_one_line_error(self, name, content, tmp_path):
        path = tmp_path / "log"
        path.write_bytes(content)
        with pytest.raises(gradlens.GradlensError) as caught:
            gradlens.read(path, input_format=name)
        assert "\n" not in str(caught.value)
        assert str(caught.value)

    def test_mutated_bytes_raise_nothing_but_our_errors(self, name, tmp_path):
        path = a_log(name, tmp_path / "clean")
        noise = random.Random(name)
        for trial in range(12):
            copy = tmp_path / f"{trial}"
            if path.is_dir():
                shutil.copytree(path, copy)
            else:
                copy.mkdir()
                shutil.copy(path, copy)
            for file in files_of(copy):
                data = bytearray(file.read_bytes())
                for _ in range(noise.randint(1, 12)):
                    _mutate(data, noise)
                file.write_bytes(bytes(data))
            target = copy if path.is_dir() else next(copy.iterdir())
            for chosen in (None, name):
                runs_or_error(target, input_format=chosen)

    def test_sniff_of_other_formats_is_modest(self, name, tmp_path):
        sources = [Source(name=str(path), path=path) for path in files_of(a_log(name, tmp_path))]
        source = max(sources, key=load(name).sniff)
        own = load(name).sniff(source)
        assert own > 0
        for other in FORMATS:
            if other != name:
                assert load(other).sniff(source) <= max(own, 0.5), other

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.83, 0.97, 0.999])
    def test_a_cut_file_raises_nothing_but_our_errors(self, name, share, tmp_path):
        path = a_log(name, tmp_path)
        for file in files_of(path):
            data = file.read_bytes()
            file.write_bytes(data[: int(share * len(data))])
        runs_or_error(path)
        runs_or_error(path, input_format=name)


@pytest.mark.parametrize("name", WRITTEN)
class TestWritten:
    """What a writer makes possible: that all that was written is read."""

    def test_reads_what_was_written(self, name, tmp_path):
        path = written(name, ROWS, tmp_path)
        (run,) = gradlens.read(path)
        assert run.format == name
        for role in ROLES:
            want = [(n - 1, v) for n, v in points(ROWS, role)] if name in EVERY_STEP else points(ROWS, role)
            same(values_of(run, role), want)
        for series in run.series.values():
            assert series.step.dtype == np.int64
            assert series.value.dtype == np.float64
            assert not series.value.flags.writeable

    def test_nan_and_infinity_are_kept(self, name, tmp_path):
        rows = [dict(row) for row in ROWS]
        rows[3]["grad_norm"], rows[4]["grad_norm"], rows[5]["loss"] = float("nan"), float("inf"), float("-inf")
        (run,) = gradlens.read(written(name, rows, tmp_path))
        norm, loss = run.grad_norm.value, run.loss.value
        assert np.isposinf(norm).sum() == 1
        assert np.isneginf(loss).sum() == 1
        assert np.isnan(norm).sum() == 1

    def test_steps_repeated_after_a_resume_are_kept_and_noticed(self, name, tmp_path):
        if name in EVERY_STEP:
            pytest.skip("its steps are given by an interval")
        rows = [*ROWS[:16], *ROWS[10:]]
        (run,) = gradlens.read(written(name, rows, tmp_path))
        same(values_of(run, "loss"), points(rows, "loss"))
        notices = {n.code: n.count for n in run.notices}
        assert notices["steps-go-backwards"] == 1
        assert notices["overlapping-steps"] == 6

    def test_cells_that_were_not_logged_are_no_points(self, name, tmp_path):
        if name == "megatron-golden":
            pytest.skip("it writes the text 'nan', which is tested apart")
        rows = [dict(row) for row in ROWS]
        if name != "text-columns":
            del rows[7]["grad_norm"]
        (run,) = gradlens.read(written(name, rows, tmp_path))
        same(values_of(run, "grad_norm"), points(rows, "grad_norm"))

    def test_unknown_columns_are_kept_by_name(self, name, tmp_path):
        if name in NO_EXTRAS:
            pytest.skip("its writer prints known fields only")
        rows = [{**row, "moon/phase": float(row["step"])} for row in ROWS]
        (run,) = gradlens.read(written(name, rows, tmp_path))
        found = [s for n, s in run.series.items() if "moon" in n]
        assert len(found) == 1
        assert len(found[0]) == len(rows)

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.83, 0.97, 0.999])
    def test_a_cut_file_gives_its_whole_records_or_an_error(self, name, share, tmp_path):
        path = written(name, ROWS, tmp_path)
        for file in files_of(path):
            data = file.read_bytes()
            file.write_bytes(data[: int(share * len(data))])
        for run in runs_or_error(path):
            for role in ("loss", "grad_norm"):
                got = values_of(run, role)
                # Every point but the last must be one that was written: a cut number may be read as a shorter one.
                want = points(ROWS, role)
                same(got[:-1], [(s - (name in EVERY_STEP), v) for s, v in want[: max(len(got) - 1, 0)]])


def _mutate(data, noise):
    if not data:
        return
    at = noise.randrange(len(data))
    kind = noise.randrange(6)
    if kind == 0:
        data[at] = noise.randrange(256)
    elif kind == 1:
        del data[at : at + noise.randint(1, 40)]
    elif kind == 2:
        data[at:at] = bytes(noise.randrange(256) for _ in range(noise.randint(1, 20)))
    elif kind == 3:
        data[at:at] = data[: noise.randint(1, 60)]
    elif kind == 4:
        data[at:at] = noise.choice(
            [b"NaN", b"1e999", b"-1", b"[" * 50, b'{"a":' * 30, b"\xff" * 9, b"9" * 400, b"\r", b"\n", b"\0"]
        )
    else:
        data[at : at + 8] = (2**63 - noise.randint(0, 2)).to_bytes(8, "little")


finite = st.floats(min_value=-1e30, max_value=1e30, allow_nan=False)


@pytest.mark.parametrize("name", [n for n in WRITTEN if n not in EVERY_STEP])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_round_trip(name, data, tmp_path_factory):
    steps = sorted(data.draw(st.sets(st.integers(0, 10**6), min_size=2, max_size=12)))
    rows = [{"step": s, "loss": data.draw(finite), "grad_norm": abs(data.draw(finite)) + 0.5} for s in steps]
    (run,) = gradlens.read(written(name, rows, tmp_path_factory.mktemp("round")))
    tolerance = 1e-6
    for role in ("loss", "grad_norm"):
        got = values_of(run, role)
        assert [s for s, _ in got] == steps
        want = np.array([row[role] for row in rows])
        np.testing.assert_allclose([v for _, v in got], want, rtol=tolerance, atol=1e-37)
