"""The recorder takes at most a fiftieth of a step at its defaults, for a transformer of 25 million parameters."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from gradlens.recorder.recorder import Recorder  # noqa: E402

pytestmark = pytest.mark.slow


class Clocked(Recorder):
    """Knows the processor time that each step has spent in it: other programs of the machine do not count."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.spent = 0.0

    def _clocked(self, work, *args, **options):
        begin = time.thread_time()
        work(*args, **options)
        self.spent += time.thread_time() - begin

    def log(self, *args, **options):
        self._clocked(super().log, *args, **options)

    def _before_step(self, *args):
        self._clocked(super()._before_step, *args)

    def _after_step(self, *args):
        self._clocked(super()._after_step, *args)


def test_the_cost_of_a_step(tmp_path):
    from benchmarks.recorder import LENGTH, MAX_SHARE, VOCABULARY, Transformer

    torch.manual_seed(0)
    model = Transformer()
    assert 24e6 < sum(p.numel() for p in model.parameters()) < 26e6
    opt = torch.optim.AdamW(model.parameters(), lr=3e-4)
    # The first step builds the state of the optimizer, and is left out; the fourth is one of those with every column.
    rec = Clocked(tmp_path / "run.jsonl", model, opt, update_every=3)
    spent, rest = [], []
    for _ in range(4):
        before, begin = rec.spent, time.thread_time()
        x = torch.randint(0, VOCABULARY, (8, LENGTH + 1))
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[:, :-1]).reshape(-1, VOCABULARY), x[:, 1:].reshape(-1))
        loss.backward()
        rec.log(loss=loss, batch_id=x, tokens=x.numel())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        spent.append(rec.spent - before)
        rest.append(time.thread_time() - begin - spent[-1])
    rec.close()
    plain, due = sum(spent[1:3]) / 2, spent[3]
    share = (9 * plain + due) / 10 / (sum(rest[1:]) / 3)
    assert due > plain > 0
    assert share < MAX_SHARE, f"{share:.2%} of a step: {1e3 * plain:.0f} ms, and {1e3 * due:.0f} ms with every column"
