"""Ranks and tests against published examples, scipy, and hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from foretell.studies._significance import (
    cliques,
    critical_difference,
    few_seeds,
    friedman,
    holm,
    mean_ranks,
    paired_t,
)

# Demsar 2006, JMLR 7, table 6: C4.5 on 14 data sets, plain, +m, +cf, +m+cf. Both 0.975 of the data
# set "voting" are rounded there; the ranks that the paper gives tell them apart.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_demsars_example():
    np.testing.assert_allclose(mean_ranks(DEMSAR), [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    test = friedman(DEMSAR)
    # the paper has 9.28 and F = 3.69, without the correction for ties
    ties = 1 - (3 * 6 + 60) / (14 * 60)  # three pairs, and one data set where all four are equal
    assert test.chi2 * ties == pytest.approx(9.28, abs=5e-3)
    assert test.chi2 == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).statistic)
    assert test.p < 0.05  # the paper: F(3, 39) = 2.85 at the 5 % level
    assert test.p == pytest.approx(stats.f.sf(test.f, 3, 39))
    # "the critical difference is 2.569 sqrt(4 5 / (6 14)) = 1.25"
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_critical_values_are_those_of_the_published_table():
    # Demsar 2006, table 5 (a), q_0.05 and q_0.10 of the Nemenyi test, 2 to 10 classifiers
    q05 = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    q10 = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]
    for alpha, table in ((0.05, q05), (0.10, q10)):
        for k, q in enumerate(table, start=2):
            found = critical_difference(k, 1, alpha) / np.sqrt(k * (k + 1) / 6)
            assert found == pytest.approx(q, abs=1.5e-3)


def test_friedman_is_scipys_where_nothing_ties():
    scores = np.random.default_rng(0).normal(size=(12, 5)) + np.arange(5) / 3
    assert friedman(scores).chi2 == pytest.approx(stats.friedmanchisquare(*scores.T).statistic)


@pytest.mark.parametrize("digits", [0, 1])
def test_friedman_is_scipys_with_ties(digits):
    scores = np.random.default_rng(1).normal(0, 0.4, size=(12, 5)).round(digits) + np.arange(5) // 2
    found = friedman(scores)
    assert any(len(np.unique(row)) < 5 for row in scores)
    assert found.chi2 == pytest.approx(stats.friedmanchisquare(*scores.T).statistic)
    assert found.f == pytest.approx(11 * found.chi2 / (12 * 4 - found.chi2))


def test_friedman_of_ties_alone_finds_nothing():
    assert friedman(np.ones((6, 3))) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_seeds_need_as_large_a_difference_as_is_said(n):
    words = few_seeds(n)
    least = float(words.split("above ")[1].split(" times")[0])
    for factor, alpha in ((0.9, np.greater), (1.1, np.less)):
        gain = np.random.default_rng(n).normal(size=n)
        gain = (gain - gain.mean()) / gain.std(ddof=1) + factor * least
        assert alpha(stats.ttest_1samp(gain, 0.0).pvalue, 0.05)
    assert few_seeds(5) is None
    assert "One seed" in few_seeds(1)


def test_the_same_order_everywhere_is_certain():
    assert friedman(np.tile([0.3, 0.2, 0.1], (4, 1))) == (8.0, np.inf, 0.0)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, never below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    adjusted = holm([0.02, np.nan, 0.01])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(adjusted[1])


def test_paired_t_is_scipys():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=8), rng.normal(0.5, 1, size=8)
    assert paired_t(one, other) == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert np.isnan(paired_t([1.0], [2.0]))
    assert paired_t([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert paired_t([2.0, 3.0], [1.0, 2.0]) == 0.0


def test_cliques_are_largest_groups():
    assert cliques([1.0, 3.0, 5.0], 1.0) == []
    assert cliques([3.0, 1.0, 2.0], 9.0) == [(0, 2)]
    assert cliques([1.0, 1.2, 3.0, 3.1, 9.0], 0.5) == [(0, 1), (2, 3)]
