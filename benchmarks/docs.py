"""Rewrite what the documentation shows of the program: outputs in the README, and the generated pages.

    python -m benchmarks.docs [--check]

A block between `<!-- output: COMMAND -->` and `<!-- end -->` is replaced by what the command prints at 80 columns.
`--check` changes nothing and exits 1 where something is out of date.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from gradlens.checks import engine
from gradlens.cli.app import run
from gradlens.explain.prose import sections_of

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- output: (?P<command>.+?) -->\n```text\n).*?(```\n<!-- end -->)", re.DOTALL)


def output_of(command: str) -> str:
    """What a gradlens command prints in a pipe."""
    program, *arguments = shlex.split(command)
    if program != "gradlens":
        raise ValueError(f"{command}: only gradlens commands")
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        code = run(arguments)
    if code not in {0, 1}:
        raise RuntimeError(f"{command}: exit {code}")
    return stream.getvalue()


def with_outputs(text: str) -> str:
    """A page with every output block rewritten."""
    return BLOCK.sub(lambda m: m[1] + output_of(m["command"]) + m[3], text)


def checks_page() -> str:
    """docs/checks.md: the page of every check."""
    parts = [
        "# Checks",
        "",
        "Written by `python -m benchmarks.docs` from the docstrings; `gradlens explain CODE` prints one page.",
    ]
    for check in engine.load_checks():
        parts += ["", f"## {check.code} {check.name}"]
        for section in sections_of(check.documentation()):
            parts += ["", *([f"**{section.title}**", ""] if section.title else []), section.text]
    return "\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ.pop("COLUMNS", None)
    pages = {ROOT / "docs" / "checks.md": checks_page()}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if path.name != "checks.md":
            pages[path] = with_outputs(path.read_text(encoding="utf-8"))
    stale = [p for p, text in pages.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'out of date' if arguments.check else 'written'}: {path.relative_to(ROOT)}")
        if not arguments.check:
            path.write_text(pages[path], encoding="utf-8")
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
