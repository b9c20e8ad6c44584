"""Learns the network that judges curves, and measures how well signs and curves together name causes, for `docs/naming.md`.

    python -m benchmarks.diagnosis.naming [--print]

From the packed table; needs PyTorch. Takes about three minutes on an idle core.

In order: every family but those of the newest look is judged by what saw nothing of it (`FOLDS` parts of the families, one left out
at a time); the newest look, whose tasks or architectures no earlier run had, is judged once by what was learned from all others;
then the network that ships is learned from all; then the learning curve. Writes `gradlens/diagnosis/opinion.npz`,
`benchmarks/diagnosis/looks.json` and `docs/naming.md`. A look that is in `looks.json` stays as it was published there.
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
    fit_network,
    judged_apart,
)
from benchmarks.diagnosis.ruled import with_facts
from benchmarks.diagnosis.table import PACKED, Table, joined, open_table
from benchmarks.runs.drawn.faults import UNLISTED
from gradlens.diagnosis.opinion import joined_of, silent_on

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]

PAGE = Path(__file__).parent.parent.parent / "docs" / "naming.md"
LOOKS = Path(__file__).parent / "looks.json"
#: Looks that were published and have been learned from since, and the newest.
OLD_LOOKS, NEWEST = ("first", "second", "third"), "fourth"
#: The look that was judged by `benchmarks.diagnosis.newest`.
AS_REPORTED = "fifth, as reports say it"
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
    table: Table, shares: Sequence[float] = (0.25, 0.5, 1.0)
) -> list[tuple[str, int, int, dict[str, tuple[int, int]]]]:
    """The joint answers on a fifth of the families when fewer families, or fewer runs of each, were learned from."""
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
            said = answers(table.chosen(judged), signs, fit_network(seen, members=1))
            families = len({label["family"] for label in seen.labels})
            # The opinion alone: a join would need families of its own.
            rows.append((kind, families, len(seen), scores.counts(table.chosen(judged), said.full)))
    return rows


def look(part: str, table: Table, p: Mapping[bool, Array], published: dict[str, Any]) -> None:
    """Publish a first look, unless it was."""
    if part in published:
        return
    published[part] = {words: figures_of(table, p[recorded]) for words, recorded in KINDS} | {
        "outside": outside(table, p[True]),
        "by family": {
            row[0]: list(row[1:]) for row in scores.by(table, p[True], [label["family"] for label in table.labels])
        },
    }
    LOOKS.write_text(json.dumps(published, indent=1) + "\n", encoding="utf-8")


def run(folder: Path = PACKED) -> dict[str, Any]:
    """Everything that the page tells."""
    published: dict[str, Any] = json.loads(LOOKS.read_text(encoding="utf-8")) if LOOKS.is_file() else {}
    rows = all_of(("archive", "learn", *OLD_LOOKS), folder)
    table, begun = opinion.scored(rows), opinion.beginnings(rows)
    sparse = opinion.sparse_of(table)
    said = answers_apart(table, (begun, sparse))
    others = [(said[1], begun), (said[2], sparse)]
    apart = {recorded: judged_apart(said[0], table, others, recorded=recorded) for _, recorded in KINDS}
    reported = {recorded: with_facts(apart[recorded][0], table, joint=True) for recorded in apart}
    print("apart", *(scores.line(table, reported[recorded]) for _, recorded in KINDS), sep="\n", flush=True)
    network = opinion.with_join(fit_network(table), said[0], table)
    result = {"table": table, "judged": reported, "said": said[0], "begun": begun, "apart": apart}
    newest = opinion.scored(all_of((NEWEST,), folder))
    new = answers(newest, opinion.learned_signs(table), network)
    silent = silent_on(newest.traits, opinion.CAUSES)
    joint = {
        recorded: joined_of(*new.of(recorded=recorded), network.join[int(recorded)], silent) for _, recorded in KINDS
    }
    p = {recorded: with_facts(joint[recorded], newest, joint=True) for _, recorded in KINDS}
    result |= {"newest": newest, "new": new, "joint": joint, "network": network}
    print(NEWEST, *(scores.line(newest, p[recorded]) for _, recorded in KINDS), sep="\n", flush=True)
    look(NEWEST, newest, p, published)
    everything = joined([table, newest])
    network = opinion.with_join(fit_network(everything), opinion.together(said[0], new), everything)
    opinion.write(network)
    print(f"{opinion.TARGET.stat().st_size:,} bytes", flush=True)
    return result | {"looks": published}


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
    lines = ["# How well causes are named", "", TEXT.strip().format(runs=len(table), families=count), ""]
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
    for name, p in (
        ("all, together, before facts", apart[False][0]), ("all, together, before facts, with them", apart[True][0]),
        ("all, signs alone", with_facts(ruled.shares_of(said.bare_signs), table, joint=False)),
        ("all, signs alone, with them", with_facts(ruled.shares_of(said.signs), table, joint=False)), ("all, network alone", said.bare),
        ("all, network alone, with them", said.full), ("sparse logs of all, together, before facts", apart[False][2]),
    ):  # fmt: skip
        rows.append([name, len(table), count, *shares(figures_of(table, p))])
    lines += markdown(("families not seen", "runs", "families", *FIGURES, "Brier"), rows)
    lines += ["", "## Who decides", "", RULE.strip(), "", *rule_table(result)]
    lines += ["", "## Healthy runs on their way", "", BEGUN.strip(), ""]
    part = np.array([label["share"] for label in begun.labels])
    rows = []
    for share in sorted(set(part.tolist())):
        mine = part == share
        alarmed = [int((apart[recorded][1].argmax(axis=1) != opinion.HEALTHY)[mine].sum()) for _, recorded in KINDS]
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
    """The signs, each exception to them and all three, on all families, those of the archive among them, and on a newer look."""
    network, table, rows = result["network"], result["table"], []
    archived = np.flatnonzero([label["part"] in SOURCES for label in table.labels])
    for words, recorded in KINDS:
        joint = result["apart"][recorded][0]
        sets = (
            ("all families", table, result["said"], joint),
            ("archived families", table.chosen(archived), result["said"].chosen(archived), joint[archived]),
            (f"{NEWEST} look", result["newest"], result["new"], result["joint"][recorded]),
        )
        for name, some, said, both in sets:
            signs, curves = said.of(recorded=recorded)
            for who, count, p in ruled.variants(signs, curves, both, some, network, recorded=recorded):
                found = figures_of(some, p)
                rows.append([who, f"{name}, {words}", count, found["runs"], found["families"], *shares(found)])
    for words, found in result["looks"].get(AS_REPORTED, {}).items():
        rows.append(["a report", f"fifth look, {words}", "", found["runs"], found["families"], *shares(found)])
    return markdown(("who decides", "on", "overruled", "runs", "families", *FIGURES, "Brier"), rows)


def _length(rows: int) -> str:
    return next(words for limit, words in ((100, "1 to 99 rows"), (300, "100 to 299 rows"), (600, "300 to 599 rows"),
                                           (1000, "600 to 999 rows"), (10**9, "1000 rows and more")) if rows < limit)  # fmt: skip


TEXT = """
Written by `python -m benchmarks.diagnosis.naming`. Two judges are joined: the hand-made signs, whose weights were learned from
the archived runs ([how they do alone](diagnosis.md)), and a small network that judges the grades of the signs and some hundreds of
generic numbers of the curves. {runs:,} runs of {families} families are scored here: those of the archive, and those that
`benchmarks.runs.drawn` draws at random. A family is judged only by signs, network and join that saw no run of it: a quarter of the
families was left out at a time.

