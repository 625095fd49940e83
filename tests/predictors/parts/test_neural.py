"""What all neural predictors share: rows left out, the width of intervals, distinct views."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell import _catalog
from foretell.errors import DataError, NoUncertaintyError, SettingError
from foretell.metrics import kendall
from foretell.predictors.gcn import GCN
from foretell.predictors.parts import neural as neural_part
from foretell.predictors.parts.neural import Ensemble, Neural, _distinct, side_by_side
from foretell.predictors.parts.predicted import predicted

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "head": 16, "members": 4, "epochs": 10, "min_steps": 20}


def test_members_leave_different_quarters_out():
    model = GCN(NB201, **FAST)
    out = model._left_out(83, np.random.default_rng(0))
    assert out.shape == (4, 83)
    assert sorted(out.sum(axis=1)) == [20, 21, 21, 21]
    assert (out.sum(axis=0) == 1).all()
    assert not model._left_out(3, np.random.default_rng(0)).any()
    three = model.set_params(members=3)._left_out(83, np.random.default_rng(0))
    assert (three.sum(axis=1) == 20).all()
    assert three.sum(axis=0).max() == 1
    assert not model.set_params(members=1)._left_out(83, np.random.default_rng(0)).any()
    assert not model.set_params(members=4, loss="bce")._left_out(83, np.random.default_rng(0)).any()


def test_a_row_left_out_does_not_move_its_member():
    """The member that leaves a row out learns the same whatever the target of that row is."""
    X = NB201.sample(60, rng=0)
    y = (X == 3).sum(axis=1) + 0.01 * np.arange(60)
    first = GCN(NB201, loss="mse", target="value", random_state=0, **FAST)
    out = first._left_out(60, np.random.default_rng(0))
    goals = np.where(out, np.nan, (y - y.mean()) / y.std())
    other = goals.copy()
    other[1:] += np.where(np.isnan(other[1:]), 0.0, 1.0)  # all members but the first
    first.fit(X, y)
    nets = [
        first._train(first._view(X), goal, torch.Generator().manual_seed(0))
        for goal in (goals, other)
    ]
    scores = [net(first._inputs(first._view(X))) for net in nets]
    assert torch.equal(scores[0][0], scores[1][0])
    assert (scores[0][1:] != scores[1][1:]).any(dim=1).all()


def test_intervals_hold_what_they_promise():
    """Noise of known size on targets that a network can learn: 90 % intervals, unseen rows."""
    rng = np.random.default_rng(0)
    X, T = NB201.sample(200, rng=0), NB201.sample(1000, rng=1)

    def truth(rows):
        return (rows == 3).sum(axis=1) - 0.5 * (rows == 0).sum(axis=1)

    y, unseen = (truth(rows) + rng.normal(size=len(rows)) for rows in (X, T))
    model = GCN(NB201, random_state=0, members=4, epochs=20).fit(X, y)
    mean, std = model.predict(T, return_std=True)
    inside = (np.abs(unseen - mean) < 1.645 * std).mean()
    assert 0.75 < inside <= 0.99
    model.widen_ = 0.0
    spread = model.predict(T, return_std=True)[1]
    assert (np.abs(unseen - mean) < 1.645 * spread).mean() < inside - 0.1


NEURAL = [
    row
    for row in _catalog.KINDS["predictor"]
    if "members" in {**row.quick, **row.quick.get("settings", {})}
    and "std" in row.tags
    and row.name != "dngo"  # a posterior of its own
]


@pytest.mark.parametrize("row", NEURAL, ids=lambda row: row.name)
def test_a_single_member_says_that_it_has_no_deviation(row):
    """It leaves no row out, so nothing is measured; means do not depend on being asked."""
    settings = dict(row.quick)
    if "members" in settings:
        settings["members"] = 1
    else:
        settings["settings"] = {**settings["settings"], "members": 1}
    model = ft.predictors.get(row.name, space=NB201, random_state=0, **settings)
    X = NB201.sample(20, rng=0)
    model.fit(X, (X == 3).sum(axis=1))
    assert not model.has_std
    with pytest.raises(NoUncertaintyError, match="several members") as raised:
        model.predict(X, return_std=True)
    assert "\n" not in str(raised.value)
    mean, std = predicted(model, X)
    assert std is None
    assert np.array_equal(mean, model.predict(X))


class Wide(nn.Module):
    """One network on one graph view, with torch's own modules and dropout."""

    def __init__(self, words):
        super().__init__()
        self.words = words
        self.net = nn.Sequential(nn.Linear(words, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))

    def forward(self, view, generator=None):
        hot = nn.functional.one_hot(view.ops, self.words + 1)[..., :-1].float()
        return self.net(hot.sum(1)).squeeze(-1)


