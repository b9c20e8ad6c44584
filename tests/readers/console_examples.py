"""What each trainer prints, made up by us: noise, prefixes and wrong turns included; and the points that are in it.

A new grammar needs an entry here: `test_console.py` runs all of them and fails where one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

nan, inf = float("nan"), float("inf")


@dataclass(frozen=True, kw_only=True)
class Example:
    text: str
    step: list[int]
    loss: list[float] | None = None
    grad_norm: list[float] | None = None
    lr: list[float] | None = None
    loss_scale: list[float] | None = None
    #: Steps of the norm where they are not those of the loss.
    norm_step: list[int] | None = None
    config: dict[str, object] = field(default_factory=dict)
    notices: set[str] = field(default_factory=set)


EXAMPLES: dict[str, list[Example]] = {
    "torchtune": [
        Example(
            text="""\
INFO:torchtune.utils._logging:Running FullFinetuneRecipeSingleDevice with resolved config:
1|1|Loss: 2.4375:   1%|          | 1/100 [00:02<03:21,  2.04s/it]
1|2|Loss: 2.3125:   2%|▏         | 2/100 [00:04<03:12,  1.97s/it]
2|3|Loss: nan:   3%|▎         | 3/100 [00:06<03:09,  1.95s/it]
""",
            step=[1, 2, 3], loss=[2.4375, 2.3125, nan],
        ),
    ],
    "megatron": [
        Example(
            text="""\
using world size: 8, data-parallel-size: 8
------------------------ arguments ------------------------
  adam_beta2 ...................................... 0.95
  clip_grad ....................................... 0.5
  lr .............................................. 0.0003
  global_batch_size ............................... 64
-------------------- end of arguments ---------------------
[before the start of training step] datetime: 2024-03-01 10:00:00
 [2024-03-01 10:00:10] iteration       10/     100 | consumed samples:          640 | elapsed time per iteration (ms): 812.1 | learning rate: 0.000E+00 | global batch size:    64 | loss scale: 65536.0 | number of skipped iterations:  10 | number of nan iterations:   0 |
time (ms) | forward-backward: 700.10 | optimizer: 12.00
 [2024-03-01 10:00:20] iteration       20/     100 | consumed samples:         1280 | elapsed time per iteration (ms): 801.4 | learning rate: 3.000E-05 | global batch size:    64 | lm loss: 1.050000E+01 | loss scale: 32768.0 | grad norm: 12.500 | number of skipped iterations:   0 | number of nan iterations:   0 |
-----------------------------------------------------------------------------------------------
 validation loss at iteration 20 | lm loss value: 9.900000E+00 | lm loss PPL: 1.993037E+04 |
-----------------------------------------------------------------------------------------------
 [2024-03-01 10:00:30] iteration       30/     100 | consumed samples:         1920 | elapsed time per iteration (ms): 799.0 | learning rate: 6.000E-05 | global batch size:    64 | lm loss: 9.250000E+00 | loss scale: 32768.0 | grad norm: 3.125 | number of skipped iterations:   0 | number of nan iterations:   0 |
""",
            step=[20, 30], loss=[10.5, 9.25], grad_norm=[12.5, 3.125], lr=[0.0, 3e-5, 6e-5],
            loss_scale=[65536.0, 32768.0, 32768.0],
            config={"max_grad_norm": 0.5, "beta2": 0.95, "learning_rate": 3e-4, "batch_size": 64.0},
        ),
        # Wrapped at 100 columns, ranks in front, and a loss scale that is switched off.
        Example(
            text="""\
[default7]: iteration        1/      50 | consumed samples:           16 | elapsed time per iteratio
[default7]:n (ms): 99.0 | learning rate: 1.000000E-04 | lm loss: 1.1250
[default7]:00E+01 | loss scale: 1.0 | grad norm: 2.500 | number of skipped iterations:   0 |
[default7]: iteration        2/      50 | consumed samples:           32 | elapsed time per iteratio
[default7]:n (ms): 98.0 | learning rate: 2.000000E-04 | lm loss: 1.1000
[default7]:00E+01 | loss scale: 1.0 | grad norm: 2.250 | number of skipped iterations:   0 |
""",
            step=[1, 2], loss=[11.25, 11.0], grad_norm=[2.5, 2.25], lr=[1e-4, 2e-4], notices={"wrapped-record"},
        ),
        # GPT-NeoX: samples/sec in front, an underscore in the name of the loss.
        Example(
            text="""\
 samples/sec: 12.300 | iteration      100/  320000 | elapsed time per iteration (ms): 2600.5 | learning rate: 1.200E-05 | approx flops per GPU: 60.1TFLOPS | lm_loss: 9.500000E+00 | loss scale: 4096.0 | number of skipped iterations: 0 | number of nan iterations: 0 |
 samples/sec: 12.310 | iteration      110/  320000 | elapsed time per iteration (ms): 2598.7 | learning rate: 1.320E-05 | approx flops per GPU: 60.2TFLOPS | lm_loss: 9.250000E+00 | loss scale: 4096.0 | number of skipped iterations: 0 | number of nan iterations: 0 |
