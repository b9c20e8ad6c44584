"""Tiny trainings that the tests of the recorder share."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _one_thread():
    """Models this small are slower on several threads, and much slower where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(torch.nn.Module):
    """Batch normalisation and dropout: buffers and random states that a probe must not move."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 16)
        self.norm = torch.nn.BatchNorm1d(16)
        self.drop = torch.nn.Dropout(0.2)
        self.last = torch.nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.drop(torch.relu(self.norm(self.first(x)))))


def make_net(seed=0):
    torch.manual_seed(seed)
    return Net()


def make_batches(n, size=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = [torch.randn(size, 8, generator=generator) for _ in range(n)]
    return [(one, one[:, :3].argmax(1)) for one in x]


def loss_of(model, batch):
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])


def read_rows(path):
    """The rows of a log, without the records that are none."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [r for r in records if "step" in r]


def read_marks(path, key="recorder"):
    """The records under one key."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [r[key] for r in records if key in r]


def train(recorder, model, opt, n=10, log=None):
    """A plain loop, recorded; `log` gives what else is logged at a step."""
    for number, batch in enumerate(make_batches(n)):
        opt.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        recorder.log(**{"loss": loss} | (log(number) if log else {}))
        opt.step()


def parts(seed=0):
    """A model and its optimizer."""
    model = make_net(seed)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)
