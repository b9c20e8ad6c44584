"""GL103: more than one step in twenty is clipped: a prompt to look, not a verdict."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class HighClipRate(FactCheck):
    """More than one step in twenty is clipped: a prompt to look, not a verdict.

    What it measures
    ----------------
    The share of finite norms strictly above the threshold.

    Why it matters
    --------------
    Clipping that engages often is part of the optimizer rather than a safety net. Under Adam a constant rescaling
    cancels and nothing may be wrong; under SGD it cuts the learning rate by C / norm.

    Threshold
    ---------
    5, 10 and 20 %, the common rules of thumb, from 20 norms on. The Google tuning playbook starts at the 90th
    percentile, which clips 10 % by construction, and calls more than 50 % extremely aggressive.

    When it is wrong
    ----------------
    Often: healthy runs with 15 to 100 % clipped steps are common under AdamW. It is therefore only ever a note.

    What to try
    -----------
    `gradlens suggest-threshold` shows what other thresholds would clip.

    References
    ----------
    Godbole et al., Deep Learning Tuning Playbook (2023). Zhang et al., Why gradient clipping accelerates training
    (2020).
    """

    code = "GL103"
    name = "high-clip-rate"
    needs = frozenset({"norm", "rows", "threshold", "trusted_norm"})
    advice = "compare thresholds with `gradlens suggest-threshold`"
