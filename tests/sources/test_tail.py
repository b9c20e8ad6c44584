"""The bytes of a file, each once, whatever becomes of it."""

from __future__ import annotations

import pytest

from gradlens.sources.tail import Tail


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.log"
    path.write_bytes(b"one\ntwo\n")
    return path


@pytest.fixture
def tail(path):
    tail = Tail(path)
    yield tail
    tail.close()


def add(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_each_line_once(path, tail):
    assert tail.look().data == b"one\ntwo\n"
    assert tail.look().change == ""
    add(path, b"three\nfo")
    assert tail.look().data == b"three\n"
    add(path, b"u")
    found = tail.look()
    assert (found.change, found.data) == ("grown", b"")
    add(path, b"r\n")
    assert tail.look().data == b"four\n"


def test_rotation_loses_nothing(path, tail):
    tail.look()
    add(path, b"last\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"new\n")
    found = tail.look()
    assert (found.change, found.rest, found.data) == ("rotated", b"last\n", b"new\n")


def test_replacement(path, tail):
    tail.look()
    other = path.with_suffix(".new")
    other.write_bytes(b"one\ntwo\nthree\n")
    other.replace(path)
    found = tail.look()
    assert (found.change, found.rest, found.data) == ("replaced", b"", b"one\ntwo\nthree\n")


def test_truncation(path, tail):
    tail.look()
    path.write_bytes(b"x\n")
    found = tail.look()
    assert (found.change, found.data) == ("truncated", b"x\n")


def test_a_file_written_anew_and_longer_than_before(path, tail):
    tail.look()
    path.write_bytes(b"other\nlines\nand more\n")
    found = tail.look()
    assert (found.change, found.data) == ("truncated", b"other\nlines\nand more\n")


def test_a_file_that_is_away_for_a_while(path, tail):
    tail.look()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        tail.look()
    path.write_bytes(b"back\n")
    assert tail.look().data == b"back\n"


def test_large_files_come_in_pieces(path, tail, monkeypatch):
    monkeypatch.setattr("gradlens.sources.tail.MAX_PIECE", 5)
    pieces = []
    while True:
        found = tail.look()
        pieces.append(found.data)
        if not found.more:
            break
    assert b"".join(pieces) == b"one\ntwo\n"
