"""Grammars of trainers of vision models and of networks that make pictures."""

from __future__ import annotations

from gradlens.readers.console.grammar import BLANKS, NUMBER, Fields, Grammar, Line

VISION: tuple[Grammar, ...] = (
    Grammar(
        name="darknet",
        lines=(
            Line(
                pattern=rf"^{BLANKS}(?P<step>\d+): (?P<loss>{NUMBER}), (?P<avg_loss>{NUMBER}) avg(?: loss)?, "
                rf"(?P<learning_rate>{NUMBER}) rate",
                fields=Fields.NAMED,
            ),
        ),
    ),
    Grammar(
        name="caffe",
        lines=(
            Line(
                pattern=rf"\bIteration (?P<step>\d+)(?: \([^)\n]{{0,200}}\))?, loss = (?P<loss>{NUMBER})",
                fields=Fields.NAMED,
            ),
            Line(pattern=rf"\bIteration (?P<step>\d+), lr = (?P<lr>{NUMBER})", fields=Fields.NAMED),
            Line(pattern=rf"\bTest net output #\d+: loss = (?P<val_loss>{NUMBER})", fields=Fields.NAMED),
        ),
    ),
    Grammar(
        name="yolo-results",  # YOLOv5's and YOLOv7's results.txt, and the last bar of an epoch in YOLOv7's console
        lines=(
            Line(
                pattern=rf"^{BLANKS}(?P<step>\d+)/\d+\s+[\d.]+G\s+(?P<box_loss>{NUMBER})\s+(?P<obj_loss>{NUMBER})\s+"
                rf"(?P<cls_loss>{NUMBER})\s+(?P<total_loss>{NUMBER})\s+\d+\s+\d+(?::\s*100%|\s+{NUMBER}\s+{NUMBER}\s)",
                fields=Fields.NAMED,
            ),
        ),
    ),
    Grammar(
        name="pix2pix",
        lines=(
            Line(pattern=r"\(epoch: (?P<epoch>\d+), iters: (?P<iter>\d+), time: [^)\n]{0,200}\),? ", first_epoch=1),
        ),
        # The first of them that is there; all it prints are losses.
        roles=tuple(
            ("loss", name)
            for name in (
                "G_L1",
                "cycle_A",
                "G_GAN",
                "G_A",
                "G",
                "cycle_B",
                "G_B",
                "idt_A",
                "idt_B",
                "D_real",
                "D_fake",
                "D_A",
                "D_B",
                "D",
            )
        ),
    ),
    Grammar(
        name="basicsr",
        lines=(
            Line(
                pattern=rf"\[epoch:\s*\d+, iter:\s*(?P<step>[\d,]+), lr:\((?P<lr>{NUMBER}),[^)\n]{{0,200}}\)\] ?\[eta:[^\n]{{0,200}}?\] +",
            ),
        ),
        roles=(("loss", "l_total"), ("loss", "l_g_total"), ("loss", "l_pix"), ("loss", "l_g_pix"), ("loss", "l_g_gan")),
    ),
    Grammar(
        name="nnunet",
        lines=(
            Line(
                pattern=r": Epoch (?P<step>\d+)\s*$",
                fields=Fields.NAMED,
                block=r"^[\d-]+ [\d:.]+:\s*(?:(?P<key>Current learning rate|train_loss|val_loss|Epoch time)?:?\s+"
                r"(?P<value>[-+.\da-zA-Z]+))?[^\n]*$",
            ),
        ),
        rename=(("Current learning rate", "learning_rate"),),
    ),
    Grammar(
        name="insightface",
        lines=(
            Line(
                pattern=rf"\bsamples/sec\s+Loss (?P<Loss>{NUMBER})\s+(?:LearningRate (?P<LearningRate>{NUMBER})\s+)?Epoch: \d+\s+"
                rf"Global Step: (?P<step>\d+)(?:\s+Fp16 Grad Scale:\s*(?P<grad_scale>{NUMBER}))?",
                fields=Fields.NAMED,
            ),
        ),
    ),
)
