"""A second set of small programs with beginners' faults: other tasks, networks and logs than those of `benchmarks.programs`.

    python -m benchmarks.programs_second [--only WORDS] [--keep FOLDER] [--out docs/programs-second.md]

Images for a convolution, sequences for a recurrent network, text for a transformer, a table for a regression, two classes with a
sigmoid, an autoencoder. Each program is trained with one fault and without, and its log (CSV, JSON lines or a console, each step or
each tenth) is judged as a file. What became of a training is measured on its task. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens
from benchmarks.programs import NONE_LEFT, Judged, state_of, table

#: What a reader would accept as the cause.
NOTHING = ("not_learning", "unknown", "vanishing", "lr_too_high")
STEPS = ("lr_too_high", "no_warmup", "exploding", "recurring_instability", "unknown", "nan_sudden")
NOT_FINITE = ("nan_sudden", "exploding", "lr_too_high", "unknown", "fp16_overflow")
RATE = ("schedule_mismatch", "lr_zero", "not_learning", "unknown")
VOCABULARY, WIDTH = 24, 32
#: The least share of the way that a network is said to have gone that is finite.
WORST = -0.99


@dataclass(frozen=True)
class Setup:
    """One training: its task, how it is optimized, what is wrong with it, and how it is logged."""

    task: str
    rate: float
    optimizer: str = "adam"
    steps: int = 500
    batch: int = 32
    fault: str = ""
    every: int = 1
    form: str = "csv"
    norm: bool = True


class Transformer(nn.Module):
    """One block of causal attention over characters."""

    def __init__(self, *, masked: bool = True, spread: float = 0.1) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.place = nn.Parameter(torch.randn(24, WIDTH) * 0.1)
        nn.init.normal_(self.embed.weight, 0.0, spread)
        self.block = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.masked = masked

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the next character, float[batch, length, characters]."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.masked else None
        return self.head(self.block(self.embed(x) + self.place[: x.shape[1]], src_mask=mask))


class Recurrent(nn.Module):
    """A plain recurrent network over numbers; the answer is read from its last state."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.cell = nn.RNN(3, WIDTH, nonlinearity="relu" if gain > 1 else "tanh", batch_first=True)
        if gain > 1:
            nn.init.orthogonal_(self.cell.weight_hh_l0, gain)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of four classes."""
        return self.head(self.cell(x)[0][:, -1])


def data_of(task: str, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a task; 800 examples."""
    return DATA[task](800, g)


