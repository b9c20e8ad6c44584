"""The checks: one file each, one line each here."""

from __future__ import annotations

from collections.abc import Mapping

from gradlens.registry import Entry

CHECKS: Mapping[str, Entry] = {
    "GL001": Entry(target="gradlens.checks.norm_after_clipping:NormAfterClipping", title="norm-after-clipping"),
    "GL003": Entry(target="gradlens.checks.placeholder_norm:PlaceholderNorm", title="placeholder-norm"),
    "GL007": Entry(target="gradlens.checks.resumed_log:ResumedLog", title="resumed-log"),
    "GL103": Entry(target="gradlens.checks.high_clip_rate:HighClipRate", title="high-clip-rate"),
    "GL401": Entry(target="gradlens.checks.overflow:Overflow", title="overflow"),
}
