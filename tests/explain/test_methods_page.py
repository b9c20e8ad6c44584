"""docs/methods.md has a section for every statistical method that `gradlens explain` knows."""

import re
from pathlib import Path

from gradlens.explain import METHODS

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_every_method_has_its_section():
    sections = set(re.findall(r"^## (\S+)$", PAGE.read_text(), flags=re.MULTILINE))
    ours = {
        name for name, target in METHODS.items() if target.startswith(("gradlens.stats.", "gradlens.advice.policies"))
    }
    assert ours <= sections
