"""Debian's Chromium, headless, driven by Playwright: for measurements and pictures of pages, and for their tests."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from typing import Any

#: Headless, and talking to nobody: what Chromium asks its maker for by itself is switched off.
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome")


def why_not() -> str | None:
    """What is missing; None where a browser can be started. No browser is ever downloaded."""
    if not any(map(shutil.which, NAMES)):
        return "no Chromium: make browser (or apt-get install chromium)"
    if importlib.util.find_spec("playwright") is None:
        return "no Playwright: pip install '.[test]'"
    return None


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """The browser, for as long as the block runs."""
    if (reason := why_not()) is not None:
        raise RuntimeError(reason)
    from playwright.sync_api import sync_playwright

    program = next(found for name in NAMES if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
