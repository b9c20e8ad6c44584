"""The space of drawn runs: parts that stay as they are, tasks that can be learned, rows of padding that count for nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from benchmarks.runs.drawn import space  # noqa: E402
from benchmarks.runs.drawn.eighth import EIGHTH_TASKS  # noqa: E402
from benchmarks.runs.drawn.group import build  # noqa: E402
from benchmarks.runs.drawn.lanes import loss_function, train  # noqa: E402
from benchmarks.runs.drawn.ninth import NINTH_TASKS  # noqa: E402
from benchmarks.runs.drawn.recipe import Recipe  # noqa: E402
from benchmarks.runs.drawn.seventh import SEVENTH_TASKS  # noqa: E402
from benchmarks.runs.drawn.tenth import TENTH_TASKS  # noqa: E402

NEW_TASKS = (*space.WIDE_TASKS, *SEVENTH_TASKS, *EIGHTH_TASKS, *NINTH_TASKS, *TENTH_TASKS)
NEW_NETS = (*space.WIDE_NETS, *(net for look in space.UNPUBLISHED for net in space.KEPT_NETS[look]))
#: Families that were trained or looked at: another order or another choice would make their runs unlike those that are archived.
PUBLISHED = {
    "learn": "8858f5671051d363",
    "first": "1725c48f1df35c61",
    "second": "8874ce22d9ce925f",
    "third": "de3c43f7a0f8bc62",
    "fourth": "851b84fc54937681",
    "fifth": "688f4d6e30dbbdd7",
    "sixth": "0153963f01cf5360",
    "wide": "06d109d812d7b489",
    "seventh": "3c353631a78335b8",
    "eighth": "b10799bb0f5ab403",
    "ninth": "06619cad1a16fe51",
    "tenth": "d3d22b048f2c6213",
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """As the runs are trained: threads that share tiny matrices wait for each other more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(task, net, **fields):
    family = space.Family(part=space.WIDE, task=task, net=net)
    small = {"width": 16, "depth": 2, "act": "gelu", "norm": "none", "init": "lecun"}
    return build(replace(space.setting(family, 0), **(small | fields)))


def able(task):
    """The plainest architecture that can do a task."""
    made = space.TASKS[task](space.World(seed=1, noise=0.1, spread=0.0))
    return next(net for net in ("mlp", "gru", "conv") if space.fits(made, net))


class TestFamilies:
    @pytest.mark.parametrize("part", PUBLISHED)
    def test_parts_that_were_trained_stay_as_they_were(self, part):
        names = " ".join(family.name for family in space.families(part))
        assert hashlib.sha256(names.encode()).hexdigest()[:16] == PUBLISHED[part]

    @pytest.mark.parametrize("part", space.PARTS)
    def test_are_the_same_each_time_and_named_once(self, part):
        names = [family.name for family in space.families(part)]
        assert names == [family.name for family in space.families(part)]
        assert len(set(names)) == len(names)

    @pytest.mark.parametrize("look", space.LOOKS)
    def test_of_a_look_are_new_in_task_or_architecture(self, look):
        others = [f for part in space.PARTS if part != look for f in space.families(part)]
        tasks, nets = {f.task for f in others}, {f.net for f in others}
        if look in space.UNPUBLISHED:
            assert all(f.task not in tasks or f.net not in nets for f in space.families(look))
        else:
            assert all(f.task in space.KEPT_TASKS[look] or f.net in space.KEPT_NETS[look] for f in space.families(look))

    def test_of_the_wide_part_have_every_new_task_and_architecture(self):
        found = space.families(space.WIDE)
        assert {f.task for f in found} >= set(space.WIDE_TASKS)
        assert {f.net for f in found} >= set(space.WIDE_NETS)
        assert not {f.task for f in found} & {*SEVENTH_TASKS, *EIGHTH_TASKS, *NINTH_TASKS, *TENTH_TASKS}
        # Tasks with less than three architectures would have no likeness to be told apart from.
        assert all(sum(f.task == task for f in found) == space.NETS_OF_A_TASK for task in space.WIDE_TASKS)

    def test_a_task_more_changes_none_of_the_others(self, monkeypatch):
        before = {f.name for f in space.families(space.WIDE)}
        monkeypatch.setattr(space, "WIDE_TASKS", {k: v for k, v in space.WIDE_TASKS.items() if k != "crps"})
        # The task left out counts as an old one now, and comes with a new architecture.
        assert {f.name for f in space.families(space.WIDE) if f.task != "crps"} == {
            name for name in before if not name.startswith("crps.")
        }


