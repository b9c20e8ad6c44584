"""The pages in a real browser: silent, still, usable by hand, by keys, on a phone, in the dark and on paper."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow

KINDS = ("one", "layers", "five", "hostile", "compare", "gate", "fleet")
FIRST = {
    "one": "run-0",
    "layers": "run-0",
    "five": "overlay",
    "hostile": "overlay",
    "compare": "comparison",
    "gate": "gate",
}


def open_everything(one):
    """Open all parts and draw all pictures."""
    one.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    for key in one.page.evaluate("[...document.querySelectorAll('figure[data-picture]')].map(f => f.dataset.picture)"):
        one.drawn(key)


def serious(page):
    """What axe-core finds that is serious or worse, with where."""
    from axe_core_python.sync_playwright import Axe

    found = [v for v in Axe().run(page)["violations"] if v["impact"] in {"serious", "critical"}]
    return [(v["id"], v["nodes"][0]["html"][:300], v["nodes"][0]["failureSummary"][:300]) for v in found]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_nothing_asked_for_and_everybody_can_read(pages, opened, kind):
    one = opened(pages[kind])
    open_everything(one)
    assert serious(one.page) == []
    one.page.emulate_media(color_scheme="dark")
    one.page.wait_for_timeout(2_000)
    assert serious(one.page) == []
    assert one.errors == []
    assert [url for url in one.asked if not url.startswith("data:")] == [pages[kind].as_uri()]
    assert pages[kind].stat().st_size < 3_000_000


def test_zoom_by_buttons_drag_and_wheel(pages, opened):
    one = opened(pages["one"])
    live = one.drawn("run-0")
    whole = one.range_of("run-0")
    live.get_by_role("button", name="Zoom in").click()
    closer = one.range_of("run-0")
    assert closer[1] - closer[0] == pytest.approx((whole[1] - whole[0]) / 2, rel=0.01)
    live.get_by_role("button", name="Later", exact=True).click()
    assert one.range_of("run-0")[0] > closer[0]
    live.get_by_role("button", name="Show everything").click()
    assert one.range_of("run-0") == pytest.approx(whole)
    box = live.locator(".place").nth(1).bounding_box()
    y = box["y"] + 60
    one.page.mouse.move(box["x"] + 300, y)
    one.page.mouse.down()
    one.page.mouse.move(box["x"] + 500, y, steps=5)
    one.page.mouse.up()
    dragged = one.range_of("run-0")
    assert 0.1 < (dragged[1] - dragged[0]) / (whole[1] - whole[0]) < 0.5
    # Held down with Shift, a drag moves instead.
    one.page.keyboard.down("Shift")
    one.page.mouse.move(box["x"] + 520, y)
    one.page.mouse.down()
    one.page.mouse.move(box["x"] + 420, y, steps=5)
    one.page.mouse.up()
    one.page.keyboard.up("Shift")
    moved = one.range_of("run-0")
    assert moved[0] > dragged[0]
    assert moved[1] - moved[0] == pytest.approx(dragged[1] - dragged[0], rel=0.01)
    one.page.keyboard.down("Control")
    one.page.mouse.move(box["x"] + 401, y)
    one.page.mouse.wheel(0, -300)
    one.page.keyboard.up("Control")
    wheeled = one.range_of("run-0")
    assert wheeled[1] - wheeled[0] < moved[1] - moved[0]
    assert one.errors == []


def test_without_ctrl_the_wheel_scrolls_the_page(pages, opened):
    one = opened(pages["one"])
    live = one.drawn("run-0")
    whole = one.range_of("run-0")
    one.page.evaluate("scrollTo(0, 0)")
    box = live.locator(".place").first.bounding_box()
    one.page.mouse.move(box["x"] + 300, box["y"] + 60)
    one.page.mouse.wheel(0, 200)
    assert one.range_of("run-0") == whole
    assert one.page.evaluate("scrollY") > 0


def test_values_are_under_the_pointer(pages, opened):
    one = opened(pages["one"])
    live = one.drawn("run-0")
    # The panels go as wide as the page: the spike at step 650 is where its share of the axis says.
    first, last = one.range_of("run-0")
    box = live.locator(".place").first.bounding_box()
    x = box["x"] + 58 + (650 - first) / (last - first) * (box["width"] - 66)
    one.page.mouse.move(x, box["y"] + 20)
    tip = live.locator(".tip")
    text = tip.inner_text()
    assert "step 650" in text
    assert "loss: 4.6" in text or "loss: 4.7" in text
    assert "norm: " in text
    assert "learning rate: " in text
    assert "GL301 bad batch" in text
    one.page.mouse.move(5, 5)
    assert tip.is_hidden()


def test_the_layer_under_the_pointer_is_named(pages, opened):
    one = opened(pages["layers"])
    live = one.drawn("run-0")
    box = live.locator(".place").last.bounding_box()
    one.page.mouse.move(box["x"] + 400, box["y"] + 12)
    assert "layers.0.weight: " in live.locator(".tip").inner_text()
    one.page.mouse.move(box["x"] + 400, box["y"] + 86)
    assert "layers.11.weight: " in live.locator(".tip").inner_text()


def test_findings_and_steps_lead_to_the_picture(pages, opened):
    one = opened(pages["one"])
    one.drawn("run-0")
    one.page.locator("button.step", has_text="650").first.click()
    first, last = one.range_of("run-0")
    assert first < 650 < last
    assert last - first < 200
    assert "step 650" in one.page.locator('figure[data-picture="run-0"] .tip').inner_text()
    one.page.get_by_role("button", name="Show in the picture").first.click()
    first, last = one.range_of("run-0")
    assert first < 300
    assert last > 1100


def test_lanes_name_findings_spikes_and_restarts(pages, opened):
    one = opened(pages["one"])
    live = one.drawn("run-0")
    names = live.locator(".lane > .name").all_inner_texts()
    assert "GL301 bad batch" in names
    assert "restarts" in names
    mark = live.locator(".lane", has_text="restarts").locator("button")
    assert "step 760 after 799" in mark.get_attribute("aria-label")
    mark.click()
    first, last = one.range_of("run-0")
    assert first < 760 < last
    assert last - first < 100


def test_everything_can_be_done_with_keys(pages, opened):
    one = opened(pages["one"])
    live = one.drawn("run-0")
    whole = one.range_of("run-0")
    live.focus()
    one.page.keyboard.press("ArrowRight")
    one.page.wait_for_timeout(300)
    said = live.locator("[aria-live]")
    assert "step 0" in said.text_content()
    one.page.keyboard.press("ArrowRight")
    one.page.wait_for_timeout(300)
    assert "step 1;" in said.text_content()
    one.page.keyboard.press("+")
    assert one.range_of("run-0")[1] < whole[1]
    one.page.keyboard.press("PageDown")
    assert one.range_of("run-0")[0] > whole[0]
    one.page.keyboard.press("0")
    assert one.range_of("run-0") == pytest.approx(whole)
    # Within a lane the arrows go from mark to mark, and Enter goes there.
    lane = live.locator(".lane", has_text="loss spikes")
    lane.locator("button[tabindex='0']").focus()
    one.page.keyboard.press("ArrowRight")
    label = one.page.evaluate("document.activeElement.ariaLabel")
    one.page.keyboard.press("Enter")
    step = int(re.search(r"at step ([\d,]+)", label)[1].replace(",", ""))
    first, last = one.range_of("run-0")
    assert first < step < last < 1000


def test_several_runs_sort_filter_and_open(pages, opened):
    one = opened(pages["five"])
    table = one.page.locator("table.sortable")

    def column(n):
        return table.locator(f"tbody tr:visible > :nth-child({n})").all_inner_texts()

    assert len(column(1)) == 5
    table.get_by_role("button", name="last loss").click()
    values = [float(v) for v in column(7)]
    assert values == sorted(values)
    table.get_by_role("button", name="last loss").click()
    values = [float(v) for v in column(7)]
    assert values == sorted(values, reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1
    one.page.get_by_label("Find").fill("nan")
    assert [name.rpartition("/")[2] for name in column(1)] == ["nan.jsonl"]
    assert "1 of 5 shown" in one.page.locator(".shown").inner_text()
    table.get_by_role("link").first.click()
    details = one.page.locator("details:target")
    assert details.get_attribute("open") is not None
    key = details.get_attribute("id")
    one.drawn(key)
    one.page.get_by_label("Find").fill("")
    one.page.locator(".listing select").select_option(index=1)
    assert 0 < len(column(1)) < 5
    assert one.errors == []


def test_runs_that_are_closed_are_not_drawn(pages, opened):
    one = opened(pages["five"])
    one.drawn("overlay")
    assert one.page.locator("figure[data-drawn]").count() == 1


def test_compared_runs_lead_to_where_they_part(pages, opened):
    one = opened(pages["compare"])
    one.drawn("comparison")
    place = one.page.locator("button.step").first
    step = int(place.inner_text().replace(",", ""))
    place.click()
    first, last = one.range_of("comparison")
    assert first < step < last
    titles = one.page.locator('figure[data-picture="comparison"] .row > .name').all_inner_texts()
    assert any("difference of the loss" in title for title in titles)


def test_a_failed_check_leads_to_its_worst_steps(pages, opened):
    one = opened(pages["gate"])
    one.drawn("gate")
    whole = one.range_of("gate")
    one.page.get_by_role("button", name="Show in the picture").first.click()
    shown = one.range_of("gate")
    assert shown[1] - shown[0] < whole[1] - whole[0]


def test_dark_and_light_follow_the_system(pages, opened):
    one = opened(pages["one"], color_scheme="dark")
    one.drawn("run-0")
    dark = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    before = one.range_of("run-0")
    one.page.emulate_media(color_scheme="light")
    one.page.wait_for_timeout(1500)
    assert one.page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert one.page.locator('figure[data-picture="run-0"] .live').count() == 1
    assert one.range_of("run-0") == before
    assert one.errors == []


@pytest.mark.parametrize("kind", ["layers", "five", "compare", "gate", "fleet"])
def test_a_phone_shows_all_without_sideways_scrolling(pages, opened, kind):
    one = opened(pages[kind], viewport={"width": 375, "height": 760}, is_mobile=True, has_touch=True)
    open_everything(one)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 375
    assert one.errors == []


def test_a_touch_reads_values_and_does_not_hold_the_page(pages, opened):
    one = opened(pages["one"], viewport={"width": 375, "height": 760}, is_mobile=True, has_touch=True)
    live = one.drawn("run-0")
    live.locator(".place").first.scroll_into_view_if_needed()
    box = live.locator(".place").first.bounding_box()
    one.page.touchscreen.tap(box["x"] + 200, box["y"] + 60)
    assert "step " in live.locator(".tip").inner_text()
    tools = one.page.evaluate("Bokeh.documents.flatMap(d => d.roots()).flatMap(plot => plot.toolbar.tools).length")
    assert tools == 0


PHONE = {"viewport": {"width": 375, "height": 760}, "is_mobile": True, "has_touch": True}


def fingers(one, *moves):
    """Touches of one or more fingers, as the browser's own input: each move is the places of all of them."""
    session = one.context.new_cdp_session(one.page)
    for kind, places in zip(["touchStart", *["touchMove"] * (len(moves) - 1), "touchEnd"], [*moves, ()], strict=True):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_two_fingers_zoom_and_move_a_picture(pages, opened):
    one = opened(pages["one"], **PHONE)
    live = one.drawn("run-0")
    whole = one.range_of("run-0")
    place = live.locator(".place").first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    y, middle = box["y"] + 60, box["x"] + 58 + (box["width"] - 66) / 2
    before = one.page.evaluate("[scrollX, scrollY, visualViewport.scale]")
    fingers(one, *([(middle - d, y), (middle + d, y + d / 5)] for d in (30, 45, 60, 75, 90)))
    closer = one.range_of("run-0")
    # Three times as far apart, and what was in the middle still is.
    assert (closer[1] - closer[0]) / (whole[1] - whole[0]) == pytest.approx(1 / 3, rel=0.03)
    assert sum(closer) / 2 == pytest.approx(sum(whole) / 2, abs=15)
    fingers(one, *([(middle - 40 - d, y), (middle + 40 - d, y)] for d in (0, 20, 40)))
    moved = one.range_of("run-0")
    assert moved[1] - moved[0] == pytest.approx(closer[1] - closer[0], rel=0.03)
    assert moved[0] > closer[0] + 20
    fingers(one, *([(middle - d, y), (middle + d, y)] for d in (90, 60, 30, 12)))
    assert one.range_of("run-0") == pytest.approx(whole)
    assert one.page.evaluate("[scrollX, scrollY, visualViewport.scale]") == before
    assert one.errors == []


