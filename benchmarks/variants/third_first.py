"""What the third and the fourth set showed when they were judged for the first time, before anything was mended by them.

Kept here, since it cannot be measured again.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Of the six draws of each situation with seeds 0 to 5: how many were right; of all others six. What was wrong stands beside it.
FIRST_LOOK: Mapping[str, tuple[int, str]] = {
    "norm fades, loss stands": (0, "another cause; no problem"),
    "loss 0 in many rows": (5, "called clear"),
    "scale is halved to nothing": (4, "another cause; no problem"),
    "creeps up": (5, "no problem"),
    "unstable with the rate": (5, "another cause"),
    "blows up to chance": (5, "no problem"),
    "stands at chance": (3, "no problem"),
    "frequencies only": (2, "called clear"),
    "norms fall by depth": (5, "another cause"),
    "struck by batches, loss alone": (0, "no problem"),
    "unstable and recovers": (3, "another cause"),
    "overfits early": (4, "another cause; no problem"),
    "clipped with its scale": (4, "another cause"),
    "norm is smoothed": (3, "no GL004"),
    "really trained": (4, "not called clear"),
    "drops late": (4, "not called clear"),
    "any run": (5, "not called clear"),
    "density": (3, "not called clear"),
    "bound of the evidence": (5, "not called clear"),
    "contrastive": (4, "not called clear"),
    "norm grows": (3, "not called clear"),
    "rough start": (5, "not called clear"),
    "rate in steps": (5, "alarmed"),
    "likelihood rises": (0, "not read"),
    "clipped in every row": (5, "not called clear"),
    "flat tuning": (4, "alarmed"),
    # The fourth set.
    "two batches, loss alone": (4, "no problem"),
    "spikes that decay, loss alone": (4, "no problem"),
    "a batch of each epoch, loss alone": (5, "no problem"),
    "from above to chance": (4, "no problem"),
    "one class for all": (2, "called clear"),
    "rate next to nothing": (0, "no problem"),
}
