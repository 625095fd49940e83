"""The DARTS space: genotypes, configurations, known sizes."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SpaceError
from foretell.spaces.nb301 import CELLS, OPS

SPACE = ft.spaces.get("nb301")
# the genotype of the second-order search, as the authors' code prints it
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)


def test_size():
    assert SPACE.size == (7**8 * 1 * 3 * 6 * 10) ** 2  # the paper's 10^18


def test_the_published_genotype_has_its_published_size():
    space = ft.spaces.get("darts", channels=36, n_cells=20)
    params, _ = space.costs(space.from_str([DARTS_V2]))
    # 3.3 million in table 1 of the paper, which leaves the auxiliary head out
    assert round(params[0] / 1e6, 1) == pytest.approx(3.3, abs=0.06)


def test_sources_of_a_node_in_any_order():
    row = SPACE.from_str([DARTS_V2])
    (again,) = SPACE.to_str(row)
    assert "('skip_connect', 0), ('sep_conv_3x3', 1)" in again
    assert (SPACE.from_str([again]) == row).all()


@pytest.mark.parametrize(
    "change",
    [
        ("('sep_conv_3x3', 1), ('skip_connect', 0)", "('sep_conv_3x3', 1), ('skip_connect', 1)"),
        ("('dil_conv_3x3', 2)]", "('conv', 2)]"),
        ("[2, 3, 4, 5]", "[2, 3, 4]"),
        ("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 5)]"),
    ],
)  # fmt: skip
def test_genotypes_that_are_none(change):
    assert change[0] in DARTS_V2
    with pytest.raises(SpaceError, match="nb301"):
        SPACE.from_str([DARTS_V2.replace(*change)])


def config_of(row):
    """The configuration as the files write it, from their rule for edges."""
    sources, ops = SPACE.cells(row[None])
    out = {}
    offsets = {2: 0, 3: 2, 4: 5, 5: 9}
    for c, cell in enumerate(CELLS):
        for k, node in enumerate((2, 3, 4, 5)):
            pair = sources[0, c, 2 * k : 2 * k + 2].tolist()
            for i, op in zip(pair, ops[0, c, 2 * k : 2 * k + 2], strict=True):
                out[f"NetworkSelectorDatasetInfo:darts:edge_{cell}_{offsets[node] + i}"] = OPS[op]
            if node > 2:
                key = f"NetworkSelectorDatasetInfo:darts:inputs_node_{cell}_{node}"
                out[key] = f"{pair[0]}_{pair[1]}"
    return out


def test_configurations():
    for row in SPACE.sample(50, rng=0):
        assert (SPACE.from_config(config_of(row)) == row).all()
    config = config_of(SPACE.sample(1, rng=0)[0])
    config.popitem()
    with pytest.raises(SpaceError, match="configuration"):
        SPACE.from_config({**dict(itertools.islice(config.items(), 5))})


def test_graph_has_the_paths_of_the_cells():
    (row,) = SPACE.from_str([DARTS_V2])
    (ops,), (adjacency,) = SPACE.graphs(row[None])
    words = [SPACE.vocabulary[k] for k in ops]
    inner = [word for word in words if word.startswith("normal:")]
    assert inner == ["normal:c_{k-2}", "normal:c_{k-1}", *["normal:sep_conv_3x3"] * 4,
                     "normal:skip_connect", "normal:sep_conv_3x3", "normal:skip_connect",
                     "normal:dil_conv_3x3"]  # fmt: skip
    # node 5 of the normal cell reads node 2 by its dilated convolution: both terms of node 2
    assert np.flatnonzero(adjacency[:, 10]).tolist() == [3, 4]
    assert adjacency[3:11, -1].all()


def test_canonical_is_blind_to_the_order_of_nodes():
    """Two nodes that both read the inputs may change places, where later nodes follow them."""
    op = "('{}', {})".format
    first = [op("sep_conv_3x3", 0), op("skip_connect", 1), op("max_pool_3x3", 0),
             op("dil_conv_5x5", 1), op("skip_connect", 0), op("sep_conv_5x5", 2),
             op("skip_connect", 0), op("avg_pool_3x3", 3)]  # fmt: skip
    moved = [first[2], first[3], first[0], first[1], op("skip_connect", 0),
             op("sep_conv_5x5", 3), op("skip_connect", 0), op("avg_pool_3x3", 2)]  # fmt: skip

    def text(cell):
        parts = [f"{c}=[{', '.join(cell)}], {c}_concat=range(2, 6)" for c in CELLS]
        return f"Genotype({', '.join(parts)})"

    X = SPACE.from_str([text(first), text(moved), text([*moved[:5], first[5], *moved[6:]])])
    a, b, c = SPACE.canonical(X)
    assert a == b != c
    assert len(set(SPACE.row_key(X).tolist())) == 3


def test_other_notations_of_the_same_genotype():
    X = SPACE.sample(20, rng=0)
    texts = SPACE.to_str(X)
    ways = [
        [text.replace("'", '"') for text in texts],
        [text.replace("[", "(").replace("]", ")") for text in texts],
        [text.replace("range(2, 6)", "[2, 3, 4, 5]") for text in texts],
        [text.replace("range(2, 6)", "list(range(2, 6))") for text in texts],
        # each node's pair of edges a tuple, and the cell their sum
        [re.sub(r"(\(\S+ \d\), \(\S+ \d\))(, )(?=\()", r"\1] + [", text) for text in texts],
    ]
    ways.append([text.replace("[", "(").replace("]", ",)") for text in ways[4]])
    ways.append([re.sub(r"\(('\w+', \d)\)", r"[\1]", text).replace("'", '"') for text in texts])
    assert ways[4][0].count("+") == 6
    assert ways[6][0].count('["') == 16
    for way in ways:
        assert np.array_equal(SPACE.from_str(way), X)