def test_one_finger_scrolls_the_page_and_reads_along(pages, opened):
    one = opened(pages["one"], **PHONE)
    live = one.drawn("run-0")
    whole = one.range_of("run-0")
    box = live.locator(".place").first.bounding_box()
    x, y = box["x"] + 150, box["y"] + 60
    fingers(one, *([(x + d, y)] for d in range(0, 100, 10)))
    told = live.locator(".tip").inner_text()
    assert "step " in told
    assert one.range_of("run-0") == whole
    before = one.page.evaluate("scrollY")
    fingers(one, *([(x, y - d)] for d in range(0, 200, 10)))
    one.page.wait_for_timeout(300)
    assert one.page.evaluate("scrollY") > before + 50
    assert one.range_of("run-0") == whole
    assert one.errors == []


def test_paper_has_still_pictures_and_all_parts(pages, opened):
    one = opened(pages["five"])
    one.drawn("overlay")
    one.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    one.page.emulate_media(media="print")
    assert one.page.locator("details:not([open])").count() == 0
    assert one.page.locator(".live:visible").count() == 0
    assert one.page.locator(".still svg:visible").count() >= 6
    assert one.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert one.page.pdf()[:5] == b"%PDF-"
    one.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert one.page.locator("details:not([open])").count() > 0


