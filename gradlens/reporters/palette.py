"""Colours that are seen on black and on white: a contrast of at least 3.9 to 1 with both, by WCAG 2's formula.

Numbers of the 256-colour palette, whose upper 240 no theme changes; a terminal with sixteen colours shows its nearest.
"""

from __future__ import annotations

import os
from typing import Literal

from gradlens.reports.base import Severity

RED, AMBER, GREEN, TEAL = "color(196)", "color(130)", "color(28)", "color(30)"
BLUE, VIOLET, SEA = "color(63)", "color(133)", "color(31)"
COLORS = (RED, AMBER, GREEN, TEAL, BLUE, VIOLET, SEA)

#: Consoles of sixteen colours.
_POOR = frozenset({"linux", "vt100", "vt102", "vt220", "ansi", "cons25"})

BAD, DOUBTFUL, GOOD = f"bold {RED}", f"bold {AMBER}", f"bold {GREEN}"
STATUS = {"problem": BAD, "insufficient": DOUBTFUL, "clear": GOOD}
SEVERITY = {Severity.ERROR: BAD, Severity.WARNING: AMBER, Severity.NOTE: TEAL}


def color_system() -> Literal["standard", "256"]:
    """The colours that the terminal knows: sixteen on the few that are no emulator of today, 256 on all others."""
    return "standard" if os.environ.get("TERM") in _POOR else "256"
