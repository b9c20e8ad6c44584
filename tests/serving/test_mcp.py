"""The MCP server, asked by the real client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

from gradlens.errors import GradlensError
from gradlens.serving import tools
from gradlens.serving.places import MAX_SOURCES, Places


def test_a_call_that_waits_holds_no_other_up(tmp_path, samples):
    logs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for log in logs:
        log.write_bytes((samples / "healthy.jsonl").read_bytes())
    watches = tools.Watches(Places())
    for log in logs:
        watches.look([str(log)])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watches.look, [str(logs[0])], wait=8)
        time.sleep(0.5)
        begun = time.monotonic()
        assert not watches.look([str(logs[1])])["first_call"]
        assert time.monotonic() - begun < 4
        assert not waiting.done()
        with logs[0].open("a") as file:
            file.write('{"step": 5000, "loss": NaN, "grad_norm": NaN}\n')
        assert waiting.result(20)["events"]
    watches.close()


def test_two_calls_for_the_same_logs_take_turns(tmp_path, samples):
    log = tmp_path / "a.jsonl"
    log.write_bytes((samples / "bad_data.jsonl").read_bytes())
    watches = tools.Watches(Places())
    with ThreadPoolExecutor(2) as pool:
        found = [f.result(60) for f in [pool.submit(watches.look, [str(log)]) for _ in range(2)]]
    assert sorted(call["first_call"] for call in found) == [False, True]
    assert sum(e["kind"] == "finding" and e["code"] == "GL301" for call in found for e in call["events"]) == 1
    watches.close()


def ask(*calls, root=None):
    """What the client gets for calls of tools, in one session; the tools first."""
    arguments = ["-m", "gradlens", "mcp", *(["--root", str(root)] if root else [])]

    async def session():
        async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
            listed = await client.list_tools()
            return [
                listed,
                *[await client.call_tool(name, given() if callable(given) else given) for name, given in calls],
            ]

    # In a thread of its own: a browser that other tests of this process hold open has a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asyncio.wait_for(session(), 120))).result()


def text_of(result):
    return "".join(part.text for part in result.content)


@pytest.mark.slow
def test_a_client_finds_its_way(samples, tmp_path):
    bad = str(samples / "bad_data.jsonl")
    log = tmp_path / "run.jsonl"
    lines = (samples / "bad_data.jsonl").read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:700]))

    def more():
        with log.open("a") as file:
            file.write("".join(lines[700:]))
        return {"sources": [str(log)], "wait_seconds": 20}

    listed, brief, text, page, listing, side, first, second = ask(
        ("analyze", {"sources": [bad], "threshold": 1.0}),
        ("analyze", {"sources": [bad], "detail": "text", "threshold": "none"}),
        ("explain", {"name": "GL301"}),
        ("explain", {}),
        ("compare", {"sources": [bad, str(samples / "healthy.jsonl")]}),
        ("watch", {"sources": [str(log)]}),
        ("watch", more),
    )
    assert {tool.name for tool in listed.tools} == {"analyze", "explain", "compare", "watch"}
    assert all(tool.annotations.read_only_hint and tool.description for tool in listed.tools)
    (run,) = brief.structured_content["runs"]
    assert (run["status"], run["cause"]["name"]) == ("problem", "bad_data")
    assert run["findings"][0]["steps"] == [218, 250, 287, 523, 805, 932]
    assert "Bad batches" in text.structured_content["text"]
    assert "What it measures" in text_of(page)
    assert "GL301" in text_of(listing)
    assert not side.is_error
    assert len(side.structured_content["runs"]) == 2
    assert first.structured_content["first_call"]
    assert first.structured_content["runs"][0]["step"] == 699
    assert not second.structured_content["first_call"]
    assert second.structured_content["runs"][0]["step"] == 1199
    assert {e["step"] for e in second.structured_content["events"] if e["kind"] in {"spike", "again"}} & {805, 932}


@pytest.mark.slow
def test_what_goes_wrong_is_said_and_ends_nothing(samples, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    good = str(samples / "healthy.jsonl")
    (tmp_path / "real.jsonl").write_bytes((samples / "healthy.jsonl").read_bytes())
    (tmp_path / "link.jsonl").symlink_to(samples / "healthy.jsonl")
    _, missing, address, empty, outside, link, unknown, threshold, well = ask(
        ("analyze", {"sources": [str(tmp_path / "none.jsonl")]}),
        ("analyze", {"sources": ["https://example.org/run.jsonl"]}),
        ("analyze", {"sources": [str(tmp_path / "empty.jsonl")]}),
        ("watch", {"sources": ["/etc/hostname"]}),
        ("analyze", {"sources": [str(tmp_path / "link.jsonl")]}),
        ("explain", {"name": "GL9999"}),
        ("analyze", {"sources": [str(tmp_path / "real.jsonl")], "threshold": "loud"}),
        ("explain", {"name": "bad_data"}),
        root=tmp_path,
    )
    for result, said in (
        (missing, "no such file"), (address, "an address"), (empty, "empty"), (outside, "outside of"), (link, "outside of"),
        (unknown, "GL9999"), (threshold, "threshold 'loud'"),
    ):  # fmt: skip
        assert result.is_error, said
        assert said in text_of(result)
    assert not well.is_error
    assert good not in text_of(link)


@pytest.mark.parametrize(
    "source",
    ["-", "", " ", "s3://bucket/x", "hf://a/b", "mlflow:/runs", "file:///etc/passwd", "/dev/zero", "a\0b", "missing"],
)
def test_places_that_are_not_read(source):
    with pytest.raises(GradlensError):
        Places().check([source])


def test_no_sources_and_too_many():
    with pytest.raises(GradlensError, match="no sources"):
        Places().check([])
    with pytest.raises(GradlensError, match="sources"):
        Places().check(["."] * (MAX_SOURCES + 1))


def test_a_root_holds_against_links_and_dots(tmp_path, samples):
    inside = tmp_path / "logs"
    inside.mkdir()
    (inside / "run.jsonl").write_bytes((samples / "healthy.jsonl").read_bytes())
    (tmp_path / "other.jsonl").write_text("{}\n")
    places = Places(inside)
    assert places.check([str(inside), str(inside / "*.jsonl")])
    for source in (tmp_path, inside / ".." / "other.jsonl", tmp_path / "*.jsonl"):
        with pytest.raises(GradlensError, match="outside"):
            places.check([str(source)])


def test_a_folder_with_a_link_out_of_the_root(tmp_path, samples):
    inside = tmp_path / "logs"
    inside.mkdir()
    (inside / "run.jsonl").symlink_to(samples / "healthy.jsonl")
    with pytest.raises(GradlensError, match="outside"):
        tools.analyze(Places(inside), [str(inside)])


@pytest.mark.parametrize("name", ["args.json", ".hydra/config.yaml", "files/config.yaml"])
def test_settings_beside_a_log_that_are_a_link_out_of_the_root(tmp_path, samples, name):
    inside, outside = tmp_path / "logs", tmp_path / "secret"
    inside.mkdir()
    outside.mkdir()
    (inside / "run.jsonl").write_bytes((samples / "healthy.jsonl").read_bytes())
    (outside / "settings").write_text('{"learning_rate": 0.1234, "max_grad_norm": 7}')
    (inside / name).parent.mkdir(exist_ok=True)
    (inside / name).symlink_to(outside / "settings")
    for source in (inside, inside / "run.jsonl"):
        with pytest.raises(GradlensError, match="outside"):
            tools.analyze(Places(inside), [str(source)])
        with pytest.raises(GradlensError, match="outside"):
            tools.Watches(Places(inside)).look([str(source)])
    (inside / name).unlink()
    (inside / name).write_text("{}")
    assert tools.analyze(Places(inside), [str(inside / "run.jsonl")])["runs"]


def test_only_so_many_logs_are_followed_at_once(tmp_path, samples, monkeypatch):
    monkeypatch.setattr(tools, "MAX_WATCHED", 2)
    data = (samples / "healthy.jsonl").read_bytes()
    watches = tools.Watches(Places())
    for n in range(3):
        path = tmp_path / f"{n}.jsonl"
        path.write_bytes(data)
        assert watches.look([str(path)])["first_call"]
    assert watches.look([str(tmp_path / "0.jsonl")])["first_call"]
    assert not watches.look([str(tmp_path / "2.jsonl")])["first_call"]
    json.dumps(watches.look([str(tmp_path / "2.jsonl")]), allow_nan=False)
    watches.close()
