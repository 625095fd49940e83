"""Zero-cost scores as evidence: kept, partial, in hybrids, by any data; aggregates of ranks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge

import foretell as ft
from foretell.cli import app
from foretell.errors import DataError, ForetellError, SettingError, UnknownNameError
from foretell.evidence import ledger
from foretell.evidence.zero_cost.parts.reference import REFERENCE
from foretell.evidence.zero_cost.parts.table import Scoring
from foretell.testing.evidence import check_evidence
from foretell.training.data import load

SMALL = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(3, 8, 8))
X = SMALL.sample(12, rng=0)


@pytest.fixture(autouse=True)
def _ledger(tmp_path):
    with ledger(tmp_path / "evidence"):
        yield


@pytest.mark.slow
def test_keeps_the_promises_of_evidence():
    check_evidence(ft.proxies.ZeroCost(("n-layers", "naswot"), batch=4, space=SMALL))


def test_a_hybrid_is_an_expression():
    y = (X == 3).sum(axis=1) + 0.5 * (X == 2).sum(axis=1)
    data = (np.random.default_rng(0).normal(size=(8, 3, 8, 8)), np.arange(8) % 4)
    scores = ft.proxies.ZeroCost("jacob-cov", data=data)
    model = ft.predictors.OnFeatures(SMALL, BayesianRidge(), encoding=("path", scores))
    assert np.isfinite(model.fit(X, y).predict(X)).all()
    assert clone(model).fit(X, y).predict(X).tolist() == model.predict(X).tolist()
    assert ft.proxies.ZeroCost("jacob-cov", data=data, space=SMALL).known(X).all()


def test_what_has_no_score_does_not_take_the_others_along():
    found = ft.proxies.ZeroCost(("n-params", "naswot"), batch=8, space=SMALL)
    nothing = [[0] * 6]
    assert np.isnan(found.values(nothing)).tolist() == [[False, True]]
    assert found.failures(nothing)[0].startswith("naswot: ")
    assert ft.proxies.ZeroCost(("n-params", "naswot"), batch=8, space=SMALL).known(nothing).all()


def test_on_a_card_the_scores_are_the_same(card):
    names = ("synflow", "naswot", "snip", "zen", "vkdnw", "n-flops")
    here, there = (
        ft.proxies.ZeroCost(names, batch=8, space=SMALL, device=device).compute(X[:3]).values
        for device in ("cpu", "auto")
    )
    np.testing.assert_allclose(there, here, rtol=1e-5)


def test_the_data_counts():
    images = np.random.default_rng(0).integers(0, 255, size=(8, 3, 8, 8), dtype=np.uint8)
    labels = np.arange(8) % 10
    one = ft.proxies.ZeroCost("jacob-cov", (images, labels), space=SMALL)
    same = ft.proxies.ZeroCost("jacob-cov", ft.proxies.batch((images, labels)), space=SMALL)
    other = ft.proxies.ZeroCost("jacob-cov", (images[:, ::-1], labels), space=SMALL)
    assert one.book == same.book != other.book
    assert one.values(X[:2]).tolist() == same.values(X[:2]).tolist()
    assert not np.isclose(one.values(X[:2]), other.values(X[:2])).all()


def test_batches():
    digits = load("digits")
    found = ft.proxies.batch(digits, 16)
    assert (found.inputs.shape, found.n_outputs) == ((16, 1, 8, 8), 10)
    assert torch.equal(found.inputs, ft.proxies.batch("digits", 16).inputs)
    rows = {row.tobytes() for row in digits.x[digits.split["train"]]}
    plain = ft.proxies.batch(digits, 16)
    assert len(rows) > 1000
    assert abs(float(plain.inputs.mean())) < 0.3
    images = np.random.default_rng(0).integers(0, 255, size=(9, 3, 4, 4), dtype=np.uint8)
    found = ft.proxies.batch((images, np.arange(9)), 9)
    assert found.inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert (found.inputs.std((0, 2, 3)) - 1).abs().max() < 1e-4
    with pytest.raises(DataError, match="as many targets"):
        ft.proxies.batch((images, np.arange(8)))
    with pytest.raises(DataError, match="numbers from 0"):
        ft.proxies.batch((images, np.arange(9) - 1))


def test_ranks_by_hand():
    scores = {"a": [3.0, 1.0, np.nan, 2.0], "b": [5.0, 5.0, 7.0, 0.0]}
    ranks = ft.proxies.rank("a") + 2 * ft.proxies.log_rank("b")
    expected = np.array([4, 2, 1, 3]) / 4 + 2 * np.log(np.array([2.5, 2.5, 4, 1]) / 4)
    np.testing.assert_allclose(ft.proxies.ranked(ranks, scores), expected)
    assert ranks.names == ("a", "b")
    with pytest.raises(DataError, match="a, b"):
        ft.proxies.ranked(ranks, {"a": [1.0]})


def test_published_aggregate_by_hand():
    """AZ-NAS: the sum of logarithms of four ranks."""
    draws = np.random.default_rng(0)
    names = ("az-expressivity", "az-progressivity", "az-trainability", "n-flops")
    scores = {name: draws.normal(size=20) for name in names}
    places = [np.argsort(np.argsort(scores[name])) + 1 for name in names]
    expected = np.log(np.array(places) / 20).sum(axis=0)
    np.testing.assert_allclose(ft.proxies.ranked("az-nas", scores), expected)
    lower = ft.proxies.ranked("te-nas", {"ntk-cond": [1.0, 2.0], "linear-regions": [5.0, 5.0]})
    assert lower[0] > lower[1]
    with pytest.raises(SettingError, match="aggregate"):
        ft.proxies.ranked("snip", scores)


def test_aggregates_alone_order_as_ranks_do():
    from foretell.metrics import kendall

    names = ("consensus", *ft.proxies.get("consensus").ranks.names)
    space = ft.spaces.get("nb201", n_cells=1, input_shape=(3, 16, 16))
    rows = space.sample(14, rng=1)
    values = ft.proxies.ZeroCost(names, batch=16, space=space).values(rows)
    table = dict(zip(names, values.T, strict=True))
    assert kendall(ft.proxies.ranked("consensus", table), table["consensus"]) > 0.6


def test_the_reference_has_every_proxy_that_is_no_aggregate():
    single = [
        n for n in ft.proxies.names() if not isinstance(ft.proxies.get(n), ft.proxies.Aggregate)
    ]
    assert sorted(REFERENCE) == single
    assert all(spread > 0 for _, spread in REFERENCE.values())


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="synflow"):
        ft.proxies.score("synflo", torch.nn.Linear(2, 2), (np.zeros((4, 2)), np.arange(4) % 2))
    with pytest.raises(SettingError, match="at least one"):
        ft.proxies.score([], torch.nn.Linear(2, 2), (np.zeros((4, 2)), np.arange(4) % 2))


def test_many_networks_as_a_table():
    scoring = Scoring(SMALL, X, ["te-nas", "n-params"], batch=8)
    seen = [one.index for one in scoring]
    assert seen == list(range(12))
    table = scoring.table()
    assert list(table) == ["te-nas", "n-params"]
    np.testing.assert_array_equal(table["n-params"], SMALL.costs(X).params)
    order = scoring.order()
    assert (np.diff(table["te-nas"][order]) <= 0).all()
    again = Scoring(SMALL, X, ["te-nas", "n-params"], batch=8)
    assert again.evidence.known(X).all()
    lower = Scoring(SMALL, X, ["ntk-cond"], batch=8)
    assert len(list(lower.run(workers=2))) == 12
    values = lower.table()["ntk-cond"][lower.order()]
    assert np.isnan(values).tolist() == sorted(np.isnan(values))
    assert (np.diff(values[~np.isnan(values)]) >= 0).all()


def call(*args):
    import sys

    from foretell import cli

    sys.argv = ["foretell", *args]
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["foretell"])
    more = ["--space", "mobile", "--space-set", "preset=tiny", "--data", "digits", "--batch", "8"]
    out = ["--out", str(tmp_path / "scores"), "--proxies", "consensus,synflow"]
    assert call("score", *more, *out, "--n", "3") == 0
    first = capsys.readouterr().out.splitlines()
    assert [line.count("synflow=") for line in first[:3]] == [1, 1, 1]
    assert "next: foretell run" in first[-1]
    with open(tmp_path / "scores" / "scores.csv") as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["consensus"]) for row in rows] == sorted(
        (float(row["consensus"]) for row in rows), reverse=True
    )
    (book,) = (tmp_path / "scores" / "evidence").glob("zero-cost-*.jsonl")
    answers = len(book.read_text().splitlines())
    assert call("score", *more, *out, "--n", "5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["networks"]) == 5
    assert len(book.read_text().splitlines()) == answers + 2
    with pytest.raises(ForetellError, match="did you mean 'synflow'"):
        app(["score", *more, "--proxies", "synflo"], standalone_mode=False)
    with pytest.raises(SettingError, match="device"):
        app(["score", *more, "--device", "cuda:9"], standalone_mode=False)
