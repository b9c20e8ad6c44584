"""The docstring of a check is its page: complete, and with the right heading."""

from __future__ import annotations

from typing import get_args

import pytest

from gradlens.checks import CHECKS
from gradlens.checks.base import NEEDS, SECTIONS
from gradlens.checks.engine import catalogue, load_checks
from gradlens.reports.base import NO_FAULT, Cause

CHECK_LIST = load_checks()


@pytest.mark.parametrize("check", CHECK_LIST, ids=lambda c: c.code)
def test_documentation_has_every_section(check):
    text = check.documentation()
    positions = [text.index(f"{section}\n{'-' * len(section)}\n") for section in SECTIONS]
    assert positions == sorted(positions)
    assert "{" not in text


@pytest.mark.parametrize("check", CHECK_LIST, ids=lambda c: c.code)
def test_metadata(check):
    assert CHECKS[check.code].title == check.name
    assert check.needs <= set(NEEDS)
    assert check.summary().endswith(".")
    assert check.cause is None or check.advice


def test_catalogue_lists_all():
    assert [code for code, _, _ in catalogue()] == sorted(CHECKS)


def test_every_cause_has_a_check():
    causes = {check.cause for check in CHECK_LIST} - {None}
    assert causes == set(get_args(Cause)) - NO_FAULT - {"unknown"}