def test_without_scripts_everything_is_there_but_motion(pages, opened):
    one = opened(pages["one"], java_script_enabled=False)
    assert one.page.locator(".still svg").first.is_visible()
    assert one.page.locator("button").count() == 0
    assert "650" in one.page.locator(".card").first.inner_text()


def test_hostile_names_stay_text(pages, opened):
    from tests.reporters.html.conftest import HOSTILE

    one = opened(pages["hostile"])
    open_everything(one)
    name = HOSTILE.replace("/", "").replace("\u202e", "\\u202e")
    assert name in one.page.locator("tbody th").first.inner_text()
    assert one.page.locator("img").count() == 0
    live = one.drawn("overlay")
    assert name[-40:] in live.locator(".legend").inner_text()
    assert one.errors == []


def test_without_the_library_pictures_stand_still(opened, tmp_path, monkeypatch):
    from gradlens.cli.app import run as command_line
    from gradlens.reporters.html import document
    from tests.reporters.html.conftest import rows, write

    monkeypatch.setattr(document, "charts", lambda: None)
    log, page = write(tmp_path / "run.jsonl", rows(seed=1, spikes=(300, 650))), tmp_path / "run.html"
    assert command_line(["analyze", str(log), str(log), "--save", str(page)]) == 0
    assert page.stat().st_size < 500_000
    one = opened(page)
    assert one.page.locator(".still svg").first.is_visible()
    assert one.page.locator("table.sortable").is_visible()
    assert one.errors == []
