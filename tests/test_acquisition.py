"""Acquisition functions against quadrature, known values and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from foretell import acquisition
from foretell.errors import DataError, SettingError

CASES = [(0.3, 0.2, 0.5), (0.9, 0.05, 0.5), (-1.0, 2.0, 0.0), (0.5, 0.1, 0.5)]


@pytest.mark.parametrize(("mean", "std", "best"), CASES)
def test_expected_improvement_is_the_integral_it_stands_for(mean, std, best):
    ends = best, max(best, mean) + 12 * std
    exact = quad(lambda y: (y - best) * norm.pdf(y, mean, std), *ends, epsabs=1e-13)[0]
    got = acquisition.expected_improvement([mean], [std], best)[0]
    assert got == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(("mean", "std", "best"), CASES)
def test_probability_of_improvement_is_the_integral_it_stands_for(mean, std, best):
    exact = norm.sf(best, mean, std)
    assert acquisition.probability_of_improvement([mean], [std], best)[0] == pytest.approx(exact)


def test_known_values():
    # Jones et al.: at mean = best the improvement is std / sqrt(2 pi)
    assert acquisition.expected_improvement([1.0], [3.0], 1.0)[0] == pytest.approx(
        3 / np.sqrt(2 * np.pi)
    )
    # one standard deviation below and above: phi(1) -+ Phi(-+1)
    got = acquisition.expected_improvement([-1.0, 1.0], [1.0, 1.0], 0.0)
    np.testing.assert_allclose(got, [0.08331547, 1.08331547], atol=1e-8)
    assert acquisition.upper_bound([1.0], [0.5], 0.5).tolist() == [1.25]


def test_without_doubt_it_is_the_mean():
    mean, none = np.array([-1.0, 0.0, 2.0]), np.zeros(3)
    assert acquisition.expected_improvement(mean, none, 0.0).tolist() == [0.0, 0.0, 2.0]
    assert acquisition.probability_of_improvement(mean, none, 0.0).tolist() == [0.0, 0.5, 1.0]
    draws = acquisition.independent_draws(mean, none, np.random.default_rng(0))
    assert draws.tolist() == mean.tolist()


def test_independent_draws_have_the_mean_and_the_deviation():
    mean, std = np.full(40_000, 2.0), np.full(40_000, 0.5)
    draws = acquisition.independent_draws(mean, std, np.random.default_rng(1))
    assert abs(draws.mean() - 2.0) < 4 * 0.5 / 200
    assert abs(draws.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * 40_000)


def test_kinds_by_name():
    mean, std = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    rng = np.random.default_rng(0)
    assert acquisition.scores("mean", mean, None, 0.0, rng).tolist() == [0.0, 1.0]
    assert acquisition.scores("ucb", mean, std, 0.0, rng, beta=2.0).tolist() == [2.0, 5.0]
    for kind, exact in (
        ("ei", acquisition.expected_improvement(mean, std, 0.5)),
        ("pi", acquisition.probability_of_improvement(mean, std, 0.5)),
    ):
        assert np.array_equal(acquisition.scores(kind, mean, std, 0.5, rng), exact)
    with pytest.raises(SettingError, match="uncertainty"):
        acquisition.scores("ei", mean, None, 0.0, rng)
    with pytest.raises(SettingError, match="one of mean, ei"):
        acquisition.scores("best", mean, std, 0.0, rng)
    with pytest.raises(DataError, match="none below 0"):
        acquisition.expected_improvement([0.0], [-1.0], 0.0)
