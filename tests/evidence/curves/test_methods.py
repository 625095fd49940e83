"""What methods on curves compute, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from foretell.errors import DataError, SettingError
from foretell.evidence import curves
from foretell.evidence.curves.parts.families import FAMILIES, Ensemble, Mixture, noise, ramps
from foretell.evidence.curves.parts.samplers import elliptical, stretch

X = np.arange(1.0, 9.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_ramps_rise_from_0_to_1(name):
    z = np.random.default_rng(0).standard_normal((200, FAMILIES[name].size))
    ramp = FAMILIES[name].ramp(np.arange(1.0, 31.0), 30.0, z)
    assert ramp.shape == (200, 30)
    assert ramp[:, 0] == pytest.approx(0.0, abs=1e-9)
    assert ramp[:, -1] == pytest.approx(1.0)
    assert (np.diff(ramp) >= -1e-9).all()


def test_pow3_is_the_published_formula():
    z = np.array([0.4])
    alpha = np.exp(-0.3 + 0.7 * 0.4)
    limit, gap = 0.9, 0.6  # c - a x^-alpha
    published = limit - gap * X**-alpha
    rise = published[-1] - published[0]
    assert published[0] + rise * FAMILIES["pow3"].ramp(X, 8.0, z) == pytest.approx(published)


def test_linear_parts_are_integrated_out():
    """Likelihood and value at the horizon, by the dense normal distributions."""
    model = Ensemble(("pow3", "mmf", "ilog2"), 20.0)
    rng = np.random.default_rng(1)
    z, y = rng.standard_normal((1, 1, model.size)), rng.uniform(0.2, 0.6, (1, 8))
    found = model.given(z, X, y)
    R = ramps(model.families, X, 20.0, z[..., 1:])[0, 0]
    F, sigma = np.column_stack([np.ones(8), R]), noise(z[0, 0, 0])
    V = np.diag(model.variance)
    cover = F @ V @ F.T + sigma**2 * np.eye(8)
    dense = stats.multivariate_normal(F @ model.mean, cover).logpdf(y[0])
    assert found.log_likelihood[0, 0] == pytest.approx(dense + 4 * np.log(2 * np.pi))
    gain = V @ F.T @ np.linalg.inv(cover)
    ends = np.ones(4)
    assert found.mean[0, 0] == pytest.approx(ends @ (model.mean + gain @ (y[0] - F @ model.mean)))
    assert found.variance[0, 0] == pytest.approx(ends @ (V - gain @ F @ V) @ ends)


def test_slice_sampling_finds_a_conjugate_posterior():
    """z ~ N(0, I), y | z ~ N(z, s^2): mean y / (1 + s^2), variance s^2 / (1 + s^2)."""
    y, s = np.array([[1.0, -2.0], [0.5, 3.0]]), 0.7

    def log_likelihood(z, rows):
        return -((z - y[rows][:, None]) ** 2).sum(axis=-1) / (2 * s**2)

    rng = np.random.default_rng(0)
    states = elliptical(log_likelihood, np.zeros((2, 40, 2)), 200, rng)[50:]
    assert states.mean(axis=(0, 2)) == pytest.approx(y / (1 + s**2), abs=0.05)
    assert states.var(axis=(0, 2)) == pytest.approx(np.full((2, 2), s**2 / (1 + s**2)), rel=0.1)


def test_what_is_drawn_for_one_does_not_depend_on_others():
    y = np.array([[1.0], [-2.0], [5.0]])

    def of(y):
        return lambda z, rows: -((z - y[rows][:, None]) ** 2).sum(axis=-1) / 0.02

    all_of_them = elliptical(of(y), np.zeros((3, 4, 1)), 20, np.random.default_rng(3))
    alone = elliptical(of(y[1:2]), np.zeros((1, 4, 1)), 20, np.random.default_rng(3))
    assert np.array_equal(all_of_them[:, 1:2], alone)


def test_walkers_find_a_normal_distribution():
    cover = np.array([[1.0, 0.8], [0.8, 2.0]])
    inverse, centre = np.linalg.inv(cover), np.array([3.0, -1.0])

    def log_density(z, rows):
        off = z - centre
        return -np.einsum("...i,ij,...j->...", off, inverse, off) / 2

    rng = np.random.default_rng(0)
    states = stretch(log_density, rng.standard_normal((1, 60, 2)), 800, rng)[200:]
    flat = states.reshape(-1, 2)
    assert flat.mean(axis=0) == pytest.approx(centre, abs=0.1)
    assert np.cov(flat.T) == pytest.approx(cover, abs=0.2)


@pytest.mark.parametrize("name", ["lce", "lce-m"])
def test_extrapolation_of_drawn_curves(name):
    """Curves of the prior itself: nearer than the last value, and intervals that hold."""
    model = Mixture(("pow3", "mmf", "hill3", "exp4"), 40.0)
    rng = np.random.default_rng(5)
    f, sigma = model.curves(0.8 * rng.standard_normal((40, model.size)), np.arange(1.0, 41.0))
    acc = f + sigma[:, None] * rng.standard_normal(f.shape)
    method = curves.get(name)
    mean, std = method.predict({"val_acc": acc}, epochs=10, return_std=True)
    assert np.median(np.abs(mean - acc[:, -1])) < 0.8 * np.median(np.abs(acc[:, 9] - acc[:, -1]))
    low, high = method.interval({"val_acc": acc}, epochs=10).T
    assert ((low <= acc[:, -1]) & (acc[:, -1] <= high)).mean() >= 0.75
    assert (std > 0).all()


def test_losses_are_negated_and_percent_are_fractions():
    loss = 2.0 + 3.0 / X
    said = curves.get("lce", steps=40).predict({"val_loss": [loss]}, epochs=5)
    assert -2.9 < said[0] < -2.1
    acc = 0.8 - 0.5 / X
    both = [curves.get("lce", steps=40).predict({"val_acc": [k * acc]}, epochs=5) for k in (1, 100)]
    assert both[1] == pytest.approx(100 * both[0])


def test_a_horizon_beyond_what_is_given():
    acc = 0.8 - 0.5 * np.arange(1.0, 41.0) ** -0.7
    whole = curves.get("lce", steps=40).predict({"val_acc": [acc]}, epochs=15)
    begun = curves.get("lce", steps=40, horizon=40).predict({"val_acc": [acc[:15]]})
    assert np.array_equal(whole, begun)


def test_wrong_settings():
    acc = {"val_acc": [0.8 - 0.5 / X]}
    with pytest.raises(SettingError, match="some of pow3"):
        curves.get("lce", families=("cubic",)).predict(acc, epochs=5)
    with pytest.raises(SettingError, match="even number above"):
        curves.get("lce-m", chains=7).predict(acc, epochs=5)
    with pytest.raises(SettingError, match="SoTLE, last"):
        curves.get("sotl-e", last=0).predict({"train_loss": [1 / X]})


def test_calibrated_intervals_hold_nine_tenths_of_others_like_them():
    """Curves that a schedule bends alike: the families do not know it, whole curves tell."""
    rng = np.random.default_rng(0)
    e, n = 30, 120
    x = np.arange(1, e + 1)
    ends = rng.uniform(0.6, 0.9, (n, 1))
    bent = 1 - 0.5 * (1 + np.cos(np.pi * x / e))  # as a cosine schedule does
    whole = ends * (0.4 + 0.3 * (1 - x**-0.8) + 0.3 * bent) + 0.01 * rng.normal(size=(n, e))
    known, rest = {"val_acc": whole[:60]}, {"val_acc": whole[60:]}
    method = curves.get("lce", chains=2, steps=30)
    truth = whole[60:, -1]

    def inside(interval):
        return np.mean((interval[:, 0] <= truth) & (truth <= interval[:, 1]))

    plain, mean = method.interval(rest, 10), method.predict(rest, 10)
    found = clone(method).calibrate(known, 10)
    assert 0.8 <= inside(found.interval(rest, 10)) <= 0.99
    np.testing.assert_allclose(found.predict(rest, 10), mean)
    wide = np.diff(found.interval(rest, 10)) / np.diff(plain)
    np.testing.assert_allclose(wide, found.wider_[10], rtol=1e-6)
    np.testing.assert_array_equal(found.interval(rest, 15), method.interval(rest, 15))
    assert found.calibrate(known, 10).wider_ == {10: found.wider_[10]}  # not on top of itself


def test_too_few_curves_calibrate_nothing():
    begun = {"val_acc": np.linspace(0.1, 0.9, 12)[None].repeat(9, axis=0)}
    with pytest.raises(DataError, match="at least 10"):
        curves.get("lce").calibrate(begun, 6)