class Counts(Neural):
    """The shortest neural predictor."""

    def __init__(self, space, loss="rank", members=3, epochs=40, random_state=None):
        self.space, self.loss, self.members = space, loss, members
        self.epochs, self.random_state = epochs, random_state
        self.target, self.min_steps, self.batch_size = "rank", 100, 16
        self.lr, self.weight_decay = 1e-2, 0.0

    def _net(self, view, generator):
        words = len(self.space.vocabulary)
        return Ensemble(Wide(words) for _ in range(self.members))


def test_an_ensemble_of_torchs_own_modules_is_reproducible():
    X = NB201.sample(60, rng=0)
    y = (X == 3).sum(axis=1)
    T = NB201.sample(100, rng=1)
    before = torch.random.get_rng_state()
    first, second = (Counts(NB201, random_state=0).fit(X, y).predict(T) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (Counts(NB201, random_state=1).fit(X, y).predict(T) != first).any()
    assert kendall((T == 3).sum(axis=1), first) > 0.5


def test_distinct_views_give_every_row_back():
    X = NB201.sample(300, rng=0)
    model = GCN(NB201, encoding=None, random_state=0, **FAST).fit(X[:20], np.arange(20.0))
    view = model._view(X)
    kept, where = _distinct(view)
    assert len(kept) < 300
    again = view.take(torch.from_numpy(kept[where]))
    assert all(torch.equal(a, b) for a, b in zip(again, view, strict=True))
    once = view.take(torch.from_numpy(kept))
    assert len(np.unique(once.ops.numpy() @ 7 ** np.arange(once.ops.shape[1]))) > 20


def test_rows_to_compare_are_as_many():
    with pytest.raises(DataError, match="rows to compare"):
        side_by_side(NB201, NB201.sample(3, rng=0), NB201.sample(2, rng=0))


def neural():
    """The catalog's predictors that are networks on rows."""
    rows = [_catalog.row("predictor", name) for name in _catalog.names("predictor")]
    return [one.name for one in rows if issubclass(one.load(), Neural)]


@pytest.mark.parametrize("name", neural())
def test_scores_can_be_had_on_a_card(name):
    """On tensors that have a device and no numbers: nothing is made in main memory on the way."""
    row = _catalog.row("predictor", name)
    X = NB201.sample(12, rng=0)
    model = row.load()(NB201, random_state=0, **row.quick).fit(X, (X == 3).sum(axis=1))
    view = neural_part.moved(model._view(X), torch.device("meta"))
    with torch.no_grad():
        out = copy.deepcopy(model.net_).to("meta")(model._inputs(view))
    assert out.device.type == "meta"
    assert out.shape == (model.members, 12)


def test_who_asks_for_much_gets_the_card(card, monkeypatch):
    X = NB201.sample(40, rng=0)
    model = GCN(NB201, random_state=0, **FAST).fit(X, (X == 3).sum(axis=1))
    expected = model.predict(X)
    floats = len(X) * model._floats(model._view(X))
    assert neural_part.place("auto", floats).type == "cpu"
    monkeypatch.setattr(neural_part, "CROSSING", floats)
    assert neural_part.place("auto", floats).type == "cuda"
    assert neural_part.place("auto", floats - 1).type == "cpu"
    assert neural_part.place("cpu", floats).type == "cpu"
    monkeypatch.setattr(neural_part, "_CARD_BLOCK", 3 * floats // len(X))  # in blocks there too
    for device in ("auto", "cuda"):
        model.set_params(device=device)
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-9)


def test_a_device_that_is_not_there():
    X = NB201.sample(12, rng=0)
    model = GCN(NB201, device="cuda:7", **FAST).fit
    with pytest.raises(SettingError, match="device"):
        model(X, (X == 3).sum(axis=1))
