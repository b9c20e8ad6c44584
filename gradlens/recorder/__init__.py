"""The recorder: columns that decide, written while a model trains.

>>> rec = gradlens.Recorder("run.jsonl", model, optimizer)
>>> ...
>>> rec.log(loss=loss, batch_id=ids, tokens=n)  # after backward, before optimizer.step()

`recorder.py` follows the loop and `measuring.py` takes the norms; `rows.py` holds what was measured until it is fetched in
bulk, `ranks.py` adds up what ranks hold apart, `writing.py` writes. PyTorch is imported by the first recorder, not by this
package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradlens.recorder.acting import Skip
    from gradlens.recorder.live import Live
    from gradlens.recorder.recorder import Recorder

_LAZY = {
    "Live": "gradlens.recorder.live",
    "Recorder": "gradlens.recorder.recorder",
    "Skip": "gradlens.recorder.acting",
}

__all__ = ["Live", "Recorder", "Skip"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gradlens.recorder' has no attribute {name!r}")
