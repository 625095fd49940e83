"""Every space of the catalog, and spaces as users make them, keep their promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import foretell as ft
from foretell import _catalog
from foretell.testing.spaces import CHECKS, check_relabelling, check_space, refusal

# their published keys tell rows apart whose graphs are equal
PUBLISHED_KEY = {row.name for row in _catalog.KINDS["space"] if "published-key" in row.tags}
ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class Layers(ft.Space):
    """Conditions of every kind, and rows that are not valid."""

    depth = ft.choice([0, 1, 2])
    op = ft.choice(["linear", "norm"], repeat="depth")
    width = ft.choice([4, 8, 16], repeat="depth", when={"op": ["linear"]})
    act = ft.choice(["relu", "tanh"], when={"depth": [1, 2]})

    def valid(self, X):
        return ~((X[:, 1] == 1) & (X[:, 2] == 1) & (X[:, 0] == 2))

    def build(self, x, input_shape, n_outputs):
        picked = self.decode(x)
        widths = iter(picked["width"])
        features = int(np.prod(input_shape))
        layers = [nn.Flatten()]
        for op in picked["op"]:
            if op == "norm":
                layers.append(nn.LayerNorm(features))
                continue
            width = next(widths)
            layers += [
                nn.Linear(features, width),
                {"relu": nn.ReLU, "tanh": nn.Tanh}[picked["act"]](),
            ]
            features = width
        return nn.Sequential(*layers, nn.Linear(features, n_outputs))


def built(decisions, input_shape, n_outputs):
    features = int(np.prod(input_shape))
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(decisions["dropout"]), nn.Linear(features, n_outputs)
    )


def spaces():
    catalog = {row.name: ft.spaces.get(row.name, **row.quick) for row in _catalog.KINDS["space"]}
    return {
        **catalog,
        "subclass": Layers(input_shape=(2, 3), n_outputs=4),
        "from-choices": ft.Space.from_choices(
            {"dropout": [0.0, 0.1, 0.5], "seed": range(200)}, built, input_shape=(6,), n_outputs=2
        ),
        "huge": ft.Space.from_choices(
            {"dropout": [0.0], "bit": ft.choice([0, 1, 2], repeat=45)}, built, input_shape=(6,)
        ),
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "space"), spaces().items(), ids=spaces())
def test_promise(name, space, check):
    if check is check_relabelling and name in PUBLISHED_KEY:
        with pytest.raises(AssertionError, match="equal graphs and different `canonical`"):
            check(space)
    else:
        check(space)


@pytest.mark.parametrize(("name", "space"), spaces().items(), ids=spaces())
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_strings_of_any_kind(name, space, data):
    real = space.to_str(space.sample(3, rng=0))
    pieces = st.sampled_from([*real, *real[0].replace("+", ",").split(","), "=", "|", "~", ""])
    text = data.draw(st.text() | st.lists(pieces, max_size=4).map(",".join) | pieces)
    error = refusal(space.from_str, [text])
    if error is not None:
        assert space.name in str(error)
        assert "not an architecture" in str(error)
        return
    rows = space.from_str([text])
    assert space.contains(rows).all()
    assert (space.row_key(space.from_str(space.to_str(rows))) == space.row_key(rows)).all()


def changed(**methods):
    return type("Layers", (Layers,), methods)(input_shape=(2, 3), n_outputs=4)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (changed(size=24), "size is 24"),
        (changed(mutate=lambda self, X, rng=None: X), "disagree"),
        (changed(to_str=lambda self, X: ["depth=0"] * len(X)), "loses"),
        (changed(canonical=lambda self, X: np.arange(len(X), dtype=np.uint64)), "does|depends"),
        (changed(vocabulary=("input", "output")), "not in list|vocabulary|KeyError|depth"),
        (changed(sample=lambda self, n, rng=None: Layers.sample(self, n)), "equal seeds"),
        (changed(closed_form_costs=True, costs=lambda self, X: ft.spaces.Costs(
            np.zeros(len(self.check(X)), dtype=np.int64), np.zeros(len(X), dtype=np.int64))),
         "measured"),
    ],
)  # fmt: skip
def test_the_suite_finds_broken_spaces(broken, says):
    with pytest.raises((AssertionError, KeyError), match=says):
        check_space(broken)
