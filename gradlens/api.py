"""The Python API: what `import gradlens` offers, with everything heavy loaded on the first call."""

from __future__ import annotations

from gradlens.reading import read

__all__ = ["read"]
