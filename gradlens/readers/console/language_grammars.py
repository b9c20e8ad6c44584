"""Grammars of trainers of translation and of language models beyond those of `grammars.py`."""

from __future__ import annotations

from gradlens.readers.console.grammar import NUMBER, SOME, Fields, Grammar, Line

LANGUAGE: tuple[Grammar, ...] = (
    Grammar(
        name="marian",
        lines=(
            Line(
                pattern=rf"\bEp\. \d+ : Up\. (?P<step>[\d,]+) : Sen\. [^\n:]{{1,200}}: Cost (?P<Cost>{NUMBER})"
                rf"(?:{SOME} : gNorm (?P<gNorm>{NUMBER}))?(?:{SOME} : L\.r\. (?P<Lr>{NUMBER}))?",
                fields=Fields.NAMED,
            ),
            Line(
                pattern=rf"\[valid\] Ep\. \d+ : Up\. (?P<step>[\d,]+) : (?:cross-entropy|ce-mean-words) : (?P<val_loss>{NUMBER})",
                fields=Fields.NAMED,
            ),
        ),
    ),
    Grammar(
        name="opennmt-py",
        lines=(Line(pattern=r"\bStep (?P<step>\d+)/ ?\d+; +(?=acc:|sents:|lr:)"),),
    ),
    Grammar(
        name="joeynmt",
        lines=(
            Line(pattern=r"\bEpoch\s+\d+,? Step:\s+(?P<step>\d+),? (?=Batch Loss:)", fields=Fields.PHRASES),
            # Validated after the batch of that step, on sentences: another scale than the loss of a batch.
            Line(
                pattern=r"\b(?:Validation|Evaluation) result \([^)\n]{0,200}\)(?: at epoch\s+\d+, step\s+(?P<step>\d+))?:"
                rf"{SOME}\bloss:\s*(?P<val_loss>{NUMBER})",
                fields=Fields.NAMED,
            ),
        ),
    ),
    Grammar(
        name="sockeye",
        lines=(Line(pattern=r"\bEpoch\[(?P<epoch>\d+)\] Batch \[(?P<iter>\d+)\]\s+(?=Speed:)"),),
    ),
    Grammar(
        name="xlnet",
        lines=(Line(pattern=r"\] \[(?P<step>\d+)\] \| (?=gnorm )"),),
    ),
    Grammar(
        name="tf-estimator",
        lines=(Line(pattern=rf"\bloss = (?P<loss>{NUMBER}), step = (?P<step>\d+)", fields=Fields.NAMED),),
    ),
    Grammar(
        name="litgpt",
        lines=(Line(pattern=r"\bEpoch \d+ \| iter (?P<step>\d+) step \d+ \| ", fields=Fields.PIPES),),
    ),
    Grammar(
        name="torchtune",  # the description of its bar
        lines=(
            Line(
                pattern=rf"(?:^|\s)\d+\|(?P<step>\d+)\|Loss: (?P<loss>(?!\S*:\s*:){NUMBER})",
                fields=Fields.NAMED,
            ),
        ),
    ),
    Grammar(
        name="mindspore",
        lines=(
            Line(
                pattern=rf"\bepoch: (?P<epoch>\d+) step: (?P<iter>\d+), loss is (?P<loss>{NUMBER})",
                fields=Fields.NAMED,
                first_epoch=1,
            ),
        ),
    ),
    Grammar(
        name="deepspeed-chat",
        lines=(
            Line(
                pattern=r"\b[Ee]poch: \d+ ?\| ?[Ss]tep: (?P<step>\d+) ?\| ?(?:ppo_ep|PPO Epoch): \d+ ?\| ?(?=act_loss|Actor Loss)",
                fields=Fields.PHRASES,
            ),
        ),
    ),
    Grammar(
        name="dllogger",
        lines=(
            Line(
                pattern=rf"^DLL {SOME} - (?:Training )?Epoch: \d+ (?:Training )?Iteration: (?P<step>\d+) +(?=\w)",
                fields=Fields.PHRASES,
            ),
            Line(pattern=rf"^DLL {SOME} - PARAMETER loss_scale : (?P<loss_scale>{NUMBER})", fields=Fields.NAMED),
        ),
    ),
)
