"""What each dependency costs and gives, beside our own code where we have some, for `docs/dependencies.md`.

    python -m benchmarks.dependencies [--runs 9] [--print]

Times are CPU seconds (user and system) of whole processes, or of a call inside one, the median of several; what is compared
takes turns. Sizes are those of the files that the installed distributions list. Needs the extra `dev`. Takes
about two minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "dependencies.md"
LOG = "sample_logs/healthy.jsonl"
#: What `import` names each package by, and whose cost over numpy is measured.
IMPORTS = {
    "typer": "typer",
    "rich": "rich.console",
    "pyyaml": "yaml",
    "google-crc32c": "google_crc32c",
    "scipy": "scipy.special",
    "tensorboard": "tensorboard.plugins.hparams.plugin_data_pb2, tensorboard.compat.proto.event_pb2",
    "pandas": "pandas",
    "pyarrow": "pyarrow.parquet",
    "zstandard": "zstandard",
    "fsspec": "fsspec",
}
USES = {
    "numpy": ("core", "every statistic"),
    "typer": ("core", "the command line"),
    "rich": ("core", "reports for people: tables, colours, the HTML of notebooks"),
    "pyyaml": ("core", "configurations, settings beside a log, MLflow's folders"),
    "google-crc32c": ("core", "checksums of event files"),
    "scipy": ("core", "`scipy.special`: Student's t and binomial tails of `gate` and `compare`"),
    "tensorboard": ("`tensorboard`", "its protobuf classes: histograms, settings, packed numbers, unusual messages"),
    "pandas": ("`pandas`", "`Run.to_pandas`"),
    "pyarrow": ("`arrow`", "Parquet, Feather and Arrow in and out, fleet tables, `Run.to_arrow`, CSV from 32 MiB on"),
    "zstandard": ("`zstd`", "zstd-compressed logs"),
    "bokeh": ("`html`", "its JavaScript, for pages whose pictures zoom"),
    "fsspec": ("`remote`", "logs behind URLs"),
}
#: Not in `all`: each is the client of one service or store, imported when an address of it is read or served.
CLIENTS = {
    "aiohttp": ("http", "`https://`, `http://`"),
    "s3fs": ("s3", "`s3://`"),
    "huggingface_hub": ("hf", "`hf://`"),
    "mlflow-skinny": ("mlflow", "`mlflow://`"),
    "wandb": ("wandb", "`wandb://`"),
    "aim": ("aim", "`aim://`, in a child process"),
    "distributed": ("dask", "`--scheduler`, a fleet on Dask"),
    "mcp": ("mcp", "`gradlens mcp`"),
}


def cpu_of(*arguments: str) -> float:
    """CPU seconds of one process of this interpreter, which must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(programs: dict[str, tuple[str, ...]], runs: int) -> dict[str, float]:
    """CPU seconds of each program, in turns; the first turn is for the caches and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(runs + 1):
        for name, arguments in programs.items():
            seconds = cpu_of(*arguments)
            if turn:
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def printed(code: str) -> list[float]:
    """The numbers that a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    return [float(word) for word in done.stdout.split()]


# Sizes


def requirements(name: str) -> set[str]:
    """The distributions that one needs, itself included, as installed here."""
    found: set[str] = set()
    todo = [name]
    while todo:
        one = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if one in found:
            continue
        found.add(one)
        wanted = [Requirement(line) for line in metadata.requires(one) or ()]
        todo += [other.name for other in wanted if other.marker is None or other.marker.evaluate({"extra": ""})]
    return found


def size_of(names: set[str]) -> float:
    """MiB of the files of these distributions."""
    total = 0
    for name in names:
        for file in metadata.distribution(name).files or ():
            path = Path(str(file.locate()))
            total += path.stat().st_size if path.is_file() else 0
    return total / 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """MiB of the core, of the extra `all`, and of what each package adds to the core (of core packages: what it brings)."""

    core: float
    everything: float
    own: dict[str, float]


