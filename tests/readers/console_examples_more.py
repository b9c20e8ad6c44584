"""What more trainers print, made up by us: those of the tables by field, `language_grammars.py` and its neighbours."""

from __future__ import annotations

from tests.readers.console_examples import EXAMPLES, Example, nan

LOSS = [3.5, 2.5, 2.25]
LR = [1e-4, 2e-4, 3e-4]
STEP = [100, 200, 300]


def each(form: str, **changing: list[object]) -> str:
    """The form filled in for three rows, {n} from 0 to 2."""
    rows = [
        form.format(n=n, loss=LOSS[n], lr=f"{LR[n]:.6f}", step=STEP[n], **{k: v[n] for k, v in changing.items()})
        for n in range(3)
    ]
    return "\n".join(rows) + "\n"


MORE: dict[str, list[Example]] = {
    "marian": [
        Example(
            text=each(
                "[2024-03-01 10:00:0{n}] Ep. 1 : Up. {step} : Sen. {step},000 : Cost {loss} * 120,000 @ 1,024 after 240,000 : "
                "Time 10.20s : 11764.71 words/s : gNorm {norm} : L.r. {lr}",
                norm=["1.5", "nan", "1.25"],
            )
            + "[2024-03-01 10:00:09] [valid] Ep. 1 : Up. 300 : cross-entropy : 45.5 : new best\n",
            step=STEP, loss=LOSS, grad_norm=[1.5, nan, 1.25], lr=LR,
        )
    ],
    "opennmt-py": [
        Example(
            text=each(
                "[2024-03-01 10:00:0{n},799 INFO] Step {step}/30000; acc:  30.00; ppl: 99.40; xent: {loss}; lr: {lr}; "
                "16239/8153 tok/s;     18 sec"
            )
            + "[2024-03-01 10:00:09,799 INFO] Validation perplexity: 40.2\n",
            step=STEP, loss=LOSS, lr=LR,
        )
    ],
    "joeynmt": [
        Example(
            text=each(
                "2024-03-01 10:00:0{n},858 - INFO - joeynmt.training - Epoch   1, Step:      {step}, Batch Loss:     {loss}, "
                "Tokens per Sec:     6042, Lr: {lr}"
            )
            + "2024-03-01 10:00:09,858 - INFO - joeynmt.training - Validation result (greedy) at epoch   1, step     300: "
            "bleu:   1.20, loss: 153103.2031, ppl: 12.0, duration: 9.1s\n"
            "2024-03-01 10:00:10,858 - INFO - joeynmt.training - Epoch   1: total training loss 27265.42\n",
            step=STEP, loss=LOSS, lr=LR,
        )
    ],
    "sockeye": [
        Example(
            text=each(
                "[2024-03-01:10:00:0{n}:INFO:sockeye.training:log] Epoch[{n}] Batch [{step}]\tSpeed: 812.10 samples/sec "
                "20211.3 tokens/sec 2.10 updates/sec\tcross-entropy={loss}\tperplexity=12.5"
            ),
            step=STEP, loss=LOSS,
        )
    ],
    "xlnet": [
        Example(
            text=each("I0705 02:00:3{n}.198068 140514 train_gpu.py:303] [{step}] | gnorm 0.5 lr {lr} | loss {loss} | pplx 24.6, bpc 11.2"),
            step=STEP, loss=LOSS, grad_norm=[0.5] * 3, lr=LR,
        )
    ],
    "tf-estimator": [
        Example(
            text=each("INFO:tensorflow:loss = {loss}, step = {step} (12.113 sec)\nINFO:tensorflow:global_step/sec: 8.25"),
            step=STEP, loss=LOSS,
        )
    ],
    "litgpt": [
        Example(
            text=each("Epoch 1 | iter {it} step {n} | loss train: {loss}, val: n/a | iter time: 120.31 ms (step)", it=[1, 2, 3]),
            step=[1, 2, 3], loss=LOSS,
        )
    ],
    "mindspore": [
        Example(
            text=each("epoch: {epoch} step: {it}, loss is {loss}\nother line", epoch=[1, 1, 2], it=[1, 2, 1]),
            step=[1, 2, 3], loss=LOSS, notices={"epoch-counter"},
        )
    ],
    "deepspeed-chat": [
        Example(
            text=each("epoch: 0|step: {step}|ppo_ep: 1|act_loss: {loss}|cri_loss: 0.25|unsuper_loss: 0.0\naverage reward score: 1.2"),
            step=STEP, loss=LOSS,
        ),
        Example(
            text=each("Epoch: 0 | Step: {step} | PPO Epoch: 1 | Actor Loss: {loss} | Critic Loss: 0.25 | Unsupervised Loss: 0.0"),
            step=STEP, loss=LOSS,
        ),
    ],
    "dllogger": [
        Example(
            text=each(
                "DLL 2024-03-01 10:00:0{n}.412391 - PARAMETER loss_scale : {scale}\n"
                "DLL 2024-03-01 10:00:0{n}.412757 - Training Epoch: 0 Training Iteration: {step}  average_loss : nan  "
                "step_loss : {loss}  learning_rate : {lr} ",
                scale=[64.0, 32.0, 16.0],
            ),
            step=STEP, loss=LOSS, lr=LR, loss_scale=[64.0, 32.0, 16.0],
        )
    ],
    "darknet": [
        Example(
            text=each(" {step}: {loss}, 2.900000 avg loss, {lr} rate, 3.210000 seconds, 64 images, 2.100000 hours left\nLoaded: 0.1 seconds"),
            step=STEP, loss=LOSS, lr=LR,
        )
    ],
    "caffe": [
        Example(
            text=each(
                "I0301 10:00:0{n}.123456  4321 solver.cpp:239] Iteration {step} (2.1 iter/s, 9.5s/20 iters), loss = {loss}\n"
                "I0301 10:00:0{n}.123460  4321 solver.cpp:258]     Train net output #0: loss = 9.5 (* 1 = 9.5 loss)\n"
                "I0301 10:00:0{n}.123470  4321 sgd_solver.cpp:112] Iteration {step}, lr = {lr}"
            ),
            step=STEP, loss=LOSS, lr=LR,
        )
    ],
    "yolo-results": [
        Example(
            text=each("     {n}/299      7.8G   0.13726   0.09018         0    {loss}        30       640    0.1179    0.1508   0.04697  0.0088"),
            step=[0, 1, 2], loss=LOSS,
        )
    ],
    "pix2pix": [
        Example(
            text="================ Training Loss (Mon Mar  4 10:00:00 2024) ================\n"
            + each("(epoch: {epoch}, iters: {it}, time: 0.123, data: 0.210) G_GAN: 0.910 G_L1: {loss} D_real: 0.512 D_fake: 0.498 ",
                   epoch=[1, 1, 2], it=[100, 200, 100]),
            step=STEP, loss=LOSS, notices={"epoch-counter"},
        )
    ],
    "basicsr": [
        Example(
            text=each(
                "2024-03-01 10:00:0{n},123 INFO: [EDSR_..][epoch:  0, iter:   1,{step}, lr:({lr},)] [eta: 1 day, 2:03:04, "
                "time (data): 0.123 (0.001)] l_pix: {loss} l_percep: 9.0 "
            ),
            step=[1100, 1200, 1300], loss=LOSS, lr=LR,
        )
    ],
    "nnunet": [
        Example(
            text=each(
                "2024-03-01 10:00:0{n}.123456: \n2024-03-01 10:00:0{n}.123456: Epoch {n}\n"
                "2024-03-01 10:00:0{n}.123456: Current learning rate: {lr}\n"
                "2024-03-01 10:00:0{n}.223456: train_loss {loss}\n2024-03-01 10:00:0{n}.323456: val_loss 9.5\n"
                "2024-03-01 10:00:0{n}.423456: Pseudo dice [0.81, 0.79]\n2024-03-01 10:00:0{n}.523456: Epoch time: 101.2 s"
            ),
            step=[0, 1, 2], loss=LOSS, lr=LR,
        )
    ],
    "insightface": [
        Example(
            text=each(
                "Training: 2024-03-01 09:08:0{n},293-Speed 2171.94 samples/sec   Loss {loss}   LearningRate {lr}   Epoch: 0   "
                "Global Step: {step}   Fp16 Grad Scale: 2   Required: 190 hours"
            ),
            step=STEP, loss=LOSS, lr=LR, loss_scale=[2.0] * 3,
        )
    ],
    "vits": [
        Example(
            text=each(
                "2024-03-01 10:00:0{n},100\tmodel\tINFO\tTrain Epoch: 1 [5%]\n"
                "2024-03-01 10:00:0{n},101\tmodel\tINFO\t[2.5, 2.25, 7.5, {loss}, 1.5, 1.25, {step}, {lr}]"
            ),
            step=STEP, loss=LOSS, lr=LR,
        ),
        Example(
            text=each("2024-03-01 10:00:0{n},101\tmodel\tINFO\tLosses: [2.5, 2.25, 7.5, {loss}, 1.5], step: {step}, lr: {lr}"),
            step=STEP, loss=LOSS, lr=LR,
        ),
    ],
    "rvc": [
        Example(
            text=each(
                "2024-03-01 10:00:0{n},100\tmi\tINFO\t[{step}, {lr}]\n"
                "2024-03-01 10:00:0{n},101\tmi\tINFO\tloss_disc=3.6, loss_gen=2.4, loss_fm=7.8,loss_mel={loss}, loss_kl=1.9"
            ),
            step=STEP, loss=LOSS, lr=LR,
        )
    ],
    "kaldi-nnet3": [
        Example(
            text=each(
                "LOG (nnet3-chain-train[5.5.1]:PrintStatsForThisPhase():nnet-training.cc:320) Average objective function for "
                "'output' for minibatches {step}-399 is -{loss} + 0.0 = -{loss} over 64000 frames."
            ),
            step=STEP, loss=LOSS,
        )
    ],
    "demucs": [
        Example(
            text=each(
                "[03-01 10:00:0{n}][demucs.solver][INFO] - Train Summary | Epoch {n} | Loss={loss} | Reco={loss} | Grad=0.5\n"
                "[03-01 10:00:0{n}][demucs.solver][INFO] - Valid Summary | Epoch {n} | Loss=9.5 | Reco=9.5 | Best=0.4 | Bname=main"
            ),
            step=[0, 1, 2], loss=LOSS, grad_norm=[0.5] * 3,
        )
    ],
    "waveglow": [
        Example(
            text="Epoch: 0\n" + "".join(f"{i}:\t{2 - i / 8:.9f}\n" for i in range(12)) + "Saving model\n",
            step=list(range(12)), loss=[2 - i / 8 for i in range(12)],
        )
    ],
    "speechbrain": [
        Example(
            text=each("epoch: {n}, lr: 1.50e-04 - train si-snr: {loss} - valid si-snr: -3.86e+00\n"),
            step=[0, 1, 2], loss=LOSS, lr=[1.5e-4] * 3,
        )
    ],
    "rsl_rl": [
        Example(
            text=each(
                "#########################\n           \x1b[1m Learning iteration {n}/300 \x1b[0m           \n\n"
                "           Computation: 41234 steps/s (collection: 2.01s, learning 0.31s)\n"
                "   Value function loss: {loss}\n        Surrogate loss: -0.0074\n Mean action noise std: 0.98\n"
                "-------------------------\n       Total timesteps: 98304\n"
            ),
            step=[0, 1, 2], loss=LOSS, notices={"component-loss"},
        )
    ],
    "madrona": [
        Example(
            text=each(
                "Update: {step}\n    Loss:  {loss}, A: -1.000e-04, V:  4.170e+00, E: -1.442e+00\n\n"
                "    Rewards          => Avg:  2.480e-05, Min: -5.001e-03, Max:  6.244e-02\n    FPS: 27225, Update Time: 1.50"
            ),
            step=STEP, loss=LOSS,
        )
    ],
}  # fmt: skip

ALL: dict[str, list[Example]] = EXAMPLES | MORE
