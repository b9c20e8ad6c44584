"""What the loops of well-known programs print, as their sources have it, with the noise that comes between.

Each function gives the text of a log of sixty steps in three epochs. `FOUND` says what is in it: the steps and which of loss,
norm and rate, all with the values of `STEPS`. The grammars were not written with these logs at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

N_EPOCHS, LENGTH = 3, 20


class Step(NamedTuple):
    """One step: `n` counts from 1, `epoch` and `batch` from 0."""

    n: int
    epoch: int
    batch: int
    loss: float
    norm: float
    lr: float


def _steps() -> list[Step]:
    found = []
    for n in range(1, N_EPOCHS * LENGTH + 1):
        loss = round(6.0 * 0.97**n + 0.5 + 0.01 * (n * 7 % 13), 3)
        found.append(Step(n, (n - 1) // LENGTH, (n - 1) % LENGTH, loss, round(0.5 + 0.03 * (n * 5 % 17), 3), n * 1e-5))
    return found


STEPS = _steps()


class Found(NamedTuple):
    """What a log holds: the step of each record, and which quantities."""

    steps: list[int]
    roles: tuple[str, ...]
    rows: list[Step]


EVERY = [s.n for s in STEPS]
FROM_ZERO = [s.n - 1 for s in STEPS]
PRINTS: dict[str, tuple[Callable[[], str], Found]] = {}


def prints(steps: list[int], *roles: str, rows: list[Step] = STEPS):
    def register(function):
        PRINTS[function.__name__] = (function, Found(steps, roles, rows))
        return function

    return register


def at_ends(lines: Callable[[Step], str], after: Callable[[int], str] | str = "") -> str:
    """A line for each step, and what comes after each epoch."""
    parts = []
    for s in STEPS:
        parts.append(lines(s))
        if s.batch == LENGTH - 1:
            parts.append(after if isinstance(after, str) else after(s.epoch))
    return "\n".join(part for part in parts if part) + "\n"


@prints(EVERY, "loss", "grad_norm", "lr")
def fairseq_simple():
    return at_ends(
        lambda s: (
            f"2023-02-08 12:01:{s.batch:02d} | INFO | train_inner | epoch {s.epoch + 1:03d}: {s.batch + 1:6d} / {LENGTH} loss={s.loss}, "
            f"nll_loss={s.loss - 0.1:.3f}, ppl=12.3, wps=23456.7, ups=1.23, wpb=19000.5, bsz=512, num_updates={s.n}, lr={s.lr:g}, "
            f"gnorm={s.norm}, clip=0, loss_scale=128, train_wall=81, gb_free=9.1, wall={s.n}"
        ),
        lambda e: (
            f"2023-02-08 12:02:00 | INFO | valid | epoch {e + 1:03d} | valid on 'valid' subset | loss 99.5 | nll_loss 98.2 | ppl 120.1 | "
            f"wps 40000 | num_updates {LENGTH * (e + 1)} | best_loss 99.5"
        ),
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def megatron_with_ranks():
    return at_ends(
        lambda s: (
            f"7: [default7]: [2024-05-0{s.epoch + 1} 10:11:{s.batch:02d}] iteration {s.n:8d}/     500 | consumed samples: {s.n * 1024:12d} | "
            f"elapsed time per iteration (ms): 1521.4 | throughput per GPU (TFLOP/s/GPU): 398.1 | learning rate: {s.lr:.6E} | global batch size:  1024 | "
            f"lm loss: {s.loss:.6E} | loss scale: 1.0 | grad norm: {s.norm:.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |"
        ),
        lambda e: (
            f"7: [default7]: validation loss at iteration {LENGTH * (e + 1)} | lm loss value: 9.950000E+01 | lm loss PPL: 1.2E+43 |"
        ),
    )


@prints(FROM_ZERO, "loss", "grad_norm", "lr")
def nemo_bar():
    bar = [
        f"\rEpoch {s.epoch}: :  {5 * s.batch}%|█▏        | {s.batch + 1}/{LENGTH} [00:0{s.epoch}<01:12, v_num=1, reduced_train_loss={s.loss}, "
        f"global_step={s.n - 1:.1f}, consumed_samples={s.n * 256:.1f}, train_step_timing in s=1.230, grad_norm={s.norm}, lr={s.lr:g}]"
        for s in STEPS
    ]
    return "[NeMo I 2024-01-01 10:00:00 exp_manager:396] Experiments will be logged at /results\n" + "".join(bar) + "\n"


@prints(EVERY, "loss", "lr")
def deepspeed():
    return at_ends(
        lambda s: (
            f"[2023-09-14 08:22:{s.batch:02d},123] [INFO] [logging.py:96:log_dist] [Rank 0] step={s.n}, skipped=0, lr=[{s.lr:g}, {s.lr:g}], mom=[(0.9, 0.95), (0.9, 0.95)]\n"
            f"steps: {s.n} loss: {s.loss:.4f} iter time (s): 0.512 samples/sec: 125.011\n"
            f"[2023-09-14 08:22:{s.batch:02d},124] [INFO] [timer.py:215:stop] epoch=0/micro_step={s.n}/global_step={s.n}, RunningAvgSamplesPerSec=125.9, CurrSamplesPerSec=126.0, MemAllocated=20.1GB, MaxMemAllocated=31.5GB"
        )
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def nanogpt_variant():
    return at_ends(
        lambda s: (
            f"step {s.n:5d}/500 | train loss {s.loss:.6f} | norm {s.norm:.4f} | lr {s.lr:.2e} | (152.11 ms | 3446221 tok/s)"
        ),
        lambda e: f"step {LENGTH * (e + 1)}: val loss 99.5000\nHellaSwag accuracy: 2520/10042=0.2509",
    )


# The bar shows running means of an epoch, which count when it has come to its end.
@prints([1, 2, 3], "loss", rows=STEPS[LENGTH - 1 :: LENGTH])
def keras_bars():
    text = []
    for e in range(N_EPOCHS):
        text.append(f"Epoch {e + 1}/{N_EPOCHS}\n")
        text += [
            f"\r\x1b[1m{s.batch + 1:2d}/{LENGTH}\x1b[0m \x1b[32m━━━━━━━━━━\x1b[0m\x1b[37m━━━━━━━━━━\x1b[0m \x1b[1m{LENGTH - s.batch}s\x1b[0m 51ms/step - accuracy: 0.5123 - loss: {s.loss:.4f}"
            for s in STEPS[e * LENGTH : (e + 1) * LENGTH]
        ]
        text.append(" - val_accuracy: 0.4000 - val_loss: 99.5000\n")
    return "".join(text)


@prints(EVERY, "loss", "grad_norm", "lr")
def hugging_face():
    text = []
    for s in STEPS:
        row = {"loss": s.loss, "grad_norm": s.norm, "learning_rate": s.lr, "epoch": round(s.n / LENGTH, 2)}
        text.append(
            f"\r  {s.n}%|▎         | {s.n}/500 [00:{s.batch:02d}<30:11,  3.61s/it]\n                                     \n{row}\n"
        )
        if s.batch == LENGTH - 1:
            text.append(
                f"{{'eval_loss': 99.5, 'eval_runtime': 10.1, 'eval_samples_per_second': 9.9, 'epoch': {s.epoch + 1}.0}}\n"
            )
    return "".join(text)


@prints(EVERY, "loss", "grad_norm", "lr")
def mmdetection():
    return at_ends(
        lambda s: (
            f"07/0{s.epoch + 1} 12:00:{s.batch:02d} - mmengine - \x1b[4m\x1b[97mINFO\x1b[0m - Epoch(train)  [{s.epoch + 1}][{s.batch + 1:2d}/{LENGTH}]  "
            f"base_lr: {s.lr:.4e} lr: {s.lr:.4e}  eta: 1 day, 2:03:04  time: 0.5213  data_time: 0.0101  memory: 8123  grad_norm: {s.norm:.4f}  "
            f"loss: {s.loss:.4f}  loss_cls: 0.1111  loss_bbox: 0.2222  acc: 93.5547"
        ),
        lambda e: (
            f"07/0{e + 1} 12:01:00 - mmengine - INFO - Epoch(val) [{e + 1}][5/5]    coco/bbox_mAP: 0.3710  coco/bbox_mAP_50: 0.5710  data_time: 0.0021  time: 0.0512"
        ),
    )


@prints(FROM_ZERO, "loss", "lr")
def detectron2():
    return at_ends(
        lambda s: (
            f"\x1b[32m[03/0{s.epoch + 1} 08:30:{s.batch:02d} d2.utils.events]: \x1b[0m eta: 1 day, 3:10:22  iter: {s.n - 1}  total_loss: {s.loss}  loss_cls: 0.512  "
            f"loss_box_reg: 0.412  loss_rpn_cls: 0.0321  loss_rpn_loc: 0.0415    time: 0.4120  last_time: 0.4011  data_time: 0.0103  last_data_time: 0.0091   lr: {s.lr:g}  max_mem: 7128M"
        )
    )


@prints(EVERY, "loss")
def yolov8():
    text = ["      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"]
    for s in STEPS:
        text.append(
            f"\r      {s.n}/{N_EPOCHS * LENGTH}      4.21G     {s.loss:.3f}      0.911      0.531         44        640: 100%|██████████| 120/120 [00:20<00:00,  5.81it/s]\n"
        )
        text.append(
            "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██████████| 16/16 [00:04<00:00,  3.40it/s]\n"
        )
        text.append("                   all        500       3220       0.71       0.62       0.66       0.41\n")
        text.append("\n      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n")
    return "".join(text)


@prints(EVERY, "loss", "lr")
def paddle():
    return at_ends(
        lambda s: (
            f"[2022/06/0{s.epoch + 1} 09:10:{s.batch:02d}] ppocr INFO: epoch: [{s.epoch + 1}/{N_EPOCHS}], global_step: {s.n}, lr: {s.lr:.6f}, acc: 0.100000, norm_edit_dis: 0.510000, "
            f"loss: {s.loss:.6f}, avg_reader_cost: 0.00021 s, avg_batch_cost: 0.12 s, avg_samples: 256.0, ips: 1021.1 samples/s, eta: 1 day, 2:01:01"
        ),
        lambda e: f"[2022/06/0{e + 1} 09:11:00] ppocr INFO: cur metric, acc: 0.71, norm_edit_dis: 0.81, fps: 3100.2",
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def espnet():
    return at_ends(
        lambda s: (
            f"[node01:0/2] 2023-03-0{s.epoch + 1} 01:02:{s.batch:02d},333 (trainer:762) INFO: {s.epoch + 1}epoch:train:{s.batch + 1}-{s.batch + 1}batch: iter_time=1.1e-04, "
            f"forward_time=0.112, loss_ctc=55.1, loss_att=33.2, acc=0.61, loss={s.loss}, backward_time=0.121, grad_norm={s.norm}, clip=100.000, loss_scale=1.000, "
            f"optim_step_time=0.021, optim0_lr0={s.lr:.3e}, train_time=0.412"
        ),
    )


@prints([20, 40, 60], "loss", "lr", rows=STEPS[:3])
def speechbrain():
    return "".join(
        f"epoch: {e + 1}, lr: {STEPS[e].lr:.2e}, steps: {LENGTH * (e + 1)}, optimizer: AdamW - train loss: {STEPS[e].loss} - valid loss: 99.5, valid ACC: 7.12e-01\n"
        for e in range(3)
    )


@prints(EVERY, "loss", "lr")
def opennmt():
    return at_ends(
        lambda s: (
            f"[2022-04-0{s.epoch + 1} 11:12:{s.batch:02d},101 INFO] Step {s.n}/  500; acc: 51.2; ppl: 12.31; xent: {s.loss}; lr: {s.lr:.5f}; sents: 12345; bsz: 3021/3412/11; 20111/22022 tok/s; {s.n} sec;"
        ),
        (
            "[2022-04-01 11:13:00,101 INFO] Validation perplexity: 45.1\n[2022-04-01 11:13:00,102 INFO] Validation accuracy: 48.1"
        ),
    )


@prints([100 * s.n for s in STEPS], "loss")
def tensor2tensor():
    return at_ends(
        lambda s: (
            f"INFO:tensorflow:global_step/sec: 5.1231\nI0{s.epoch + 1}12 10:11:{s.batch:02d}.123456 140123 basic_session_run_hooks.py:262] loss = {s.loss:g}, step = {100 * s.n} (19.512 sec)"
        )
    )


@prints([256 * s.n for s in STEPS], "loss", "lr")
def sb3():
    block = """------------------------------------------
