"""What a person who clips gradients should know, with the arithmetic done for the reader's own numbers: one line each."""

from __future__ import annotations

import importlib
import inspect

from gradlens.explain.lessons.base import Lesson

LESSONS: dict[str, str] = {
    "norm-clipping": "gradlens.explain.lessons.norm_clipping:NormClipping",
    "value-clipping": "gradlens.explain.lessons.value_clipping:ValueClipping",
    "norm-scale": "gradlens.explain.lessons.norm_scale:NormScale",
    "adam-clipping": "gradlens.explain.lessons.adam_clipping:AdamClipping",
    "weight-decay": "gradlens.explain.lessons.weight_decay:WeightDecay",
    "fp16": "gradlens.explain.lessons.fp16:HalfPrecision",
    "depth": "gradlens.explain.lessons.depth:Depth",
    "smoothness": "gradlens.explain.lessons.smoothness:Smoothness",
    "heavy-tails": "gradlens.explain.lessons.heavy_tails:HeavyTails",
}


def lesson(name: str) -> type[Lesson]:
    """The lesson of that name."""
    module, _, attribute = LESSONS[name].partition(":")
    found: type[Lesson] = getattr(importlib.import_module(module), attribute)
    return found


def title(name: str) -> str:
    """The first line of a lesson."""
    return (inspect.getdoc(lesson(name)) or "").partition("\n")[0]


__all__ = ["LESSONS", "Lesson", "lesson", "title"]
