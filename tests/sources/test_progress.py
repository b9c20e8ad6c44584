"""The progress bar: only on a terminal, only after a second, gone at the end."""

from __future__ import annotations

import io

from gradlens.sources import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(stream, monkeypatch, seconds):
    clock = iter(seconds)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress_bars(stream), progress.track("logs/\x1b[31mrun", 4_000_000) as update:
        for share in range(1, len(seconds)):
            update(share * 1_000_000)
    return stream.getvalue()


def test_a_bar_after_a_second(monkeypatch):
    text = drawn(Terminal(), monkeypatch, [0.0, 0.5, 1.5, 2.5])
    assert " 50% of 4 MB" in text
    assert " 25%" not in text
    assert "\x1b[31m" not in text
    assert text.endswith("\r\x1b[K")


def test_nothing_for_a_fast_read(monkeypatch):
    assert drawn(Terminal(), monkeypatch, [0.0, 0.1, 0.2]) == ""


def test_nothing_in_a_pipe():
    stream = io.StringIO()
    with progress.progress_bars(stream), progress.track("run", 10) as update:
        update(10)
    assert stream.getvalue() == ""


def test_nothing_unless_asked_for(capsys):
    with progress.track("run", 10) as update:
        update(10)
    assert capsys.readouterr() == ("", "")
