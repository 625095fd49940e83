"""The floor: lazy import, catalog, errors, random streams, metrics."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell import _catalog, errors, metrics
from foretell._rng import derive, stream

ROOT = Path(__file__).resolve().parents[1]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_quick_and_without_torch() -> None:
    code = (
        "import time, sys; t = time.perf_counter(); import foretell; s = time.perf_counter() - t;"
        "import foretell.cli; foretell.spaces.get('nb201').sample(3, rng=0);"
        "print(s < 0.5, 'torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    assert run(code) == "True False False"


def test_core_dependencies_are_few() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    beside_torch = [need for need in project["dependencies"] if not need.startswith("torch")]
    assert len(beside_torch) <= 8


def test_every_public_name_resolves() -> None:
    for name in ft.__all__:
        assert getattr(ft, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Spaces'"):
        _ = ft.Spaces


@pytest.mark.parametrize("kind", sorted(_catalog.KINDS))
def test_catalog_rows(kind: str) -> None:
    rows = _catalog.KINDS[kind]
    assert len({row.name for row in rows}) == len(rows)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for row in rows:
        assert row.summary
        assert bool(row.extra) == bool(row.packages)
        assert not row.extra or row.extra in extras
        try:
            loaded = row.load()
        except errors.MissingExtraError:
            continue
        assert loaded.__doc__


def test_unknown_name_lists_and_suggests() -> None:
    with pytest.raises(errors.UnknownNameError) as caught:
        ft.spaces.get("nb20l")
    assert "did you mean 'nb201'?" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_missing_extra_names_the_pip_line() -> None:
    row = _catalog.Row("x", "m:C", "s", extra="trees", packages=("no_such_package",))
    with pytest.raises(ImportError, match=r"pip install 'foretell\[trees\]'"):
        row.load()


def test_errors_survive_a_process_boundary() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        error = pool.submit(eval, "__import__('foretell').spaces.get('nope')").exception()
    assert type(error) is errors.UnknownNameError
    assert "unknown space 'nope'" in str(error)
    assert str(errors.UnknownArchitectureError("no 'x'")) == "no 'x'"  # KeyError would repr it


def test_streams_are_equal_in_another_process_and_independent() -> None:
    code = "from foretell._rng import stream; print(stream(7, 'ask', 3).integers(10**9))"
    assert run(code) == str(stream(7, "ask", 3).integers(10**9))
    draws = np.stack([stream(0, "a", k).random(2000) for k in range(4)])
    off_diagonal = np.corrcoef(draws)[~np.eye(4, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.1
    assert 0 <= derive(3, "torch") < 2**31


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_bad_seed(seed: object) -> None:
    with pytest.raises(errors.SettingError, match="non-negative integer"):
        stream(seed)


def brute_tau_b(a: np.ndarray, b: np.ndarray) -> float:
    i, j = np.triu_indices(len(a), 1)
    x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    scale = np.sqrt((x != 0).sum() * (y != 0).sum())
    return float((x * y).sum() / scale) if scale else 0.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_kendall_against_all_pairs(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=float).T
    assert metrics.kendall(a, b) == pytest.approx(brute_tau_b(a, b), abs=1e-12)


def test_metrics_on_rankings() -> None:
    true = np.arange(10.0)
    assert metrics.kendall(true, true) == metrics.spearman(true, true) == pytest.approx(1.0)
    assert metrics.kendall(true, -true) == pytest.approx(-1.0)
    assert metrics.kendall(true, np.ones(10)) == metrics.pearson(true, np.ones(10)) == 0.0
    assert metrics.precision_at_k(true, true, 3) == 1.0
    assert metrics.precision_at_k(true, -true, 3) == 0.0
    assert metrics.best_rank_at_k(true, -true, 3) == 8.0
    assert metrics.regret(true, -true, 1) == 9.0
    with pytest.raises(errors.DataError, match="NaN"):
        metrics.kendall([1, 2], [np.nan, 1])
    with pytest.raises(errors.DataError, match="equal shapes"):
        metrics.kendall([1, 2], [1, 2, 3])


few = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5)


@given(few, st.integers(1, 6))
def test_ties_in_any_order_against_all_orders(pairs: list[tuple[int, int]], k: int) -> None:
    true, pred = np.array(pairs, dtype=float).T
    n, k_there = len(true), min(k, len(pairs))
    orders = [np.array(order) for order in permutations(range(n))]
    by_pred = [o[np.argsort(-pred[o], kind="stable")][:k_there] for o in orders]
    by_true = [o[np.argsort(-true[o], kind="stable")][:k_there] for o in orders]
    best = [true[top].max() for top in by_pred]
    likely_true = np.bincount(np.concatenate(by_true), minlength=n) / len(orders)
    likely_pred = np.bincount(np.concatenate(by_pred), minlength=n) / len(orders)
    assert metrics.regret(true, pred, k) == pytest.approx(true.max() - np.mean(best))
    assert metrics.best_rank_at_k(true, pred, k) == pytest.approx(
        np.mean([(true > value).sum() + 1 for value in best])
    )
    assert metrics.precision_at_k(true, pred, k) == pytest.approx(
        likely_true @ likely_pred / k_there
    )


def test_a_constant_prediction_over_sorted_targets_knows_nothing() -> None:
    true = np.arange(100.0)[::-1]
    assert metrics.precision_at_k(true, np.ones(100), 10) == pytest.approx(0.1)
    assert metrics.regret(true, np.ones(100), 1) == pytest.approx(49.5)
    assert metrics.best_rank_at_k(true, np.ones(100), 1) == pytest.approx(50.5)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, None, "2", np.nan, np.inf])
def test_no_top_without_a_whole_k(k: float) -> None:
    for metric in (metrics.precision_at_k, metrics.regret, metrics.best_rank_at_k):
        with pytest.raises(errors.SettingError, match="whole number from 1"):
            metric([1.0, 2.0], [1.0, 2.0], k)


def test_levels_and_deviations_that_are_none() -> None:
    for level in (90, 1.0, 0.0, -0.1, np.nan, None, "0.9", True):
        for of_level in (
            lambda level: metrics.coverage([1.0], [1.0], [1.0], level),
            lambda level: metrics.mean_interval([1.0, 2.0], level),
            lambda level: metrics.share_interval(1, 2, level),
            lambda level: metrics.welch([1.0, 2.0], [1.0, 3.0], level),
        ):
            with pytest.raises(errors.SettingError, match="share between 0 and 1"):
                of_level(level)
    for std in ([np.nan], [-1.0], [1.0, 1.0]):
        for metric in (metrics.coverage, metrics.calibration_error):
            with pytest.raises(errors.DataError, match="standard deviations"):
                metric([1.0], [1.0], std)
    with pytest.raises(errors.SettingError, match="positive number"):
        metrics.sparse_kendall([1.0, 2.0], [1.0, 2.0], 0.0)


@pytest.mark.parametrize("wrong", [["a", "b"], [1j, 2.0], [[1.0], [1.0, 2.0]], [None, "x"]])
def test_values_that_are_no_numbers(wrong: list[object]) -> None:
    for metric in (metrics.kendall, metrics.pearson, metrics.regret):
        with pytest.raises(errors.DataError, match="real numbers"):
            metric(wrong, [1.0, 2.0])


def test_of_nothing() -> None:
    for ranking in (metrics.kendall, metrics.spearman, metrics.pearson):
        assert ranking([], []) == ranking([1.0], [1.0]) == 0.0
    for metric in (metrics.regret, metrics.coverage, metrics.calibration_error):
        with pytest.raises(errors.DataError, match="some values"):
            metric([], [], *([] if metric is metrics.regret else [[]]))
    assert np.isnan(metrics.mean_interval([])).all()
    assert np.isnan(metrics.welch([], [1.0])).all()
    wide = metrics.welch([0.5, 1.0], [0.1, 0.9])  # freedom of hardly one
    assert wide[1] < -1
    assert wide[2] > 1
    assert metrics.welch([0.5, 1.0], [0.1, 0.9], metric="test_f1") == (wide[0], -1.0, 1.0)
    assert metrics.welch([0.5, 1.0], [0.1, 0.9], metric="test_r2") == wide
    with pytest.raises(errors.SettingError, match="at least 1"):
        metrics.share_interval(0, 0)


def test_coverage_of_a_calibrated_normal() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=20_000)
    assert metrics.coverage(y, np.zeros_like(y), np.ones_like(y), 0.8) == pytest.approx(
        0.8, abs=0.01
    )


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        mean, half = metrics.mean_interval(rng.normal(size=5), 0.95)
        hits += abs(mean) <= half
    assert hits / 1000 == pytest.approx(0.95, abs=0.025)
