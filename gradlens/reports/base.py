"""What all output models share: severities, causes, verdicts on thresholds and norms, and how data becomes JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, Literal


class Severity(StrEnum):
    """How much a finding matters: `error` harms the run, `warning` likely does, `note` is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for note, 1 for warning, 2 for error."""
        return ("note", "warning", "error").index(self.value)


Cause = Literal[
    "healthy", "undetermined", "unknown", "lr_too_high", "no_warmup", "lr_zero", "schedule_mismatch", "bad_data",
    "nan_sudden", "fp16_overflow", "loss_scale_collapse", "clip_too_tight", "clip_too_loose", "clip_before_unscale",
    "postclip_logged", "exploding", "vanishing", "not_learning", "recurring_instability", "l2_contamination",
    "adam_beta2_lag", "lr_restart", "data_shift", "batch_size_change", "resume_artifact", "overfitting",
]  # fmt: skip
#: The causes that name no fault: nothing is wrong, the log does not allow a judgement, or no cause explains what is wrong.
NO_FAULT: frozenset[Cause] = frozenset({"healthy", "undetermined"})
Status = Literal["problem", "clear", "insufficient"]
Outcome = Literal["learned", "ended_worse", "diverged", "nonfinite", "stalled", "not_learning", "unknown"]
ProvenanceVerdict = Literal["pre_clip", "post_clip", "loss_scaled", "averaged", "placeholder", "unknown"]
ThresholdSource = Literal["option", "config", "log", "assumed"]
#: What the user says about the threshold: its value, `auto` to find it, None where the run did not clip.
ThresholdOption = float | Literal["auto"] | None
Interval = tuple[float, float]


def plain_data(value: Any) -> Any:  # noqa: PLR0911 -- one return a kind of value
    """Dataclasses, mappings and sequences as dicts and lists; NaN and infinities as None (strict JSON has neither).

    Fields that stand beside a document (`gradlens.reports.picture.BESIDE`) are left out.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if is_dataclass(value):
        return {f.name: plain_data(getattr(value, f.name)) for f in fields(value) if "beside" not in f.metadata}
    if isinstance(value, Mapping):
        return {str(k): plain_data(v) for k, v in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [plain_data(v) for v in value]
    # numpy scalars
    return plain_data(value.item())