| rollout/                |              |
|    ep_len_mean          | 195          |
|    ep_rew_mean          | -1.2e+03     |
| time/                   |              |
|    fps                  | 512          |
|    iterations           | {n}          |
|    total_timesteps      | {steps}      |
| train/                  |              |
|    approx_kl            | 0.0082       |
|    clip_fraction        | 0.0721       |
|    explained_variance   | 0.512        |
|    learning_rate        | {lr:.3g}     |
|    loss                 | {loss}       |
|    n_updates            | {updates}    |
|    policy_gradient_loss | -0.00512     |
|    value_loss           | 88.2         |
------------------------------------------
"""
    return "Using cuda device\n" + "".join(
        block.format(n=s.n, steps=256 * s.n, lr=s.lr, loss=s.loss, updates=10 * s.n) for s in STEPS
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def axolotl_ranks():
    text = []
    for s in STEPS:
        row = {
            "loss": str(s.loss),
            "grad_norm": str(s.norm),
            "learning_rate": f"{s.lr:.3e}",
            "memory/max_active (GiB)": "21.4",
            "epoch": f"{s.n / LENGTH:.2f}",
        }
        text.append(f"  {s.n}%|▋  | {s.n}/500 [01:{s.batch:02d}<1:12:09,  9.01s/it]\r\x1b[94m[axolotl]\x1b[0m {row}\n")
    return "".join(text)


@prints(EVERY, "loss", "lr")
def torchtune():
    return at_ends(
        lambda s: (
            f"Step {s.n} | loss:{s.loss} lr:{s.lr:g} tokens_per_second_per_gpu:3321.5 peak_memory_active:14.2 peak_memory_alloc:14.2 peak_memory_reserved:16.9"
        )
    )


@prints(EVERY, "loss")
def torchtune_bar():
    return (
        "".join(
            f"\r{s.epoch + 1}|{s.n}|Loss: {s.loss}:  {5 * s.batch}%|▍         | {s.batch + 1}/{LENGTH} [00:1{s.epoch}<03:12,  1.01s/it]"
            for s in STEPS
        )
        + "\n"
    )


@prints(EVERY, "loss", "grad_norm")
def torchtitan_colours():
    return at_ends(
        lambda s: (
            f"[rank0]:[titan] 2025-03-0{s.epoch + 1} 02:03:{s.batch:02d},512 - root - INFO - \x1b[31mstep: {s.n:2}  \x1b[32mloss: {s.loss:7.4f}  \x1b[38;2;180;60;0mgrad_norm: {s.norm:7.4f}  "
            f"\x1b[33mmemory: 41.21GiB(43.33%)  \x1b[34mtps: 7,512  \x1b[36mtflops: 412.21  \x1b[35mmfu: 41.68%\x1b[39m"
        )
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def llmc():
    return at_ends(
        lambda s: (
            f"step {s.n:4d}/19560 | loss {s.loss:7.6f} (+0.00z)| norm {s.norm:6.4f} (-0.22z)| lr {s.lr:.2e} | 3301.12 ms | 58.1% bf16 MFU | 158912 tok/s"
        ),
        "val loss 99.500000\nHellaSwag: 2512/10042 = 0.250149",
    )


@prints(FROM_ZERO, "loss", "grad_norm", "lr")
def llama_factory_callback():
    return at_ends(
        lambda s: (
            f"[INFO|callbacks.py:310] 2024-06-0{s.epoch + 1} 12:00:{s.batch:02d},001 >> {{'loss': {s.loss:.4f}, 'learning_rate': {s.lr:.4e}, 'grad_norm': {s.norm}, 'epoch': {s.n / LENGTH:.2f}, 'throughput': 8123.11}}"
        )
    )


@prints(FROM_ZERO, "loss", "lr")
def timm():
    return at_ends(
        lambda s: (
            f"Train: {s.epoch} [{s.batch:4d}/{LENGTH} ({5 * s.batch:3.0f}%)]  Loss: {s.loss:#.3g} (6.91)  Time: 0.512s, 500.01/s  (0.531s, 482.11/s)  LR: {s.lr:.3e}  Data: 0.011 (0.021)"
        ),
        lambda e: (
            f"Test: [   5/5]  Time: 0.111 (0.210)  Loss:  99.500 (99.510)  Acc@1:   0.000 (  0.110)  Acc@5:   0.000 (  0.501)\nCurrent checkpoints:\n ('./output/train/checkpoint-{e}.pth.tar', 0.11)"
        ),
    )


@prints(FROM_ZERO, "loss", "lr")
def imagenet_meters():
    return at_ends(
        lambda s: (
            f"Epoch: [{s.epoch}][{s.batch:4d}/{LENGTH}]\tTime  0.512 ( 0.611)\tData  0.001 ( 0.051)\tLoss {s.loss:.4e} (6.9100e+00)\tAcc@1   0.00 (  0.10)\tAcc@5   0.39 (  0.50)\tlr {s.lr:.6f}"
        ),
        (
            "Test: [5/5]\tTime  0.111 ( 0.210)\tLoss 9.9500e+01 (9.9500e+01)\tAcc@1   0.00 (  0.10)\n *   Acc@1 0.100 Acc@5 0.500"
        ),
    )


@prints([64 * s.n - 64 for s in STEPS], "loss")
def pytorch_examples():
    return at_ends(
        lambda s: f"Train Epoch: {s.epoch + 1} [{s.batch * 64}/{LENGTH * 64} ({5 * s.batch}%)]\tLoss: {s.loss:.6f}",
        "\nTest set: Average loss: 99.5000, Accuracy: 9100/10000 (91%)\n",
    )


@prints(FROM_ZERO, "loss", "grad_norm", "lr")
def metric_logger():
    return at_ends(
        lambda s: (
            f"Epoch: [{s.epoch}]  [{s.batch:2d}/{LENGTH}]  eta: 0:01:0{s.epoch}  lr: {s.lr:.6f}  loss: {s.loss:.4f} (6.9100)  grad_norm: {s.norm:.4f} (1.1000)  time: 0.5121  data: 0.0002  max mem: 15021"
        ),
        lambda e: (
            f"Epoch: [{e}] Total time: 0:01:02 (0.5121 s / it)\nAveraged stats: lr: 0.000010  loss: 5.0000 (6.9100)\nTest:  [0/5]  eta: 0:00:05  loss: 99.5000 (99.5000)  acc1: 10.0000 (10.0000)  time: 1.0111  data: 0.9120  max mem: 15021"
        ),
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def lingua():
    return at_ends(
        lambda s: (
            f"0: INFO    25-01-0{s.epoch + 1} 10:00:{s.batch:02d}.123456 - 0:00:{s.batch:02d} - step: {s.n}  acc: 0  loss: {s.loss:.4f}  grad: {s.norm:.2e}  flops: 1.21e+14  wps: 1.11e+04  iter: 0.412  data: 0.0012  lr: {s.lr:.2e}  mem: 78%  pow: 512.1 W"
        )
    )


@prints([1000 * s.n for s in STEPS], "loss", "grad_norm")
def jax_thousands():
    return at_ends(
        lambda s: (
            f"I0{s.epoch + 1}02 13:14:{s.batch:02d}.000123 140735 train.py:212] [{1000 * s.n:,}] grad_norm={s.norm:.4f}, loss={s.loss:.4f}, steps_per_sec=12.51, uptime={s.n}"
        )
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def accelerate_wrapped():
    return at_ends(
        lambda s: (
            f"[{s.batch:02d}:00:01] INFO     Epoch {s.epoch + 1}/{N_EPOCHS} - Step {s.n:,}/60 - Loss:       train.py:88\n                    {s.loss:.4f} - Grad Norm: {s.norm:.4f} - LR:\n                    {s.lr:.2e}"
        )
    )


@prints(EVERY, "loss", "grad_norm")
def json_in_prefix():
    return at_ends(
        lambda s: (
            f"2024-11-0{s.epoch + 1}T10:20:{s.batch:02d}Z worker-3 stdout F "
            + json.dumps(
                {
                    "event": "train_step",
                    "step": s.n,
                    "metrics": {"loss": s.loss, "grad_norm": s.norm},
                    "ts": 1.7e9 + s.n,
                }
            )
        )
    )


@prints(EVERY, "loss", "lr")
def fastai_like_table():
    head = "epoch     train_loss  valid_loss  accuracy  lr        time\n"
    return head + "".join(f"{s.n:<10d}{s.loss:<12.6f}{99.5:<12.6f}{0.5:<10.6f}{s.lr:<10.2e}00:12\n" for s in STEPS)


@prints([s.n for s in STEPS], "loss", "grad_norm", "lr")
def percent_and_tokens():
    return at_ends(
        lambda s: (
            f"[{100 * s.n / 500:5.1f}%] it {s.n} (ep {s.n / LENGTH:.2f}) :: ce={s.loss:.4f} gnorm={s.norm:.3f} lr={s.lr:.1e} tok={s.n * 524288:,} ({s.n / 2:.1f}%) 412k tok/s ETA 3h12m"
        )
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def lightning_bar():
    return (
        "".join(
            f"\rEpoch {s.epoch}:  {5 * (s.batch + 1)}%|█████     | {s.batch + 1}/{LENGTH} [00:01<00:10,  1.81it/s, v_num=3, train/loss={s.loss}, train/grad_norm={s.norm}, lr={s.lr:.1e}]"
            for s in STEPS
        )
        + "\n"
    )


@prints([128 * s.n for s in STEPS], "grad_norm")
def cleanrl_prints():
    return at_ends(
        lambda s: (
            f"global_step={s.n * 128}, episodic_return=[21.]\nSPS: {1000 + s.n}\nupdate {s.n}/500: policy_loss=-0.0121, value_loss={s.loss}, entropy=1.09, grad_norm={s.norm}"
        )
    )


@prints(EVERY, "loss", "grad_norm", "lr")
def open_instruct():
    return at_ends(
        lambda s: (
            f"2024-12-0{s.epoch + 1} 10:00:{s.batch:02d} - INFO - __main__ -   Step: {s.n}, LR: {s.lr}, Loss: {s.loss}, TPS: 5123.1, Grad norm: {s.norm}"
        )
    )


@prints(EVERY, "loss", "lr")
def ultravox_rich():
    return at_ends(lambda s: f"│ {s.n:>5} │ {s.loss:>8.3f} │ {s.lr:>9.2e} │ 00:0{s.epoch}:{s.batch:02d} │").replace(
        "│     1 ",
        "┃  Step ┃     Loss ┃        LR ┃     Time ┃\n┡━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━┩\n│     1 ",
        1,
    )


@prints(EVERY, "loss", "grad_norm")
def nan_in_the_end():
    return (
        at_ends(
            lambda s: (
                f"[Rank 0] | Iter {s.n:>6}/1,000 | Loss: {s.loss:.4f} | Grad Norm: {s.norm:.4f} | Tokens/s: 12,345.6 | GPU Mem: 41.2 GB"
            )
        )
        + "[Rank 0] | Iter     61/1,000 | Loss: nan | Grad Norm: nan | Tokens/s: 12,345.6 | GPU Mem: 41.2 GB\n"
    )
