"""Files are written whole or not at all, and what stood there keeps its mode, its links and its content."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gradlens.errors import OutputError
from gradlens.files import replacing, write_whole

ROOT = Path(__file__).parent.parent


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.html"


def test_a_new_file_has_the_mode_that_the_umask_allows(path):
    old = os.umask(0o027)
    try:
        write_whole(path, "new")
    finally:
        os.umask(old)
    assert (path.read_text(), mode(path)) == ("new", 0o640)


@pytest.mark.parametrize("bits", [0o600, 0o644, 0o664, 0o755])
def test_an_older_file_keeps_its_mode(path, bits):
    path.write_text("old")
    path.chmod(bits)
    write_whole(path, b"new")
    assert (path.read_text(), mode(path)) == ("new", bits)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_an_older_file_keeps_its_owner(path):
    path.write_text("old")
    os.chown(path, 12345, 12346)
    path.chmod(0o640)
    write_whole(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (12345, 12346, 0o640)


def test_a_link_stays_and_its_file_is_written(tmp_path, path):
    far = tmp_path / "far"
    far.mkdir()
    (far / "kept.html").write_text("old")
    (far / "kept.html").chmod(0o600)
    (tmp_path / "middle.html").symlink_to("far/kept.html")
    path.symlink_to("middle.html")
    write_whole(path, "new")
    assert path.is_symlink()
    assert (tmp_path / "middle.html").is_symlink()
    assert ((far / "kept.html").read_text(), mode(far / "kept.html")) == ("new", 0o600)
    assert names(far) == ["kept.html"]


def test_a_dangling_link_gets_its_file(tmp_path, path):
    path.symlink_to("later.html")
    write_whole(path, "new")
    assert path.is_symlink()
    assert (tmp_path / "later.html").read_text() == "new"


@pytest.mark.parametrize("target", ["report.html", "nowhere/later.html"])
def test_links_to_nowhere_are_an_error(path, target):
    path.symlink_to(target)
    with pytest.raises(OutputError, match=r"report\.html: cannot write: "):
        write_whole(path, "new")
    assert path.is_symlink()


def test_other_hard_links_keep_the_old_content(tmp_path, path):
    path.write_text("old")
    (tmp_path / "other").hardlink_to(path)
    write_whole(path, "new")
    assert ((tmp_path / "other").read_text(), path.read_text()) == ("old", "new")


def test_a_failure_leaves_the_old_file_and_no_scratch(tmp_path, path):
    path.write_text("old")

    def fail():
        with replacing(path) as handle:
            handle.write(b"half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_a_full_disk_leaves_the_old_file_and_no_scratch(tmp_path, path):
    resource = pytest.importorskip("resource")
    path.write_text("old")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write: File too large") as caught:
            write_whole(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "space left" in caught.value.hint
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_a_killed_writer_leaves_the_old_file(tmp_path, path):
    path.write_text("old")
    code = (
        "import os, pathlib, sys\nfrom gradlens.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as handle:\n    handle.write(b'x' * 100_000)\n    os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, cwd=ROOT)
    assert done.returncode == -9
    assert path.read_text() == "old"


def test_the_file_is_on_disk_before_it_takes_the_place(path, monkeypatch):
    order = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), sync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), replace(self, to))[1])
    write_whole(path, "new")
    assert order == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize("name", ["missing/report.html", "", "file/report.html"])
def test_no_place_to_write_is_a_clear_error(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_whole(tmp_path / name, "new")
    assert str(caught.value).startswith(f"{tmp_path / name}: cannot write: ")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_a_file_that_may_not_be_written_is_not_replaced(path):
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(OutputError, match="Permission denied"):
        write_whole(path, "new")
    assert path.read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_written_to(tmp_path):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        write_whole(pipe, "new")
        assert reader.stdout.read() == b"new"
    write_whole(Path(os.devnull), "new")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_names_as_long_as_a_folder_takes(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_half_a_surrogate_pair_is_written_as_its_escape(path):
    write_whole(path, "a\ud800b é")
    assert path.read_bytes() == b"a\\ud800b \xc3\xa9"


def test_nothing_else_in_the_package_writes_files():
    # What goes to the null device is written nowhere.
    ways = re.compile(r"write_text|write_bytes|mkstemp|NamedTemporaryFile|open\((?!os\.devnull)[^)]*\"[wx]b?\"")
    writers = {
        p.relative_to(ROOT / "gradlens").as_posix()
        for p in (ROOT / "gradlens").rglob("*.py")
        if ways.search(p.read_text(encoding="utf-8"))
    }
    # The journal of a fleet goes on being written to after it has taken its place.
    assert writers == {"files.py", "fleet/ledger.py"}, "use gradlens.files: a file is written whole or not at all"
