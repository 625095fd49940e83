from __future__ import annotations

import numpy as np

import foretell as ft
from foretell import encodings
from foretell.encodings.parts.ridge import Ridge
from foretell.encodings.parts.standard import Standard

WIDTHS = [4, 6, 8, 12, 16, 24, 32, 48, 64]


def chain():
    choices = {f"width{i}": WIDTHS for i in range(5)}
    return ft.Space.from_choices(choices, build=lambda decisions, shape, n: None)


def params(X):
    """Of perceptrons from 20 inputs to 3 outputs."""
    w = np.column_stack([np.full(len(X), 20), np.array(WIDTHS)[X], np.full(len(X), 3)])
    return ((w[:, :-1] + 1) * w[:, 1:]).sum(axis=1)


def numbers(space, X):
    return np.log1p(np.column_stack([params(X), 2 * params(X)]).astype(float))


def test_sizes_of_a_chain_follow_from_few_of_them():
    """Left-out rows choose the numbers, where words alone need far more."""
    space = chain()
    X, rest = space.sample(128, rng=0), space.sample(500, rng=1)
    words, amounts = [encodings.get("one-hot", space)], [encodings.get("numbers", space)]
    errors = {}
    for name, views in {"words": [words], "amounts": [amounts], "both": [words, amounts]}.items():
        found = Ridge(views, X, numbers(space, X)).predict(rest)
        errors[name] = np.abs(found - numbers(space, rest)).mean()
    assert errors["both"] == errors["amounts"] < 0.03
    assert errors["words"] > 5 * errors["amounts"]


def test_the_closed_form_of_left_out_rows_is_leaving_them_out():
    space = chain()
    X = space.sample(30, rng=0)
    Y = numbers(space, X)
    model = Ridge([[encodings.get("one-hot", space)]], X, Y)
    F, ridge = model.known, None
    K = model.kernel(F, F)
    Z = (Y - model.mean) / model.scale
    for share in (1e-4, 1e-3, 1e-2, 1e-1):
        inverse = np.linalg.inv(K + share * np.trace(K) / 30 * np.eye(30))
        if np.allclose(inverse @ Z, model.weights):
            ridge, closed = share * np.trace(K) / 30, model.weights / np.diag(inverse)[:, None]
    assert ridge is not None
    for i in range(30):
        rest = np.arange(30) != i
        by_others = K[i, rest] @ np.linalg.solve(
            K[np.ix_(rest, rest)] + ridge * np.eye(29), Z[rest]
        )
        np.testing.assert_allclose(Z[i] - by_others, closed[i], rtol=1e-6)


def test_what_never_changes_says_nothing():
    space = chain()
    X = space.sample(20, rng=0)
    X[:, 0] = 3
    view = Standard(encodings.get("one-hot", space), X, varying=True)
    other = X.copy()
    other[:, 0] = 5
    np.testing.assert_array_equal(view(X), view(other))
    found = Ridge([[encodings.get("one-hot", space)]], X, np.ones((20, 2)))
    np.testing.assert_allclose(found.predict(other), 1.0)
