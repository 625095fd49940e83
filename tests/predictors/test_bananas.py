"""`bananas`: its networks as formulas on path bits."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.bananas import Bananas

SPACE = ft.spaces.get("nb201")


def test_members_are_plain_networks_on_path_bits():
    """The settings of the paper but smaller: scores follow from the stored weights."""
    X = SPACE.sample(40, rng=0)
    y = (X == 3).sum(axis=1).astype(float)
    model = Bananas.paper(SPACE, width=6, layers=2, members=3, epochs=5, random_state=0).fit(X, y)
    new = SPACE.sample(30, rng=1)
    paths = ft.encodings.get("path", SPACE)
    bits, known = paths.transform(new), paths.transform(X)
    spread = known.std(axis=0)
    seen = spread > 1e-6  # a path that all or none of the training rows have says nothing
    F = np.where(seen, (bits - known.mean(axis=0)) / np.where(seen, spread, 1.0), 0.0)
    F = np.concatenate([F, np.ones((30, 1))], axis=1)
    weights = {name: part.numpy() for name, part in model.net_.state_dict().items()}
    members = []
    for m in range(3):
        H = F
        for place in range(3):
            H = H @ weights[f"maps.maps.{place}.weight"][m] + weights[f"maps.maps.{place}.bias"][m]
            H = np.maximum(H, 0.0) if place < 2 else H
        members.append(H[:, 0])
    expected = np.mean(members, axis=0) * y.std() + y.mean()
    assert np.allclose(model.predict(new), expected, atol=1e-4)


def test_equal_paths_are_equal_networks():
    """Two orders of the same parallel branches have one set of paths."""
    X = SPACE.sample(60, rng=0)
    model = Bananas(SPACE, encoding="path", epochs=5, random_state=0)
    model.fit(X, (X == 3).sum(axis=1))
    first, second = model.predict([[3, 2, 0, 0, 4, 1], [2, 3, 0, 0, 1, 4]])
    assert first == second


def test_wrong_settings():
    X, y = SPACE.sample(5, rng=0), np.arange(5)
    with pytest.raises(SettingError, match="layers: expected a whole number from 1, got 0"):
        Bananas(SPACE, layers=0).fit(X, y)
    with pytest.raises(SettingError, match="encoding: expected a name"):
        Bananas(SPACE, encoding=None).fit(X, y)


def test_on_the_real_table(beats_size):
    beats_size(Bananas(SPACE, random_state=0), 0.05, seed=0, n=172, n_test=1000)