def sizes() -> Sizes:
    core = set().union(*(requirements(name) for name, (where, _) in USES.items() if where == "core"))
    everything = core.union(*(requirements(name) for name in USES))
    own = {
        name: size_of(requirements(name) - (core if where != "core" else requirements("numpy") - {name}))
        for name, (where, _) in USES.items()
    }
    own |= {name: size_of(requirements(name) - core) for name in CLIENTS}
    return Sizes(core=size_of(core), everything=size_of(everything), own=own)


# Times of parts

SPECIAL = """
    import time, numpy as np
    from gradlens.stats import gammafn, normal
    from scipy import special
    x = np.linspace(1.0, 900.0, 1000)
    p = np.linspace(0.001, 0.999, 1000)
    def took(function, *arguments):
        best = []
        for _ in range(30):
            begun = time.perf_counter(); function(*arguments); best.append(time.perf_counter() - begun)
        return sorted(best)[15] * 1e6
    print(took(gammafn.gamma_survival, 300.0, x), took(special.gammaincc, 300.0, x))
    print(took(normal.normal_quantile, p), took(special.ndtri, p))
    a, b = gammafn.gamma_survival(300.0, x), special.gammaincc(300.0, x)
    print(np.abs(a - b).max(), np.abs(normal.normal_quantile(p) / special.ndtri(p) - 1)[np.abs(p - .5) > 1e-6].max())
"""
CLASSES = """
    import dataclasses, time
    from gradlens.frozen import frozen
    def took(decorate):
        best = []
        for _ in range(300):
            cls = type("Point", (), {"__annotations__": {f"field_{i}": "int" for i in range(8)}, "__doc__": "Eight numbers."})
            begun = time.perf_counter(); decorate(cls); best.append(time.perf_counter() - begun)
        return sorted(best)[150] * 1e6
    print(took(frozen), took(dataclasses.dataclass(frozen=True, kw_only=True, slots=True)))
"""
OPTIMIZE = """
    import time
    from scipy.optimize import minimize_scalar
    from gradlens.stats.search import golden_section
    count = [0]
    def f(x):
        count[0] += 1
        return (x - 0.3) ** 2 + 0.1 * (x - 0.3) ** 4
    def took(call):
        best, calls = [], 0
        for _ in range(200):
            count[0] = 0
            begun = time.perf_counter(); call(); best.append(time.perf_counter() - begun); calls = count[0]
        return sorted(best)[100] * 1e6, calls
    print(*took(lambda: golden_section(f, -1.0, 2.0, 32)))
    print(*took(lambda: minimize_scalar(f, bounds=(-1.0, 2.0), method="bounded", options={"xatol": 6e-7})))
"""
WITHIN = """
    import cProfile, pstats
    import gradlens
    run = gradlens.read("sample_logs/healthy.jsonl")
    gradlens.analyze(run)
    found = []
    for _ in range(9):
        with cProfile.Profile() as profile:
            gradlens.analyze(run)
        spent = 0.0
        for (file, _, name), (*_, own, total, _) in pstats.Stats(profile).stats.items():
            # The optimizer is counted without the functions that it evaluates.
            if file.endswith(("stats/gammafn.py", "stats/normal.py", "stats/search.py")):
                spent += own
        found.append(spent)
    print(sorted(found)[4])
"""
EVENTS = """
    import sys, time
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from gradlens.readers.events.contents import Plugins
    from gradlens.readers.events.messages import read_message
    from gradlens.readers.events.places import read_places
    def value(k):
        if k == "scalar":
            return Summary.Value(tag="train/loss", simple_value=0.5)
        histogram = Summary.Value(tag="weights")
        histogram.histo.bucket_limit.extend(range(100)); histogram.histo.bucket.extend(range(100))
        return histogram
    def took(function, data):
        best = []
        for _ in range(2000):
            begun = time.perf_counter(); function(data, Plugins()); best.append(time.perf_counter() - begun)
        return sorted(best)[1000] * 1e6
    scalar, histogram = (Event(step=70_000, wall_time=1.7e9, summary=Summary(value=[value(k)])).SerializeToString()
                         for k in ("scalar", "histogram"))
    print(took(read_places, scalar), took(read_message, scalar), took(read_message, histogram))
"""
WHOLE_EVENTS = """
    import sys, time, gradlens
    begun = time.process_time(); gradlens.read(sys.argv[1]); print(time.process_time() - begun)
"""
WRITE_EVENTS = """
    import struct, sys
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter
    with open(sys.argv[1], "wb") as handle:
        writer = RecordWriter(handle)
        for step in range(50_000):
            for tag in ("train/loss", "train/grad_norm"):
                value = Summary.Value(tag=tag, simple_value=1.0 / (step + 1))
                writer.write(Event(step=step, wall_time=1.7e9 + step, summary=Summary(value=[value])).SerializeToString())
"""
READ_BY_CLASSES = """
    import sys, time
    from gradlens.readers.events.contents import Plugins
    from gradlens.readers.events.messages import read_message
    begun = time.process_time()
    data, at, plugins, found = open(sys.argv[1], "rb").read(), 0, Plugins(), []
    while at < len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        found.append(read_message(data[at + 12 : at + 12 + size], plugins)); at += size + 16
    print(time.process_time() - begun)
"""
CSV = """
    import io, sys, time
    import gradlens
    from gradlens.readers import csv_
    csv_._WORTH_ARROW = int(sys.argv[2])
    begun = time.process_time(); gradlens.read(sys.argv[1]); print(time.process_time() - begun)
"""


