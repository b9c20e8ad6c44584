"""The site: it builds without a warning, asks no host for anything, and can be searched as files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from benchmarks.site.offline import foreign_loads

pytest.importorskip("mkdocs")
pytest.importorskip("material")

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a proxy that is not there makes every request to a host fail."""
    target = tmp_path_factory.mktemp("site")
    env = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(target)]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert not done.stderr.strip()
    return target


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.anchors = [], set()

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        of = dict(attrs)
        self.links += [of[name] for name in ("href", "src") if of.get(name)]
        self.anchors |= {of[name] for name in ("id", "name") if of.get(name)}


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site):
    pages = {p.relative_to(ROOT / "docs").with_suffix("") for p in (ROOT / "docs").rglob("*.md")}
    assert pages <= {p.relative_to(site).with_suffix("") for p in site.rglob("*.html")}
    assert list(foreign_loads(site)) == []


def test_no_page_names_the_machine_that_built_it(site):
    for page in site.rglob("*.html"):
        assert str(ROOT) not in page.read_text(encoding="utf-8"), page


def test_every_link_inside_leads_somewhere(site):
    read = {}
    for page in site.rglob("*.html"):
        read[page] = Links()
        read[page].feed(page.read_text(encoding="utf-8"))
    for page, found in read.items():
        if page.name == "404.html":  # its links are those of a server's root
            continue
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.name}: {link}"
            if parts.fragment and target in read:
                assert unquote(parts.fragment) in read[target].anchors, f"{page.name}: {link}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<script src="https://host/x.js"></script>', 1),
        ('<img src="//host/x.png">', 1),
        ('<link rel="stylesheet" href="http://host/x.css">', 1),
        ('<link rel="canonical" href="http://host/x">', 0),
        ('<a href="https://host">see</a>', 0),
        ('<img src="data:image/png;base64,AA"><script src="x.js"></script>', 0),
        ("<style>@import 'https://host/x.css'; p { background: url(//host/x.png) }</style>", 2),
        ('<p style="background: url(https://host/x.png)"></p>', 1),
        ("<style>/* see https://host */ p { background: url(data:,x) }</style>", 0),
    ],
)
def test_what_a_page_would_load_is_found(tmp_path, text, found):
    (tmp_path / "page.html").write_text(text)
    assert (len(list(foreign_loads(tmp_path))) > 0) == (found > 0)


def test_a_browser_opens_the_files_asks_nothing_and_searches(site):
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium")
    requests, errors = [], []
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto((site / "index.html").as_uri())
        page.get_by_role("textbox", name=re.compile("search", re.IGNORECASE)).first.click()
        page.keyboard.type("overflow")
        page.wait_for_selector(".md-search-result__link", state="visible", timeout=20_000)
        assert "overflow" in page.inner_text(".md-search-result__list").lower()
        page.goto((site / "reports" / "bad_data.html").as_uri())
        assert "Bad batches" in page.inner_text("body")
        browser.close()
    assert [url for url in requests if not url.startswith(("file:", "data:", "about:", "blob:"))] == []
    assert errors == []
