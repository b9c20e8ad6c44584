"""The runs in one small file per split, so that what was learned from them can be learned again without PyTorch.

Logs hold decimal numbers of a few digits. Each is stored exactly, as an integer mantissa in three or four byte planes
and a decimal exponent; deflate then takes out what repeats. Unpacking gives back the same bytes that training wrote.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.runs.catalogue.build import catalogue
from benchmarks.runs.recording import EXTRA
from benchmarks.runs.store import EXTRA as EXTRA_LOG
from benchmarks.runs.store import LABEL, RUN, read_label, read_rows, write_label, write_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Sequence

    from numpy.typing import NDArray

    from benchmarks.runs.recording import Row

FOLDER = Path(__file__).parent / "archive"
SPLITS = ("develop", "test", "fresh", "blind", "unseen")

# Exponents no log has stand for what is not a number, and for a column that a row does not have.
NAN, POSITIVE, NEGATIVE, ABSENT = 1000, 1001, 1002, 1003
# Products with and quotients by powers of ten up to this one are rounded once: both operands are exact doubles.
EXACT = 22
POWERS = np.array([float(f"1e{power}") for power in range(EXACT + 1)])


def encode(value: float | None) -> tuple[int, int]:
    """Mantissa and decimal exponent of a number with at most nine digits."""
    if value is None:
        return 0, ABSENT
    if math.isnan(value):
        return 0, NAN
    if math.isinf(value):
        return 0, POSITIVE if value > 0 else NEGATIVE
    digits, _, exponent = f"{value:.8e}".partition("e")
    mantissa = int(digits.replace(".", ""))
    power = int(exponent) - 8
    while mantissa and mantissa % 10 == 0:
        mantissa, power = mantissa // 10, power + 1
    return (mantissa, power) if mantissa else (0, 0)


def decode(mantissas: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Inverse of `encode` for arrays of shape (n,), exact to the bit; NaN where a value is absent."""
    small = np.abs(powers) <= EXACT
    scale = POWERS[np.where(small, np.abs(powers), 0)]
    values: np.ndarray = np.where(powers < 0, mantissas / scale, mantissas * scale)
    for i in np.flatnonzero(~small & (powers < NAN)):
        values[i] = float(f"{mantissas[i]}e{powers[i]}")
    for code, value in ((NAN, np.nan), (POSITIVE, np.inf), (NEGATIVE, -np.inf), (ABSENT, np.nan)):
        values[powers == code] = value
    return values


def _columns(rows: list[Row]) -> list[str]:
    """Names in the order in which rows have them; the sparse ones of any row come where that row has them."""
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row)
    order = list(names)
    if "val_loss" in names:  # rows that have it have it last
        order.remove("val_loss")
        order.append("val_loss")
    for name in EXTRA:  # a run whose first row lacks one (no second moment yet) still has them in their fixed order
        if name in names:
            order.remove(name)
            order.insert(len(order) - ("val_loss" in names), name)
    return order


def pack_split(folder: Path, target: Path, names: Collection[str] | None = None) -> int:
    """Pack the runs below a folder (only those named, if names are given) into one file; returns its size in bytes."""
    index: list[dict[str, Any]] = []
    mantissas: list[int] = []
    exponents: list[int] = []
    for path in sorted(folder.glob(f"*/{LABEL}")):
        if names is not None and path.parent.name not in names:
            continue
        rows = read_rows(path.parent / EXTRA_LOG)
        columns = _columns(rows)
        index.append({"run": path.parent.name, "rows": len(rows), "columns": columns, "label": read_label(path)})
        for name in columns:
            for row in rows:
                mantissa, power = encode(row.get(name))
                mantissas.append(mantissa)
                exponents.append(power)
    planes = np.array(mantissas, dtype="<i4").view(np.uint8).reshape(-1, 4).T
    text = json.dumps(index, separators=(",", ":")).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            index=np.frombuffer(text, dtype=np.uint8),
            exponent=np.array(exponents, dtype=np.int16),
            **{f"plane_{k}": plane for k, plane in enumerate(np.ascontiguousarray(planes))},
        )
    part.replace(target)
    return target.stat().st_size


def pack(folder: Path) -> int:
    """Pack the splits in a folder of runs into the repository; returns the bytes written.

    Runs that the catalogue no longer asks for are left out, and splits that the folder does not have stay as they are.
    """
    names = {spec.run for spec in catalogue()}
    written = 0
    for split in SPLITS:
        if (folder / split).is_dir():
            written += pack_split(folder / split, FOLDER / f"{split}.npz", names)
    write_index()
    return written


def archived(source: Path, only: Container[str] | None = None) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    """Label and rows (with the extra columns) of every run in one archive file, or of those named."""
    with np.load(source, allow_pickle=False) as file:
        index: list[dict[str, Any]] = json.loads(file["index"].tobytes())
        exponents = file["exponent"].astype(np.int64)
        planes = np.stack([file[f"plane_{k}"] for k in range(4)], axis=1)
    mantissas = np.ascontiguousarray(planes).view("<i4")[:, 0].astype(np.int64)
    begin = 0
    for entry in index:
        end = begin + entry["rows"] * len(entry["columns"])
        if only is None or entry["label"]["run"] in only:
            cells = decode(mantissas[begin:end], exponents[begin:end]).reshape(-1, entry["rows"])
            present = (exponents[begin:end] != ABSENT).reshape(cells.shape)
            yield entry["label"], _rows(entry["columns"], cells, present)
        begin = end


def _rows(names: Sequence[str], cells: NDArray[np.float64], present: NDArray[np.bool_]) -> list[Row]:
    """Rows from columns, of which each row has those that are present."""
    rows: list[Row] = [{} for _ in range(cells.shape[1])]
    for name, values, is_there in zip(names, cells.tolist(), present.tolist(), strict=True):
        for row, value, there in zip(rows, values, is_there, strict=True):
            if there:
                row[name] = int(value) if name == "step" else value
    return rows


def splits_in(source: Path = FOLDER) -> tuple[str, ...]:
    """The splits that an archive has."""
    return tuple(split for split in SPLITS if (source / f"{split}.npz").is_file())


def unpack(folder: Path, splits: tuple[str, ...] | None = None, source: Path = FOLDER) -> int:
    """Write the archived runs (of all splits there are, if none are named) below `folder`/SPLIT; returns how many."""
    count = 0
    for split in splits_in(source) if splits is None else splits:
        for label, rows in archived(source / f"{split}.npz"):
            place = folder / split / str(label["run"])
            place.mkdir(parents=True, exist_ok=True)
            write_rows(place / EXTRA_LOG, rows)
            write_rows(place / RUN, [{key: row[key] for key in row if key not in EXTRA} for row in rows])
            write_label(place, label)
            count += 1
    return count


def labels_of(split: str, source: Path = FOLDER) -> list[dict[str, Any]]:
    """The labels of one archive file, without decoding its logs."""
    with np.load(source / f"{split}.npz", allow_pickle=False) as file:
        entries: list[dict[str, Any]] = json.loads(file["index"].tobytes())
    return [entry["label"] for entry in entries]


INDEX_COLUMNS = ("split", "run", "family", "fault_kind", "expected", "manifested", "harmful", "opt", "schedule", "clip")


def write_index(source: Path = FOLDER) -> None:
    """A table of the archived runs that people can read."""
    lines = ["\t".join(INDEX_COLUMNS)]
    for split in splits_in(source):
        lines += ["\t".join(str(label[name]) for name in INDEX_COLUMNS) for label in labels_of(split, source)]
    (source / "INDEX.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
