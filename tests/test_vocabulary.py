"""Which spelling means which quantity."""

from __future__ import annotations

import pytest

from gradlens import vocabulary


@pytest.mark.parametrize(
    ("loss", "descends"),
    [("loss", True), ("train/loss", True), ("loss_value", True), ("actor/pg_loss", False), ("d_loss", False),
     ("loss_G", False), ("train/value_loss", False), ("critic_loss", False), ("gan_loss", False)],
)  # fmt: skip
def test_losses_that_need_not_come_down_are_known_by_name(loss, descends):
    assert vocabulary.is_contested(loss) is not descends
