"""Packs the labelled runs that the project was given into `given.npz`, in the format of `benchmarks.runs.archive`.

    python -m benchmarks.diagnosis.given FOLDER

FOLDER holds one folder a run, each with `run.jsonl` and `label.json`. Takes some seconds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.runs.archive import pack_split
from benchmarks.runs.store import EXTRA, LABEL, RUN

ARCHIVE = Path(__file__).parent / "given.npz"


def pack_given(folder: Path, target: Path = ARCHIVE) -> int:
    """Pack every labelled run below a folder; returns the bytes written."""
    with tempfile.TemporaryDirectory() as name:
        for label in sorted(folder.glob(f"*/{LABEL}")):
            place = Path(name) / label.parent.name
            place.mkdir()
            shutil.copy(label, place / LABEL)
            shutil.copy(label.parent / RUN, place / EXTRA)
        return pack_split(Path(name), target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(f"{pack_given(parser.parse_args().folder):,} bytes")
