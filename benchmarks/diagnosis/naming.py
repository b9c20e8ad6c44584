"""Learns the trees and the network that judge signs and curves, and measures how well they name causes, for `docs/naming.md`.

    python -m benchmarks.diagnosis.naming [--print]

From the packed table; needs LightGBM and PyTorch. Takes about half an hour on two idle cores.

In order: every family is judged by what saw nothing of it (`FOLDS` parts of the families, one left out at a time); then what ships is
learned from all; then the learning curve. Writes `gradlens/diagnosis/opinion.npz` and `docs/naming.md`. First looks, in
`benchmarks/diagnosis/looks.json`, stay as they were published (`benchmarks.diagnosis.newest`).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.diagnosis import opinion, ruled, scores
from benchmarks.diagnosis.examples import SOURCES
from benchmarks.diagnosis.opinion import (
    accepted_of,
    answers,
    answers_apart,
    fit_opinion,
    judged_apart,
)
from benchmarks.diagnosis.ruled import with_facts
from benchmarks.diagnosis.table import PACKED, Table, joined, open_table
from benchmarks.runs.drawn.faults import UNLISTED
from gradlens.diagnosis import deciding
from gradlens.diagnosis.opinion import MIN_ROWS
from gradlens.diagnosis.words import cause_in_words

if TYPE_CHECKING:
    from gradlens.diagnosis.opinion import Learned

    Array = np.ndarray[Any, np.dtype[np.float64]]

PAGE = Path(__file__).parent.parent.parent / "docs" / "naming.md"
LOOKS = Path(__file__).parent / "looks.json"
#: The parts that are learned from: looks that were published, too.
LEARNED = (
    "archive", "learn", "first", "second", "third", "fourth", "fifth", "sixth", "wide", "seventh", "eighth", "ninth",
)  # fmt: skip
#: How a look is called that was judged as a report does it (`benchmarks.diagnosis.newest`).
AS_REPORTED = ", as reports say it"
FIGURES = ("false alarms", "detected", "named", "named in three", "harmful detected", "harmful named")
KINDS = (("without the recorder's columns", False), ("with them", True))


def all_of(parts: Iterable[str], folder: Path = PACKED) -> Table:
    """All rows of some parts, those that are there."""
    return joined([open_table(folder / f"{part}.npz") for part in parts if (folder / f"{part}.npz").is_file()])


def figures_of(table: Table, p: Array) -> dict[str, Any]:
    """Counts and Brier, as they are published."""
    return {"runs": len(table), "families": len({label["family"] for label in table.labels}),
            "counts": scores.counts(table, p), "brier": round(scores.brier(table, p), 4)}  # fmt: skip


def outside(table: Table, p: Array) -> dict[str, list[int]]:
    """Of harmful faults outside the list: [named unknown or by a cause that comes near, called healthy, all], by fault."""
    accepted, first = accepted_of(table), p.argmax(axis=1)
    found: dict[str, list[int]] = {}
    for label, right, at in zip(table.labels, accepted[np.arange(len(table)), first], first, strict=True):
        if label["expected"] != "unknown":
            continue
        (name,) = label["faults"]
        row = found.setdefault(name, [0, 0, 0])
        row[0] += int(right > 0)
        row[1] += int(at == opinion.HEALTHY)
        row[2] += 1
    return {name: found[name] for name in UNLISTED if name in found}


def curve(
    table: Table, begun: Table, shares: Sequence[float] = (0.25, 0.5, 1.0)
) -> list[tuple[str, int, int, dict[str, tuple[int, int]]]]:
    """The answers on a fifth of the families when fewer families, or fewer runs of each, were learned from."""
    fold = opinion.folds_of([label["family"] for label in table.labels], 5)
    judged, rest = np.flatnonzero(fold == 0), np.flatnonzero(fold != 0)
    names = sorted({table.labels[i]["family"] for i in rest.tolist()})
    dice = random.Random("curve")
    dice.shuffle(names)
    rows = []
    signs = opinion.learned_signs(table.chosen(rest))
    for kind in ("families", "runs"):
        for share in shares:
            if kind == "families":
                kept = set(names[: round(share * len(names))])
                chosen = np.array([i for i in rest.tolist() if table.labels[i]["family"] in kept])
            else:
                chosen = np.array([i for i in rest if dice.random() < share])
            if kind == "runs" and share == 1.0:
                continue
            seen = table.chosen(chosen)
            said = answers(table.chosen(judged), signs, fit_opinion(seen, begun.chosen(np.zeros(0, dtype=int))))
            families = len({label["family"] for label in seen.labels})
            # The opinion without caution: that would need families of its own.
            rows.append((kind, families, len(seen), scores.counts(table.chosen(judged), said.full)))
    return rows


def run(folder: Path = PACKED, workers: int = 1) -> dict[str, Any]:
    """Everything that the page tells."""
    rows = all_of(LEARNED, folder)
    table, begun = opinion.scored(rows), opinion.beginnings(rows)
    sparse = opinion.sparse_of(table)
    said = answers_apart(table, (begun, sparse), opinion.learned_apart(table, begun, workers=workers))
    others = [(said[1], begun), (said[2], sparse)]
    apart = {recorded: judged_apart(said[0], table, others, recorded=recorded) for _, recorded in KINDS}
    learned = opinion.with_caution(fit_opinion(table, begun), said[0], table)
    opinion.write(learned)
    print(f"{opinion.TARGET.stat().st_size:,} bytes", flush=True)
    judged = {
        recorded: as_reported(said[0], apart[recorded][0], table, learned, recorded=recorded) for recorded in apart
    }
    print(*(scores.line(table, judged[recorded]) for _, recorded in KINDS), sep="\n", flush=True)
    looks = json.loads(LOOKS.read_text(encoding="utf-8")) if LOOKS.is_file() else {}
    return {
        "table": table, "judged": judged, "said": said[0], "begun": begun, "said of begun": said[1], "apart": apart,
        "learned": learned, "looks": looks,
    }  # fmt: skip


def as_reported(said: opinion.Answers, cautious: Array, table: Table, scale: Learned, *, recorded: bool) -> Array:
    """(runs, causes): what a report says."""
    signs, curves = said.of(recorded=recorded)
    found = ruled.variants(signs, curves, cautious, table, scale, recorded=recorded)
    return next(p for name, _, p in found if name == ruled.THE_RULE)


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)]  # fmt: skip


def shares(found: Mapping[str, Any]) -> list[str]:
    """The cells of one row: the figures with their intervals, and Brier."""
    return [*(scores.shown(*found["counts"][name]) for name in FIGURES), f"{found['brier']:.3f}"]


def page(result: Mapping[str, Any], learning: Sequence[Any]) -> str:
    """The page."""
    table, judged, said = result["table"], result["judged"], result["said"]
    is_archive = np.array([label["part"] in SOURCES for label in table.labels])
    count = len({label["family"] for label in table.labels})
    lines = ["# How well causes are named", "", _filled(TEXT, table), ""]
    groups = {
        "archived": np.flatnonzero(is_archive),
        "drawn": np.flatnonzero(~is_archive),
        "all": np.arange(len(table)),
    }
    rows = []
    for words, recorded in KINDS:
        for name, chosen in groups.items():
            found = figures_of(table.chosen(chosen), judged[recorded][chosen])
            rows.append([f"{name}, {words}", found["runs"], found["families"], *shares(found)])
    begun, apart = result["begun"], result["apart"]
    listed = np.flatnonzero([label["expected"] != "unknown" for label in table.labels])
    for words, recorded in KINDS:
        found = figures_of(table.chosen(listed), judged[recorded][listed])
        rows.append([f"all but faults that no cause covers, {words}", found["runs"], found["families"], *shares(found)])
    for name, p in (
        ("all, signs and facts", with_facts(ruled.shares_of(said.bare_signs), table, by_curves=False)),
        ("all, signs and facts, with them", with_facts(ruled.shares_of(said.signs), table, by_curves=False)),
        ("all, curves before facts", apart[False][0]), ("all, curves before facts, with them", apart[True][0]),
        ("all, curves without caution", said.bare), ("all, curves without caution, with them", said.full),
        ("sparse logs of all, curves before facts", apart[False][2]),
        ("sparse logs of all, curves before facts, with them", apart[True][2]),
    ):  # fmt: skip
        rows.append([name, len(table), count, *shares(figures_of(table, p))])
    lines += markdown(("families not seen", "runs", "families", *FIGURES, "Brier"), rows)
    lines += ["", "## Who decides", "", _filled(RULE, table), "", *rule_table(result)]
    lines += ["", "## Healthy runs on their way", "", BEGUN.strip(), ""]
    part = np.array([label["share"] if label["rows"] >= MIN_ROWS else np.nan for label in begun.labels])
    says = {recorded: as_reported(result["said of begun"], apart[recorded][1], begun, result["learned"], recorded=recorded)
            for recorded in apart}  # fmt: skip
    rows = []
    for share in sorted(set(part[~np.isnan(part)].tolist())):
        mine = part == share
        alarmed = [int((says[recorded].argmax(axis=1) != opinion.HEALTHY)[mine].sum()) for _, recorded in KINDS]
        rows.append([f"{share:.0%}", int(mine.sum()), *(scores.shown(n, int(mine.sum())) for n in alarmed)])
    lines += markdown(("share of the run", "runs", *(f"called ill, {words}" for words, _ in KINDS)), rows)
    lines += ["", "## First looks", "", LOOK_TEXT.strip(), ""]
    rows = []
    for part in result["looks"]:
        for words in (words for words, _ in KINDS if words in result["looks"][part]):
            found = result["looks"][part][words]
            rows.append([f"{part}, {words}", found["runs"], found["families"], *shares(found)])
    lines += markdown(("look", "runs", "families", *FIGURES, "Brier"), rows)
    p = judged[True]
    lines += ["", "## By cause, with the recorder's columns", ""]
    lines += markdown(("cause", "runs", "detected", "named", "wrongly taken for"), scores.by_cause(table, p))
    for title, keys in (
        ("length", [_length(label["rows"]) for label in table.labels]),
        ("logging interval", [f"{label['interval']} steps" for label in table.labels]),
        ("family", [label["family"] for label in table.labels]),
    ):
        lines += ["", f"## By {title}, with the recorder's columns", ""]
        lines += markdown((title, "runs", "false alarms", "detected", "named"), scores.by(table, p, keys))
    lines += ["", "## Faults outside the list", "", OUTSIDE.strip(), ""]
    rows = [
        [name, n, scores.shown(near, n), scores.shown(calm, n)] for name, (near, calm, n) in outside(table, p).items()
    ]
    total = np.array(list(outside(table, p).values())).sum(axis=0).tolist() if rows else [0, 0, 0]
    rows.append(["all", total[2], scores.shown(total[0], total[2]), scores.shown(total[1], total[2])])
    lines += markdown(("fault", "harmful runs", "unknown or near", "called healthy"), rows)
    lines += ["", "## More runs or more families", "", CURVE.strip(), ""]
    names = (*FIGURES[:3], "harmful named")
    rows = [[kind, f, n, *(scores.shown(*found[name]) for name in names)] for kind, f, n, found in learning]
    lines += markdown(("fewer", "families", "runs", *names), rows)
    return "\n".join([*lines, ""])


def rule_table(result: Mapping[str, Any]) -> list[str]:
    """The signs, each exception to them and all three, on all families and on those of the archive among them."""
    learned, table, said, rows = result["learned"], result["table"], result["said"], []
    archived = np.flatnonzero([label["part"] in SOURCES for label in table.labels])
    for words, recorded in KINDS:
        cautious = result["apart"][recorded][0]
        for name, mine in (("all families", np.arange(len(table))), ("archived families", archived)):
            some, (signs, curves) = table.chosen(mine), said.chosen(mine).of(recorded=recorded)
            for who, count, p in ruled.variants(signs, curves, cautious[mine], some, learned, recorded=recorded):
                found = figures_of(some, p)
                rows.append([who, f"{name}, {words}", count, found["runs"], found["families"], *shares(found)])
    for part, kinds in result["looks"].items():
        if part.endswith(AS_REPORTED):
            rows += [["a report", f"{part.removesuffix(AS_REPORTED)} look, {words}", "", found["runs"], found["families"], *shares(found)]
                     for words, found in kinds.items()]  # fmt: skip
    return markdown(("who decides", "on", "overruled", "runs", "families", *FIGURES, "Brier"), rows)


def _filled(text: str, table: Table) -> str:
    """A text with the numbers of this table and the limits of the rule."""
    healthy = [label for label in table.labels if label["expected"] == "healthy"]
    faults = [label for label in table.labels if label["expected"] != "healthy"]
    return text.strip().format(
        runs=len(table), families=len({label["family"] for label in table.labels}),
        facts=sum(bool(label["proven"] or label["grave"]) for label in healthy) / len(healthy),
        unlisted=sum(label["expected"] == "unknown" for label in faults) / len(faults),
        calm=deciding.CALM_ALONE, overshot=deciding.CALM_OVERSHOOT,
        never=", ".join(sorted(map(cause_in_words, deciding.NEVER_CALMED))),
        warns=_limits(deciding.WARNS),
        alarms=opinion.FALSE_ALARMS, sure=deciding.SURE, why=deciding.WHY,
        may=", ".join(sorted(map(cause_in_words, deciding.MAY_NAME))),
    )  # fmt: skip


def _limits(limits: Mapping[Any, float]) -> str:
    """Limits by cause, in words."""
    return ", ".join(
        f"for {cause_in_words(cause)} {'never' if limit >= 1 else f'{limit:.0%}'}" for cause, limit in limits.items()
    )


def _length(rows: int) -> str:
    return next(words for limit, words in ((100, "1 to 99 rows"), (300, "100 to 299 rows"), (600, "300 to 599 rows"),
                                           (1000, "600 to 999 rows"), (10**9, "1000 rows and more")) if rows < limit)  # fmt: skip


TEXT = """
Written by `python -m benchmarks.diagnosis.naming`. Two judges: the hand-made signs, whose weights were learned from the archived runs
([how they do alone](diagnosis.md)), and boosted decision trees with a small network beside them, which judge the grades of the signs
and some hundreds of generic numbers of the curves. {runs:,} runs of {families} families are scored here: those of the archive, and those
that `benchmarks.runs.drawn` draws at random. A family is judged only by signs, trees and a network that saw no run of it: an eighth of
the families was left out at a time.