class TestTasks:
    @pytest.mark.parametrize("task", NEW_TASKS)
    @pytest.mark.parametrize("rows", ["rows", "evaluate"])
    def test_rows_of_padding_count_for_nothing(self, task, rows):
        group = built(task, able(task)).group
        theta = built(task, able(task)).start([Recipe(seed=3)], None)
        n, kept = 8, 5
        x, y = group.inputs[:n][None], group.targets[:n][None]
        w = (torch.arange(n) < kept).float()[None] / kept
        z = torch.randn(1, n, group.task.noise, generator=torch.Generator().manual_seed(0))
        other = torch.cat([x[:, :kept], x[:, :1].expand(1, n - kept, *x.shape[2:])], 1)
        found = [loss_function(group, rows)(theta, v, y, w, z, theta, torch.zeros(1)) for v in (x, other)]
        assert torch.isfinite(found[0]).all()
        assert found[1].item() == pytest.approx(found[0].item(), rel=1e-4, abs=1e-9)

    @pytest.mark.parametrize("task", NEW_TASKS)
    def test_the_targets_of_another_phase_are_others(self, task):
        made = space.TASKS[task](space.World(seed=4, noise=0.0, spread=0.0))
        (x, y), (moved, after) = (made.make(32, phase, torch.Generator().manual_seed(1)) for phase in ("main", "shift"))
        assert x.shape == moved.shape
        assert y.shape == after.shape
        assert not (torch.equal(x, moved) and torch.equal(y, after))

    @pytest.mark.slow
    @pytest.mark.parametrize("task", NEW_TASKS)
    def test_is_learned(self, task):
        made = built(task, able(task), steps=400)
        rates = (1e-3, 3e-3, 1e-2, 3e-2)
        recipes = [Recipe(steps=400, seed=5, opt="adam", lr=rate, batch=16, rows=2048) for rate in rates]
        runs = train(made.group, made.start(recipes, None), recipes, made.keys)
        falls = [(run.evaluations[0][1] - run.evaluations[-1][1]) / abs(run.evaluations[0][1]) for run in runs]
        assert max(falls) > 0.05


class TestNets:
    @pytest.mark.parametrize("net", NEW_NETS)
    @pytest.mark.parametrize("norm", ["none", "batch", "layer"])
    def test_all_weights_get_a_gradient(self, net, norm):
        task = "language" if net in space.CAUSAL else "square"
        made = built(task, net, norm=norm)
        # A little away from the start, where scales that begin at zero hold back what lies behind them.
        theta = made.start([Recipe(seed=3)], None)
        theta = (theta + 0.01 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(2))).requires_grad_(
            True
        )
        group, n = made.group, 32
        w = torch.full((1, n), 1 / n)
        loss = loss_function(group)(
            theta, group.inputs[:n][None], group.targets[:n][None], w, torch.zeros(1, n, 0), theta, torch.zeros(1)
        )
        (g,) = torch.autograd.grad(loss.sum(), theta)
        assert torch.isfinite(g).all()
        # Connections of the sparse one that do not exist have a weight all the same.
        assert (g != 0).float().mean() > (0.3 if net == "sparse" else 0.7)

    @pytest.mark.parametrize("net", [net for net in NEW_NETS if net in space.CAUSAL])
    def test_causal_ones_see_nothing_of_what_comes_later(self, net):
        made = built("language", net)
        theta = made.start([Recipe(seed=3)], None)[0]
        from benchmarks.runs.drawn.nets import views

        x = made.group.inputs[:4]
        other = x.clone()
        other[:, -1] = (other[:, -1] + 1) % int(x.max() + 1)
        w = torch.full((4,), 0.25)
        one, two = (made.group.net.forward(views(made.group.net, theta), v, w) for v in (x, other))
        assert torch.allclose(one[:, :-1], two[:, :-1], atol=1e-6)
        assert not torch.allclose(one[:, -1], two[:, -1], atol=1e-6)


class TestSizes:
    def test_rates_that_are_tried_go_down_where_losses_go_up(self):
        assert space.rates("sgd", 100.0)[0] == pytest.approx(space.SWEEP["sgd"][0] / 100)
        assert space.rates("adam", 100.0) == space.SWEEP["adam"]
        assert space.rates("sgd", 1.0) == space.SWEEP["sgd"]

    def test_decimals_show_tiny_losses_and_a_penalty_does_not_bury_them(self):
        swept = {name: space.Swept(rate=0.01, median=1.0, high=2.0, highest=3.0) for name in space.SWEEP}
        for task, scale in (("minute", 1e-5), ("summed", 1e3)):
            group = space.setting(space.Family(part=space.WIDE, task=task, net="mlp"), 0)
            found = [space.healthy(group, i, swept) for i in range(200)]
            rounded = {recipe.decimals for recipe in found if recipe.decimals is not None}
            assert rounded == ({7, 8, 9} if scale < 1 else {0, 1})
            assert {round(r.l2 / scale, 9) for r in found} == {0.0, 1e-4, 1e-3}
