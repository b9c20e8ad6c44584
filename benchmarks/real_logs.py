"""Verdicts on real logs that nobody here wrote, beside what was judged of them by eye.

    python -m benchmarks.real_logs FOLDER [--out docs/real-logs.md]
    python -m benchmarks.real_logs FOLDER --reports docs/real-reports.md     # what is printed of those that were judged faulty

FOLDER holds public logs and a MANIFEST.tsv (saved_file, repo, path). `benchmarks/real_logs.toml` says of each log whose curves were
drawn and looked at what is wrong with it, if anything. Lists every run with a warning or an error, and every one that was judged
faulty; ends with exit code 1 where an alarm was not judged yet, where one is false, or where a fault is missed. Takes about
three minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradlens
from gradlens.cli.app import run as run_command
from gradlens.errors import GradlensError

JUDGEMENTS = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What is wrong with a log by eye: `fault`, `normal`, or `open` where the log does not tell; and why."""

    truth: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One run and its verdict; `status` is `unread` where the log holds no loss and no norm."""

    log: str
    source: str
    run: str
    rows: int
    status: str
    said: str
    alarmed: bool


def judgements() -> dict[str, Judgement]:
    """By log, and by log and run where a log holds several."""
    with JUDGEMENTS.open("rb") as file:
        return {key: Judgement(**value) for key, value in tomllib.load(file).items()}


def seen_in(folder: Path) -> Iterator[Seen]:
    """The verdict on every run of every log of the manifest."""
    with (folder / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file, delimiter="\t"):
            yield from _runs_of(folder, line["saved_file"], f"{line['repo']}: {line['path']}")


def _runs_of(folder: Path, log: str, source: str) -> Iterator[Seen]:
    try:
        report = gradlens.analyze(folder / log)
    except GradlensError as error:
        yield Seen(log=log, source=source, run="", rows=0, status="unread", said=str(error), alarmed=False)
        return
    for run in report.runs:
        loud = [f.code for f in run.findings if f.severity.rank > 0]
        yield Seen(
            log=log, source=source, run=run.id.rpartition(":")[2] if len(report.runs) > 1 else "", rows=run.steps,
            status=run.verdict.status, said=f"{run.diagnosis.cause} {' '.join(loud)}".strip(), alarmed=bool(loud),
        )  # fmt: skip


def verdict_on(seen: Seen, judged: Judgement | None) -> str:
    """How a verdict compares with what was judged by eye; empty for a quiet run that nobody called faulty."""
    if judged is None:
        return "not judged yet" if seen.alarmed else ""
    if judged.truth == "open":
        return "open"
    if judged.truth == "fault":
        return "right" if seen.alarmed else "missed, but not called clear" if seen.status != "clear" else "missed"
    return "false" if seen.alarmed else ""


def page(seen: list[Seen], known: dict[str, Judgement]) -> tuple[str, int]:
    """The page, and how many verdicts are wrong or not judged yet."""
    read = [s for s in seen if s.status != "unread"]
    logs = len({s.log for s in read})
    rows, counts = [], dict[str, int]()
    for s in read:
        judged = known.get(f"{s.log}:{s.run}") or known.get(s.log)
        word = verdict_on(s, judged)
        counts[word] = counts.get(word, 0) + 1
        if s.alarmed or word:
            why = judged.why if judged else ""
            rows.append(
                f"| {s.source}{' ' + s.run if s.run else ''} | {s.rows:,} | {s.status}: {s.said} | {word} | {why} |"
            )
    wrong = {s.log for s in read if verdict_on(s, known.get(f"{s.log}:{s.run}") or known.get(s.log)) == "false"}
    status = {word: sum(s.status == word for s in read) for word in ("clear", "insufficient", "problem")}
    lines = [
        "# Real logs",
        "",
        "Written by `python -m benchmarks.real_logs FOLDER` from public logs that nobody here wrote (not part of this repository)",
        "and from `benchmarks/real_logs.toml`, which says what is wrong with each by eye: loss, norm and rate of every run of at",
        "least 30 rows were drawn and looked at.",
        "",
        f"{len({s.log for s in seen}):,} files, of which {logs:,} hold a loss or a norm: {len(read):,} runs.",
        f"No problem found: {status['clear']:,}; not enough to judge: {status['insufficient']:,}; a problem: {status['problem']:,}.",
        f"False alarms: {len(wrong):,} of {logs:,} logs ({100 * len(wrong) / max(logs, 1):.1f} %).",
        "",
        "| log | rows | verdict | by eye | why |",
        "|---|--:|---|---|---|",
        *rows,
    ]
    bad = sum(counts.get(word, 0) for word in ("false", "missed", "not judged yet"))
    return "\n".join(lines) + "\n", bad


def reports(folder: Path, known: dict[str, Judgement]) -> str:
    """The report of every log that was judged faulty or open, as a terminal of 80 columns shows it."""
    parts = [
        "# Reports of real logs",
        "",
        "Written by `python -m benchmarks.real_logs FOLDER --reports docs/real-reports.md`: what `gradlens analyze` prints of the",
        "public logs in which something is wrong or odd; [real-logs.md](real-logs.md) says what and where they are from.",
    ]
    for log, judged in known.items():
        if judged.truth == "normal":
            continue
        stream = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(stream):
            run_command(["analyze", log])
        parts += [
            "",
            f"## {Path(log).name}",
            "",
            f"By eye: {judged.why}.",
            "",
            "```text",
            stream.getvalue().rstrip(),
            "```",
        ]
    return "\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--reports", type=Path)
    arguments = parser.parse_args()
    if arguments.reports:
        arguments.reports.write_text(reports(arguments.folder, judgements()), encoding="utf-8")
        return 0
    text, bad = page(list(seen_in(arguments.folder)), judgements())
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
