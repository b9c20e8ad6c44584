"""Runs guided by coverage (atheris): inputs that reach new code are changed further."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path


def run_guided(seconds: int, seed: int, keep: Path | None) -> int:
    """Fuzz all readers and the analysis for so many seconds; the exit code. Stops at the first failure, as libFuzzer does.

    The first byte of an input chooses the name of the file, which decides who is asked first.
    """
    import atheris

    with atheris.instrument_imports(include=["gradlens"]):
        import gradlens
        from benchmarks.fuzz.judging import judge, scratch
        from benchmarks.fuzz.samples import samples
        from gradlens.readers import detect

        for name in detect.table():
            detect.load(name)
        del gradlens

    every = samples()
    names = sorted({sample.file for sample in every})
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, sample in enumerate(every):
        (corpus / str(number)).write_bytes(bytes([names.index(sample.file)]) + sample.data)
    began, runs = time.monotonic(), 0

    def one(data: bytes) -> None:
        nonlocal runs
        if not data:
            return
        runs += 1
        path = folder / names[data[0] % len(names)]
        path.write_bytes(data[1:])
        try:
            judge(path, number=runs)
        except Exception:
            traceback.print_exc()
            if keep is not None:
                (keep / f"guided-{runs}-{path.name}").write_bytes(data[1:])
            raise
        finally:
            path.unlink(missing_ok=True)
            if runs % 10_000 == 0:
                print(f"guided: {runs:,} runs in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    arguments = [
        sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-seed={seed + 1}", "-max_len=20000", "-verbosity=0",
        "-print_final_stats=1",
        "-timeout=60", "-rss_limit_mb=0", f"-artifact_prefix={folder}/",
    ]  # fmt: skip
    atheris.Setup(arguments, one)
    atheris.Fuzz()
    return 0
