"""The page of a fleet: links to single reports, sorting and filtering as a browser does them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.fleet.conftest import write_jsonl

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page(bucket, command, tmp_path):
    """The page of a bucket whose runs have different rates, with links; its text."""
    for number, name in enumerate(("run0", "run1", "run2", "run3", "bad")):
        config = {"learning_rate": 10.0 ** (number - 4), "warmup_steps": 10}
        (bucket / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_jsonl(bucket / "run0" / "again" / "log.jsonl", seed=4, first=290)
    command("fleet", bucket, "-o", tmp_path / "f.parquet", "--jobs", "1")

    def make(*options):
        code, _, err = command("fleet", "show", tmp_path / "f.parquet", "--save", tmp_path / "f.html", *options)
        assert code == 0
        return (tmp_path / "f.html").read_text(encoding="utf-8"), err

    return make


def test_runs_with_a_problem_are_linked_to_their_reports(page, tmp_path):
    text, err = page("--pages", "problem")
    assert "1 pages of single runs beside" in err
    (link,) = re.findall(r'<a href="(f\.runs/[^"]+)">bad/log\.jsonl</a>', text)
    report = (tmp_path / link).read_text(encoding="utf-8")
    assert "bad/log.jsonl" in report
    assert "exploding" in report.lower()
    assert [p.name for p in (tmp_path / "f.runs").iterdir()] == [link.removeprefix("f.runs/")]


def test_all_runs_are_linked_where_that_is_asked_for(page, bucket, tmp_path):
    (bucket / "run2" / "log.jsonl").rename(bucket / "run2" / "elsewhere.jsonl")
    text, err = page("--pages", "all")
    links = re.findall(r'<a href="(f\.runs/[^"]+)">', text)
    assert len(set(links)) == 6
    assert all((tmp_path / link).is_file() for link in links)
    assert "no page of run2/log.jsonl" in err


def test_without_the_option_nothing_is_linked(page):
    text, _ = page()
    assert "<a " not in text


def test_copies_and_differing_settings_stand_in_the_table(page):
    text, _ = page()
    assert "copy of copy/log.jsonl" in text
    assert '<button type="button">learning_rate</button>' in text
    # Two of the bucket have no settings: a missing one differs, too.
    assert text.count('<svg class="small"') == 2 * 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pages", "problem"), "needs a page that links them"),
        (("--pages", "some", "--save", "{tmp}/f.html"), "unknown choice"),
    ],
)
def test_pages_need_a_page(bucket, command, tmp_path, options, message):
    command("fleet", bucket, "-o", tmp_path / "f.parquet", "--jobs", "1")
    code, _, err = command("fleet", "show", tmp_path / "f.parquet", *(o.format(tmp=tmp_path) for o in options))
    assert code == 2
    assert message in err


#: Presses the headings and types into the filter, then writes down what is seen.
SCRIPT = """
<script>{
const seen=()=>[...document.querySelectorAll('table.fleet tbody tr')].filter(r=>!r.hidden).map(r=>r.cells[0].firstChild.textContent);
const head=name=>[...document.querySelectorAll('table.fleet th button')].find(b=>b.textContent===name);
const found={};
head('run').click();found.by_name=seen();
head('learning_rate').click();found.by_rate=seen();
head('learning_rate').click();found.by_rate_down=seen();
found.sorted=head('learning_rate').parentNode.getAttribute('aria-sort');
const find=document.querySelector('input');find.value='run RUN1';find.dispatchEvent(new Event('input'));found.words=seen();
find.value='';find.dispatchEvent(new Event('input'));
const pick=document.querySelector('select');pick.value=[...pick.options].map(o=>o.value).find(v=>v&&v!=='healthy'&&v!=='undetermined');pick.dispatchEvent(new Event('change'));found.cause=seen();
found.shown=document.querySelector('.shown').textContent;
document.body.textContent='found '+JSON.stringify(found)+' end';
}</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
@pytest.mark.slow
def test_the_table_sorts_and_filters_in_a_browser(page, tmp_path):
    text, _ = page()
    # The page's own policy lets no script run but the page's own.
    open_text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "driven.html").write_text(open_text.replace("</body>", SCRIPT + "</body>"), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile", "--dump-dom",
         (tmp_path / "driven.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = json.loads(re.search(r"found (\{.*\}) end", done.stdout)[1])
    names = ["bad/log.jsonl", "copy/log.jsonl", "empty.jsonl", "garbage.csv", "run0/again/log.jsonl", "run0/log.jsonl",
             "run1/log.jsonl", "run2/log.jsonl", "run3/log.jsonl"]  # fmt: skip
    shown = [name.rpartition("bucket/")[2] for name in found["by_name"]]
    assert sorted(shown) == names
    rates = ["run0/log.jsonl", "run1/log.jsonl", "run2/log.jsonl", "run3/log.jsonl", "bad/log.jsonl"]
    assert found["by_rate"][:5] == rates
    # What has no rate comes last both ways.
    assert found["by_rate_down"][:5] == rates[::-1]
    assert found["sorted"] == "descending"
    assert found["words"] == ["run1/log.jsonl"]
    assert found["cause"] == ["bad/log.jsonl"]
    assert found["shown"] == "1 of 9 shown"
