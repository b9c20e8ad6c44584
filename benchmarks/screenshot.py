"""The picture of the HTML page in the README.

    python -m benchmarks.screenshot

Has `gradlens analyze --save` make the page of a sample log and takes a picture of its upper part in Chromium, the pointer on
one of the bad batches. Takes a few seconds.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from benchmarks.browser import started
from gradlens.cli.app import run

ROOT = Path(__file__).parent.parent
LOG, TARGET = "sample_logs/bad_data.jsonl", ROOT / "docs" / "report.png"
WIDTH, HEIGHT = 1080, 960
#: The bad batch under the pointer, as a share of the width of a panel.
PLACE = 0.695


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, started() as browser, contextlib.chdir(ROOT):
        page = Path(folder) / "report.html"
        with contextlib.redirect_stdout(io.StringIO()):
            code = run(["analyze", LOG, "--threshold", "1", "--save", str(page)])
        if code != 0:
            raise RuntimeError("no page was made")
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        opened.goto(page.as_uri())
        opened.wait_for_selector('figure[data-picture="run-0"][data-drawn]', timeout=120_000)
        opened.wait_for_timeout(1_000)
        box = opened.locator(".place").first.bounding_box()
        opened.mouse.move(box["x"] + PLACE * box["width"], box["y"] + 30)
        opened.wait_for_timeout(300)
        opened.screenshot(path=str(TARGET))
    print(f"written: {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