def _images(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    y = torch.randint(0, 5, (n,), generator=g)
    kinds = torch.randn(5, 1, 8, 8, generator=g)
    return kinds[y] + 1.2 * torch.randn(n, 1, 8, 8, generator=g), y


def _sequences(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 10, 3, generator=g)
    return x, torch.bucketize(x[..., 0].sum(1), torch.tensor([-2.0, 0.0, 2.0]))


def _text(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    likely = torch.softmax(2.5 * torch.randn(VOCABULARY, VOCABULARY, generator=g), 1)
    text = torch.randint(0, VOCABULARY, (n, 1), generator=g)
    for _ in range(20):
        text = torch.cat([text, torch.multinomial(likely[text[:, -1]], 1, generator=g)], 1)
    return text[:, :-1], text[:, 1:]


def _table(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 8, generator=g)
    y = 2 * x[:, 0] - x[:, 1] * x[:, 2] + torch.tanh(x[:, 3]) + 0.2 * torch.randn(n, generator=g)
    return x, (y - y.mean()) / y.std()


def _two_classes(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 6, generator=g)
    return x, ((x[:, 0] * x[:, 1] + 0.8 * x[:, 2] + 0.3 * torch.randn(n, generator=g)) > 0).float()


def _copies(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 4, generator=g) @ torch.randn(4, 16, generator=g) + 0.1 * torch.randn(n, 16, generator=g)
    return x, x


DATA: Mapping[str, Callable[[int, torch.Generator], tuple[Tensor, Tensor]]] = {
    "images": _images, "sequences": _sequences, "text": _text, "table": _table, "two classes": _two_classes, "copies": _copies,
}  # fmt: skip


def network_of(s: Setup) -> nn.Module:
    """The network of a task, with what a fault changes in it."""
    act: nn.Module = nn.Sigmoid() if s.fault == "deep sigmoid" else nn.ReLU()
    if s.task == "text":
        return Transformer(masked=s.fault != "no mask", spread=10.0 if s.fault == "large embedding" else 0.1)
    if s.task == "sequences":
        return Recurrent(2.5 if s.fault == "exploding gain" else 1.0)
    if s.task == "images":
        layers: list[nn.Module] = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), act, nn.MaxPool2d(2),
                                   nn.Conv2d(8, 16, 3, padding=1), act, nn.Flatten()]  # fmt: skip
        if s.fault == "heavy dropout":
            layers.append(nn.Dropout(0.98))
        layers.append(nn.Linear(256, 5))
        if s.fault == "relu on logits":
            layers.append(nn.ReLU())
        return nn.Sequential(*layers)
    inputs, outputs = {"table": (8, 1), "two classes": (6, 1)}.get(s.task, (16, 16))
    depth = 10 if s.fault == "deep sigmoid" else 2
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, WIDTH), act]
        inputs = WIDTH
    layers.append(nn.Linear(WIDTH, outputs))
    if s.fault in {"relu at the end", "sigmoid at the end"}:
        layers.append(nn.ReLU() if s.fault == "relu at the end" else nn.Sigmoid())
    return nn.Sequential(*layers)


def _prepared(s: Setup, network: nn.Module) -> nn.Module:
    """The network with its weights changed by a fault."""
    with torch.no_grad():
        for name, p in network.named_parameters():
            if s.fault == "zero weights":
                p.zero_()
            elif s.fault == "huge weights" and p.dim() > 1:
                p.mul_(30.0)
            elif s.fault == "dead units" and "bias" in name and p.numel() > 5:
                p.fill_(-30.0)
    if s.fault == "frozen":
        for p in list(network.parameters())[:-1]:
            p.requires_grad_(requires_grad=False)
    return network


