"""The sources keep clear of phrasing that a stranger has to decode (see CONTRIBUTING.md)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = [
    *(
        path
        for folder in ("gradlens", "benchmarks", "examples", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
]
#: Each habit as a pattern, with what to write instead.
HABITS = {
    r"\bis no (?:log|number|row|file|list|record|counter|measure|parameter)\b": "is not a ...",
    r"\bare no (?:logs|numbers|rows|files|lists|records|fields|attempts)\b": "are not ...",
    r"\bwritten again\b": "rewritten",
    r"(?<![\w.])anew\b(?!\(| =|,)": "again, re-...",
    r"\bheld against\b": "checked against",
    r"\bnot whole\b": "incomplete",
    r"\bnothing needs doing\b": "no action needed",
    r"\bas good as none\b": "counts as absent",
    r"\bso many (?:rows|steps|spikes|looks|polls)\b": "N ..., this many ...",
    r"\b[Oo]ne (?:tag|row|value|line|record|module|object|column|run) a "
    r"(?:file|step|record|line|row|kind|run|format|metric|series|layer)\b": "one ... per ...",
    r"\b(?:runs a cell|false alarms a step|(?:seeds|runs) a side|µs a step)\b": "... per ...",
    r"\b_?(?:FEWEST|MOST|LEAST|LARGEST|SMALLEST|DEEPEST|LONGEST)(?:_[A-Z]+)*\b": "MIN_... or MAX_...",
}


@pytest.fixture(scope="module")
def texts():
    return {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in TEXTS if path != Path(__file__)}


@pytest.mark.parametrize(("habit", "instead"), HABITS.items(), ids=HABITS.values())
def test_no_habit_comes_back(texts, habit, instead):
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in texts.items()
        for match in re.finditer(habit, text)
        # "There is no row" is ordinary English.
        if not text[: match.start()].lower().endswith("there ")
    ]
    assert not found, f"write {instead!r}:\n" + "\n".join(found)


def test_the_patterns_find_what_they_are_for():
    samples = (
        "it is no log",
        "rows are no numbers",
        "written again",
        "made anew",
        "one row a step",
        "MOST_ROWS",
        "FEWEST",
    )
    assert all(any(re.search(habit, sample) for habit in HABITS) for sample in samples)
