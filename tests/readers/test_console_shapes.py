"""Records cut by the shape of the ones before: the same names, numbers and notices as each cut by itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gradlens.readers.base import NoticeBook
from gradlens.readers.console.grammar import Fields
from gradlens.readers.console.shapes import Cutter
from gradlens.readers.console.table import Records

keys = st.sampled_from(
    ["loss", "grad norm", "grad_norm", "lr", "a b c", "layer12", "loss nan", "inf", "x/y", "tokens (ms)"]
)
separators = st.sampled_from([": ", "=", " ", "  ", ":    ", " = ", "':", "': "])
tokens = st.one_of(
    st.floats(-1e6, 1e6).map(repr),
    st.integers(-99, 10**7).map(str),
    st.floats(0, 1e6).map("{:.4E}".format),
    st.sampled_from([
        "nan", "inf", "-nan", "NaN,", "1,125", "17/438", "12:30:05", "2024-05-01", "47.13GiB(49.60%)", "203.11ms,", "1_0",
        "tensor(0.5)", "np.float64(0.25)", "'0.5'", "[1.5]", "(2", "1.2.3", "--", "oops", "5e", "1e5x", "-", ".", "",
    ]),
)  # fmt: skip
between = st.sampled_from([" | ", ", ", " ", "  ", "; ", " - ", " at 12:05 ", " [17] | ", " foo ", ", '", " |"])
fields = st.tuples(keys, separators, tokens, between)
shapes = st.sampled_from([Fields.WORDS, Fields.PIPES, Fields.PHRASES, Fields.DICT])


def text_of(record):
    return "".join("".join(field) for field in record)


@st.composite
def logs(draw):
    """A few kinds of records, each repeated with other values."""
    kinds = draw(st.lists(st.lists(fields, min_size=1, max_size=5), min_size=1, max_size=3))
    bodies = [text_of(kind) for kind in kinds]
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(kinds))
        bodies.append(text_of((key, sep, draw(tokens), gap) for key, sep, _, gap in kind))
    return bodies


@settings(max_examples=400, deadline=None)
@given(logs(), shapes)
def test_same_as_one_by_one(bodies, shape):
    together, alone = NoticeBook(), NoticeBook()
    cutter = Cutter(shape)
    for body in bodies:
        assert repr(cutter.cut(body, together)) == repr(Cutter(shape).cut(body, alone)), body
    assert together.notices() == alone.notices()


def test_records_of_several_names_are_one_table():
    records = Records()
    records.add(0, ("loss", "step"), [1.0, 7.0], 1.0, None)
    records.add(1, ("val",), [2.0], None, None)
    records.add(2, ("step", "loss"), [9.0, 3.0], None, None)
    records.add(3, ("val",), [4.0], None, None)

    def columns(first, after):
        found = records.columns(first, after, records.steps(first, after))
        return {c.name: (c.value.tolist(), None if c.row is None else c.row.tolist()) for c in found}

    assert columns(0, 3) == {"step": ([1.0, 9.0], [0, 2]), "loss": ([1.0, 3.0], [0, 2]), "val": ([2.0], [1])}
    assert list(columns(0, 3)) == ["step", "loss", "val"]
    assert columns(1, 4) == {"val": ([2.0, 4.0], [0, 2]), "step": ([9.0], [1]), "loss": ([3.0], [1])}
    assert columns(3, 4) == {"val": ([4.0], None)}
