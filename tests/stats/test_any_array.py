"""Whatever floats a log holds: no exception, no numpy warning, and every figure within its range."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradlens.stats import (
    clipping,
    coincidence,
    dependence,
    families,
    gpd,
    indices,
    powerlaw,
    robust,
    spikes,
    tails,
    thresholds,
    warmup,
)

FLOATS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1.0, -1.0, 1.5, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324]),
    st.floats(0.1, 10.0),
)
SMALL = hnp.arrays(np.float64, st.integers(0, 60), elements=FLOATS)


@st.composite
def runs(draw):
    """Some hundred values: noise of some scale, spoilt by an arbitrary short array laid over it."""
    n = draw(st.integers(0, 400))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    spread = draw(st.sampled_from([0.0, 1e-12, 0.01, 0.3, 3.0, 50.0]))
    value = draw(st.sampled_from([1e-300, 1e-8, 1.0, 1e30, 1e300])) * np.exp(
        np.clip(spread * rng.standard_normal(n), -300, 10)
    )
    if draw(st.booleans()):
        value = np.round(value, 1)
    patch = draw(SMALL)
    place = draw(st.integers(0, max(n, 1)))
    value[place : place + patch.size] = patch[: max(0, n - place)]
    return value


ARRAYS = st.one_of(SMALL, runs())
every = settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def no_nan(result):
    """Fail where a result holds a NaN outside its arrays."""
    if dataclasses.is_dataclass(result):
        for field in dataclasses.fields(result):
            no_nan(getattr(result, field.name))
    elif isinstance(result, tuple | list):
        for item in result:
            no_nan(item)
    elif isinstance(result, float):
        assert not math.isnan(result)


@every
@given(ARRAYS, st.floats(1e-6, 1e6))
def test_clip_statistics(value, threshold):
    found = clipping.clip_statistics(value, threshold)
    no_nan(found)
    assert found.n + found.nonfinite == value.size
    assert 0.0 <= found.interval[0] <= (found.clip_rate or 0.0)
    assert (found.clip_rate or 0.0) <= found.interval[1] <= 1.0
    assert found.n_effective <= max(found.n, 1)
    assert found.shrink_factor is None or 0.0 <= found.shrink_factor <= 1.0


@every
@given(ARRAYS)
def test_find_spikes(value):
    found = spikes.find_spikes(value)
    assert all(0 <= s.index < value.size for s in found.spikes)
    assert sum(run.length for run in found.nonfinite) == int((~np.isfinite(value)).sum())
    assert found.score is None or 0.0 <= found.score <= 1.0


@every
@given(ARRAYS)
def test_describe_tail(value):
    found = tails.describe_tail(value, threshold=1.0)
    no_nan(found.gaussian_null)
    no_nan(found.detrended)
    assert found.heavy in (None, True, False)


@every
@given(ARRAYS)
def test_suggest_level(value):
    found = thresholds.suggest_level(value)
    no_nan(found)
    assert (found.value is None) == (found.abstained is not None)
    if found.value is not None:
        assert found.interval[0] <= found.value <= found.interval[1]


@every
@given(ARRAYS, ARRAYS)
def test_warmup_and_phases(lr, norm):
    end = warmup.find_warmup_end(lr, norm).index
    assert 0 <= end <= max(lr.size, norm.size)
    phases = warmup.find_phases(lr, lr.size, min(end, lr.size))
    assert sum(p.last - p.first + 1 for p in phases) == lr.size


@every
@given(st.lists(st.integers(0, 499)), st.lists(st.integers(0, 499)), st.integers(0, 600))
def test_coincidence_of_any_events(loss, norm, end):
    found = coincidence.coincidence_tests(
        500, np.array(loss, dtype=int), np.array(norm, dtype=int), warmup_end=end, draws=99
    )
    no_nan(found)
    assert found.same_step.count + found.norm_leads.count + found.loss_leads.count <= found.loss_events


@every
@given(ARRAYS)
def test_fits(value):
    no_nan(families.fit_families(value))
    no_nan(powerlaw.fit_power_law(value))
    no_nan(indices.tail_indices(value))
    no_nan(gpd.fit_gpd(value, goodness=True))
    no_nan(gpd.peaks_over_threshold(value))


@every
@given(ARRAYS, st.integers(1, 80), st.booleans())
def test_rolling(value, window, centred):
    for found in (
        robust.rolling_median(value, window, centred=centred),
        robust.log_residuals(value, window, centred=centred),
    ):
        assert found.shape == value.shape


@every
@given(hnp.arrays(np.float64, st.integers(0, 80), elements=st.floats(-1e6, 1e6)))
def test_dependence(value):
    no_nan(dependence.block_length(value))
    size = dependence.effective_size(value)
    assert 0 <= size <= value.size
    no_nan(dependence.extremal_index(np.flatnonzero(value > 0)))


@every
@given(runs(), st.sampled_from([2.0**-40, 2.0**30]))
def test_scale_invariance(value, factor):
    usable = robust.usable_sizes(value)
    value = np.where(usable, value, np.nan)
    scaled = value * factor
    if not np.array_equal(robust.usable_sizes(scaled), usable):
        return  # some leave the range that counts: not the same run
    a, b = clipping.clip_statistics(value, 1.0), clipping.clip_statistics(scaled, factor)
    assert (a.clip_rate, a.interval, a.n_effective) == (b.clip_rate, b.interval, b.n_effective)
    x, y = tails.describe_tail(value), tails.describe_tail(scaled)
    assert x.heavy == y.heavy
    u, v = thresholds.suggest_level(value), thresholds.suggest_level(scaled)
    if u.value is not None:
        assert v.value == pytest.approx(u.value * factor, rel=1e-6)


def test_the_path_of_an_analysis_loads_numpy_only():
    code = (
        "import sys; from gradlens.stats import clipping, coincidence, spikes, tails, thresholds, warmup; "
        "from gradlens.advice import policies; import numpy as np; x = np.exp(.3 * np.random.default_rng(0).standard_normal(800)); "
        "tails.describe_tail(x, threshold=1.0); spikes.find_spikes(x); clipping.clip_statistics(x, 1.0); "
        "thresholds.suggest_level(x); policies.replay(x, policies.ZClip()); "
        "sys.exit(any(name.split('.')[0] in ('scipy', 'pandas', 'pyarrow') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
