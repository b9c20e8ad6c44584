"""Where the logged norm was measured: before or after clipping, scaled, averaged, or not at all."""

from __future__ import annotations

from gradlens.checks.case import Case
from gradlens.report import Provenance


def judge_provenance(case: Case) -> Provenance:
    """The verdict with its evidence."""
    return case.provenance
