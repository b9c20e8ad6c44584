"""What built pages would load from another host.

A link that a reader may click is no such thing; a script, a style, a font, an image or a frame is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

#: Attributes that a browser loads by itself, and elements whose `href` it loads.
LOADED = frozenset({"src", "srcset", "poster", "data", "background", "action", "formaction"})
LOADED_LINKS = frozenset(
    {"stylesheet", "icon", "preconnect", "dns-prefetch", "preload", "prefetch", "modulepreload", "manifest"}
)
FOREIGN = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])((?:https?:)?//[^'")\s]+)""", re.IGNORECASE)


class _Loads(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        for name, value in of.items():
            linked = name in {"href", "xlink:href"} and (
                tag in {"image", "use", "base"}
                or (tag == "link" and LOADED_LINKS & set(of.get("rel", "").lower().split()))
            )
            if (name in LOADED or linked) and FOREIGN.match(value):
                self.found.append(f"<{tag} {name}={value}>")
            if name == "style":
                self.found += IN_STYLES.findall(value)


def foreign_loads(site: Path) -> Iterator[tuple[Path, str]]:
    """Each file of a built site with what it would load from another host."""
    for path in sorted(site.rglob("*")):
        if path.suffix not in {".html", ".css", ".svg"}:
            continue
        text = path.read_text(encoding="utf-8")
        loads = _Loads()
        if path.suffix != ".css":
            loads.feed(text)
        # Comments of styles name the projects they come from.
        styles = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for what in loads.found + IN_STYLES.findall(styles):
            yield path, what
