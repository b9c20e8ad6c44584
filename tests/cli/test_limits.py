"""Sources of absurd size, length or kind: a clear refusal or a sensible report, in bounded time and memory."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import gradlens
from tests.readers.writers import ROWS_OF, WRITERS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured by /proc")
#: Runs the command and then says what it cost: peak memory in MiB and seconds of the processor.
MEASURED = (
    "import atexit, resource, sys\n"
    "def told():\n"
    "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
    "    peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]\n"
    "    print('@', int(peak) / 1024, used.ru_utime + used.ru_stime, file=sys.stderr)\n"
    "atexit.register(told)\nfrom gradlens.__main__ import main\nmain()"
)


class Cost(NamedTuple):
    code: int
    said: str
    out: str
    mib: float
    seconds: float


def gradlens_costs(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    said, _, cost = done.stderr.rpartition("@ ")
    return Cost(done.returncode, said, done.stdout, *map(float, cost.split()))


def row(i):
    return {"step": i, "loss": 2 / (1 + i / 50), "grad_norm": 0.5 + i % 7 / 10}


def jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "start", "most"),
    [
        ("a.jsonl", '{"step": 0, "loss": 1.0}\n', 32),
        ("a.csv", "step,loss\n0,1.0\n", 32),
        ("a.log", "step 1 loss 2.0 grad_norm 1.0\n", 4),
    ],
)
def test_a_line_of_a_gigabyte_is_refused(tmp_path, name, start, most):
    path = tmp_path / name
    with path.open("wb") as handle:
        handle.write(start.encode() * 100)
        handle.truncate(1 << 30)  # sparse: it takes no room on the disk
    cost = gradlens_costs("analyze", path)
    assert cost.code == 2
    assert f"a line of more than {most} MiB" in cost.said
    assert cost.mib < 400
    assert cost.seconds < 60


@pytest.mark.slow
def test_an_archive_that_unpacks_to_zeros_without_end(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9) as handle:
        handle.write(b'{"step": 0, "loss": 1.0}\n' * 100)
        for _ in range(1024):
            handle.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    cost = gradlens_costs("analyze", path)
    assert cost.code == 2
    assert len(cost.said.splitlines()) == 2
    assert cost.mib < 400


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "code", "told"), [(90_000, 0, "2 rows"), (1_000_000, 2, "more than 100,000 columns")]
)
def test_a_file_of_very_many_columns(tmp_path, count, code, told):
    names = [f"c{i}" for i in range(count)]
    path = tmp_path / "a.csv"
    path.write_text(
        ",".join(["step", "loss", *names]) + "\n" + "".join(f"{i},1.5" + ",1" * len(names) + "\n" for i in (0, 1))
    )
    cost = gradlens_costs("analyze", path)
    assert cost.code == code
    assert told in cost.out + cost.said
    assert cost.mib < 200 + 10 * path.stat().st_size / (1 << 20)
    assert cost.seconds < 120


@pytest.mark.slow
@pytest.mark.parametrize("each", [False, True])
def test_twenty_thousand_keys(tmp_path, each):
    # A million take fifty times as long: what is asked of a name is asked a fixed number of times.
    many = 20_000
    keys = [[f"key_{i * many // 200 + j}" for j in range(many // 200)] for i in range(200)]
    wide = {key: 1.0 for some in keys for key in some}
    rows = [row(i) | (dict.fromkeys(keys[i], 1.0) if each else wide) for i in range(200 if each else 2)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    cost = gradlens_costs("analyze", path)
    assert cost.code == 0, cost.said
    assert cost.mib < 300
    assert cost.seconds < 30


def test_records_longer_than_what_detection_looks_at(tmp_path):
    norms = {f"layer{n}": {"norm": 0.125, "none": None} for n in range(4000)}
    path = jsonl(tmp_path / "a.jsonl", [row(i) | norms for i in range(3)])
    assert len(path.read_text().splitlines()[0]) > 100_000
    (run,) = gradlens.read(path)
    assert (run.format, len(run.series)) == ("jsonl", 4002)
    assert run.series["layer0/norm"].value.tolist() == [0.125] * 3


@pytest.mark.slow
def test_a_hundred_thousand_files(tmp_path):
    for n in range(50_000):
        (tmp_path / f"note{n}.txt").write_bytes(b"nothing\n")
        (tmp_path / f"picture{n}.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    jsonl(tmp_path / "run.jsonl", map(row, range(300)))
    cost = gradlens_costs("analyze", tmp_path)
    assert cost.code == 0
    assert "run.jsonl" in cost.out
    assert cost.mib < 600
    assert cost.seconds < 240


@pytest.mark.parametrize(
    "path", ["/proc/kmsg", "/proc/self/mem", "/proc/self/maps", "/proc/cpuinfo", "/sys/kernel/profiling"]
)
def test_files_of_the_kernel_are_not_opened(path):
    if not Path(path).exists():
        pytest.skip("this kernel has none")
    with pytest.raises(gradlens.GradlensError, match="a file of the kernel, not a log"):
        gradlens.read(path)


def test_folders_of_the_kernel_are_not_searched():
    with pytest.raises(gradlens.GradlensError, match="a folder of the kernel"):
        gradlens.read("/proc")


@pytest.mark.parametrize("length", [2**63 - 1, 2**63, 2**64 - 1, 2**40, 2**31])
def test_a_record_that_says_it_is_longer_than_any_file(tmp_path, length):
    path = WRITERS["tensorboard"](ROWS_OF(50), tmp_path)
    path = next(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else path
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<Q", data)
    struct.pack_into("<Q", data, first + 16, length)
    path.write_bytes(data)
    runs = gradlens.read(path)
    # One record is lost, the others are found again behind it.
    assert sum(len(s) for run in runs for s in run.series.values()) >= 3 * 49
    assert any(n.code == "damaged-record" for n in runs[0].notices)


@pytest.mark.parametrize("form", ["wandb", "parquet"])
@pytest.mark.parametrize("length", [2**63 - 1, 2**63, 2**64 - 1, 2**31 - 1])
def test_lengths_of_other_binary_formats(tmp_path, form, length):
    path = WRITERS[form](ROWS_OF(50), tmp_path)
    path = next(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else path
    whole = path.read_bytes()
    for place in range(0, len(whole) - 8, max(1, len(whole) // 60)):
        path.write_bytes(whole[:place] + struct.pack("<Q", length) + whole[place + 8 :])
        # Anything but a refusal of ours fails the test.
        with contextlib.suppress(gradlens.GradlensError):
            gradlens.read(path)


@pytest.mark.parametrize("scale", [10**15, 1e300])
def test_steps_beyond_any_training_are_numbered_and_told(tmp_path, scale):
    (run,) = gradlens.read(jsonl(tmp_path / "a.jsonl", [row(i) | {"step": i * scale} for i in range(300)]))
    assert run.loss.step.tolist() == list(range(300))
    assert {n.code: n.count for n in run.notices} == {"no-step": 300}
    (run,) = gradlens.read(jsonl(tmp_path / "b.jsonl", [row(i) | {"step": 10**15 + i} for i in range(300)]))
    assert run.loss.step.tolist() == [10**15 + i for i in range(300)]


def verdict(tmp_path, change):
    (run,) = gradlens.analyze(jsonl(tmp_path / "a.jsonl", [row(i) | change(i) for i in range(400)])).to_dict()["runs"]
    return run


def test_a_loss_of_1e308(tmp_path):
    once = verdict(tmp_path, lambda i: {"loss": 1e308} if i == 300 else {})
    assert [(s["step"], s["value"]) for s in once["spikes"]["loss"]] == [(300, 1e308)]
    ends = verdict(tmp_path, lambda i: {"loss": 1e308} if i > 300 else {})
    assert (ends["verdict"]["status"], ends["verdict"]["outcome"]) == ("problem", "diverged")
    always = verdict(tmp_path, lambda _: {"loss": 1e308})
    assert (always["verdict"]["status"], always["verdict"]["outcome"]) == ("problem", "not_learning")
    swings = verdict(tmp_path, lambda i: {"loss": 1e308 * (-1) ** i})
    assert swings["verdict"]["status"] != "clear"


@pytest.mark.slow
def test_two_writers_of_one_baseline_leave_one_of_theirs(tmp_path):
    logs = [
        jsonl(tmp_path / f"{name}.jsonl", [row(i) | {"loss": base / (1 + i / 50)} for i in range(400)])
        for name, base in (("a", 2), ("b", 3))
    ]
    whole = []
    for log in logs:
        assert gradlens_costs("baseline", log, "-o", tmp_path / "alone.json").code == 0
        whole.append((tmp_path / "alone.json").read_bytes())
    target = tmp_path / "both.json"
    for _ in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-m", "gradlens", "baseline", str(log), "-o", str(target)], stdout=subprocess.DEVNULL
            )
            for log in logs
        ]
        assert [w.wait(300) for w in writers] == [0, 0]
        assert target.read_bytes() in whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "alone.json", "b.jsonl", "both.json"]
