"""Which spelling means which quantity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlens import vocabulary

WORDS = (
    "train", "a", "val", "loss", "g", "grad", "norm", "lr", "0", "Adam", "pg1", "momentum", "scale", "xent", "ce", "step", "gnorm", "critic",
    "learning", "rate", "total", "mean", "loss_scale", "epoch", "cost", "x7",
)  # fmt: skip


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=5), st.sampled_from("/_ -."))
def test_a_name_has_a_role_where_any_role_ranks_it(words, separator):
    name = separator.join(words)
    assert vocabulary.has_role(name) == any(vocabulary.rank_of(role, name) is not None for role in vocabulary.SPELLINGS)


@pytest.mark.parametrize(
    ("loss", "descends"),
    [("loss", True), ("train/loss", True), ("loss_value", True), ("actor/pg_loss", False), ("d_loss", False),
     ("loss_G", False), ("train/value_loss", False), ("critic_loss", False), ("gan_loss", False)],
)  # fmt: skip
def test_losses_that_need_not_come_down_are_known_by_name(loss, descends):
    assert vocabulary.is_contested(loss) is not descends


@pytest.mark.parametrize(("role", "spelling"), [(r, s) for r, found in vocabulary.SPELLINGS.items() for s in found])
def test_every_spelling_means_its_quantity_however_it_is_cased(role, spelling):
    assert vocabulary.rank_of(role, spelling) is not None
    assert vocabulary.rank_of(role, spelling.upper().replace("_", "-")) is not None


@pytest.mark.parametrize(
    ("role", "names", "chosen"),
    [
        ("loss", ["val_loss", "epoch", "train/loss"], "train/loss"),
        ("loss", ["info/learner/total_loss"], "info/learner/total_loss"),
        ("loss", ["eval/deep/loss"], None),
        ("step", ["_step", "global_step"], "global_step"),
        ("lr", ["lr-AdamW/pg1-momentum", "lr-AdamW/pg1"], "lr-AdamW/pg1"),
        ("grad_norm", ["unet_grad_norm"], "unet_grad_norm"),
        ("grad_norm", ["grad_norm/conv1.weight"], None),
        ("lr", [], None),
    ],
)
def test_which_name_stands_for_a_quantity(role, names, chosen):
    assert vocabulary.choose(role, names) == chosen


@pytest.mark.parametrize(
    ("name", "layer"),
    [("grad_norm/conv1.weight", "conv1.weight"), ("train/grad_2.0_norm/fc", "fc"), ("optim/grad/fc.norm", "fc"),
     ("grad_norm/total", None), ("loss/conv1", None)],
)  # fmt: skip
def test_norms_of_layers(name, layer):
    assert vocabulary.layer_of(name) == layer


@pytest.mark.parametrize(
    ("name", "facts"),
    [("grad_norm", set()), ("clipped_grad_norm", {"post_clip"}), ("unclipped_grad_norm", {"pre_clip"}),
     ("raw_grad_norm", {"pre_clip"}), ("x/grad_gnorm", {"post_clip"}), (None, set())],
)  # fmt: skip
def test_what_the_name_of_a_norm_says(name, facts):
    assert vocabulary.facts_of(name) == facts


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("train/box_loss", True), ("Value function loss", True), ("cross_entropy", True), ("loss_scale", False),
     ("val/box_loss", False), ("loss_weight", False), ("accuracy", False)],
)  # fmt: skip
def test_what_is_like_a_loss(name, is_one):
    assert vocabulary.is_loss_like(name) is is_one