On families never seen the joint judgement raises half the false alarms of the signs and names more causes. In a report it decides,
but where the signs are sure of a fault ([who decides](#who-decides)). The first six rows are what a report would say of a run if it
always decided: a cause that a fact of the log proves (a rate of zero, a NaN from one step to the next) goes first; so it does in the
rows of the signs alone. What a fact rules out is not named, and where that was the likeliest cause and no other had a fifth the run
counts as healthy: clipping at every step under Adam is labelled as a fault here, and a report says that it does no harm. Some
1.7 % of the healthy runs are called ill by facts alone. Ceilings of confidence are left out.

A false alarm is a healthy run for which a fault is likeliest. A fault is detected if anything but `healthy` is likeliest, named
if that is the expected cause or one that the label accepts too. Harmful faults cost more than 5 % of the progress of the same run
without the fault. Many of them show only beside that run: the same loss without it would be a healthy one, and no judge of a
single log can know. Intervals are of 95 %, as if runs of a family were independent.
"""
RULE = """
What a report says, by the rule of `gradlens.diagnosis.deciding`. A fact of the log comes before signs and curves. Otherwise signs and
curves together decide, unless the signs are sure of a fault (95 %). This changes what the signs say in three ways, each measured alone:

- *named*: the signs raise an alarm, and together another cause is likeliest: it is named. Not among bad data, data shift and a lag of
  Adam, which begin with the same shock.
- *calmed*: the signs raise an alarm, no fact supports it, together `healthy` is likeliest, and the curves alone give it 20 %, beside an
  alarm for a rate too high 35 %, for an explosion, a missing warm-up or vanishing gradients 70 %: the alarm becomes a note. Not
  one for a weight penalty.
- *warned*: signs and facts show nothing, and together a fault is likeliest, a data shift, a weight penalty or bad data with 70 %:
  a warning (GL011).

None is made in logs of fewer than 40 losses, of a loss whose course means nothing, where more than 40 % of the traits lie outside
the middle 23 of 24 parts of the runs learned from (one run in a thousand of these), or where more than 60 % are missing.

The limits, round numbers, were chosen on the rows of all families, which therefore flatter a little, and the higher ones of *calmed*
and *warned* because of runs that came with the project and made-up ones of the tests: without them the rule would have a point fewer
of false alarms at the same naming. The rule before this one let the signs decide with narrower exceptions: 6.8 % false alarms, 74.4 %
detected, 62.4 % named without the recorder's columns, 6.0, 76.6 and 66.3 % with them.

The facts behind all rows but the last are those of the day on which the tables were packed; what has been mended since is not in them.
Of the 34 false alarms by facts seven are gone; five of these were norms and losses that fade below the last digit that is written.
The rows of the fifth look are made otherwise: its logs were read and judged by `gradlens` itself, once, with everything frozen.
"""
BEGUN = """
The logs of healthy runs as they stood after a tenth, a quarter or a half (one of these for each run), judged by what saw nothing
of their family. Logs of fewer than 40 rows are judged by the signs alone, which this table does not tell apart.
"""
LOOK_TEXT = """
Five times twenty families whose tasks or architectures no run before them had. Each look was scored once, by what had been
learned from everything before it, and learned from only then.

The first three were judged by an earlier network, which did not see the signs, and told its opinion beside a verdict that was the
signs'. Before the second look at the first two of them one rule was changed, because of runs that had come with the project, and a
mistake was undone: the signs had been learned from twelve of the drawn families too. So `first` and `second` are there twice.

`fourth` was judged by the present network and join, learned from everything else, facts included. `fifth` was judged by what ships, as a
report does it (`python -m benchmarks.diagnosis.newest FOLDER`): signs where they are sure, facts as they are today, ceilings. Nothing
has been learned from it. Afterwards two things were changed, because of the families that were learned from and of runs of the tests:
where a fact rules out the likeliest cause, the next one is named if it had a fifth by itself; and what bad data needs to be warned of
and an explosion to be calmed went up to 70 %. The rows of the look stay as they were. Of a family in which too few healthy runs
learned, nothing is scored.
"""
OUTSIDE = """
Faults that no cause covers, where they did harm that the loss shows against the twin.
"""
CURVE = """
The network alone, with the recorder's columns, on a fifth of the families, when learned from a part of the others.
"""


def main() -> None:
    """Judge, learn and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    options = parser.parse_args()
    result = run()
    text = page(result, curve(result["table"]))
    if options.print:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
