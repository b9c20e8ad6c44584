"""One rank of a training, for `test_ranks.py`: `python ranks.py KIND RANK WORLD FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import nn

import gradlens

STEPS, LONG, SIZE = 24, 130, 8
#: Kinds whose ranks hold whole weights.
DDP = frozenset({"ddp", "made-rank0", "logged-rank0", "flushed-rank0", "destroyed", "raise"})


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 17), nn.Tanh(), nn.Linear(17, 16), nn.Tanh(), nn.Linear(16, 3))


def batches(n):
    generator = torch.Generator().manual_seed(1)
    for _ in range(n):
        x = torch.randn(SIZE, 8, generator=generator)
        yield x, x[:, :3].argmax(1)


def loss_of(model, x, y):
    return nn.functional.cross_entropy(model(x), y)


def cannot(_):
    raise RuntimeError("this rank cannot measure")


def wrapped(model, kind, world):
    """The model as its ranks share it."""
    if kind == "plain":
        return model
    if kind not in {"fsdp", "broken"}:
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (world,))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def train(kind, rank, world, folder):
    """Each rank takes its part of every batch; rank 1 of kind `broken` cannot measure.

    On the kinds that end in `rank0` the first rank alone makes a recorder, or logs, or flushes; on `raise` rank 1 fails.
    """
    model = build()
    run = wrapped(model, kind, world)
    opt = torch.optim.AdamW(run.parameters(), lr=0.01)
    name = "plain.jsonl" if kind == "plain" else f"{kind}.jsonl"
    rec = None
    if kind != "made-rank0" or rank == 0:
        rec = gradlens.Recorder(
            folder / name, run, opt, max_norm=0.5, clip=kind != "broken", update_every=2, probe_every=4, flush_every=5
        )
    if kind == "broken" and rank == 1:
        gradlens.recorder.measuring.gradients_of = cannot
    for number, (x, y) in enumerate(batches(LONG if kind in {"made-rank0", "logged-rank0"} else STEPS)):
        if kind == "raise" and rank == 1 and number == STEPS - 2:
            raise RuntimeError("rank 1 fails")
        part = slice(rank * SIZE // world, (rank + 1) * SIZE // world)
        opt.zero_grad()
        loss = loss_of(run, x[part], y[part])
        loss.backward()
        if rec is not None and (kind != "logged-rank0" or rank == 0):
            rec.log(
                loss=loss, batch_size=len(x[part]), tokens=10, probe=lambda x=x[part], y=y[part]: loss_of(run, x, y)
            )
        opt.step()
        if kind == "flushed-rank0" and rank == 0 and number == 6:
            rec.flush()
    if kind == "destroyed":
        torch.distributed.destroy_process_group()
    if rec is not None:
        rec.close()
    torch.save([p.detach() for p in model.parameters()] if kind in DDP else [], folder / f"{kind}-{rank}.pt")


def main():
    kind, rank, world, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    torch.set_num_threads(1)
    if kind != "plain":
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/store-{kind}", rank=rank, world_size=world
        )
    train(kind, rank, world, folder)
    if kind != "plain":
        if kind != "destroyed":
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()
        # gloo's own threads sometimes abort the interpreter on its way out ("terminate called without an active
        # exception"), after everything that is tested here has been written.
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
