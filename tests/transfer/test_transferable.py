"""Transferable: the prior, what a few results add, and modules of any kind."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.graphs.measures import NAMES, measures
from foretell.transfer.foretold import Foretold
from foretell.transfer.parts.learning import (
    CORE,
    SIZE,
    Source,
    learn,
    normal_scores,
    ranking_loss,
)
from foretell.transfer.parts.prior import SHIPPED, Prior, shipped


def chain(widths: list[int]) -> nn.Module:
    layers: list[nn.Module] = []
    c = 3
    for width in widths:
        layers += [nn.Conv2d(c, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    """Two small spaces in which width and depth are good."""
    out = []
    for name, settings in (
        ("nb201", {"channels": 4, "n_cells": 1}),
        ("mobile", {"preset": "tiny"}),
    ):
        space = ft.spaces.get(name, **settings)
        numbers = measures(space.computations(space.sample(120, rng=0)))
        y = numbers[:, NAMES.index("params")] + 0.3 * numbers[:, NAMES.index("longest_weighted")]
        out.append(Source(name, numbers, y))
    return out


def test_the_ranking_loss_is_its_sum_over_pairs() -> None:
    rng = np.random.default_rng(0)
    s, y = rng.normal(size=(2, 7)), rng.normal(size=(2, 7))
    expected = 0.0
    for m in range(2):
        pairs = [(i, j) for i in range(7) for j in range(7) if y[m, i] > y[m, j]]
        weights = [min(y[m, i] - y[m, j], 1.0) for i, j in pairs]
        lost = [np.log1p(np.exp(s[m, j] - s[m, i])) for i, j in pairs]
        expected += np.dot(weights, lost) / sum(weights)
    found = ranking_loss(torch.tensor(s), torch.tensor(y))
    assert float(found) == pytest.approx(expected)


def test_targets_become_standard_in_every_task() -> None:
    y = np.random.default_rng(0).exponential(size=500) * 40 + 7
    scores = normal_scores(y)
    assert abs(scores.mean()) < 1e-9
    assert scores.std() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(y))
    np.testing.assert_allclose(normal_scores(np.exp(y / 40)), scores)


def test_a_prior_learns_and_comes_back_from_its_file(sources, tmp_path) -> None:
    prior = learn(sources, steps=80, members=3, random_state=0, facts={"a": 1})
    for source in sources:
        assert np.corrcoef(prior.score(source.numbers)[0], source.y)[0, 1] > 0.8
    prior.save(tmp_path / "one.safetensors")
    other = Prior.load(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(other.score(sources[0].numbers), prior.score(sources[0].numbers))
    assert (other.names, other.facts) == (CORE, {"a": 1})
    (tmp_path / "two.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="prior"):
        Prior.load(tmp_path / "two.safetensors")


def test_every_third_member_sees_the_size_alone(sources) -> None:
    prior = learn(sources, steps=5, members=3, random_state=0)
    first = prior.arrays["weight0"]
    others = [i for i, name in enumerate(CORE) if name not in SIZE]
    assert not first[2, others].any()
    assert first[0, others].any()


def test_equal_seeds_learn_equal_priors(sources) -> None:
    one, two = (learn(sources, steps=10, members=2, random_state=3) for _ in range(2))
    for name, value in one.arrays.items():
        np.testing.assert_array_equal(value, two.arrays[name])


def test_the_shipped_prior_is_small_and_says_what_it_is() -> None:
    from importlib.resources import files

    folder = files("foretell.transfer")
    assert len((folder / SHIPPED).read_bytes()) <= 2_000_000
    card = (folder / "prior.md").read_text()
    for name in shipped().facts["sources"]:
        assert name in card
    assert "does not know" in card


def test_any_modules_without_a_space() -> None:
    model = ft.transfer.Transferable.pretrained()
    modules = [chain([4]), chain([16, 32]), chain([32, 64, 64, 128])]
    scores, std = model.predict(modules, True, input_shape=(3, 32, 32))
    assert (np.diff(scores) > 0).all()
    assert (std > 0).all()
    with pytest.raises(SettingError, match="without a space"):
        model.predict([[0]])
    with pytest.raises(DataError, match=r"list of nn\.Module"):
        model.predict([[0, 1]], input_shape=(3, 8, 8))
    with pytest.raises(NotFittedError):
        ft.transfer.Transferable().predict(modules, input_shape=(3, 32, 32))


def test_a_row_and_its_module_have_one_score() -> None:
    space = ft.spaces.get("nb201")
    X = space.sample(3, rng=0)
    modules = [space.build(x, space.input_shape, space.n_outputs) for x in X]
    by_rows = ft.transfer.Transferable.pretrained(space).predict(X)
    by_modules = ft.transfer.Transferable.pretrained().predict(modules, input_shape=(3, 32, 32))
    np.testing.assert_allclose(by_rows, by_modules, rtol=1e-4, atol=1e-4)


def test_modules_after_a_fit_are_on_the_scale_of_the_results() -> None:
    space = ft.spaces.get("nb201")
    X = space.sample(30, rng=0)
    y = 70 + 5 * Foretold(space).encode(X)[:, 0].astype(float)
    model = ft.transfer.Transferable(space, random_state=0).fit(X, y)
    modules = [space.build(x, space.input_shape, space.n_outputs) for x in X[:2]]
    np.testing.assert_allclose(model.predict(modules, input_shape=(3, 32, 32)), y[:2], atol=0.5)
    assert model.agreement_ > 0.99


def test_a_space_that_builds_nothing_is_ranked_by_its_rows() -> None:
    own = ft.Space.from_choices({"depth": [1, 2, 3], "width": [8, 16, 32]}, build=print)
    X = np.concatenate(list(own.enumerate()))
    model = ft.transfer.Transferable(own, random_state=0).fit(X, X.sum(axis=1))
    assert model.why_
    assert np.corrcoef(model.predict(X), X.sum(axis=1))[0, 1] > 0.9


def nb201(data_dir):
    space = ft.spaces.get("nb201")
    with gzip.open(data_dir / "nb201.csv.gz", "rt") as lines:
        records = list(csv.DictReader(lines))
    some = np.random.default_rng(0).permutation(len(records))[:600]
    X = space.from_str([records[i]["arch"] for i in some])
    return space, X, np.array([float(records[i]["cifar10_test_200ep"]) for i in some])


def test_other_spaces_foretell_nb201(data_dir) -> None:
    """A prior from 1,500 graphs of nb101 ranks nb201 better than the size of the network does."""
    from scipy.stats import spearmanr

    space, X, y = nb201(data_dir)
    source = ft.spaces.get("nb101")
    with gzip.open(data_dir / "nb101_val_4_12_36_108.csv.gz", "rt") as lines:
        records = [r for r, _ in zip(csv.DictReader(lines), range(1_000), strict=False)]
    rows = np.stack([source.from_matrix(r["adjacency"], r["labels"]) for r in records])
    known = Source(
        "nb101",
        measures(source.computations(rows)),
        np.array([float(r["val_108ep"]) for r in records]),
    )
    prior = learn([known], steps=150, members=3, random_state=0)
    assert spearmanr(Foretold(space, prior).encode(X)[:, 0], y)[0] > 0.78