def objective(s: Setup, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The loss, as the fault computes it."""
    out = network(x)
    if s.task in {"table", "copies"}:
        error = out - y if s.task == "copies" or s.fault == "column less row" else out[:, 0] - y
        return (error**2).mean()
    if s.task == "two classes":
        logit = torch.sigmoid(torch.sigmoid(out[:, 0])) if s.fault == "sigmoid twice" else out[:, 0]
        return functional.binary_cross_entropy_with_logits(logit, 2 * y - 1 if s.fault == "targets of -1" else y)
    if s.fault == "softmax of the batch":
        return functional.nll_loss(torch.log(torch.softmax(out, 0)), y)
    if s.fault == "log of zero":
        return -torch.log(torch.softmax(out * 40, -1).gather(1, y[:, None])).mean()
    if s.fault == "index as number":
        return ((out.mean(-1) - y.float()) ** 2).mean()
    out = torch.softmax(out, -1) if s.fault == "softmax twice" else out
    y = torch.full_like(y, -100) if s.fault == "all ignored" else y
    loss = functional.cross_entropy(out.flatten(0, -2), y.flatten(), reduction="sum" if s.fault == "summed" else "mean")
    return -loss if s.fault == "wrong sign" else loss


def rate_at(s: Setup, step: int) -> float:
    """The factor of the rate at a step."""
    t = step / s.steps
    if s.fault == "decay per batch":
        return 0.9**step
    if s.fault == "ends early":
        return max(1 - step / (0.08 * s.steps), 0.0)
    if s.fault == "wraps":
        return 0.5 * (1 + math.cos(2 * math.pi * 4 * t))
    if s.fault == "warms up for ever":
        return step / (40 * s.steps)
    return 1.0


def _optimizer(s: Setup, network: nn.Module) -> torch.optim.Optimizer:
    kept = [p for p in network.parameters() if p.requires_grad]
    if s.optimizer == "sgd":
        return torch.optim.SGD(kept, s.rate, momentum=0.999 if s.fault == "momentum" else 0.9)
    return torch.optim.Adam(
        kept, s.rate, eps=10.0 if s.fault == "epsilon" else 1e-8, weight_decay=3.0 if s.fault == "decay of 3" else 0.0
    )


def _batch(s: Setup, x: Tensor, y: Tensor, step: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    rows = torch.randint(0, len(x), (s.batch,), generator=g)
    if s.fault == "sorted":
        order = torch.argsort(y)
        begin = step * s.batch % (len(x) - s.batch)
        rows = order[begin : begin + s.batch]
    if s.fault == "one batch":
        rows = torch.arange(s.batch)
    x, y = x[rows], y[rows]
    if s.fault == "labels shuffled":
        y = y[torch.randperm(len(y), generator=g)]
    if s.fault == "broken files" and step % 83 == 70:
        x = x * 60
    if s.fault == "other data" and step > s.steps // 2:
        x = -2.5 * x.flip(-1)
    return x, y


def train(s: Setup, seed: int) -> tuple[list[dict[str, float]], float]:
    """The rows of the log of one training, and how much of its task it learned."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(seed)
    x, y = data_of(s.task, g)
    if s.fault in {"not normalised", "pixels"}:
        x = x * 255 + 500
    if s.fault == "one NaN":
        x = x.clone()
        x.view(len(x), -1)[17, 0] = float("nan")
    if s.fault == "constant column":
        x = (x - x.mean(0)) / torch.where(torch.arange(x.shape[1]) == 2, torch.zeros(()), x.std(0))
    if s.fault == "targets in dollars":
        y = y * 5e4 + 2e5
    network = _prepared(s, network_of(s))
    if s.fault == "evaluated":
        network.eval()
    other = network_of(s) if s.fault == "other network" else network
    optimizer, rows, scale = _optimizer(s, other), list[dict[str, float]](), 2.0**16
    for step in range(s.steps):
        for group in optimizer.param_groups:
            group["lr"] = s.rate * rate_at(s, step)
        if s.fault == "restarted" and step == s.steps * 3 // 5:
            fresh = network_of(s)
            network.load_state_dict(fresh.state_dict())
        bx, by = _batch(s, x, y, step, g)
        loss = objective(s, network, bx, by)
        norm = _step(s, network, optimizer, loss, step, scale)
        row = {
            "step": float(step),
            "loss": float(loss.detach()),
            "grad_norm": norm,
            "lr": float(optimizer.param_groups[0]["lr"]),
        }
        if s.fault == "overflows":
            row["loss_scale"] = scale
            scale = scale / 2 if not math.isfinite(norm) else scale
        rows.append(row)
    return rows, _learned(s, network, x, y)


def _step(
    s: Setup, network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, step: int, scale: float
) -> float:
    """One update; the norm before clipping."""
    if s.fault != "never zeroed":
        network.zero_grad()
    if s.fault == "detached":
        return 0.0
    (loss * scale if s.fault == "overflows" else loss).backward()
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    if s.fault == "overflows":
        for grad in grads:
            grad.copy_((grad * 4000).half().float() / scale / 4000)
    norm = math.sqrt(sum(float((grad**2).sum()) for grad in grads))
    if s.fault == "clipped at 1e-6":
        nn.utils.clip_grad_norm_(network.parameters(), 1e-6)
    skipped = s.fault == "overflows" and not math.isfinite(norm)
    if not skipped and not (s.fault == "added up" and step % 16 != 15):
        optimizer.step()
    return norm


def _learned(s: Setup, network: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of the way from guessing to perfect; -1 where the network is not finite."""
    network.eval()
    with torch.no_grad():
        if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
            return NONE_LEFT
        out = network(x)
        if s.task in {"table", "copies"}:
            out = out if s.task == "copies" else out[:, 0]
            return max(float(1 - ((out - y) ** 2).mean() / y.var()), WORST)
        if s.task == "two classes":
            return 2 * float(((out[:, 0] > 0) == (y > 0)).float().mean()) - 1
        right, common = (
            float((out.argmax(-1) == y).float().mean()),
            float(torch.bincount(y.flatten()).max()) / y.numel(),
        )
        return (right - common) / (1 - common)


def write(s: Setup, rows: Sequence[dict[str, float]], folder: Path) -> Path:
    """The log as a file; where it has a row for each tenth step, that of that step."""
    names = [name for name in rows[0] if name != "grad_norm" or s.norm]
    kept = [{name: row[name] for name in names} for row in rows[:: s.every]]
    if s.form == "json":
        path = folder / "log.jsonl"
        path.write_text("".join(json.dumps({**row, "step": int(row["step"])}) + "\n" for row in kept), "utf-8")
    elif s.form == "csv":
        path = folder / "log.csv"
        path.write_text(
            "\n".join([",".join(names), *(",".join(f"{v:.7g}" for v in row.values()) for row in kept)]) + "\n", "utf-8"
        )
    else:
        path = folder / "train.log"
        lines = [
            "  ".join(f"{name}: {int(v)}" if name == "step" else f"{name}: {v:.5g}" for name, v in row.items())
            for row in kept
        ]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


IMAGES = Setup("images", 2e-3)
SEQUENCES = Setup("sequences", 3e-3, steps=700, form="json")
TEXT = Setup("text", 3e-3, steps=600, form="console")
TABLE = Setup("table", 3e-3, steps=800)
TWO = Setup("two classes", 3e-3, steps=700, form="json")
COPIES = Setup("copies", 2e-3, steps=600)

PAIRS: tuple[tuple[str, Setup, dict[str, object], tuple[str, ...]], ...] = (
    ("rate too high, convolution", replace(IMAGES, optimizer="sgd", rate=0.05), {"rate": 8.0}, STEPS + NOTHING),
    ("rate too high, transformer", TEXT, {"rate": 0.5}, STEPS + NOTHING),
    ("rate too high, recurrent", SEQUENCES, {"rate": 0.4}, STEPS + NOTHING),
    ("rate too high, regression", replace(TABLE, optimizer="sgd", rate=0.02), {"rate": 1.5}, STEPS + NOTHING),
    ("rate too low", TEXT, {"rate": 1e-8}, NOTHING),
    ("rate too low, each tenth step", replace(IMAGES, every=10, steps=2500), {"rate": 1e-9}, NOTHING),
    ("gradients never zeroed", replace(TEXT, optimizer="sgd", rate=0.1), {"fault": "never zeroed"}, STEPS + NOTHING),
    ("gradients never zeroed, Adam", TWO, {"fault": "never zeroed"}, STEPS + NOTHING),
    ("graph detached", IMAGES, {"fault": "detached"}, NOTHING),
    ("graph detached, no norm", replace(TWO, norm=False), {"fault": "detached"}, NOTHING),
    ("softmax twice, small rate", replace(IMAGES, steps=600), {"fault": "softmax twice", "rate": 3e-6}, NOTHING),
    ("softmax twice", IMAGES, {"fault": "softmax twice"}, NOTHING),
    ("sigmoid twice", TWO, {"fault": "sigmoid twice"}, NOTHING),
    ("wrong sign", IMAGES, {"fault": "wrong sign"}, STEPS + NOTHING + NOT_FINITE),
    ("dead units", TABLE, {"fault": "dead units"}, NOTHING),
    ("dead units, copies", COPIES, {"fault": "dead units"}, NOTHING),
    ("labels shuffled", IMAGES, {"fault": "labels shuffled"}, NOTHING),
    ("labels shuffled, table", TABLE, {"fault": "labels shuffled"}, NOTHING),
    ("labels shuffled, two classes", replace(TWO, norm=False), {"fault": "labels shuffled"}, NOTHING),
    ("input not normalised", replace(TABLE, optimizer="sgd", rate=0.02), {"fault": "not normalised"}, STEPS + NOTHING + NOT_FINITE),
    ("input not normalised, two classes", replace(TWO, optimizer="sgd", rate=0.1), {"fault": "not normalised"}, STEPS + NOTHING),
    ("pixels of 255", replace(SEQUENCES, optimizer="sgd", rate=0.05), {"fault": "pixels"}, STEPS + NOTHING + NOT_FINITE),
    ("column less row", TABLE, {"fault": "column less row"}, NOTHING),
    ("column less row, each tenth step", replace(TABLE, every=10, steps=4000, form="console"), {"fault": "column less row"}, NOTHING),
    ("all frozen but a bias", TEXT, {"fault": "frozen"}, NOTHING),
    ("all frozen but a bias, regression", TABLE, {"fault": "frozen"}, NOTHING),
    ("weights of zero", TABLE, {"fault": "zero weights"}, NOTHING),
    ("weights of zero, text", TEXT, {"fault": "zero weights"}, NOTHING),
    ("gradients overflow", IMAGES, {"fault": "overflows"}, ("fp16_overflow", "loss_scale_collapse", *NOTHING)),
    ("one NaN", TABLE, {"fault": "one NaN"}, (*NOT_FINITE, "bad_data")),
    ("one NaN, images", replace(IMAGES, form="console"), {"fault": "one NaN"}, (*NOT_FINITE, "bad_data")),
    ("division by a spread of zero", TWO, {"fault": "constant column"}, NOT_FINITE),
    ("decay per batch", IMAGES, {"fault": "decay per batch"}, RATE),
    ("rate 0 after a twelfth", TEXT, {"fault": "ends early"}, RATE),
    ("cosine that wraps", replace(SEQUENCES, every=10, steps=3000), {"fault": "wraps"}, RATE),
    ("warm-up without end", TEXT, {"fault": "warms up for ever", "rate": 1e-4}, (*RATE, "vanishing")),
    ("evaluation mode", IMAGES, {"fault": "evaluated"}, NOTHING),
    ("dropout of 0.98", IMAGES, {"fault": "heavy dropout"}, NOTHING),
    ("huge weights", replace(TABLE, optimizer="sgd", rate=0.01), {"fault": "huge weights"}, STEPS + NOTHING + NOT_FINITE),
    ("huge weights, text", TEXT, {"fault": "huge weights"}, STEPS + NOTHING),
    ("huge weights, recurrent", SEQUENCES, {"fault": "huge weights"}, STEPS + NOTHING),
    ("embeddings of 10", TEXT, {"fault": "large embedding"}, STEPS + NOTHING),
    ("softmax over the batch", IMAGES, {"fault": "softmax of the batch"}, NOTHING),
    ("logarithm of 0", replace(IMAGES, optimizer="sgd", rate=0.05), {"fault": "log of zero"}, NOT_FINITE),
    ("exploding recurrence", SEQUENCES, {"fault": "exploding gain"}, STEPS + NOTHING + NOT_FINITE),
    ("ten layers of sigmoids", TABLE, {"fault": "deep sigmoid"}, NOTHING),
    ("ten layers of sigmoids, copies", replace(COPIES, optimizer="sgd", rate=0.01), {"fault": "deep sigmoid"}, NOTHING),
    ("weight decay of 3 in Adam", TEXT, {"fault": "decay of 3"}, ("l2_contamination", *NOTHING)),
    ("class index as a number", IMAGES, {"fault": "index as number"}, NOTHING),
    ("clipped at 1e-6", replace(IMAGES, optimizer="sgd", rate=0.05), {"fault": "clipped at 1e-6"}, ("clip_too_tight", *NOTHING)),
    ("momentum of 0.999", replace(COPIES, optimizer="sgd", rate=0.05), {"fault": "momentum"}, STEPS + NOTHING),
    ("losses added up", replace(TEXT, optimizer="sgd", rate=0.1), {"fault": "summed"}, STEPS + NOTHING + NOT_FINITE),
    ("sixteen batches added up", replace(SEQUENCES, optimizer="sgd", rate=0.1), {"fault": "added up"}, STEPS + NOTHING),
    ("other network optimized", COPIES, {"fault": "other network"}, NOTHING),
    ("targets of -1", TWO, {"fault": "targets of -1"}, STEPS + NOTHING),
    ("all labels ignored", TEXT, {"fault": "all ignored"}, NOT_FINITE),
    ("data sorted by class", replace(IMAGES, optimizer="sgd", rate=0.05), {"fault": "sorted"},
     (*NOTHING, "bad_data", "recurring_instability")),
    ("one batch again and again", IMAGES, {"fault": "one batch"}, ()),
    ("ReLU on the logits", IMAGES, {"fault": "relu on logits"}, NOTHING),
    ("ReLU at the end of a regression", TABLE, {"fault": "relu at the end"}, NOTHING),
    ("sigmoid at the end of copies", COPIES, {"fault": "sigmoid at the end"}, NOTHING),
    ("no mask", TEXT, {"fault": "no mask"}, ()),
    ("epsilon of 10", COPIES, {"fault": "epsilon"}, NOTHING),
    ("broken files", IMAGES, {"fault": "broken files"}, ("bad_data", *STEPS)),
    ("other data from the middle", TABLE, {"fault": "other data"}, ("data_shift", *STEPS)),
    ("restarted from new weights", COPIES, {"fault": "restarted"}, ("resume_artifact", "data_shift", *STEPS)),
    ("targets in dollars", TABLE, {"fault": "targets in dollars"}, NOTHING),
)  # fmt: skip


def judged(
    pairs: Sequence[tuple[str, Setup, dict[str, object], tuple[str, ...]]], keep: Path | None
) -> Iterator[Judged]:
    """Train each pair, write the logs and judge them."""
    for seed, (name, setup, fault, accepted) in enumerate(pairs):
        sound, learned = train(setup, seed)
        broken, harmed = train(replace(setup, **fault), seed)  # type: ignore[arg-type]
        for rows, share, is_faulty in ((broken, harmed, True), (sound, learned, False)):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                if keep:
                    folder = keep / f"{name.replace(' ', '-').replace(',', '')}-{'fault' if is_faulty else 'sound'}"
                    folder.mkdir(parents=True, exist_ok=True)
                run = gradlens.analyze(write(setup, rows, folder)).runs[0]
            state = state_of(share, learned, {"loss": [row["loss"] for row in rows]})
            cause, status = run.diagnosis.cause, run.verdict.status
            yield Judged(name, is_faulty, state, status, cause, status == "problem" and cause in accepted)


#: What was found when these programs were judged for the first time, before anything they showed was mended.
FIRST = (
    "The programs were fixed before any was judged. At first sight 23 of 44 trainings that had learned nothing were found (52 %), 15 were",
    "called not enough to judge and 6 clear, and 1 of 67 sound programs was alarmed, one that had not learned its task either. The",
    "table flatters: what a log shows was mended since. What is still called clear looks in its log like a training that is fine: the",
    "frequencies of letters are learned and nothing else, or the loss of a wrong task comes down.",
)


def page(results: list[Judged]) -> str:
    """The results as Markdown."""
    return "\n".join([
        "# A second set of small programs with beginners' faults",
        "",
        "Written by `python -m benchmarks.programs_second`: images, sequences, text, a table, two classes and an autoencoder in PyTorch,",
        "each program with a fault and without. What became of each is measured on its task, not read from its log.",
        "",
        *FIRST,
        "",
        *table(results),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only the pairs whose names have these words")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    for one in judged([pair for pair in PAIRS if arguments.only in pair[0]], arguments.keep):
        results.append(one)
        print(
            f"{one.name:44s} {'fault' if one.faulty else 'sound'} {one.state:10s} {one.status:12s} {one.cause}",
            flush=True,
        )
    text = page(results)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