The first six rows are what a report says ([who decides](#who-decides)), but for ceilings of confidence: a cause that a fact of the log
proves (a rate of zero, a NaN from one step to the next) goes first, what a fact rules out is not named, and where that was the
likeliest cause and no other had a fifth the run counts as healthy: clipping at every step under Adam and a restart after which the same
batches cost the same are labelled as faults here, and a report says that they do no harm. Some {facts:.1%} of the healthy runs are
called ill by facts alone.

A false alarm is a healthy run for which a fault is likeliest. A fault is detected if anything but `healthy` is likeliest, named
if that is the expected cause or one that the label accepts too. Harmful faults cost more than 5 % of the progress of the same run
without the fault. Many of them show only beside that run: the same loss without it would be a healthy one, and no judge of a
single log can know. {unlisted:.0%} of the faults are of kinds that no cause covers; most of these show least. Intervals are of 95 %, as
if runs of a family were independent.
"""
RULE = """
What a report says, by the rule of `gradlens.diagnosis.deciding`. A fact of the log comes before signs and curves, but where the curves
are surer of another cause than the fact is of its own. Otherwise what the signs say is changed in four ways, each measured alone:

- *agreed*: both have the same cause first; the confidences are those of the curves.
- *named*: the signs raise an alarm, and to the curves another cause is likeliest: it is named; but not "none of the list" in
  place of a rate too high, an explosion, vanishing gradients or a run that does not learn, nor anything in place of a lag of Adam that a
  stated beta2 makes likely.
- *calmed*: the signs raise an alarm, no fact supports it, and to the curves `healthy` is likeliest, with {calm:.0%} before any caution:
  the alarm becomes a note. Never so: {never}; nor where the curves have the same cause first before any caution, but for odd batches
  and changes of their size; nor a rate too high or missing warm-up where the loss plainly rebounds, or overshoots at once and `healthy`
  has less than {overshot:.0%} before any caution.
- *warned*: signs and facts show nothing, and to the curves a fault is likeliest ({warns}): a warning (GL011).

A cause that a fact rules out is heard from the curves nevertheless where facts show trouble anyway, the curves have it first with
{sure:.0%} and it is one that shapes the whole course ({may}). That a run does not learn, or overfits, is the cause only where the curves
have no other with {why:.0%}.

The last three are not done in logs of fewer than 40 losses, of a loss whose
course, as names tell, means nothing (an agent's, an adversary's), where more than 40 % of the traits lie outside the middle 23 of 24
parts of the runs learned from (one run in a thousand of these), or where more than 60 % are missing. Of a loss that only its values show
to take both signs the signs read nothing off the course, and the curves are heard.

The caution of the curves is an advantage of `healthy`, set so that {alarms:.1%} of the healthy runs of families not seen are called ill
before facts. It decides whether there is an alarm, and not how confident a report is: the confidences are those of the curves before it,
levelled so that what was decided is first, and the mean of both where the signs decide against the curves. Of a cause that a fact
doubts the odds are halved. What only facts can tell (a rate of zero, a run that does not learn, a sudden NaN) counts for `healthy` where
none did. The limits, round numbers, were chosen on the rows of all families, which therefore flatter a little, and the
higher ones of *warned* because of runs that came with the project and made-up ones of the tests.
"""
BEGUN = """
The logs of healthy runs as they stood after a tenth, a quarter or a half (one of these for each run), judged by what saw nothing of
their family; trees and network learned from such logs of other families, too. Logs of fewer than 40 rows, which the signs alone judge,
are left out: `gradlens watch` and the recorder wait for more ([watching](watch.md)).
"""
LOOK_TEXT = """
Ten times twenty families whose tasks or architectures no run before them had. Each look was scored once, by what had been
learned before it, and learned from only then.

The first three were judged by an earlier opinion, which did not see the signs, and told its opinion beside a verdict that was the
signs'. Before the second look at the first two of them one rule was changed, because of runs that had come with the project, and a
mistake was undone: the signs had been learned from twelve of the drawn families too. So `first` and `second` are there twice.

`fourth` was judged by networks in place of trees, joined with the signs. `fifth` was judged by the same, as a report does it
(`python -m benchmarks.diagnosis.newest FOLDER`): facts, who decides, ceilings. `sixth` to `eighth` were judged by trees and the rule
above, in the same way; for `seventh`, confidences were told as below, and runs of eighty more kinds of loss and architecture
had been learned from; for `eighth`, there were twice as many trees, archived runs counted three times, and losses of both signs were
judged; for `ninth`, the network stood beside the trees, and both had learned from the first seven. `tenth` was judged by what ships,
which has learned from the first nine, and whose curves may name what a fact rules out; after it, "none of the list" stopped being warned
of where the loss hardly moves, and a rate that jumps being named against a fact, because of made-up logs. Of a family in which too few
healthy runs learned, nothing is scored.
"""
OUTSIDE = """
Faults that no cause covers, where they did harm that the loss shows against the twin.
"""
CURVE = """
The curves without caution, with the recorder's columns, on a fifth of the families, when learned from a part of the others.
"""


def main() -> None:
    """Judge, learn and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    result = run(workers=options.workers)
    text = page(result, curve(result["table"], result["begun"]))
    if options.print:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