""",
            step=[100, 110], loss=[9.5, 9.25], lr=[1.2e-5, 1.32e-5], loss_scale=[4096.0, 4096.0],
        ),
    ],
    "nanotron": [
        Example(
            text="""\
10/11/2024 10:00:00 [INFO|DP=0|PP=0|TP=0]: iteration: 1 / 100 | consumed_tokens: 1.05M | time_per_iteration_ms: 2.1K | tokens_per_sec: 499K | global_batch_size: 512 | lm_loss: 11.1 | lr: 0.00015 | model_tflops_per_gpu: 210 | grad_norm: 24.5
10/11/2024 10:00:02 [INFO|DP=0|PP=0|TP=0]: iteration: 2 / 100 | consumed_tokens: 2.1M | time_per_iteration_ms: 1.9K | tokens_per_sec: 540K | global_batch_size: 512 | lm_loss: 10.9 | lr: 0.0003 | model_tflops_per_gpu: 230 | grad_norm: 20.25
""",
            step=[1, 2], loss=[11.1, 10.9], grad_norm=[24.5, 20.25], lr=[1.5e-4, 3e-4],
        )
    ],
    "torchtitan": [
        Example(
            text=(
                "+ torchrun --nproc_per_node=8 train.py --training.max_norm=0.7 --training.steps=20\n"
                "[rank0]:[titan] 2025-01-01 00:00:00,000 - root - INFO - Training starts at step 1\n"
                "[rank0]:[titan] 2025-01-01 00:00:01,000 - root - INFO - \x1b[31mstep:  1  \x1b[32mloss:  8.1250  \x1b[38;2;180;60;0mgrad_norm:  1.5000  \x1b[33mmemory:  1.39GiB(1.75%)  \x1b[34mtps: 43,375  \x1b[36mtflops: 3.10  \x1b[35mmfu: 0.31%\x1b[39m\n"
                "[rank0]:[titan] 2025-01-01 00:00:02,000 - root - INFO - \x1b[31mstep: 10  \x1b[32mloss:  7.5000  \x1b[38;2;180;60;0mgrad_norm:     inf  \x1b[33mmemory:  1.39GiB(1.75%)  \x1b[34mtps: 1,043,375  \x1b[36mtflops: 3.10  \x1b[35mmfu: 0.31%\x1b[39m\n"
            ),
            step=[1, 10], loss=[8.125, 7.5], grad_norm=[1.5, inf], config={"max_grad_norm": 0.7},
        ),
        # Newer versions print the norm first.
        Example(
            text="""\
[titan] 2025-06-01 00:00:00,000 - root - INFO - step:  1  grad_norm:  2.5000  loss:  8.0000  memory: 1GiB
[titan] 2025-06-01 00:00:01,000 - root - INFO - step:  2  grad_norm:  2.0000  loss:  7.0000  memory: 1GiB
""",
            step=[1, 2], loss=[8.0, 7.0], grad_norm=[2.5, 2.0],
        ),
    ],
    "modded-nanogpt": [
        Example(
            text="""\
import os
            print(f"step:{step+1}/{args.num_iterations} train_loss:{train_loss.item():.4f} step_avg:{t:.2f}ms")
step:1/100 train_loss:11.0000 train_time:24179ms step_avg:nanms
step:2/100 train_loss:10.5000 train_time:24523ms step_avg:120.5ms
step:2/100 val_loss:10.4000 train_time:24523ms step_avg:120.5ms
""",
            step=[1, 2], loss=[11.0, 10.5],
        )
    ],
    "verl": [
        Example(
            text="""\
