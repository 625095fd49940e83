"""What every encoding of the catalog promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union

import foretell as ft
from foretell import _catalog
from foretell.errors import ForetellError


class Own(ft.Space):
    """A user's space with a decision that does not always apply."""

    depth = ft.choice([1, 2, 3])
    width = ft.choice([8, 16, 32], repeat="depth")

    def build(self, x, input_shape, n_outputs):
        return torch.nn.Linear(input_shape[0], sum(self.decode(x)["width"]))


SPACES = {
    "nb201": ft.spaces.get("nb201"),
    "nb101": ft.spaces.get("nb101"),
    "own": Own(input_shape=(4,)),
}
pytestmark = [
    pytest.mark.parametrize("name", ft.encodings.names()),
    pytest.mark.parametrize("space", SPACES.values(), ids=SPACES),
]


def make(name, space):
    return ft.encodings.get(name, space, **_catalog.row("encoding", name).quick)


def test_rows_to_finite_float32(name, space):
    encoding = make(name, space)
    X = space.sample(50, rng=0)
    before = X.copy()
    features = encoding.transform(X)
    assert features.dtype == np.float32
    assert features.ndim == 2
    assert len(features) == 50
    assert np.isfinite(features).all()
    assert np.array_equal(X, before)
    assert encoding.transform(X[:0]).shape[0] == 0
    assert np.array_equal(features, clone(encoding).fit(X, None).transform(X))


def test_each_row_alone_is_as_in_the_batch(name, space):
    encoding = make(name, space)
    X = space.sample(40, rng=0)
    alone = np.concatenate([encoding.transform(x[None]) for x in X])
    assert np.allclose(encoding.transform(X), alone, rtol=1e-5)


def test_decisions_that_do_not_apply_do_not_matter(name, space):
    encoding = make(name, space)
    X = space.canonical_form(space.sample(40, rng=0))
    noisy = X.copy()
    hidden = ~space.active(X)
    noisy[hidden] = (space.n_options[None] - 1).repeat(len(X), 0)[hidden]
    noisy = noisy[space.valid(noisy)]
    X = space.canonical_form(noisy)
    assert np.array_equal(encoding.transform(X), encoding.transform(noisy))


def test_in_a_pipeline_and_a_union(name, space):
    X = space.sample(30, rng=0)
    union = make_union(make(name, space), ft.encodings.get("one-hot", space))
    model = make_pipeline(union, Ridge()).fit(X, X[:, 0].astype(float))
    assert np.isfinite(model.predict(X)).all()


def test_wrong_rows_are_refused_in_words(name, space):
    with pytest.raises(ForetellError, match=space.name):
        make(name, space).transform(np.full((1, space.d), 99))
