"""Everything that gradlens needs may be used, changed and passed on without a copyleft of the whole."""

from __future__ import annotations

import re

import pytest

from benchmarks import licences
from benchmarks.dependencies import TARGET, USES, requirements

FREE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Zlib",
    }
)
#: Copyleft of the file alone, and an old licence of Zope: of clients that are installed only where they are asked for.
OF_FILES = frozenset({"MPL-2.0", "ZPL-2.1"})


@pytest.fixture(scope="module")
def found():
    return licences.licences()[0]


@pytest.mark.parametrize("part", ["core", "all"])
def test_what_is_needed_has_a_free_licence(found, part):
    for licence, packages in found[part].items():
        assert set(re.split(r" (?:AND|OR) ", licence)) <= FREE, packages


def test_clients_too_have_one_where_they_state_it(found):
    for licence, packages in found["clients"].items():
        assert licence == "" or set(re.split(r" (?:AND|OR) ", licence)) <= FREE | OF_FILES, packages


def test_the_page_lists_the_core():
    text = TARGET.read_text(encoding="utf-8")
    block = text[text.index(licences.BEGIN) : text.index(licences.END)]
    core = set().union(*(requirements(name) for name, (where, _) in USES.items() if where == "core"))
    assert core <= set(re.findall(r"[\w.-]+", block))


@pytest.mark.parametrize(
    ("said", "short"),
    [
        ("Apache License, Version 2.0", "Apache-2.0"), ("MIT License", "MIT"), ("The MIT License (MIT)", "MIT"), ("3-Clause BSD License", "BSD-3-Clause"),
        ("BSD-2-Clause", "BSD-2-Clause"), ("MIT-0", "MIT-0"), ("ISC License (ISCL)", "ISC"), ("GNU General Public License v3", ""), ("UNKNOWN", ""),
    ],
)  # fmt: skip
def test_names_of_licences(said, short):
    assert licences.short_name(said) == short
