"""Hooks: real commands and a real server on the loopback interface."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest

from gradlens.errors import UsageError
from gradlens.watching.telling import Messenger, deliver, require_command, require_url
from tests.watching.servers import Server, keeping

MESSAGE = {"text": "gradlens: run: GL301 one event", "step": 7}


def test_a_command_gets_json_and_the_text(tmp_path):
    assert deliver(keeping(tmp_path / "got"), MESSAGE).arrived
    assert (tmp_path / "got").read_text() == json.dumps(MESSAGE) + MESSAGE["text"] + "\n"


def test_no_shell_sees_what_a_log_says(tmp_path):
    message = {"text": f"; touch {tmp_path}/owned $(touch {tmp_path}/owned)"}
    assert deliver(["echo"], message).arrived
    assert deliver(keeping(tmp_path / "got"), message).arrived
    assert not (tmp_path / "owned").exists()


def test_every_hook_is_told_once_and_a_failing_one_is_reported_once(tmp_path):
    failed = []
    with Server() as good, Server(status=500) as bad:
        messenger = Messenger([good.url, bad.url, "/no/such/program", keeping(tmp_path / "got")], failed.append)
        for n in range(3):
            messenger.tell({**MESSAGE, "step": n})
        messenger.close()
        assert [message["step"] for message in good.got] == [0, 1, 2]
    assert len((tmp_path / "got").read_text().splitlines()) == 3
    assert len(failed) == 2
    failed.sort(reverse=True)  # each hook has a thread of its own
    assert failed[0].startswith("webhook 127.0.0.1:")
    assert "500" in failed[0]
    assert "secret" not in failed[0]
    assert "FileNotFoundError" in failed[1]


def test_a_command_that_fails_says_how():
    found = deliver([sys.executable, "-c", "import sys; sys.exit('no such room')"], MESSAGE)
    assert not found.arrived
    assert found.result == "exit code 1: no such room"


def test_a_slow_hook_holds_nobody_up():
    gate = threading.Event()
    failed, begun = [], time.monotonic()
    messenger = Messenger([lambda _: gate.wait(30)], failed.append)
    for _ in range(150):
        messenger.tell(MESSAGE)
    assert time.monotonic() - begun < 5
    assert len(failed) == 1
    assert "not delivered" in failed[0]
    gate.set()
    messenger.close()


def test_a_slow_hook_delays_no_other(tmp_path):
    gate, arrived, late = threading.Event(), threading.Event(), []

    def slow(message):
        gate.wait(30)
        late.append(message["step"])

    messenger = Messenger([slow, lambda m: m["step"] == 2 and arrived.set()], print)
    for n in range(3):
        messenger.tell({**MESSAGE, "step": n})
    assert arrived.wait(10)
    assert not late
    gate.set()
    messenger.close()
    assert late == [0, 1, 2]


def test_a_hook_that_hangs_is_not_waited_for_longer_than_said():
    gate, begun = threading.Event(), time.monotonic()
    messenger = Messenger([lambda _: gate.wait(60)] * 3, print)
    messenger.tell(MESSAGE)
    messenger.close(0.5)
    assert time.monotonic() - begun < 5
    gate.set()


def test_without_hooks_nothing_is_started():
    before = threading.active_count()
    messenger = Messenger([], print)
    messenger.tell(MESSAGE)
    assert threading.active_count() == before
    messenger.close()


@pytest.mark.parametrize("text", ["", "  ", "say 'hello"])
def test_commands_that_are_none(text):
    with pytest.raises(UsageError, match="--exec"):
        require_command(text)


@pytest.mark.parametrize("text", ["file:///etc/passwd", "ftp://host/x", "host/hook"])
def test_addresses_that_are_none(text):
    with pytest.raises(UsageError, match="--webhook"):
        require_url(text)
