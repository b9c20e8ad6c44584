"""A gate's results in words, shared by all outputs."""

from __future__ import annotations

from gradlens.reporters.wording import TITLES, number, percent, sureness
from gradlens.reports.gate import GateReport, LikelyCause, LimitResult, MetricResult

VERDICTS = {"pass": "PASSED", "fail": "FAILED", "inconclusive": "INCONCLUSIVE"}
MARKS = {"pass": "✔", "fail": "✖", "inconclusive": "?", "skipped": "–"}
ASCII_MARKS = {"pass": "ok", "fail": "x", "inconclusive": "?", "skipped": "-"}
METHODS = {
    "blocks": "blocks of steps of one run against one",
    "runs": "runs as units",
    "counts": "exact test of counts",
    "limit": "",
    "rank": "rank among healthy runs, corrected for the choice of metric",
    "": "",
}


def value(result: MetricResult | LimitResult, figure: float | None) -> str:
    """A figure of this metric."""
    if isinstance(result, LimitResult):
        return percent(figure) if result.name == "max_clip_rate" else number(figure)
    if result.unit == "share":
        return percent(figure)
    if result.unit == "per_1000":
        return f"{number(figure)}/1k"
    return number(figure)


def change(result: MetricResult) -> str:
    """How much it changed, signed, in the words of its unit; empty where nothing was compared."""
    return "" if result.change is None else _signed(result, result.change)


def _signed(result: MetricResult, figure: float) -> str:
    if result.unit == "ratio":
        return f"×{number(figure)}"
    if result.unit == "share":
        return f"{_with_sign(100 * figure)} points"
    return _with_sign(figure) + ("/1k" if result.unit == "per_1000" else "")


def _with_sign(figure: float) -> str:
    return f"{'-' if figure < 0 else '+'}{number(abs(figure))}"


def interval(result: MetricResult) -> str:
    """The 95 % interval of the change, or nothing."""
    if result.interval is None:
        return ""
    low, high = result.interval
    if result.unit == "ratio":
        return f"×{number(low)} to ×{number(high)}"
    by = 100.0 if result.unit == "share" else 1.0
    return f"{_with_sign(by * low)} to {_with_sign(by * high)}"


def tolerance(result: MetricResult) -> str:
    """The bound that the change must pass."""
    if result.tolerance is None or result.change is None:
        return ""
    return _signed(result, result.tolerance)


def sentence(result: MetricResult | LimitResult) -> str:
    """One line: what, from where to where, and why that matters."""
    if isinstance(result, LimitResult):
        if result.value is None:
            return f"{result.title}: {result.reason}"
        sign = "is above" if result.outcome == "fail" else "is within"
        what = result.title.removeprefix("limit on ").removeprefix("the ")
        return f"{what} {value(result, result.value)} {sign} the limit of {value(result, result.limit)}"
    if result.name == "nonfinite":
        return result.reason if result.outcome == "fail" else f"{result.title}: {result.reason}"
    if result.change is None:
        return f"{result.title}: {result.reason}"
    text = f"{result.title} {value(result, result.baseline)} -> {value(result, result.candidate)} ({change(result)}"
    if bound := tolerance(result):
        text += f", tolerance {bound}"
    return f"{text}): {result.reason}" if result.outcome == "inconclusive" else f"{text})"


def details(result: MetricResult) -> list[str]:
    """Interval, place and test, for readers who want more than one line."""
    lines = []
    if result.interval is not None:
        lines.append(f"95 % interval {interval(result)}")
    if result.worst_steps is not None:
        lines.append(f"worst in steps {result.worst_steps[0]:,} to {result.worst_steps[1]:,}")
    if result.p_adjusted is not None:
        holm = "" if result.method == "rank" else "Holm, "
        text = f"p = {number(result.p_adjusted)} ({holm}{METHODS[result.method]})"
        if result.p_permutation is not None:
            text += f", by permutation {number(result.p_permutation)}"
        lines.append(text)
    return lines


def where(result: MetricResult | LimitResult) -> str:
    """The run of a limit, or the stretch of a metric."""
    if isinstance(result, LimitResult):
        return result.run
    return f"steps {result.worst_steps[0]:,}-{result.worst_steps[1]:,}" if result.worst_steps else ""


def advice(report: GateReport) -> list[str]:
    """What to do about what failed or could not be judged, each advice once."""
    found = (r.advice for r in (*report.failed, *report.inconclusive) if r.advice)
    return list(dict.fromkeys(found))


def cause(likely: LikelyCause) -> str:
    """What the diagnosis of a candidate says."""
    return f"{likely.run} looks like: {TITLES[likely.cause]} (confidence {sureness(likely.confidence)})"


def headline(report: GateReport) -> str:
    """The verdict in one line."""
    judged = [m for m in report.results if m.outcome == "pass"]
    if report.outcome == "fail":
        first = report.failed[0]
        more = f", and {len(report.failed) - 1} more" if len(report.failed) > 1 else ""
        return f"{sentence(first)}{more}"
    if report.outcome == "inconclusive":
        if not report.inconclusive:
            return "nothing was judged"
        more = f", and {len(report.inconclusive) - 1} more" if len(report.inconclusive) > 1 else ""
        return f"{sentence(report.inconclusive[0])}{more}"
    return f"{len(judged)} of {len(judged)} checks passed{_against(report)}"


def _against(report: GateReport) -> str:
    baselines = sum(run.role == "baseline" for run in report.runs)
    if not baselines or report.compared_steps is None:
        return ""
    noun = "baseline run" if baselines == 1 else f"{baselines} baseline runs"
    return f" against {'the ' if baselines == 1 else ''}{noun}, steps {report.compared_steps[0]:,} to {report.compared_steps[1]:,}"
