"""What the documentation shows of the program: printed output, tables of what is registered, whole pages.

    python -m benchmarks.docs [--check]

Pages that are generated as a whole are in `PAGES`. In the others, a block between `<!-- output: COMMAND -->` and
`<!-- end -->` is replaced by what the command prints at 80 columns, one between `<!-- table: NAME -->` and `<!-- end -->` by
that table of `TABLES`, `<!-- table: NAME OF -->` the one of something. `--check` changes nothing and exits 1 where
something is out of date; `make lint` does that. Takes ten seconds.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import io
import os
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import gradlens
from benchmarks.notices import notices
from benchmarks.site import accuracy, causes
from gradlens import reporters
from gradlens.checks import engine
from gradlens.cli.app import run
from gradlens.cli.commands import COMMANDS, load
from gradlens.explain.prose import Section, sections_of
from gradlens.readers import SERVICES, detect

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- output: (?P<command>.+?) -->\n```text\n).*?(```\n<!-- end -->)", re.DOTALL)
#: Lines of a session, and an entry of a section for callers: a name on a line of its own and a text set in below it.
PROMPT = re.compile(r"(?:^>>> .*\n)+", re.MULTILINE)
LISTED = re.compile(r"^(\S[^\n]*)\n((?:    [^\n]*\n)+)", re.MULTILINE)
TABLE = re.compile(r"(<!-- table: (?P<name>[a-z]+)(?: (?P<of>\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)


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


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def formats() -> str:
    """The log formats: of each the docstring of its reader."""
    rows = []
    for name, entry in (detect.table() | SERVICES).items():
        reader = entry.load()
        words = " ".join((inspect.getdoc(reader) or "").split()).removesuffix(".")
        needs = f" (`gradlens[{entry.extra}]`)" if entry.extra else ""
        rows.append((f"`{name}`", words + needs, reader.settings_in))
    return table(("name", "what it reads", "where it finds the training's settings"), rows)


def outputs() -> str:
    """The output formats."""
    rows = [
        (f"`{name}`", " ".join(f"`{suffix}`" for suffix in entry.patterns), entry.title, ", ".join(entry.kinds))
        for name, entry in reporters.table().items()
    ]
    return table(("`--format`", "`--save` suffix", "for", "shows"), rows)


def commands_here() -> dict[str, str]:
    """The benchmarks that can be run, with their docstrings."""
    found = {}
    for path in sorted((ROOT / "benchmarks").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name == "__main__.py" or '__name__ == "__main__"' in source:
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if path.name == "__main__.py" else parts)
            found[name] = ast.get_docstring(ast.parse(source)) or ""
    return found


def benchmarks() -> str:
    """What each command here makes, and how long it takes: the first line of its docstring, and its sentence "Takes"."""
    rows = []
    for name, text in commands_here().items():
        takes = re.search(r"Takes ([^.;]*)", " ".join(text.split()))
        rows.append((f"`python -m {name}`", text.partition("\n")[0].rstrip("."), takes[1] if takes else ""))
    return table(("command", "what it makes", "takes"), rows)


TABLES: dict[str, Callable[..., str]] = {
    "accuracy": accuracy.accuracy, "given": accuracy.given,
    "benchmarks": benchmarks, "causes": causes.index, "cure": causes.cure, "formats": formats, "outputs": outputs,
    "picture": causes.picture, "sure": causes.sure, "wrong": causes.wrong,
}  # fmt: skip


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


def commands_page() -> str:
    """docs/commands.md: the help of every command."""
    names = []
    for name in COMMANDS:
        inner = getattr(load(name), "commands", None)
        names += [name, *(f"{name} {one}" for one in inner or ())]
    parts = ["# Commands", "", "Written by `python -m benchmarks.docs`: what `gradlens COMMAND --help` prints."]
    for name in names:
        parts += ["", f"## {name}", "", "```text", output_of(f"gradlens {name} --help").strip(), "```"]
    return "\n".join(parts) + "\n"


def notices_page() -> str:
    """docs/notices.md: every notice in the words of the program."""
    head = (
        "# Notices\n\n"
        "Written by `python -m benchmarks.docs` from the source: what reading and judging a log may remark on, each with a\n"
        "count and a place; … stands for what the log says.\n\n"
    )
    return head + table(("notice", "words"), ((f"`{code}`", "<br>".join(words)) for code, words in notices().items()))


def api_page() -> str:
    """docs/api.md: what `import gradlens` offers."""
    about = PROMPT.sub(_as_code, inspect.getdoc(gradlens) or "")
    parts = ["# Python", "", "Written by `python -m benchmarks.docs` from the docstrings.", "", about]
    for name in sorted(set(gradlens.__all__) - {"__version__"}, key=str.lower):
        thing = getattr(gradlens, name)
        text = inspect.getdoc(thing) or ""
        parts += ["", f"## {name}", "", "```python", signature(name, thing), "```"]
        for section in all_sections_of(text):
            listed = LISTED.sub(lambda m: f"- `{m[1]}`: {' '.join(m[2].split())}\n", section.text + "\n")
            parts += ["", *([f"**{section.title}**", ""] if section.title else []), listed.strip()]
        for method in public_methods(thing):
            first = (inspect.getdoc(getattr(thing, method)) or "").partition("\n\n")[0]
            parts += ["", f"`.{method}`: {' '.join(first.split())}"]
    return "\n".join(parts) + "\n"


def _as_code(session: re.Match[str]) -> str:
    """A session as a block of code, with the empty line that the formatter wants after imports."""
    first, *rest = session[0].replace(">>> ", "").splitlines()
    return "\n".join(["```python", first, "", *rest, "```"]) + "\n"


def signature(name: str, thing: object) -> str:
    """`gradlens.read(source, *, loss=None)`, one argument per line where it is long; a class without its constructor."""
    if inspect.isclass(thing) and name != "Recorder":
        return f"class gradlens.{name}"
    found = inspect.signature(thing)  # type: ignore[arg-type]
    plain = [str(p.replace(annotation=inspect.Parameter.empty)) for p in found.parameters.values()]
    if any(p.kind is inspect.Parameter.KEYWORD_ONLY for p in found.parameters.values()) and "*runs" not in plain:
        place = next(i for i, p in enumerate(found.parameters.values()) if p.kind is inspect.Parameter.KEYWORD_ONLY)
        plain.insert(place, "*")
    # As the formatter writes it, which looks into code of Markdown, too.
    plain = [text.replace("'", '"') for text in plain]
    line = f"gradlens.{name}({', '.join(plain)})"
    return line if len(line) < 88 else f"gradlens.{name}(\n    " + ",\n    ".join(plain) + ",\n)"


def public_methods(thing: object) -> list[str]:
    """The methods and properties of a class with a docstring of their own, in the order of its source."""
    if not inspect.isclass(thing) or issubclass(thing, Exception):
        return []
    return [
        name
        for name, value in vars(thing).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, property)) and inspect.getdoc(value)
    ]


def all_sections_of(text: str) -> list[Section]:
    """The sections of a docstring, those for callers among them."""
    pieces = re.split(r"^(\S.*)\n-{3,}$", text, flags=re.MULTILINE)
    found = [Section("", pieces[0].strip())]
    return found + [Section(t.strip(), s.strip()) for t, s in zip(pieces[1::2], pieces[2::2], strict=True)]


#: Pages that are generated as a whole.
PAGES: dict[str, Callable[[], str]] = {
    "docs/api.md": api_page,
    "docs/checks.md": checks_page,
    "docs/commands.md": commands_page,
    "docs/notices.md": notices_page,
}


def with_blocks(text: str) -> str:
    """A page with every block rewritten."""
    text = TABLE.sub(lambda m: m[1] + TABLES[m["name"]](*filter(None, [m["of"]])) + m[4], text)
    return BLOCK.sub(lambda m: m[1] + output_of(m["command"]) + m[3], text)


def by_hand() -> list[Path]:
    """The pages that are written by hand and may have blocks."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    others = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
    return others + [path for path in docs if path.relative_to(ROOT).as_posix() not in PAGES]


def pages() -> dict[Path, str]:
    """The pages as they should be."""
    written = {ROOT / name: make() for name, make in PAGES.items()}
    return written | {path: with_blocks(path.read_text(encoding="utf-8")) for path in by_hand()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ.pop("COLUMNS", None)
    wanted = pages()
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'out of date' if arguments.check else 'written'}: {path.relative_to(ROOT)}")
        if not arguments.check:
            path.write_text(wanted[path], encoding="utf-8")
    if stale and arguments.check:
        print("`make docs` writes them again")
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
