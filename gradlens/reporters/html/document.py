"""A whole document: its policy, its style, its scripts, all within one file."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradlens.reporters.html.panels import Drawing

_HERE = Path(__file__).parent
#: Bokeh's own code, in the order in which it loads.
_BOKEH = ("bokeh.min.js", "bokeh-api.min.js")
#: What surrounds the element that a page shares with notebooks, whose own surroundings are not to be touched.
_BODY = (
    ":root{color-scheme:light dark}body{margin:0;background:#fff}"
    "@media(prefers-color-scheme:dark){body{background:#14171c}}"
    "@media print{:root{color-scheme:light}body{background:#fff}}"
)
#: What a page may weigh: 3 MB to be mailed, less what stands around the drawings.
MAX_BYTES = 3_000_000


@cache
def charts() -> str | None:
    """Bokeh's code out of its Python package, which is not imported for that; None where it is not installed."""
    found = importlib.util.find_spec("bokeh")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "server" / "static" / "js"
    if not all((folder / name).is_file() for name in _BOKEH):
        return None
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in _BOKEH)


@cache
def asset(name: str) -> str:
    """A file that lies beside this module."""
    return (_HERE / name).read_text(encoding="utf-8")


def page(title: str, body: str, *, drawings: Iterable[Drawing] = (), extra: str = "") -> str:
    """A whole document; title and body are escaped already.

    Scripts run because they bear the nonce of the policy, and no other does. Nothing may be fetched from anywhere.
    """
    shown = list(drawings)
    library = charts() if shown else None
    scripts = [asset("page.js"), extra]
    if library is not None:
        scripts = [library, asset("picture.js"), *scripts]
        body += "".join(data_block(drawing) for drawing in shown)
    # Of the content, so that the same report gives the same page; no log can hold the digest of a page that it is part of.
    nonce = base64.urlsafe_b64encode(hashlib.sha256((title + body).encode()).digest()).decode()[:32]
    code = "".join(f'<script nonce="{nonce}">{_inert(script)}</script>' for script in scripts if script)
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'nonce-{nonce}'; base-uri 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{_BODY}{asset('page.css')}</style></head><body>"
        f"{body}{code}</body></html>\n"
    )


def _inert(script: str) -> str:
    """A script that cannot end its element."""
    return script.replace("</script", "<\\/script")


def fragment(body: str) -> str:
    """One element with its own style, for pages of others, whose colours it takes."""
    return f'<style>{asset("page.css")}</style><div class="gl inherit">{body}</div>'


def data_block(drawing: Drawing) -> str:
    """The drawing's data beside the page; nothing in it can end the element or begin another."""
    from gradlens.reporters.html.panels import packed

    return f'<script type="application/json" id="data-{drawing.key}">{as_data(packed(drawing))}</script>'


def as_data(value: dict[str, Any]) -> str:
    """JSON that no browser takes for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def figure(drawing: Drawing) -> str:
    """The place of a drawing: a still picture, until the script puts a live one there."""
    from gradlens.reporters.escape import for_html
    from gradlens.reporters.html.svg import still

    note = f'<figcaption class="dim">{for_html(drawing.note)}</figcaption>' if drawing.note else ""
    return (
        f'<figure class="picture" data-picture="{drawing.key}"><div class="still">{still(drawing)}</div>{note}</figure>'
    )
