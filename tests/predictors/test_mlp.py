"""`mlp`: its networks against scikit-learn's, its losses on labels that are partly wrong."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.mlp import MLP

SPACE = ft.spaces.get("nb201")


def test_members_are_the_networks_of_scikit_learn():
    """The settings of the study but smaller; scikit-learn is given the stored weights."""
    X = SPACE.sample(40, rng=0)
    y = (X == 3).sum(axis=1).astype(float)
    model = MLP.paper(SPACE, width=6, layers=3, members=3, epochs=5, random_state=0).fit(X, y)
    new = SPACE.sample(30, rng=1)
    adjacency = ft.encodings.get("adjacency-one-hot", SPACE)
    known, F = adjacency.transform(X), adjacency.transform(new)
    spread = known.std(axis=0)
    F = (F - known.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0)
    F = np.concatenate([F, np.ones((30, 1))], axis=1)
    weights = {name: part.numpy() for name, part in model.net_.state_dict().items()}
    members = []
    for m in range(3):
        twin = MLPRegressor(hidden_layer_sizes=(6, 6, 6), batch_size=1)
        twin.partial_fit(F[:2], np.zeros(2))  # gives it its layers
        twin.coefs_ = [weights[f"maps.maps.{k}.weight"][m] for k in range(4)]
        twin.intercepts_ = [weights[f"maps.maps.{k}.bias"][m, 0] for k in range(4)]
        members.append(twin.predict(F))
    expected = np.mean(members, axis=0) * y.std() + y.mean()
    assert np.allclose(model.predict(new), expected, atol=1e-4)


def test_absolute_errors_bear_wrong_labels():
    """A tenth of the labels is far off: the absolute error learns the others, the squared not."""
    X = SPACE.sample(200, rng=0)
    truth = (X == 3).sum(axis=1).astype(float)
    y = np.where(np.arange(200) % 10 == 0, 100.0, truth)
    new = SPACE.sample(200, rng=1)
    wrong = {}
    for loss in ("mae", "mse"):
        small = {"width": 8, "layers": 1, "encoding": "one-hot", "target": "value", "epochs": 150}
        model = MLP(SPACE, loss=loss, random_state=0, **small).fit(X, y)
        wrong[loss] = np.abs(model.predict(new) - (new == 3).sum(axis=1)).mean()
    assert wrong["mae"] < 0.5 * wrong["mse"]


def test_wrong_settings():
    X, y = SPACE.sample(5, rng=0), np.arange(5)
    with pytest.raises(SettingError, match="width: expected a whole number from 1, got 0"):
        MLP(SPACE, width=0).fit(X, y)
    with pytest.raises(SettingError, match="encoding: expected a name"):
        MLP(SPACE, encoding=None).fit(X, y)


def test_on_the_real_table(beats_size):
    beats_size(MLP(SPACE, random_state=0), 0.05, seed=0, n=172, n_test=1000)
