"""A comparison's figures in words, shared by all outputs."""

from __future__ import annotations

from gradlens.reporters.wording import interval, number, percent
from gradlens.reports.comparison import ComparedRun, ComparisonReport, Pair


def figure_rows(comparison: ComparisonReport) -> list[tuple[str, list[str]]]:
    """Rows of the table: a title, and a cell for each run."""
    rows = (
        ("steps", lambda r: f"{r.first_step:,} to {r.last_step:,}"),
        ("rows", lambda r: f"{r.steps:,}"),
        ("threshold", _threshold),
        ("clip rate", lambda r: percent(r.clip_rate)),
        ("median norm", lambda r: number(r.median_norm)),
        ("99 % norm", lambda r: number(r.p99_norm)),
        ("norm spread", lambda r: number(r.norm_spread)),
        ("final loss", lambda r: number(r.final_loss)),
        ("loss spikes", lambda r: _count(r.loss_spikes)),
        ("norm spikes", lambda r: _count(r.norm_spikes)),
        ("NaN or inf", lambda r: f"{r.nonfinite:,}"),
        ("peak lr", lambda r: number(r.learning_rate)),
    )
    return [(title, [cell(run) for run in comparison.runs]) for title, cell in rows]


def _threshold(run: ComparedRun) -> str:
    if run.threshold is None:
        return "none"
    return "not known" if run.threshold_source == "assumed" else number(run.threshold)


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def pair_facts(pair: Pair) -> list[tuple[str, str]]:
    """What one run is against the first, as titles and texts."""
    facts = []
    if pair.norm_ratio is not None:
        facts.append(("norm ratio", _with_interval(pair.norm_ratio, pair.norm_ratio_interval)))
    if pair.loss_change is not None:
        told = "" if pair.loss_differs or not pair.equal_loss else " (equal)"
        facts.append(("loss difference", _with_interval(pair.loss_change, pair.loss_change_interval) + told))
        if pair.loss_tolerance is not None:
            facts.append(("counts as equal up to", number(pair.loss_tolerance)))
    if pair.fingerprints:
        shown = "; ".join(f"{f.factor} (off by {percent(abs(f.off_by))}): {f.meaning}" for f in pair.fingerprints)
        facts.append(("factors that fit", shown))
    if pair.first_step is not None:
        facts.append(("shared steps", f"{pair.shared_steps:,}, {pair.first_step:,} to {pair.last_step:,}"))
    facts.append(("same data order", "yes" if pair.same_data else "no evidence of it"))
    if pair.identical_until is not None:
        facts.append(("identical until step", f"{pair.identical_until:,}"))
    if pair.parts_at is not None:
        curve = "loss" if pair.parts_in == "loss" else "gradient norm"
        facts.append(("curves part at step", f"{pair.parts_at:,} (first seen in the {curve})"))
    return facts


def _with_interval(value: float, pair: tuple[float, float] | None) -> str:
    return number(value) + (f" ({interval(pair)})" if pair else "")