Training Progress:   0%|          | 0/58 [00:00<?, ?it/s]\x1b[36m(TaskRunner pid=2833)\x1b[0m step:0 - val-core/aime/acc/mean@1:0.0
\x1b[36m(TaskRunner pid=2833)\x1b[0m step:1 - actor/entropy:0.5 - actor/pg_loss:np.float64(0.25) - actor/pg_clipfrac:np.float64(0.01) - actor/grad_norm:np.float64(0.75) - actor/lr:np.float64(1e-06) - critic/score/mean:-0.5
Training Progress:   2%|1         | 1/58 [00:10<09:00, 10.0s/it]\x1b[36m(TaskRunner pid=2833)\x1b[0m step:2 - actor/entropy:0.5 - actor/pg_loss:np.float64(-0.125) - actor/pg_clipfrac:np.float64(0.02) - actor/grad_norm:np.float64(nan) - actor/lr:np.float64(1e-06) - critic/score/mean:-0.5
""",
            step=[1, 2], loss=[0.25, -0.125], grad_norm=[0.75, nan], lr=[1e-6, 1e-6],
        )
    ],
    "nanogpt": [
        Example(
            text="""\
number of parameters: 123.59M
step 0: train loss 10.9000, val loss 10.9100
iter 0: loss 10.8750, time 24000.11ms, mfu -100.00%
iter 10: loss 9.7500, time 240.51ms, mfu 30.10%
step 20: train loss 8.9000, val loss 8.9100
saving checkpoint to out
iter 20: loss 8.8750, time 5240.51ms, mfu 30.10%
""",
            step=[0, 10, 20], loss=[10.875, 9.75, 8.875],
        )
    ],
    "build-nanogpt": [
        Example(
            text="""\
total desired batch size: 524288
validation loss: 10.9499
HellaSwag accuracy: 2463/10042=0.2453
rank 0 sample 0: Hello, I'm a language model, step 3 of loss
step     0 | loss: 10.955003 | lr 8.3916e-07 | norm: 15.3438 | dt: 51661.39ms | tok/sec: 10148.55
step     1 | loss: 10.902684 | lr 1.6783e-06 | norm: 14.8648 | dt: 4738.40ms | tok/sec: 110646.69
""",
            step=[0, 1], loss=[10.955003, 10.902684], grad_norm=[15.3438, 14.8648], lr=[8.3916e-07, 1.6783e-06],
        ),
        # llm.c's train_gpt2.cu, where a norm beyond three sigma is annotated.
        Example(
            text="""\
step    1/18865 | loss 11.009999 (+nanz)| norm 15.3750 (+nanz)| lr 8.57e-07 | 2850.00 ms | 53.0% bf16 MFU | 183954 tok/s
step    2/18865 | loss 10.950000 (+1.20z)| norm 14.2500 (+0.10z)| lr 1.71e-06 | 2830.00 ms | 53.4% bf16 MFU | 185254 tok/s
""",
            step=[1, 2], loss=[11.009999, 10.95], grad_norm=[15.375, 14.25], lr=[8.57e-07, 1.71e-06],
        ),
        # llm.c's train_gpt2.py.
        Example(
            text="""\
step    1/10 | train loss 5.270009 | norm 31.2500 | lr 1.00e-04 | (101.12 ms | 2531 tok/s)
step    2/10 | train loss 4.060681 | norm 16.7500 | lr 1.00e-04 | (98.50 ms | 2600 tok/s)
""",
            step=[1, 2], loss=[5.270009, 4.060681], grad_norm=[31.25, 16.75], lr=[1e-4, 1e-4],
        ),
        # nanochat; lrm is a multiplier, not a rate.
        Example(
            text="""\
step 00001/21400 (0.00%) | loss: 10.812500 | grad norm: 0.9844 | lrm: 1.00 | dt: 500.10ms | tok/sec: 1,048,576 | mfu: 48.00 | total time: 0.00m
step 00002/21400 (0.01%) | loss: 10.750000 | grad norm: 1.2500 | lrm: 1.00 | dt: 499.10ms | tok/sec: 1,050,000 | mfu: 48.10 | total time: 0.01m
""",
            step=[1, 2], loss=[10.8125, 10.75], grad_norm=[0.9844, 1.25],
        ),
    ],
    "llm.c": [
        Example(
            text="s:0 tel:11.0100\ns:1 trl:10.9500 lr:0.000001 norm:15.25\ns:2 trl:10.9000 lr:0.000002 norm:14.50\ns:2 tel:10.8000\ns:2 eval:0.2500\n",
            step=[1, 2], loss=[10.95, 10.9], grad_norm=[15.25, 14.5], lr=[1e-6, 2e-6],
        )
    ],
    "step-kind-value": [
        Example(
            text="0 val 10.9499\n0 hella 0.2463\n0 train 10.955003\n1 train 10.902684\n2 train 10.803939\n2 val 10.7000\n",
            step=[0, 1, 2], loss=[10.955003, 10.902684, 10.803939],
        )
    ],
    "fairseq": [
        Example(
            text="""\
2021-02-01 10:00:00 | INFO | fairseq_cli.train | Namespace(adam_betas='(0.9, 0.98)', clip_norm=0.1, fp16=True, lr=[0.0005], optimizer='adam')
2021-02-01 10:01:00 | INFO | train_inner | {"epoch": 1, "update": 0.1, "loss": "16.5", "ppl": "90380.9", "wps": "20119.2", "num_updates": "25", "lr": "1.25e-05", "gnorm": "4.5", "clip": "100", "loss_scale": "64", "wall": "18"}
2021-02-01 10:01:05 | INFO | fairseq.trainer | NOTE: overflow detected, setting loss scale to: 32.0
2021-02-01 10:02:00 | INFO | train_inner | {"epoch": 1, "update": 0.2, "loss": "14.25", "ppl": "19484", "wps": "20100.1", "num_updates": "50", "lr": "2.5e-05", "gnorm": "3.5", "clip": "0", "loss_scale": "32", "wall": "36"}
2021-02-01 10:03:00 | INFO | valid | {"epoch": 1, "valid_loss": "13.5", "valid_ppl": "11585.2", "valid_num_updates": "50"}
2021-02-01 10:03:01 | INFO | train | {"epoch": 1, "train_loss": "15.1", "train_num_updates": "50", "train_lr": "2.5e-05", "train_gnorm": "4.0"}
""",
            step=[25, 50], loss=[16.5, 14.25], grad_norm=[4.5, 3.5], lr=[1.25e-5, 2.5e-5], loss_scale=[64.0, 32.0],
            config={"max_grad_norm": 0.1, "beta2": 0.98, "optimizer": "adam"}, notices={"overflow-lines"},
        ),
        Example(
            text="""\
| epoch 001:    100 / 1131 loss=12.500, nll_loss=12.100, ppl=4390.6, wps=15000, ups=4.1, wpb=3600, bsz=120, num_updates=101, lr=1.27e-05, gnorm=3.250, clip=0.0, oom=0, wall=30, train_wall=25
| epoch 001:    200 / 1131 loss=11.250, nll_loss=10.700, ppl=1663.4, wps=15010, ups=4.1, wpb=3600, bsz=120, num_updates=201, lr=2.52e-05, gnorm=2.750, clip=0.0, oom=0, wall=55, train_wall=50
| epoch 001 | loss 11.9 | nll_loss 11.4 | num_updates 1131 | lr 0.00014 | gnorm 2.9 | wall 300
""",
            step=[101, 201], loss=[12.5, 11.25], grad_norm=[3.25, 2.75], lr=[1.27e-5, 2.52e-5],
        ),
    ],
    "fairseq-epochs": [
        Example(
            text="""\
| epoch 001 | loss 11.900 | nll_loss 11.400 | ppl 2702.3 | num_updates 1131 | lr 0.00014 | gnorm 2.900 | loss_scale 16 | wall 300
| epoch 001 | valid on 'valid' subset | loss 11.100 | nll_loss 10.400 | ppl 1351.2 | num_updates 1131
| epoch 002 | loss 10.400 | nll_loss 9.700 | ppl 831.7 | num_updates 2262 | lr 0.00028 | gnorm 2.500 | loss_scale 32 | wall 600
""",
            step=[1131, 2262], loss=[11.9, 10.4], grad_norm=[2.9, 2.5], lr=[1.4e-4, 2.8e-4], loss_scale=[16.0, 32.0],
        )
    ],
    "swin": [
        Example(
            text="""\
[2024-01-01 10:00:00 swin] (main.py 90): INFO TRAIN:
  CLIP_GRAD: 5.0
[2024-01-01 10:00:01 swin] (main.py 99): INFO Start training
[2024-01-01 10:00:02 swin] (main.py 186): INFO Train: [0/3][0/4]\teta 0:00:03 lr 0.000001\ttime 3.0133 (3.0133)\tloss 0.8925 (0.8900)\tgrad_norm 4.7500 (4.7000)\tmem 7577MB
[2024-01-01 10:00:03 swin] (main.py 186): INFO Train: [0/3][2/4]\teta 0:00:03 lr 0.000002\ttime 3.0133 (3.0133)\tloss 0.8750 (0.8900)\tgrad_norm 4.5000 (4.6000)\tmem 7577MB
[2024-01-01 10:00:04 swin] (main.py 220): INFO Test: [0/2]\tTime 0.1 (0.1)\tLoss 0.5 (0.5)\tAcc@1 1.0 (1.0)\tMem 7577MB
[2024-01-01 10:00:05 swin] (main.py 186): INFO Train: [1/3][0/4]\teta 0:00:03 lr 0.000003\ttime 3.0133 (3.0133)\tloss 0.8500 (0.8900)\tgrad_norm inf (inf)\tmem 7577MB
""",
            step=[0, 2, 4], loss=[0.8925, 0.875, 0.85], grad_norm=[4.75, 4.5, inf], lr=[1e-6, 2e-6, 3e-6],
            config={"max_grad_norm": 5.0},
        )
    ],
    "timm": [
        Example(
            text="""\
Train: 0 [   0/100 (  0%)]  Loss:  6.950 (6.950)  Time: 1.2s, 100.00/s  LR: 1.000e-06  Data: 0.500 (0.500)
Train: 0 [  50/100 ( 50%)]  Loss:  6.900 (6.920)  Time: 0.2s, 500.00/s  LR: 1.000e-06  Data: 0.010 (0.020)
Train: 1 [   0/100 (  0%)]  Loss:  6.500 (6.500)  Time: 1.2s, 100.00/s  LR: 2.000e-06  Data: 0.500 (0.500)
""",
            step=[0, 50, 100], loss=[6.95, 6.9, 6.5], lr=[1e-6, 1e-6, 2e-6],
        )
    ],
    "openmmlab": [
        Example(
            text="""\
2023/06/05 20:10:13 - mmengine - INFO - Epoch(train)   [1][ 50/100]  lr: 4.0000e-04  eta: 4:59:11  time: 9.9787  data_time: 9.0130  memory: 3801  grad_norm: 12.5000  loss: 1.5000  loss_cls: 1.0000
2023/06/05 20:10:22 - mmengine - INFO - Epoch(train)   [1][100/100]  lr: 8.0000e-04  eta: 4:30:58  time: 9.0427  data_time: 8.0824  memory: 3801  grad_norm: 11.2500  loss: 1.2500  loss_cls: 0.9000
2023/06/05 20:10:25 - mmengine - INFO - Epoch(val) [1][10/10]  bbox_mAP: 0.0100  time: 0.1
2023/06/05 20:10:32 - mmengine - INFO - Epoch(train)   [2][ 50/100]  lr: 1.2000e-03  eta: 4:30:58  time: 9.0427  data_time: 8.0824  memory: 3801  grad_norm: 10.7500  loss: 1.1250  loss_cls: 0.8000
""",
            step=[50, 100, 150], loss=[1.5, 1.25, 1.125], grad_norm=[12.5, 11.25, 10.75], lr=[4e-4, 8e-4, 1.2e-3],
        ),
        Example(
            text="""\
2020-05-12 12:00:00,000 - mmdet - INFO - Epoch [1][50/7330]\tlr: 1.978e-03, eta: 12:23:34, time: 0.507, data_time: 0.057, memory: 3801, loss_rpn_cls: 0.5000, loss_cls: 1.0000, acc: 85.0000, loss: 2.5000, grad_norm: 6.2500
2020-05-12 12:01:00,000 - mmdet - INFO - Epoch [1][100/7330]\tlr: 3.976e-03, eta: 12:23:34, time: 0.507, data_time: 0.057, memory: 3801, loss_rpn_cls: 0.4000, loss_cls: 0.9000, acc: 86.0000, loss: 2.2500, grad_norm: 5.7500
""",
            step=[50, 100], loss=[2.5, 2.25], grad_norm=[6.25, 5.75], lr=[1.978e-3, 3.976e-3],
        ),
        Example(
            text="""\
2023/01/01 00:00:00 - mmengine - INFO - Iter(train) [   50/80000]  lr: 9.9945e-03  eta: 9:00:00  time: 0.40  data_time: 0.01  memory: 7000  loss: 2.7500  decode.loss_ce: 1.9000
2023/01/01 00:00:20 - mmengine - INFO - Iter(train) [  100/80000]  lr: 9.9889e-03  eta: 9:00:00  time: 0.40  data_time: 0.01  memory: 7000  loss: 2.5000  decode.loss_ce: 1.7000
""",
            step=[50, 100], loss=[2.75, 2.5], lr=[9.9945e-3, 9.9889e-3],
        ),
    ],
    "metric-logger": [
        Example(
            text="""\
Epoch: [0]  [  0/100]  eta: 0:10:00  lr: 0.000001  min_lr: 0.000000  loss: 6.9375 (6.9400)  loss_scale: 65536.0000 (65536.0000)  weight_decay: 0.0500 (0.0500)  grad_norm: inf (inf)  time: 6.0000  data: 3.0000  max mem: 8000
Epoch: [0]  [ 10/100]  eta: 0:09:00  lr: 0.000002  min_lr: 0.000000  loss: 6.8750 (6.9100)  loss_scale: 32768.0000 (40000.0000)  weight_decay: 0.0500 (0.0500)  grad_norm: 1.5000 (inf)  time: 0.6000  data: 0.0003  max mem: 8000
Epoch: [0] Total time: 0:01:00 (0.6 s / it)
Averaged stats: lr: 0.000002  loss: 6.9 (6.91)
Epoch: [1]  [  0/100]  eta: 0:10:00  lr: 0.000003  min_lr: 0.000000  loss: 6.7500 (6.7500)  loss_scale: 32768.0000 (32768.0000)  weight_decay: 0.0500 (0.0500)  grad_norm: 1.2500 (1.2500)  time: 6.0000  data: 3.0000  max mem: 8000
Test:  [ 0/10]  eta: 0:00:10  loss: 6.1 (6.1)
""",
            step=[0, 10, 100], loss=[6.9375, 6.875, 6.75], grad_norm=[inf, 1.5, 1.25], lr=[1e-6, 2e-6, 3e-6],
            loss_scale=[65536.0, 32768.0, 32768.0],
        ),
        Example(
            text="Epoch: [0][  0/5005]\tTime  5.00 ( 5.00)\tData  3.00 ( 3.00)\tLoss 7.0000e+00 (7.0000e+00)\tAcc@1   0.00 (  0.00)\nEpoch: [0][ 10/5005]\tTime  0.50 ( 0.90)\tData  0.00 ( 0.30)\tLoss 6.7500e+00 (6.8750e+00)\tAcc@1   0.00 (  0.10)\n",
            step=[0, 10], loss=[7.0, 6.75],
        ),
    ],
    "coqui": [
        Example(
            text="""\
\x1b[4m\x1b[1m > EPOCH: 0/1000\x1b[0m
\x1b[1m   --> STEP: 24/36 -- GLOBAL_STEP: 1000025\x1b[0m
     | > loss: 3.25000  (3.46002)
     | > grad_norm: 0.50000  (2.77572)
     | > amp_scaler: 1024.00000  (2176.00000)
     | > current_lr: 0.00020
     | > step_time: 1.31510  (1.38766)

\x1b[1m > EVALUATION \x1b[0m
  \x1b[1m--> EVAL PERFORMANCE\x1b[0m
     | > avg_loss: 2.93308 \x1b[0m(+0.00000)
\x1b[1m   --> STEP: 13/36 -- GLOBAL_STEP: 1000050\x1b[0m
     | > loss: 3.00000  (3.10000)
     | > grad_norm: 0.75000  (2.00000)
     | > amp_scaler: 512.00000  (512.00000)
     | > current_lr: 0.00010
""",
            step=[1000025, 1000050], loss=[3.25, 3.0], grad_norm=[0.5, 0.75], lr=[2e-4, 1e-4], loss_scale=[1024.0, 512.0],
        )
    ],
    "table": [
        Example(
            text="""\
Logging to /tmp/run
------------------------
| grad_norm | 46.2     |
| lg_loss_s | 20       |
| loss      | 0.905    |
| step      | 0        |
------------------------
---------------------------
| eval_loss    | 0.638    |
---------------------------
------------------------
| grad_norm | 12.5     |
| lg_loss_s | 20       |
| loss      | 0.5      |
| step      | 1.02e+03 |
------------------------
""",
            step=[0, 1020], loss=[0.905, 0.5], grad_norm=[46.2, 12.5],
        ),
        # Stable-Baselines3 names sections.
        Example(
            text="""\
------------------------------------------
| rollout/                |              |
|    ep_rew_mean          | 21.5         |
| time/                   |              |
|    total_timesteps      | 2048         |
| train/                  |              |
|    learning_rate        | 0.0003       |
|    loss                 | 0.5          |
------------------------------------------
------------------------------------------
| time/                   |              |
|    total_timesteps      | 4096         |
| train/                  |              |
|    learning_rate        | 0.0003       |
|    loss                 | 0.25         |
------------------------------------------
""",
            step=[2048, 4096], loss=[0.5, 0.25], lr=[3e-4, 3e-4],
        ),
    ],
    "pymarl": [
        Example(
            text="""\
[INFO 10:00:00] my_main Experiment Parameters:
[INFO 10:00:00] my_main {   'batch_size': 32,
    'grad_norm_clip': 10,
    'lr': 0.0005}
[INFO 10:04:53] my_main Recent Stats | t_env:      10006 | Episode:      390
ep_length_mean:           34.0000\tepsilon:                   1.0000\tgrad_norm:                 1.2500\tloss:                      0.5000
target_mean:              -0.0351\ttd_error_abs:              0.0603\t
[INFO 10:04:54] my_main t_env: 10051 / 2050000
[INFO 10:09:47] my_main Recent Stats | t_env:      20025 | Episode:      851
ep_length_mean:           30.0000\tepsilon:                   0.8094\tgrad_norm:                 0.7500\tloss:                      0.2500
""",
            step=[10006, 20025], loss=[0.5, 0.25], grad_norm=[1.25, 0.75], config={"max_grad_norm": 10.0, "batch_size": 32.0},
        )
    ],
    "olmo": [
        Example(
            text="""\
[2024-01-01 00:00:00] INFO     [olmo.train:968, rank=0] [step=1/739328,epoch=0]
    optim/total_grad_norm=16.5000
    train/CrossEntropyLoss=11.2500
    train/Perplexity=76,880
    throughput/total_tokens=4,194,304
[2024-01-01 00:00:05] INFO     [olmo.train:968, rank=0] [step=2/739328,epoch=0]
    optim/total_grad_norm=15.2500
    train/CrossEntropyLoss=11.0000
    train/Perplexity=59,874
    throughput/total_tokens=8,388,608
""",
            step=[1, 2], loss=[11.25, 11.0], grad_norm=[16.5, 15.25],
        )
    ],
    "composer": [
        Example(
            text="""\
[batch=1/4800]:
\t Train time/batch: 0
\t Train loss/train/total: 12.0000
\t Train l2_norm/grad/global: 2.5000
\t Train lr-DecoupledAdamW/group0: 0.0000
[batch=2/4800]:
\t Train time/batch: 1
\t Train loss/train/total: 11.5000
\t Train l2_norm/grad/global: 2.2500
\t Train lr-DecoupledAdamW/group0: 0.0001
""",
            step=[1, 2], loss=[12.0, 11.5], grad_norm=[2.5, 2.25],
        )
    ],
    "espnet": [
        Example(
            text="""\
[host] 2023-01-01 00:00:00,000 (trainer:763) INFO: 1epoch:train:1-50batch: iter_time=0.1, forward_time=0.2, loss_ctc=300.0, loss=250.500, backward_time=0.2, grad_norm=120.250, clip=100.000, loss_scale=6.553e+04, optim_step_time=0.05, optim0_lr0=1.000e-06, train_time=1.0
[host] 2023-01-01 00:01:00,000 (trainer:763) INFO: 1epoch:train:51-100batch: iter_time=0.1, forward_time=0.2, loss_ctc=280.0, loss=230.250, backward_time=0.2, grad_norm=110.500, clip=100.000, loss_scale=6.553e+04, optim_step_time=0.05, optim0_lr0=2.000e-06, train_time=1.0
[host] 2023-01-01 00:02:00,000 (trainer:357) INFO: 1epoch results: [train] iter_time=0.1, loss=240.3, [valid] loss=200.1
[host] 2023-01-01 00:03:00,000 (trainer:763) INFO: 2epoch:train:1-50batch: iter_time=0.1, forward_time=0.2, loss_ctc=200.0, loss=180.250, backward_time=0.2, grad_norm=90.500, clip=100.000, loss_scale=6.553e+04, optim_step_time=0.05, optim0_lr0=3.000e-06, train_time=1.0
""",
            step=[50, 100, 150], loss=[250.5, 230.25, 180.25], grad_norm=[120.25, 110.5, 90.5], lr=[1e-6, 2e-6, 3e-6],
            loss_scale=[65530.0] * 3, notices={"epoch-counter"},
        )
    ],
    "icefall": [
        Example(
            text="""\
2023-05-01 10:00:00,000 INFO [train.py:903] (0/8) Epoch 1, batch 0, loss[loss=7.750, simple_loss=7.1, pruned_loss=6.9, over 2000.00 frames. ], tot_loss[loss=7.750, simple_loss=7.1, pruned_loss=6.9, over 2000.00 frames. ], batch size: 12, lr: 2.25e-02, grad_scale: 2.0
2023-05-01 10:00:01,000 INFO [train.py:928] (0/8) Epoch 1, validation: loss=7.900, simple_loss=7.2, over 944034.00 frames.
2023-05-01 10:00:30,000 INFO [optim.py:369] (0/8) Clipping_scale=2.0, grad-norm quartiles 1.0e+01 2.0e+01 3.0e+01 4.0e+01 9.0e+01, threshold=6.0e+01, percent-clipped=2.0
2023-05-01 10:01:00,000 INFO [train.py:903] (0/8) Epoch 1, batch 50, loss[loss=1.250, simple_loss=1.1, pruned_loss=1.2, over 2000.00 frames. ], tot_loss[loss=2.500, simple_loss=2.1, pruned_loss=2.2, over 90000.00 frames. ], batch size: 12, lr: 2.48e-02, grad_scale: 2.0
2023-05-01 10:02:00,000 INFO [optim.py:369] (0/8) Clipping_scale=2.0, grad-norm quartiles 1.0e+01 2.0e+01 2.5e+01 4.0e+01 9.0e+01, threshold=5.0e+01, percent-clipped=4.0
2023-05-01 10:03:00,000 INFO [train.py:903] (0/8) Epoch 2, batch 0, loss[loss=1.000, simple_loss=1.1, pruned_loss=1.2, over 2000.00 frames. ], tot_loss[loss=1.500, simple_loss=2.1, pruned_loss=2.2, over 90000.00 frames. ], batch size: 12, lr: 2.40e-02, grad_scale: 4.0
""",
            step=[0, 50, 50], loss=[7.75, 1.25, 1.0], grad_norm=[30.0, 25.0], norm_step=[0, 50],
            lr=[2.25e-2, 2.48e-2, 2.4e-2], loss_scale=[2.0, 2.0, 4.0],
        ),
        Example(
            text="""\
2025-10-27 17:32:19,686 WARNING [optim.py:600] Clipping_scale=2.0, grad-norm quartiles 2.5e-03 3.4e-03 3.5e-03 4.7e-03 9.6e-03, threshold=1.5e-02, percent-clipped=0.0
2025-10-27 17:32:39,748 INFO [train_zipvoice.py:731] Epoch 1, batch 49, global_batch_idx: 50, batch size: 25, loss[loss=0.0625, over 17994.00 frames. ], tot_loss[loss=0.06891, over 778288.75 frames. ], cur_lr: 1.00e-04, grad_scale: 65536.0
2025-10-27 17:34:29,249 INFO [train_zipvoice.py:731] Epoch 1, batch 99, global_batch_idx: 100, batch size: 25, loss[loss=0.0750, over 17972.00 frames. ], tot_loss[loss=0.06926, over 1385734.50 frames. ], cur_lr: 1.00e-04, grad_scale: 65536.0
""",
            step=[50, 100], loss=[0.0625, 0.075], grad_norm=[3.5e-3], norm_step=[50], lr=[1e-4, 1e-4],
            loss_scale=[65536.0, 65536.0],
        ),
    ],
    "detectron2": [
        Example(
            text="""\
[05/12 10:11:12 d2.utils.events]:  eta: 1:00:00  iter: 19  total_loss: 2.5  loss_cls: 1.5  loss_box_reg: 0.5  time: 0.2  data_time: 0.01  lr: 1.6068e-05  max_mem: 3000M
[05/12 10:11:22 d2.utils.events]:  eta: 1:00:00  iter: 39  total_loss: 2.25  loss_cls: 1.25  loss_box_reg: 0.5  time: 0.2  data_time: 0.01  lr: 3.2718e-05  max_mem: 3000M
""",
            step=[19, 39], loss=[2.5, 2.25], lr=[1.6068e-5, 3.2718e-5],
        )
    ],
    "maxtext": [
        Example(
            text="""\
completed step: 0, seconds: 20.5, TFLOP/s/device: 1.2, Tokens/s/device: 99.1, total_weights: 16384, loss: 10.875
completed step: 1, seconds: 2.5, TFLOP/s/device: 10.2, Tokens/s/device: 999.1, total_weights: 16384, loss: 10.5
""",
            step=[0, 1], loss=[10.875, 10.5],
        )
    ],
    "hf-dict": [
        Example(
            text=(
                "  0%|          | 0/40 [00:00<?, ?it/s]\r 25%|##5       | 10/40 [00:05<00:15,  2.00it/s]"
                "{'loss': 2.5, 'grad_norm': 1.25, 'learning_rate': 1e-05, 'epoch': 0.25}\n"
                "\r 50%|#####     | 20/40 [00:10<00:10,  2.00it/s]{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 9e-06, 'epoch': 0.5}\n"
                "  0%|          | 0/7 [00:00<?, ?it/s]\r100%|##########| 7/7 [00:01<00:00,  7.00it/s]{'eval_loss': 2.25, 'eval_runtime': 1.0, 'epoch': 0.5}\n"
                "\r 75%|#######5  | 30/40 [00:15<00:05,  2.00it/s]{'loss': '2.125', 'grad_norm': '0.75', 'learning_rate': '8e-06', 'epoch': '0.75'}\n"
                "{'train_runtime': 20.0, 'train_samples_per_second': 8.0, 'train_loss': 2.3, 'epoch': 1.0}\n"
            ),
            step=[10, 20, 30], loss=[2.5, 0.0, 2.125], grad_norm=[1.25, nan, 0.75], lr=[1e-5, 9e-6, 8e-6],
            notices={"step-from-progress-bar", "hidden-nan"},
        ),
        # ms-swift and others name the step inside the dict.
        Example(
            text="""\
Train:   5%| | 5/438 [00:10<14:00]
{'loss': 1.5, 'grad_norm': 2.5, 'learning_rate': 1e-05, 'memory(GiB)': 10.1, 'train_speed(iter/s)': 0.5, 'epoch': 0.01, 'global_step/max_steps': '5/438', 'percentage': '1.14%'}
{'loss': 1.25, 'grad_norm': 2.25, 'learning_rate': 2e-05, 'memory(GiB)': 10.1, 'train_speed(iter/s)': 0.5, 'epoch': 0.02, 'global_step/max_steps': '10/438', 'percentage': '2.28%'}
""",
            step=[5, 10], loss=[1.5, 1.25], grad_norm=[2.5, 2.25], lr=[1e-5, 2e-5],
        ),
    ],
    "deepspeed": [
        Example(
            text="""\
[2024-01-01 00:00:00,000] [INFO] [config.py:997:print]   gradient_clipping ............ 1.5
[2024-01-01 00:00:01,000] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=2, lr=[1e-05, 1e-05], mom=[(0.9, 0.95), (0.9, 0.95)]
steps: 10 loss: 10.5000 iter time (s): 0.500 samples/sec: 64.0
[2024-01-01 00:00:02,000] [INFO] [logging.py:96:log_dist] [Rank 0] step=20, skipped=2, lr=[2e-05, 2e-05], mom=[(0.9, 0.95), (0.9, 0.95)]
steps: 20 loss: 9.5000 iter time (s): 0.500 samples/sec: 64.0
""",
            step=[10, 20], loss=[10.5, 9.5], lr=[1e-5, 2e-5], config={"max_grad_norm": 1.5},
        )
    ],
    "progress-bar": [
        Example(
            text="".join(
                f"\rEpoch 0:  {n}%|#         | {n}/100 [00:0{n}<00:09,  9.50it/s, loss={4 - n / 4}, v_num=0, grad_norm={n / 2}]"
                for n in (1, 2, 3, 4)
            ),
            step=[1, 2, 3, 4], loss=[3.75, 3.5, 3.25, 3.0], grad_norm=[0.5, 1.0, 1.5, 2.0],
        )
    ],
    "json-in-text": [
        Example(
            text="".join(
                f'2024-01-01 00:00:0{n} INFO trainer: {{"step": {n}, "train/loss": {5 - n}, "train/grad_norm": {n / 4}}}\n'
                for n in (1, 2, 3)
            ),
            step=[1, 2, 3], loss=[4.0, 3.0, 2.0], grad_norm=[0.25, 0.5, 0.75],
        )
    ],
    "keras": [
        Example(
            text=(
                "Epoch 1/2\n\r 1/10 [>.....] - ETA: 3s - loss: 0.9 - accuracy: 0.1\r10/10 [=====] - 3s 3ms/step - loss: 0.5"
                " - accuracy: 0.8 - val_loss: 0.6\nEpoch 2/2\n10/10 [=====] - 3s 3ms/step - loss: 0.4 - accuracy: 0.9"
                " - val_loss: 0.7\n"
            ),
            step=[1, 2], loss=[0.5, 0.4],
        )
    ],
    "guess": [
        Example(
            text="".join(
                f"2024-01-01 00:00:0{n} - Epoch 1 - Step {100 * n}/1000 - Loss: {5 - n}.5 - Grad Norm: {n / 4} - LR: 1e-0{n}\n"
                for n in (1, 2, 3)
            ),
            step=[100, 200, 300], loss=[4.5, 3.5, 2.5], grad_norm=[0.25, 0.5, 0.75], lr=[0.1, 0.01, 0.001],
        ),
        Example(
            text="".join(f"Epoch {n}/10, train loss: {5 - n}.25, val_loss: 9.0\n" for n in (1, 2, 3)),
            step=[1, 2, 3], loss=[4.25, 3.25, 2.25],
        )
    ],
}  # fmt: skip
