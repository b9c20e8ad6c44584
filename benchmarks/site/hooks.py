"""What `make site` adds to the pages of docs/: live sample reports, the files of the repository that pages link to, a last check."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from benchmarks.site.offline import foreign_loads
from benchmarks.site.reports import REPORTS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).parent.parent.parent

#: Where the files of the repository lie in the site.
REPOSITORY = "repository"
OUTWARD = re.compile(r"\]\((?P<target>(?:\.\./)+[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts pages that nobody has given a place under "More"."""
    named = set(re.findall(r"'([\w/-]+\.md)'", repr(config.nav)))
    docs = Path(config.docs_dir)
    rest = sorted({path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - named)
    if rest and config.nav is not None:
        config.nav = [*config.nav, {"More": rest}]
    return config


def _target(page: str, link: str) -> Path | None:
    """The file of the repository outside docs/ that a link of a page leads to; None for one inside."""
    found = Path(os.path.normpath(ROOT / "docs" / Path(page).parent / link))
    return None if found.is_relative_to(ROOT / "docs") else found


def _linked(page: str, text: str) -> set[Path]:
    targets = (_target(page, m["target"]) for m in OUTWARD.finditer(text))
    return {path for path in targets if path is not None and path.is_relative_to(ROOT) and path.is_file()}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the reports, and what pages link to outside docs/."""
    linked: set[Path] = set()
    for page in files.documentation_pages():
        linked |= _linked(page.src_uri, page.content_string)
    for path in sorted(linked):
        name = path.relative_to(ROOT).as_posix()
        # Markdown from elsewhere has links of its own that lead nowhere here; it is shown as it is written.
        name = f"{name}.txt" if path.suffix == ".md" else name
        files.append(File.generated(config, f"{REPOSITORY}/{name}", content=path.read_text(encoding="utf-8")))
    with contextlib.chdir(ROOT):
        for name, make in REPORTS.items():
            files.append(File.generated(config, f"reports/{name}.html", content=make()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lets links out of docs/ lead to the copies."""
    here = page.file.src_uri

    def rewritten(match: re.Match[str]) -> str:
        path = _target(here, match["target"])
        if path is None or not path.is_file():
            return match[0]
        name = path.relative_to(ROOT).as_posix() + (".txt" if path.suffix == ".md" else "")
        return f"]({os.path.relpath(f'{REPOSITORY}/{name}', Path(here).parent)}{match['anchor'] or ''})"

    return OUTWARD.sub(rewritten, markdown)


def on_post_build(*, config: MkDocsConfig) -> None:
    """Fails where a page would load anything from another host."""
    found = [f"{path.relative_to(config.site_dir)}: {what}" for path, what in foreign_loads(Path(config.site_dir))]
    if found:
        raise PluginError("pages would ask other hosts for something:\n" + "\n".join(found))
