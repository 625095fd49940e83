"""NAS-Bench-Graph's space against the published code and tables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError, SpaceError
from foretell.spaces.nb_graph import LINKS, OPS

SPACE = ft.spaces.get("nb-graph")


def test_hashes_are_the_published_ones():
    architecture = pytest.importorskip("nas_bench_graph.architecture")
    assert [list(map(int, links)) for links in LINKS] == architecture.link_list
    assert list(OPS) == architecture.gnn_list
    rng = np.random.default_rng(0)
    trees = list(itertools.product([0], range(2), range(3), range(4)))
    strings, want = [], []
    for _ in range(3_000):
        links = list(trees[rng.integers(len(trees))])
        # skips are where the rule is intricate, so they are drawn often
        ops = [str(rng.choice(["skip", *OPS[:-1]], p=[0.4, *[0.075] * 8])) for _ in range(4)]
        if set(ops) == {"skip"}:
            continue
        strings.append("".join(map(str, links)) + ":" + ",".join(ops))
        want.append(architecture.Arch(links, ops).valid_hash())
    X = SPACE.from_str(strings)
    assert SPACE.published_hash(X).tolist() == want
    assert (SPACE.row_key(X)[:, None] == SPACE.row_key(X)).sum() == (
        np.array(want)[:, None] == np.array(want)
    ).sum()


def test_all_networks_are_those_of_the_table():
    pytest.importorskip("nas_bench_graph")
    X = np.concatenate(list(SPACE.enumerate()))
    assert len(X) == SPACE.size == 26_206
    table = ft.Table.open("nb-graph:cora")
    assert set(SPACE.row_key(table.X)) == set(SPACE.row_key(X))


def test_a_tree_as_a_graph():
    (ops,), (adjacency,) = SPACE.graphs(SPACE.from_str(["0012:gcn,gin,fc,cheb"]))
    assert [SPACE.vocabulary[k] for k in ops] == ["input", "gcn", "gin", "fc", "cheb", "output"]
    assert sorted(zip(*adjacency.nonzero(), strict=True)) == [
        (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5),
    ]  # fmt: skip


def test_only_skips_is_no_network():
    with pytest.raises(SpaceError, match="other than skip"):
        SPACE.from_str(["0000:skip,skip,skip,skip"])


def test_relabelled_graphs_give_the_same_answer():
    space = ft.spaces.get("nb-graph", hidden=6, input_shape=(5, 8), n_outputs=2)
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([3, 1, 4, 0, 2])
    moved = torch.cat([x[:, order, :3], x[:, order][:, :, 3 + order]], dim=2)
    for ops in itertools.batched(OPS, 4) if hasattr(itertools, "batched") else (OPS[:4], OPS[4:8]):
        if len(ops) < 4:
            continue
        (row,) = space.from_str(["0012:" + ",".join(ops)])
        net = space.build(row, space.input_shape, 2).eval()
        assert torch.allclose(net(x), net(moved), atol=1e-5)


def test_settings_that_cannot_be():
    with pytest.raises(SettingError, match="even"):
        ft.spaces.get("nb-graph", hidden=7)
    flat = ft.spaces.get("nb-graph", input_shape=(3, 8, 8))
    with pytest.raises(SpaceError, match="takes graphs"):
        flat.costs(flat.sample(1, rng=0))
