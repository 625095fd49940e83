"""Expected gains agree with order statistics in closed form, and with what a real table gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

import foretell as ft
from foretell._rng import stream
from foretell.errors import DataError, SettingError
from foretell.expected import Gain, expected_gain


def mean_of_largest_normal(n: int) -> float:
    """E[max of n] = integral of x n phi(x) Phi(x)^(n-1)."""
    value, _ = integrate.quad(
        lambda x: x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1), -10, 10
    )
    return float(value)


# E[max of n] in closed form: n / (n + 1), the n-th harmonic number, and an integral
LARGEST: dict[str, Callable[[int], float]] = {
    "uniform": lambda n: n / (n + 1),
    "exponential": lambda n: float(np.sum(1 / np.arange(1, n + 1))),
    "normal": mean_of_largest_normal,
}
DRAW = {
    "uniform": lambda rng, n: rng.random(n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "normal": lambda rng, n: rng.normal(size=n),
}


@pytest.mark.parametrize("name", LARGEST)
@pytest.mark.parametrize(("n", "m"), [(24, 10), (60, 20), (60, 50)])
def test_the_mean_is_near_the_closed_form(name: str, n: int, m: int) -> None:
    rng = stream(3, name, n, m)
    upper = 1.0 if name == "uniform" else np.inf
    gains = [expected_gain(DRAW[name](rng, n), m, upper=upper) for _ in range(100)]
    exact = LARGEST[name](n + m) - LARGEST[name](n)
    assert 0.45 * exact < np.mean([gain.mean for gain in gains]) < 2 * exact
    # whatever the distribution, the best of n + m is among the last m with probability m / (n + m)
    chance = np.mean([gain.chance for gain in gains])
    assert 0.7 < chance * (n + m) / m < 1.3


@pytest.mark.parametrize("column", ["cifar10_val_12ep", "cifar10_test_200ep"])
@pytest.mark.parametrize(("n", "m"), [(24, 20), (60, 50)])
def test_on_a_real_table_the_realised_gain_is_as_foretold(
    column: str, n: int, m: int, data_dir: Path
) -> None:
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=ft.spaces.get("nb201"))
    values = np.sort(table.column(column) / 100)
    share = np.arange(1, len(values) + 1) / len(values)  # not above each value
    gains, realised, expected = [], [], []
    for draw in range(200):
        y = stream(draw, "draw", n, m).choice(values, n + m, replace=False)
        gains.append(expected_gain(y[:n], m, upper=1.0))
        realised.append(max(float(y.max() - y[:n].max()), 0.0))
        above = slice(np.searchsorted(values, y[:n].max(), "right") - 1, None)
        steps = np.diff(values[above])
        expected.append(np.sum((1 - share[above][:-1] ** m) * steps))  # over all next m
    foretold = np.mean([gain.mean for gain in gains])
    assert np.mean(expected) / 2 < foretold < 2 * np.mean(expected)
    inside = [g.low <= r <= g.high for g, r in zip(gains, realised, strict=True)]
    assert np.mean(inside) >= 0.85  # of intervals of 90 %


def test_predicted_trials_are_worth_what_the_predictions_were() -> None:
    y = stream(0, "y").normal(size=60)
    random = expected_gain(y, 10)
    good, bad = expected_gain(y, 10, predicted=y), expected_gain(y, 10, predicted=-y)
    assert bad.mean < random.mean < good.mean
    # 8 of the 8 best predicted were among the 8 best of 60: about 60 / 8 random trials each
    many = expected_gain(y, 75)
    assert good.mean == pytest.approx(many.mean, rel=0.1)


def test_units_and_ceilings() -> None:
    y = stream(1, "y").random(40)
    one, ten = expected_gain(y, 10), expected_gain(7 * y - 3, 10)
    assert ten.mean == pytest.approx(7 * one.mean)
    assert ten.high == pytest.approx(7 * one.high)
    assert ten.chance == pytest.approx(one.chance)
    assert expected_gain(y, 10, upper=1.0).high <= 1 - y.max()
    assert expected_gain(y, 10, best=1.0, upper=1.0) == Gain(10, 0, 0, 0, 0)
    means = [expected_gain(y, m).mean for m in (1, 10, 100)]
    assert means == sorted(means)
    assert expected_gain(y, 10, best=y.max() + 0.01).mean < one.mean


def test_values_that_are_all_equal_promise_nothing() -> None:
    assert expected_gain([0.5] * 20, 10) == Gain(10, 0, 0, 0, 0)
    assert expected_gain([0.5] * 20 + [np.nan], 10) == Gain(10, 0, 0, 0, 0)


def test_wrong_input_is_said() -> None:
    with pytest.raises(DataError, match="expected 5 or more, got 4"):
        expected_gain([1, 2, 3, 4, np.nan], 10)
    with pytest.raises(DataError, match="shapes"):
        expected_gain([1, 2, 3, 4, 5], 10, predicted=[1, 2])
    with pytest.raises(SettingError, match="m of 1 or more"):
        expected_gain([1, 2, 3, 4, 5], 0)
