"""The lessons: their arithmetic against independent computations, and what they refuse."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from gradlens.cli.app import run as command_line
from gradlens.errors import UsageError
from gradlens.explain import page
from gradlens.explain.lessons import LESSONS, lesson
from gradlens.explain.lessons.adam_clipping import AdamClipping
from gradlens.explain.lessons.base import angle_between
from gradlens.explain.lessons.depth import Depth
from gradlens.explain.lessons.fp16 import HalfPrecision, half
from gradlens.explain.lessons.heavy_tails import HeavyTails
from gradlens.explain.lessons.norm_clipping import NormClipping
from gradlens.explain.lessons.norm_scale import NormScale
from gradlens.explain.lessons.smoothness import Smoothness
from gradlens.explain.lessons.value_clipping import ValueClipping
from gradlens.explain.lessons.weight_decay import WeightDecay


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?", text)]


@pytest.mark.parametrize("name", LESSONS)
def test_the_command_of_a_lesson_gives_its_own_example(capsys, name):
    command = lesson(name).command(name).replace("\\\n", " ").split()
    assert command_line(command[1:]) == 0
    answer = capsys.readouterr().out
    assert answer.startswith(f"Lesson {name}, worked out")
    assert " ".join(answer.partition("\n")[2].split()) in " ".join(page(name).split())


@pytest.mark.parametrize("name", LESSONS)
def test_every_number_of_a_lesson_changes_its_answer(name):
    for option, value in lesson(name).options().items():
        other = (
            tuple(part * 2 for part in value) if isinstance(value, tuple) else value * (2 if abs(value) >= 1 else 0.5)
        )
        assert page(name, {option: other}) != page(name, {option: value}), option


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_a_number_out_of_range_is_refused_with_its_name(name, bad):
    for option, value in lesson(name).options().items():
        if isinstance(value, tuple) or (bad == 0 and option == "beta1"):
            continue
        with pytest.raises(UsageError, match=f"--{option} "):
            page(name, {option: bad})


@pytest.mark.parametrize("vector", [(3.0, 4.0), (-0.1, 0.2, 0.3), (0.0, 0.0), (1e200, 1e200), (1e-200, 0.0)])
def test_norm_and_value_clipping_as_pytorch_does_it(vector):
    torch = pytest.importorskip("torch")
    for threshold in (0.5, 10.0):
        weights = torch.zeros(len(vector), dtype=torch.float64, requires_grad=True)
        weights.grad = torch.tensor(vector, dtype=torch.float64)
        torch.nn.utils.clip_grad_norm_([weights], threshold)
        rows = dict(NormClipping(vector=vector, threshold=threshold).worked())
        if max(map(abs, vector)) < 1e100:  # PyTorch squares the elements, and overflows
            np.testing.assert_allclose(numbers(rows["clipped"]), weights.grad.numpy(), rtol=6e-4, atol=1e-250)
        weights.grad = torch.tensor(vector, dtype=torch.float64)
        torch.nn.utils.clip_grad_value_([weights], threshold)
        rows = dict(ValueClipping(vector=vector, threshold=threshold).worked())
        np.testing.assert_allclose(numbers(rows["clipped"]), weights.grad.numpy(), rtol=6e-4)


def test_what_is_not_finite_stays_so():
    assert dict(NormClipping(vector=(math.nan, 1.0)).worked())["clipped"] == "(nan, nan)"
    assert dict(NormClipping(vector=(math.inf, 1.0)).worked())["clipped"] == "(nan, 0)"
    assert dict(ValueClipping(vector=(math.inf, math.nan)).worked())["clipped"] == "(1, nan)"


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 30.0, 90.0, 179.999, 180.0])
def test_small_and_large_angles_are_exact(degrees):
    turned = (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    assert angle_between((2.0, 0.0), turned) == pytest.approx(degrees, rel=1e-9)
    assert math.isnan(angle_between((0.0, 0.0), turned))


def test_the_clipped_vector_is_the_nearest_one():
    """No vector of a fine net inside the ball or the cube is nearer to the gradient."""
    gradient, c = np.array([3.0, 0.4]), 1.0
    net = np.stack(np.meshgrid(*[np.linspace(-c, c, 401)] * 2), axis=-1).reshape(-1, 2)
    for inside, kind in ((net, ValueClipping), (net[np.hypot(*net.T) <= c], NormClipping)):
        rows = dict(kind(vector=tuple(gradient), threshold=c).worked())
        clipped = np.array(numbers(rows["clipped"]))
        nearest = np.linalg.norm(inside - gradient, axis=1).min()
        assert np.linalg.norm(clipped - gradient) <= nearest + 1e-3


@pytest.mark.parametrize("value", [1e-8, 2.9e-8, 3.1e-8, 2e-5, 65504.0, 65519.0, 65520.0, -70000.0, math.inf, 0.1])
def test_half_precision_is_that_of_numpy(value):
    with np.errstate(over="ignore"):
        assert half(value) == float(np.float16(value))


def test_a_loss_scale_that_is_halved_as_often_as_told_keeps_the_gradient():
    gradient, scale = (1e-3, 77.0), 65536.0
    (halvings, *_), rows = numbers(dict(HalfPrecision(vector=gradient, scale=scale).worked())["overflow"]), None
    rows = dict(HalfPrecision(vector=gradient, scale=scale / 2**halvings).worked())
    assert "overflow" not in rows
    assert "overflow" in dict(HalfPrecision(vector=gradient, scale=scale / 2 ** (halvings - 1)).worked())


def test_adam_as_a_loop_over_the_same_gradients():
    torch = pytest.importorskip("torch")
    spike = 100.0
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=1.0, betas=(0.9, 0.95), eps=0.0)
    steps = []
    for gradient in [1.0] * 400 + [spike] + [1.0] * 300:
        before = weight.item()
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        steps.append(before - weight.item())
    first, smallest, until = AdamClipping(spike=spike, beta2=0.95).after(spike)
    assert first == pytest.approx(steps[400], rel=1e-6)
    assert smallest == pytest.approx(min(steps[401:]), rel=1e-6)
    assert until == max(place for place, step in enumerate(steps[400:]) if step < 0.9) + 1


def test_weight_decay_as_pytorch_does_it():
    torch = pytest.importorskip("torch")
    given = WeightDecay()
    rows = dict(given.worked())
    for words, coupled in (("weights after, penalty in the loss", True), ("weights after, decoupled, SGD", False)):
        weights = torch.tensor(given.weights, dtype=torch.float64, requires_grad=True)
        loss = weights @ torch.tensor(given.vector, dtype=torch.float64)
        if coupled:
            loss = loss + given.decay / 2 * weights @ weights
        loss.backward()
        torch.nn.utils.clip_grad_norm_([weights], given.threshold)
        after = weights.detach() - given.rate * weights.grad
        if not coupled:
            after = after - given.rate * given.decay * weights.detach()
        np.testing.assert_allclose(numbers(rows[words]), after.numpy(), rtol=6e-4)


@pytest.mark.parametrize(("gain", "depth"), [(1.1, 100), (0.9, 400), (2.0, 5000)])
def test_depth(gain, depth):
    rows = dict(Depth(gain=gain, depth=depth).worked())
    (digits,) = [math.log10(number) for number in numbers(rows["factor of all layers"].replace("e+1505", "e+100"))]
    expected = depth * math.log10(gain)
    assert digits == pytest.approx(expected if expected < 300 else expected - 1405, abs=1e-3)
    side = "above" if gain > 1 else "below"
    (layers,) = numbers(rows[f"a gradient of 1 is {side} the range of fp16 after"].replace("layers", ""))
    limit = 65504 if gain > 1 else 2**-24
    assert (gain**layers > limit) == (gain > 1)
    assert (gain ** (layers - 1) > limit) != (gain > 1)


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.25, 1.0])
def test_smoothness_as_gradient_descent_on_a_bowl(rate):
    given = Smoothness(rate=rate)
    place, walked = 1.0, []
    for _ in range(given.steps):
        place -= rate * given.curvature * place
    rows = dict(given.worked())
    (loss,) = numbers(rows["loss after 10 steps, starting at 1"])
    assert loss == pytest.approx(place**2, rel=1e-3) or abs(math.log10(loss) - math.log10(place**2)) < 0.5
    place = 1.03  # steps of the same length from 1 would meet the minimum exactly
    for _ in range(2000):
        slope = given.curvature * place
        place -= rate * slope * min(1.0, given.threshold / abs(slope)) if slope else 0.0
        walked.append(abs(place))
    words = rows["with gradients clipped at 1"]
    if rate * given.curvature < 2:
        assert walked[-1] < 1e-6
        assert words.startswith("walks")
    else:
        assert 1e-3 < max(walked[-100:]) <= numbers(words)[0] + 1e-9
        assert "never settles" in words


def test_heavy_tails_as_drawn():
    rng = np.random.default_rng(0)
    given = HeavyTails(dimension=2000, threshold=1.5, tail=3)
    scale = np.sqrt(given.tail / rng.chisquare(given.tail, 200_000))
    norms = scale * np.sqrt(rng.chisquare(given.dimension, 200_000) / given.dimension)
    rows = dict(given.worked())
    told = numbers(rows["Student's t with 3: share of such steps"])[0] / 100
    assert told == pytest.approx(float(np.mean(norms > given.threshold)), rel=0.03)
    small = HeavyTails(dimension=10, threshold=1.5)
    drawn = float(np.mean(np.sqrt(rng.chisquare(10, 400_000) / 10) > 1.5))
    told = numbers(dict(small.worked())["Gaussian: share of steps above 1.5 times the usual"])[0]
    assert (told if told < 0.01 else told / 100) == pytest.approx(drawn, rel=0.1)


def test_scale_of_the_norm_as_counted():
    rng = np.random.default_rng(1)
    parts = rng.normal(size=(4, 250_000))
    share = np.linalg.norm(parts[0]) / np.linalg.norm(parts)
    rows = dict(NormScale(accumulation=8, ranks=4).worked())
    assert numbers(rows["ranks that hold a part each"])[0] == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("norm-clipping", "--depth", "3"), "takes no --depth"),
        (("healthy", "--depth", "3"), "healthy takes no numbers"),
        (("norm-clipping", "--vector", "3;4"), "--vector 3;4"),
        (("--vector", "3,4"), "numbers without a lesson"),
        (("weight-decay", "--vector", "1,2,3"), "--weights has 2 elements and --vector 3"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(capsys, words, message):
    assert command_line(["explain", *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[0]
