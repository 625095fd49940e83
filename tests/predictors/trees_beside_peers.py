"""Trees of the catalog beside the library that they call, on a target that is not additive."""

from __future__ import annotations

import numpy as np

import foretell as ft

SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    y = (X == 3).sum(axis=1) * (1.0 + (X[:, 3] == 1)) + 0.3 * (X[:, 0] == 2)
    return X, y + np.random.default_rng(seed).normal(0, 0.1, n)


def both(model, peer, encoding="adjacency-one-hot"):
    """Predictions of new rows, in deviations of the targets: the model's and its peer's.

    Args:
        model: on values of that encoding.
        peer: takes features and standardised targets, and gives what predicts features.
        encoding: a name of the catalog.
    """
    X, y = made(120)
    codes = ft.encodings.get(encoding, SPACE)
    fitted = peer(codes.transform(X), (y - y.mean()) / y.std())
    new = SPACE.sample(300, rng=1)
    found = (model.fit(X, y).predict(new) - y.mean()) / y.std()
    return found, fitted.predict(codes.transform(new))
