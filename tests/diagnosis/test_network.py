import numpy as np
import pytest

from gradlens.diagnosis.network import Layer, arrays_of, confidence_by, network_from


def layer(weights, offset, scale=(), shift=()):
    return Layer(**{
        name: np.array(values, dtype=np.float64)
        for name, values in {"weights": weights, "offset": offset, "scale": scale, "shift": shift}.items()
    })  # fmt: skip


LAST = layer([[1.0, 0.0], [0.0, 2.0]], [0.5, 0.0])


def test_one_layer_is_a_linear_score():
    found = confidence_by((LAST,), np.array([[3, 1], [0, 0]], dtype=np.int8))
    np.testing.assert_allclose(np.log(found[:, 0] / found[:, 1]), [3.5 - 2.0, 0.5])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_a_hidden_layer_normalises_scales_shifts_and_keeps_what_is_above_0():
    hidden = layer(np.eye(2), [0.0, 4.0], scale=[3.0, 5.0], shift=[1.0, 2.0])
    # 10 and 2 + 4 lie one deviation above and below their mean: 1 and -1, then 3 + 1, and -5 + 2, of which nothing is kept.
    found = confidence_by((hidden, LAST), np.array([[10, 2]], dtype=np.int8))
    np.testing.assert_allclose(np.log(found[:, 0] / found[:, 1]), [4.5], rtol=1e-5)


def test_equal_values_are_normalised_to_0():
    hidden = layer(np.eye(2), [0.0, 0.0], scale=[3.0, 5.0], shift=[1.0, 2.0])
    found = confidence_by((hidden, LAST), np.array([[7, 7]], dtype=np.int8))
    np.testing.assert_allclose(np.log(found[:, 0] / found[:, 1]), [1.5 - 4.0])


def test_no_score_is_too_large_and_no_runs_have_no_answers():
    found = confidence_by((layer([[100.0, 0.0]], [0.0, 0.0]),), np.array([[100]], dtype=np.int8))
    assert found.tolist() == [[1.0, 0.0]]
    assert confidence_by((LAST,), np.zeros((0, 2), dtype=np.int8)).shape == (0, 2)


def test_a_stored_network_comes_back():
    hidden = layer(np.eye(2), [0.0, 4.0], scale=[3.0, 5.0], shift=[1.0, 2.0])
    back = network_from({name: values.astype(np.float16) for name, values in arrays_of((hidden, LAST)).items()})
    assert len(back) == 2
    for one, other in zip(back, (hidden, LAST), strict=True):
        for name in ("weights", "offset", "scale", "shift"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == np.float64


def test_a_network_learns_what_is_there_and_never_names_what_was_not():
    pytest.importorskip("torch")
    from benchmarks.diagnosis.network import fit_network

    rng = np.random.default_rng(1)
    x = rng.integers(-125, 125, (9000, 5)).astype(np.int8)
    y = np.where(x[:, 0] > 20, 0, np.where(x[:, 1] + x[:, 2] > 0, 3, 1))  # no run has cause 2
    network = fit_network([x[:8000]], y[:8000], np.eye(4)[y[:8000]], weight=np.ones(8000))
    found = confidence_by(network, x[8000:])
    assert (found.argmax(axis=1) == y[8000:]).mean() > 0.85
    assert (found[:, 2] < 1e-9).all()
    again = fit_network([x[:8000]], y[:8000], np.eye(4)[y[:8000]], weight=np.ones(8000))
    np.testing.assert_array_equal(found, confidence_by(again, x[8000:]))


def test_a_stored_network_says_what_its_library_says():
    torch = pytest.importorskip("torch")
    from benchmarks.diagnosis.network import _network, _stored

    torch.manual_seed(3)
    net = _network(6, 3).eval()
    x = np.random.default_rng(2).integers(-125, 125, (50, 6)).astype(np.int8)
    centre, spread = np.linspace(-20.0, 20.0, 6), np.linspace(10.0, 60.0, 6)
    with torch.no_grad():
        expected = torch.softmax(net(torch.tensor(((x - centre) / spread).astype(np.float32))), dim=1).numpy()
    # Stored in half precision.
    np.testing.assert_allclose(confidence_by(_stored(net, centre, spread), x), expected, atol=0.01)
