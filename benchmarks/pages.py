"""What the HTML page of a long run costs, and whether every spike is on it.

    python -m benchmarks.pages [--steps 1000000] [--spikes 40]

Writes a log of that many steps with spikes in loss and norm, has `gradlens analyze --save page.html` make the page in a process
of its own, looks for each spike at its step in the data of the page, opens it in Chromium and measures until the
picture is drawn and follows a click. Prints wall time beside processor time, since the machine may be busy. Takes half a minute.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.browser import started, why_not

KINDS = {"i": "<i4", "f": "<f4", "d": "<f8"}


def write_log(path: Path, steps: int, spikes: int) -> np.ndarray:
    """A run that learns, as CSV; the steps of its spikes."""
    rng = np.random.default_rng(5)
    step = np.arange(steps)
    loss = 1.8 + 3 * np.exp(-step / (steps / 5)) + 0.05 * rng.standard_normal(steps)
    norm = 0.5 * np.exp(0.25 * rng.standard_normal(steps))
    rate = 3e-4 * np.minimum(1, (step + 1) / 2000) * (0.55 + 0.45 * np.cos(np.pi * step / steps))
    places = np.sort(rng.choice(np.arange(steps // 100, steps), spikes, replace=False))
    loss[places] += 4.0
    norm[places] *= 12.0
    with path.open("w") as file:
        file.write("step,loss,grad_norm,lr\n")
        for first in range(0, steps, 10_000):
            part = slice(first, first + 10_000)
            rows = zip(step[part].tolist(), loss[part].tolist(), norm[part].tolist(), rate[part].tolist(), strict=True)
            file.write("".join(f"{a},{b:.5f},{c:.5f},{d:.4e}\n" for a, b, c, d in rows))
    return places


def make_page(log: Path, page: Path) -> tuple[float, float]:
    """Wall and processor seconds of the command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "gradlens", "analyze", str(log), "--threshold", "1", "--save", str(page)]
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def steps_drawn(page: Path) -> dict[str, np.ndarray]:
    """The steps of each line of the picture, out of the data in the page."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data-run-0">(.*?)</script>', text, re.DOTALL)
    if found is None:
        raise ValueError(f"{page}: no picture")
    data: dict[str, Any] = json.loads(found[1])
    lines = [line for panel in data["panels"] for line in panel["lines"]]
    return {name: np.frombuffer(base64.b64decode(x[1]), dtype=KINDS[x[0]]) for name, _, _, x, _ in lines}


def open_page(page: Path) -> dict[str, float]:
    """Seconds until the picture is drawn, and until it has followed a click; {} without a browser."""
    if why_not() is not None:
        return {}
    with started() as browser:
        opened = browser.new_page(viewport={"width": 1200, "height": 900})
        opened.goto("about:blank")
        session = opened.context.new_cdp_session(opened)
        # In ticks of the thread, not of the clock: the machine may be busy with other work.
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        begun = time.perf_counter()
        opened.goto(page.as_uri())
        opened.wait_for_selector('figure[data-picture="run-0"][data-drawn]', timeout=120_000)
        drawn = time.perf_counter() - begun
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        before = opened.locator("[data-range]").first.get_attribute("data-range")
        clicked = time.perf_counter()
        opened.get_by_role("button", name="Zoom in").first.click()
        while opened.locator("[data-range]").first.get_attribute("data-range") == before:
            time.sleep(0.005)
        followed = time.perf_counter() - clicked
    return {"drawn": drawn, "busy": metrics["TaskDuration"], "followed": followed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--spikes", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log, page = Path(folder) / "run.csv", Path(folder) / "run.html"
        places = write_log(log, given.steps, given.spikes)
        wall, busy = make_page(log, page)
        drawn = steps_drawn(page)
        missing = {name: len(set(places.tolist()) - set(drawn[name].tolist())) for name in ("loss", "norm")}
        browser = open_page(page)
        print(f"{given.steps:,} steps, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"page: {wall:.1f} s ({busy:.1f} s of a processor), {page.stat().st_size / 1e6:.2f} MB")
        print(
            f"spikes: {given.spikes} in loss and norm each, missing on the page: {missing['loss']} and {missing['norm']}"
        )
        if browser:
            print(
                f"browser: drawn after {browser['drawn']:.2f} s ({browser['busy']:.2f} s of the page's thread), a click followed "
                f"after {browser['followed']:.2f} s"
            )


if __name__ == "__main__":
    main()
