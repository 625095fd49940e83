"""Recipes of NAS-Bench-NLP."""

from __future__ import annotations

import gzip
import itertools
import json

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.errors import SpaceError

SPACE = ft.spaces.get("nb-nlp")
GRU = SPACE.by_hand()[1]


def recipe_of(text):
    """The benchmark's JSON of a string, written by the test itself."""
    body, _, ends = text.partition(" -> ")
    new = {int(k): f"h_new_{i}" for i, k in enumerate(ends.split())}
    long = {"prod": "elementwise_prod", "sum": "elementwise_sum", "tanh": "activation_tanh",
            "sigm": "activation_sigm", "leaky_relu": "activation_leaky_relu"}  # fmt: skip

    def name(k):
        return new.get(k, f"node_{k}")

    out = {}
    for k, part in enumerate(body.split("; ")):
        op, *reads = part.split()
        words = [w if w == "x" else f"h_prev_{w[1:]}" if w[0] == "h" else name(int(w))
                 for w in reads]  # fmt: skip
        out[name(k)] = {"op": long.get(op, op), "input": words}
    return out


def test_json_and_own_notation_agree():
    for text in SPACE.to_str(SPACE.sample(40, rng=0)):
        recipe = recipe_of(text)
        assert SPACE.to_str(SPACE.from_str([json.dumps(recipe)])) == [text]
        names = list(recipe)
        backwards = {k: recipe[k] for k in reversed(names)}  # sources after what reads them
        again = SPACE.from_str([json.dumps(backwards)])
        assert SPACE.canonical(again) == SPACE.canonical(SPACE.from_str([text]))


@pytest.mark.parametrize(
    "text",
    [
        "linear x h1 -> 0",  # a state that is never new
        "linear x x -> 0",
        "linear x h0; tanh 0 -> 2",
        "linear x h0; tanh 0 -> 1 1",
        "tanh 0 -> 0",
        "tanh x",
        "blend x h0 -> 0",
        "tanh x -> 00",
        "{}",
        '{"h_new_0": {"op": "activation_tanh", "input": ["h_new_0"]}}',
        '{"h_new_1": {"op": "activation_tanh", "input": ["x"]}}',
        '{"h_new_0": {"op": "conv", "input": ["x"]}}',
        '{"h_new_0": 3}',
        "[1]",
        "tanh x; " * 20 + "tanh x -> 0",
    ],
)
def test_recipes_that_are_none(text):
    with pytest.raises(SpaceError, match="nb-nlp"):
        SPACE.from_str([text])


def test_size_is_what_is_listed():
    small = ft.spaces.get("nb-nlp", max_nodes=3)
    rows = next(small.enumerate(100_000))
    one_node = rows[(rows[:, 0] == 0) & (rows[:, 1] == 0)]
    # x and h_prev_0: ordered pairs for linear, prod, sum, and three activations of either
    assert len(one_node) == 3 * 2 + 3 * 2
    blocks = list(itertools.islice(small.enumerate(20_000), 5))
    keys = np.concatenate([small.row_key(block) for block in blocks])
    assert len(np.unique(keys)) == len(keys) > 50_000
    # blocks of the first sizes come first
    tiny = list(itertools.islice(small.enumerate(10_000), 2))
    assert [tuple(rows[0, :2]) for rows in tiny] == [(0, 0), (0, 1)]
    # one state, two nodes, either of which is the state: the second one reads three things
    assert sum(map(len, tiny)) == 12 + 2 * 12 * (3 * 6 + 3 * 3 + 2 * 6)


def test_sampled_rows_have_no_idle_node():
    X = SPACE.sample(500, rng=1)
    parts = SPACE.parts(X)
    needed = SPACE._needed(parts, np.ones((500, 3), dtype=bool))
    assert (needed == (parts.ops >= 0)).all()
    assert (parts.nodes > 8).any()
    assert set(np.unique(parts.states)) == {1, 2, 3}


def test_canonical_leaves_out_what_nothing_needs_and_keeps_blends_apart():
    keys = dict(
        zip(
            ("gru", "idle", "moved", "swapped", "state"),
            SPACE.canonical(
                SPACE.from_str(
                    [
                        GRU,
                        GRU.replace(" -> 7", "; tanh x -> 7"),
                        GRU.replace("linear x h0; sigm 0; linear x h0; sigm 2; prod 1 h0",
                                    "linear h0 x; linear x h0; sigm 0; sigm 1; prod 2 h0"),
                        GRU.replace("blend 3 h0 6", "blend 3 6 h0"),
                        GRU.replace(" -> 7", " -> 7 1"),  # nobody reads the second state
                    ]
                )
            ).tolist(),
            strict=True,
        )
    )  # fmt: skip
    assert keys["gru"] == keys["idle"] == keys["moved"] == keys["state"]
    assert keys["swapped"] != keys["gru"]


def test_the_recipe_of_a_gru_is_a_gru():
    space = ft.spaces.get("nb-nlp", hidden=5, input_shape=(6, 3), n_outputs=4)
    # z = sigm(linear(x, h)), h' = z h + (1 - z) tanh(linear(x, r h)): torch's, with r before W h
    net = space.build(space.from_str([GRU])[0], (6, 3), 4)
    x = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    h = torch.zeros(2, 5)
    for t in range(6):
        step = net.stem(x[:, t])
        r = torch.sigmoid(net.linear["node_0"](torch.cat([step, h], 1)))
        z = torch.sigmoid(net.linear["node_2"](torch.cat([step, h], 1)))
        new = torch.tanh(net.linear["node_5"](torch.cat([step, r * h], 1)))
        h = z * h + (1 - z) * new
    assert torch.allclose(net(x), net.head(h), atol=1e-6)


def test_an_elman_cell_is_that_of_torch():
    space = ft.spaces.get("nb-nlp", hidden=5, input_shape=(6, 5), n_outputs=4)
    net = space.build(space.from_str(["linear x h0; tanh 0 -> 1"])[0], (6, 5), 4)
    cell = nn.RNNCell(5, 5)
    with torch.no_grad():
        net.stem.weight.copy_(torch.eye(5))
        net.stem.bias.zero_()
        weight = net.linear["node_0"].weight
        cell.weight_ih.copy_(weight[:, :5])
        cell.weight_hh.copy_(weight[:, 5:])
        cell.bias_ih.copy_(net.linear["node_0"].bias)
        cell.bias_hh.zero_()
    x = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    h = torch.zeros(2, 5)
    for t in range(6):
        h = cell(x[:, t], h)
    assert torch.allclose(net(x), net.head(h), atol=1e-6)


def test_the_published_recipes_fit(data_dir):
    lines = gzip.decompress((data_dir / "nb_nlp_wikitext2.jsonl.gz").read_bytes()).splitlines()
    recipes = [json.loads(line)["recipe"] for line in lines]
    X = SPACE.from_str([json.dumps(recipe) for recipe in recipes])
    assert len(X) == 345
    graphs = SPACE.graphs(X)
    words = SPACE.vocabulary
    for recipe, ops in zip(recipes[:50], graphs.ops[:50], strict=True):
        # every recipe of the first ones is live as a whole
        names = [words[k] for k in ops if k >= 0]
        want = [node["op"] for node in recipe.values()]
        for op in set(want):
            assert names.count(op) <= want.count(op)