def _median_of(code: str, arguments: tuple[str, ...], runs: int) -> float:
    script = textwrap.dedent(code)
    values = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True, cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        values.append(float(done.stdout))
    return statistics.median(values)


def events_table(runs: int) -> tuple[float, float]:
    """Seconds to read an event file of 100,000 scalars by place and by message classes, without the checksums there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.out.tfevents.1"
        subprocess.run([sys.executable, "-c", textwrap.dedent(WRITE_EVENTS), str(path)], check=True, cwd=ROOT)
        return _median_of(WHOLE_EVENTS, (str(path),), runs), _median_of(READ_BY_CLASSES, (str(path),), runs)


def csv_table(runs: int) -> dict[int, tuple[float, float]]:
    """By MiB of a table: seconds to read it, imports included, with our own parser and with pyarrow's."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for mib in (4, 32, 128):
            path = Path(folder) / f"{mib}.csv"
            line = "".join(f",{k / 7:.6f}" for k in range(8)) + "\n"
            with path.open("w") as handle:
                handle.write("step,loss,grad_norm,lr,a,b,c,d,e\n")
                handle.writelines(f"{step}{line}" for step in range((mib << 20) // (len(line) + 7)))
            own, arrow = (_median_of(CSV, (str(path), limit), runs) for limit in (str(1 << 60), "0"))
            found[mib] = (own, arrow)
    return found


# The page


def page(runs: int) -> str:
    size = sizes()
    base = "import numpy"
    programs: dict[str, tuple[str, ...]] = {name: ("-c", f"{base}, {module}") for name, module in IMPORTS.items()}
    times = medians({"": ("-c", "pass"), "numpy": ("-c", base)} | programs, runs)
    command = ("-m", "gradlens")
    commands = medians(
        {
            "--help": (*command, "--help"),
            "analyze": (*command, "analyze", LOG),
            "gate": (*command, "gate", LOG, "--baseline", LOG),
        },
        runs,
    )  # fmt: skip
    special, optimize, events = printed(SPECIAL), printed(OPTIMIZE), printed(EVENTS)
    (within,) = printed(WITHIN)
    by_place, by_classes = events_table(max(3, runs // 2))
    tables = csv_table(max(3, runs // 3))
    from benchmarks import licences

    lines = [
        "# Dependencies",
        "",
        "Written by `python -m benchmarks.dependencies` on one machine; the ratios are what to trust. Times are CPU time.",
        "",
        f"The core is {size.core:.0f} MiB installed, with the extra `all` {size.everything:.0f} MiB. `pip install .` from the",
        "checkout brings the core, `pip install '.[all]'` what files of all kinds need, `'.[arrow,tensorboard]'` what is named.",
        "Without an extra every command and every text format works; what needs one says so: `install gradlens[arrow] from the checkout`.",
        "",
        "| package | where | what it does here | MiB that it adds | import, ms over numpy |",
        "|---|---|---|---|---|",
    ]
    for name, (where, what) in USES.items():
        cost = (
            times["numpy"] - times[""] if name == "numpy" else times[name] - times["numpy"] if name in times else None
        )
        shown = "never imported" if cost is None else f"{1000 * cost:.0f}"
        lines.append(f"| {name} | {where} | {what} | {size.own[name]:.1f} | {shown} |")
    lines += [
        "",
        "Clients of services and stores are extras of their own and not part of `all`:",
        "",
        "| package | extra | for | MiB that it adds |",
        "|---|---|---|---|",
        *(f"| {name} | `{extra}` | {what} | {size.own[name]:.0f} |" for name, (extra, what) in CLIENTS.items()),
    ]
    loading = times["scipy"] - times["numpy"]
    own_class, usual_class = printed(CLASSES)
    lines += [
        "",
        licences.block(),
        "",
        "All are imported where they are used: `--help` loads no numpy, and `analyze` of a short log loads numpy and rich.",
        "",
        "## Where our own code stays, and why",
        "",
        (
            f"`gradlens --help` takes {1000 * commands['--help']:.0f} ms, `analyze` of a log of 1,500 rows"
            f" {1000 * commands['analyze']:.0f} ms, of which at"
        ),
        (
            f"most {1000 * within:.0f} are spent in the functions below that scipy has too. Loading `scipy.special` takes"
            f" {1000 * loading:.0f} ms, so"
        ),
        "that `analyze` would be slower with it; it uses our own, which the tests check against scipy:",
        "",
        "| | ours | the package | difference of the results |",
        "|---|---|---|---|",
        (
            f"| `stats/gammafn.py`: gamma survival, 1,000 values | {special[0]:.0f} µs | scipy.special {special[1]:.0f} µs |"
            f" {special[4]:.0e} |"
        ),
        (
            f"| `stats/normal.py`: normal quantile, 1,000 values | {special[2]:.0f} µs | scipy.special {special[3]:.0f} µs |"
            f" {special[5]:.0e} |"
        ),
        (
            f"| `stats/search.py`: a minimum to 2e-7 of its interval | {optimize[0]:.0f} µs, {optimize[1]:.0f} evaluations |"
            f" scipy.optimize {optimize[2]:.0f} µs, {optimize[3]:.0f} evaluations | within the tolerance |"
        ),
        (
            f"| `readers/events/places.py`: one scalar record | {events[0]:.1f} µs | TensorBoard's classes {events[1]:.1f} µs |"
            " none; the classes do not tell places |"
        ),
        (
            f"| `readers/events/`: a file of 100,000 scalars | {by_place:.2f} s, checksums included | {by_classes:.2f} s, without |"
            " none |"
        ),
        (
            f"| `frozen.py`: a class of eight fields defined | {own_class:.0f} µs | `dataclass(frozen=True, slots=True)`"
            f" {usual_class:.0f} µs | none |"
        ),
        "",
        "`gate` and `compare` judge by tails that must be exact far out; there scipy replaced code of ours. `gate` of a log",
        f"against a log takes {1000 * commands['gate']:.0f} ms, {1000 * loading:.0f} of them for loading scipy.",
        "",
        f"Of event files, scalars are decoded by place, whole groups at once. A histogram takes {events[2]:.0f} µs by",
        "TensorBoard's classes, which read every record that is not a plain scalar; they are loaded at the first such record.",
        "",
        "pyarrow reads CSV from 32 MiB on; below that it is not worth its import. Seconds for a table of nine columns,",
        "imports included:",
        "",
        "| MiB | our parser | pyarrow |",
        "|---|---|---|",
        *(f"| {mib} | {own:.2f} | {arrow:.2f} |" for mib, (own, arrow) in tables.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--print", action="store_true", help="print the page and write nothing")
    arguments = parser.parse_args()
    text = page(arguments.runs)
    if arguments.print:
        print(text)
    else:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
