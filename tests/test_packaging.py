"""What is installed: the lock names every package with its hashes, and wheel and sdist come out the same byte for byte."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements" / "locked.txt"
BUILD = "import sys\nfrom hatchling.build import build_sdist, build_wheel\nbuild_sdist(sys.argv[1])\nbuild_wheel(sys.argv[1])"


def locked():
    """Name and hashes of each entry of the lock."""
    text = re.sub(r"^\s*#.*$", "", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip()]
    return [(re.match(r"([\w.-]+)==\S+", entry), re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)) for entry in entries]


def test_every_package_of_the_lock_is_pinned_and_hashed():
    assert len(locked()) > 50
    for name, hashes in locked():
        assert name
        assert hashes
    assert "://" not in LOCK.read_text(encoding="utf-8")


@pytest.mark.slow
def test_wheel_and_sdist_are_the_same_byte_for_byte(tmp_path):
    tools = tmp_path / "tools"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), "hatchling>=1.24"],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("hatchling cannot be installed here")
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not files:
        pytest.skip("not a git checkout")
    found = []
    for place, mask, age in (("a", 0o022, 0), ("some/where/else", 0o077, 400_000_000)):
        copy, out = tmp_path / place / "checkout", tmp_path / place / "dist"
        old = os.umask(mask)
        try:
            for file in files:
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, copy / file)
                os.utime(copy / file, (1_700_000_000 - age, 1_700_000_000 - age))
            subprocess.run(
                [sys.executable, "-c", BUILD, str(out)],
                cwd=copy,
                env=os.environ | {"PYTHONPATH": str(tools)},
                check=True,
                capture_output=True,
            )
        finally:
            os.umask(old)
        found.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())})
    assert len(found[0]) == 2
    assert found[0] == found[1]
