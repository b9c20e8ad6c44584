"""Pages of every kind as files, and a real browser to open them in."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from benchmarks.browser import started, why_not
from gradlens.cli.app import run as command_line

#: What could act in a page if it were not text.
HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(2)</script>&amp;\u202e'


def rows(n=1200, *, seed=0, spikes=(), nan_from=None, layers=0, restart=None, climbs_from=None):
    """A run that learns, with spikes at steps, an end in NaN, layers, a restart, or a loss that climbs."""
    rng = np.random.default_rng(seed)
    at = np.arange(n)
    loss = (1.6 + 2.4 * np.exp(-at / (n / 12))) * np.exp(0.03 * rng.standard_normal(n))
    norm = (0.4 + 0.8 * np.exp(-at / (n / 20))) * np.exp(0.15 * rng.standard_normal(n))
    for step in spikes:
        loss[step] += 3.0
        norm[step] *= 9.0
    if climbs_from is not None:
        loss[climbs_from:] += np.linspace(0.0, 9.0, n - climbs_from)
        norm[climbs_from:] *= np.exp(np.linspace(0.0, 4.0, n - climbs_from))
    if nan_from is not None:
        loss[nan_from:] = norm[nan_from:] = np.nan
    rate = 1e-3 * np.minimum(1.0, (at + 1) / 100) * (0.55 + 0.45 * np.cos(np.pi * at / n))
    found = []
    for i in range(n):
        row = {"step": i, "loss": float(loss[i]), "grad_norm": float(norm[i]), "lr": float(rate[i])}
        if i % 100 == 99:
            row["val_loss"] = float(loss[i]) + 0.05
        for layer in range(layers):
            row[f"grad_norm/layers.{layer}.weight"] = float(
                norm[i] * np.exp(-0.1 * layer + 0.1 * rng.standard_normal())
            )
        found.append(row)
    if restart is not None:
        first, back = restart
        found = found[:first] + found[back:]
    return found


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Pages by what they show."""
    folder = tmp_path_factory.mktemp("pages")
    spiky = write(folder / "spiky.jsonl", rows(seed=1, spikes=(300, 650, 900, 901, 1100), restart=(800, 760)))
    names = ("one", "two", "three")
    five = [write(folder / "five" / f"{name}.jsonl", rows(seed=i + 2)) for i, name in enumerate(names)]
    five.append(write(folder / "five" / "climbs.jsonl", rows(seed=7, climbs_from=700)))
    five.append(write(folder / "five" / "nan.jsonl", rows(seed=8, nan_from=1000)))
    layered = write(folder / "layers.jsonl", rows(seed=3, spikes=(400, 800), layers=12))
    hostile = write(folder / "x" / f"{HOSTILE.replace('/', '')}.jsonl", rows(seed=4, spikes=(500,), layers=2))
    table = folder / "fleet.parquet"
    commands = {
        "one": ["analyze", spiky, "--threshold", "1"],
        "layers": ["analyze", layered],
        "five": ["analyze", *five, "--threshold", "1"],
        "hostile": ["analyze", hostile, five[0]],
        "compare": ["compare", five[0], five[1], five[3]],
        "gate": ["gate", five[3], "--baseline", five[0], "--baseline", five[1], "--threshold", "1"],
        "fleet": ["fleet", "show", table],
    }
    assert command_line(["fleet", str(folder / "five"), "-o", str(table), "--jobs", "1"]) == 0
    made = {}
    for name, arguments in commands.items():
        made[name] = folder / f"{name}.html"
        assert command_line([*map(str, arguments), "--save", str(made[name])]) in {0, 1}
    return made


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, driven by Playwright; no browser is downloaded."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    for module in ("axe_core_python", "bokeh"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install '.[test]'")
    with started() as running:
        yield running


class Opened:
    """A page in the browser, and all that it said or asked for."""

    def __init__(self, browser, path, **context):
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **context})
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append((message.type, message.text)))
        self.page.on("pageerror", lambda error: self.said.append(("error", str(error))))
        self.page.on("dialog", lambda dialog: (self.said.append(("error", "dialog")), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def drawn(self, key):
        """The live picture of that key, once it is there."""
        figure = self.page.locator(f'figure[data-picture="{key}"]')
        figure.scroll_into_view_if_needed()
        self.page.wait_for_selector(f'figure[data-picture="{key}"][data-drawn] .live', timeout=60_000)
        self.page.wait_for_timeout(150)
        return figure.locator(".live")

    def range_of(self, key):
        """From which step to which the picture goes."""
        self.page.wait_for_timeout(250)
        shown = self.page.locator(f'figure[data-picture="{key}"] [data-range]').get_attribute("data-range")
        return [float(number) for number in shown.split()]

    @property
    def errors(self):
        return [text for kind, text in self.said if kind in {"error", "warning"}]


@pytest.fixture
def opened(browser):
    """A function that opens a file."""
    found = []

    def open_page(path, **context):
        found.append(Opened(browser, path, **context))
        return found[-1]

    yield open_page
    for one in found:
        one.context.close()
