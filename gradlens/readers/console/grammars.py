"""The lines that trainers print, as one table of grammars.

A console log is read with the grammar that finds most losses and norms in it; `reader.py` does the work. To teach
gradlens another trainer, add one `Grammar` to a table (see docs/adding-a-format.md).
"""

from __future__ import annotations

from gradlens.readers.console.control_grammars import CONTROL
from gradlens.readers.console.grammar import BLANKS, NUMBER, SOME, Fields, Grammar, Line
from gradlens.readers.console.language_grammars import LANGUAGE
from gradlens.readers.console.speech_grammars import SPEECH
from gradlens.readers.console.vision_grammars import VISION

_PRE = frozenset({"pre_clip"})
_MEGATRON_START = (
    rf"\[before the start of training step\]|^{BLANKS}(?:\[[^\]\n]{{0,200}}\]:?{BLANKS})?training \.\.\.{BLANKS}$"
)

#: Of grammars that find the same the first one counts: the more particular ones stand in front.
GRAMMARS: tuple[Grammar, ...] = (
    *LANGUAGE,
    *VISION,
    *SPEECH,
    *CONTROL,
    Grammar(
        name="megatron",
        lines=(
            Line(pattern=r"\biteration\s+(?P<step>\d+)\s*/\s*\d+\s*\|", fields=Fields.PIPES, ends_with="|"),
            Line(pattern=rf"validation loss at iteration (?P<step>\d+) \|{SOME}lm loss value: (?P<val_loss>{NUMBER})",
                 fields=Fields.NAMED),
        ),
        restart=_MEGATRON_START,
        start_words=("[before the start of training step]", "training ..."),
        facts=_PRE,
    ),
    Grammar(
        name="nanotron",
        lines=(Line(pattern=r"\biteration:\s*(?P<step>\d+)\s*/\s*\d+\s*\|", fields=Fields.PIPES),),
        facts=_PRE,
    ),
    Grammar(
        name="torchtitan",
        lines=(Line(pattern=r"\bstep:\s*(?P<step>\d+)\s+(?=(?:\w+:\s*\S+\s+)?(?:loss|grad_norm|global_avg_loss):)"),),
        restart=r"Training starts at step 1\b",
        facts=_PRE,
    ),
    Grammar(
        name="modded-nanogpt",
        lines=(
            Line(pattern=r"\bstep:(?P<step>\d+)/\d+ (?=train_loss:|loss:)"),
            Line(pattern=rf"\bstep:(?P<step>\d+)/\d+ val_loss:(?P<val_loss>{NUMBER})", fields=Fields.NAMED),
        ),
    ),
    Grammar(
        name="verl",
        lines=(Line(pattern=r"\bstep:(?P<step>\d+) - (?=[\w./@-]+:)"),),
        facts=frozenset({"pre_clip", "averaged"}),
    ),
    Grammar(
        name="nanogpt",
        lines=(
            Line(pattern=r"\biter (?P<step>\d+): (?=(?:train_)?loss\b)"),
            Line(
                pattern=rf"\bstep (?P<step>\d+): train loss (?P<eval_train_loss>{NUMBER}), "
                rf"val loss (?P<val_loss>{NUMBER})",
                fields=Fields.NAMED,
            ),
        ),
    ),
    Grammar(
        name="build-nanogpt",
        lines=(
            Line(
                pattern=r"\bstep[ :]\s*(?P<step>\d+)(?:\s*/\s*\d+)?(?:\s*\([^)\n]{0,200}\))?\s*[|,]\s*"
                rf"(?={SOME}(?:loss|norm))",
                fields=Fields.PIPES,
            ),
        ),
        facts=_PRE,
    ),
    Grammar(
        name="llm.c",
        lines=(Line(pattern=r"^s:(?P<step>\d+) (?=trl:|tel:|eval:)"),),
        rename=(("trl", "train_loss"), ("tel", "val_loss")),
        facts=_PRE,
    ),
    Grammar(
        name="step-kind-value",
        lines=(
            Line(pattern=rf"^(?P<step>\d+) train (?P<train>{NUMBER})\s*$", fields=Fields.NAMED),
            Line(pattern=rf"^(?P<step>\d+) val (?P<val_loss>{NUMBER})\s*$", fields=Fields.NAMED),
            Line(pattern=rf"^(?P<step>\d+) norm (?P<norm>{NUMBER})\s*$", fields=Fields.NAMED),
            Line(pattern=rf"^(?P<step>\d+) lr (?P<lr>{NUMBER})\s*$", fields=Fields.NAMED),
        ),
        least=3,
    ),
    Grammar(
        name="fairseq",
        lines=(
            Line(pattern=r"\|\s*train_inner\s*\|\s*(?=\{)", fields=Fields.JSON, step_field="num_updates"),
            Line(pattern=r"\bepoch\s+\d+:\s+\d+\s*/\s*\d+\s+(?=loss=)", step_field="num_updates"),
            Line(pattern=r"^[^\S\n]*(?=\{\"epoch\": \d+, \"update\": )", fields=Fields.JSON, step_field="num_updates"),
            Line(pattern=r"\|\s*valid(?:\w*)\s*\|\s*(?=\{)", fields=Fields.JSON, step_field="valid_num_updates"),
        ),
        # A non-finite norm raises an overflow before it is logged, and each value is a mean over the log interval.
        facts=frozenset({"pre_clip", "averaged", "filtered"}),
    ),
    Grammar(
        name="fairseq-epochs",
        lines=(Line(pattern=r"(?:\btrain\s*\|\s*|^\|\s*)epoch\s+\d+\s*\|\s*(?=(?:train_)?loss)", fields=Fields.PIPES,
                    step_field="num_updates"),),
        tier=1,
        facts=frozenset({"pre_clip", "averaged", "filtered"}),
    ),
    Grammar(
        name="swin",
        lines=(Line(pattern=r"\bTrain: \[(?P<epoch>\d+)/\d+\]\s*\[\s*(?P<iter>\d+)/(?P<iters>\d+)\]"),),
        new_run=r"\bStart training\s*$",
        facts=_PRE,
    ),
    Grammar(
        name="timm",
        lines=(Line(pattern=r"\bTrain: (?P<epoch>\d+) \[\s*(?P<iter>\d+)/\s*(?P<iters>\d+)[^\[\]\n]*\]"),),
    ),
    Grammar(
        name="openmmlab",
        lines=(
            Line(
                pattern=r"\bEpoch(?:\(train\))?\s+\[(?P<epoch>\d+)\]\s?\[\s*(?P<iter>\d+)/(?P<iters>\d+)\]",
                first_epoch=1,
            ),
            Line(pattern=r"\bIter(?:\(train\))?\s+\[\s*(?P<step>\d+)/\d+\]"),
        ),
        # MMEngine's LogProcessor averages loss and norm over the last 10 iterations, mmcv's LogBuffer over the interval.
        facts=frozenset({"pre_clip", "averaged"}),
    ),
    Grammar(
        name="metric-logger",
        lines=(Line(pattern=r"\bEpoch: ?\[\s*(?P<epoch>\d+)(?:/\s*\d+)?\]\s*\[\s*(?P<iter>\d+)/\s*(?P<iters>\d+)\]"),),
        facts=_PRE,
    ),
    Grammar(
        name="coqui",
        lines=(
            Line(
                pattern=rf"--> STEP:{SOME}GLOBAL_STEP:\s*(?P<step>\d+)",
                fields=Fields.NAMED,
                block=r"^\s*\|\s*>\s*(?P<key>[\w./-]+):\s*(?P<value>\S+)",
            ),
        ),
        facts=_PRE,
    ),
    Grammar(
        name="table",
        lines=(
            Line(
                pattern=r"^[-+=]{8,}[ \t]*\n(?=[ \t]*\|)",
                fields=Fields.NAMED,
                block=r"^\s*\|\s*(?P<key>[^|\n]*?)\s*\|\s*(?P<value>[^|\n]*?)\s*\|\s*$",
                step_field="step",
            ),
        ),
    ),
    Grammar(
        name="pymarl",
        lines=(
            Line(
                pattern=r"Recent Stats\s*\|\s*t_env:\s*(?P<step>\d+)",
                fields=Fields.NAMED,
                block=r"^(?=\w+:\s+\S)|(?:^|\t)[^\S\t\n]*(?P<key>\w+):\s+(?P<value>\S+)",
            ),
        ),
        facts=frozenset({"pre_clip", "averaged"}),
    ),
    Grammar(
        name="olmo",
        lines=(
            Line(
                pattern=r"\[step=(?P<step>\d+)/\d+[^\]\n]*\]",
                fields=Fields.NAMED,
                block=r"^\s+(?P<key>[\w./-]+(?: [\w./()-]+)*)=(?P<value>\S+)\s*$",
            ),
        ),
        facts=_PRE,
    ),
    Grammar(
        name="composer",
        lines=(
            Line(
                pattern=r"\[batch=(?P<step>\d+)/\d+\]:",
                fields=Fields.NAMED,
                block=r"^\s*(?:Train\s+)?(?P<key>(?!Eval\b)[\w./-]+):\s*(?P<value>\S+)\s*$",
            ),
        ),
    ),
    Grammar(
        name="espnet",
        lines=(Line(pattern=r"\b(?P<epoch>\d+)epoch:train:\d+-(?P<iter>\d+)batch:", first_epoch=1),),
        facts=frozenset({"pre_clip", "averaged"}),
    ),
    Grammar(
        name="icefall",
        lines=(
            Line(
                pattern=rf"\bEpoch (?P<epoch>\d+), batch (?P<iter>\d+), (?:global_batch_idx: (?P<step>\d+), )?"
                rf"[^\n]{{0,40}}?\bloss\[loss=(?P<loss>{NUMBER}){SOME}tot_loss\[loss=(?P<tot_loss>{NUMBER})"
                rf"(?:{SOME}, (?:cur_)?lr: (?P<lr>{NUMBER}))?(?:{SOME}grad_scale: (?P<grad_scale>{NUMBER}))?",
                fields=Fields.NAMED,
                first_epoch=1,
            ),
            Line(
                pattern=rf"Clipping_scale=\S+, grad-norm quartiles (?P<grad_norm_min>{NUMBER}) "
                rf"(?P<grad_norm_q1>{NUMBER}) "
                rf"(?P<grad_norm_median>{NUMBER}) (?P<grad_norm_q3>{NUMBER}) (?P<grad_norm_max>{NUMBER}), "
                rf"threshold=(?P<clipping_threshold>{NUMBER}), percent-clipped=(?P<percent_clipped>{NUMBER})",
                fields=Fields.NAMED,
            ),
        ),
        facts=frozenset({"pre_clip", "averaged"}),
    ),
    Grammar(
        name="detectron2",
        lines=(Line(pattern=r"\biter:\s*(?P<step>\d+)\s+(?=(?:total_)?loss)"),),
    ),
    Grammar(
        name="maxtext",
        lines=(Line(pattern=r"completed step:\s*(?P<step>\d+),", fields=Fields.PHRASES),),
    ),
    Grammar(
        name="hf-dict",
        lines=(
            Line(pattern=r"\{(?=[^{}\n]{0,4000}?'(?:loss|eval_loss|train_loss|grad_norm)':)", fields=Fields.DICT),
        ),
        # logging_nan_inf_filter replaces non-finite losses before they are averaged.
        facts=frozenset({"pre_clip", "filtered"}),
        step_from_bar=True,
    ),
    Grammar(
        name="deepspeed",
        lines=(
            Line(
                pattern=rf"\bstep=(?P<step>\d+), skipped=(?P<skipped>\d+), lr=\[(?P<lr>{NUMBER})",
                fields=Fields.NAMED,
            ),
            Line(pattern=rf"\bsteps: (?P<step>\d+) loss: (?P<loss>{NUMBER})", fields=Fields.NAMED),
        ),
        tier=1,
    ),
    Grammar(
        name="progress-bar",
        lines=(
            Line(
                pattern=r"(?:\b[Ee]poch:? ?(?P<epoch>\d{1,9})\b[^\n]{0,60}?)?(?<!\d)(?P<iter>\d{1,12})/(?P<iters>\d{1,12}) "
                r"\[[^\]\n,]{0,40},(?=[^\]\n]{0,300}?(?:loss|norm)\w* ?=)",
                fields=Fields.PHRASES,
            ),
        ),
        tier=1,
        least=3,
    ),
    Grammar(
        name="json-in-text",
        # The outermost object of a line: what is nested in it belongs to the same record.
        lines=(Line(pattern=r"^[^{\n]*(?=\{\"[\w/. -]{1,60}\"\s*:)", fields=Fields.JSON),),
        tier=1,
        least=3,
    ),
    Grammar(
        name="keras",
        lines=(
            Line(
                pattern=r"^Epoch (?P<step>\d+)/\d+[^\S\n]*$",
                fields=Fields.NAMED,
                # The bar overwrites itself: of the values of an epoch the last ones are its means.
                block=r"^\s*\d+/\d+ |- (?P<key>[A-Za-z_]\w*): (?P<value>\S+)",
            ),
        ),
        tier=1,
    ),
)  # fmt: skip
