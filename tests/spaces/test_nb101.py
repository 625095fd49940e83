"""NAS-Bench-101 rows: classes of isomorphic graphs, official hashes, the whole space."""

from __future__ import annotations

import csv
import gzip
import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from foretell.errors import SettingError, SpaceError
from foretell.spaces.nb101 import NB101, OPS

SPACE = NB101()
PAIRS = list(itertools.combinations(range(7), 2))


@pytest.fixture(scope="module")
def whole():
    return np.concatenate(list(SPACE.enumerate()))


@pytest.fixture(scope="module")
def published(data_dir):
    with gzip.open(data_dir / "nb101_small.csv.gz", "rt") as file:
        table = {row["hash"]: row for row in csv.DictReader(file)}
    X = np.stack([SPACE.from_matrix(r["adjacency"], r["labels"]) for r in table.values()])
    return table, X


def random_rows(n, seed, p=0.3):
    """Valid rows as anyone might write them: junk vertices, any order, not canonical."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.random((20 * n, 21)) < p, rng.integers(3, size=(20 * n, 5))], axis=1)
    X = X.astype(np.int8)
    return X[SPACE.contains(X)][:n]


def as_networkx(row):
    """The pruned labelled graph, by networkx."""
    graph = nx.DiGraph([pair for pair, bit in zip(PAIRS, row, strict=False) if bit])
    graph.add_nodes_from(range(7))
    keep = (nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, 6) | {6})
    graph = graph.subgraph(keep).copy()
    labels = ["input", *(OPS[op] for op in row[21:]), "output"]
    nx.set_node_attributes(graph, {v: labels[v] for v in graph}, "op")
    return graph


def isomorphic(one, other):
    return nx.is_isomorphic(one, other, node_match=lambda a, b: a["op"] == b["op"])


def relabelled(X, seed):
    """Each row with its vertices 1 to 5 renamed at random, where that keeps i < j."""
    rng = np.random.default_rng(seed)
    adjacency = np.zeros((len(X), 7, 7), dtype=np.int8)
    adjacency[:, *np.array(PAIRS).T] = X[:, :21]
    out, done = X.copy(), np.zeros(len(X), dtype=bool)
    for _ in range(200):
        inner = rng.permutation(5) + 1
        order = np.array([0, *inner, 6])
        moved = adjacency[:, order][:, :, order]
        fits = ~np.tril(moved).any(axis=(1, 2)) & ~done
        out[fits, :21] = moved[fits][:, *np.array(PAIRS).T]
        out[fits, 21:] = X[fits][:, 20 + inner]
        done |= fits & (out != X).any(axis=1)
    return out[done], X[done]


# -- identity -------------------------------------------------------------------------------------


def test_whole_space(whole):
    assert SPACE.size == len(whole) == 423_624
    assert len(np.unique(SPACE.row_key(whole))) == 423_624
    assert SPACE.contains(whole).all()
    np.testing.assert_array_equal(SPACE.canonical_form(whole), whole)


def test_batches_of_the_whole_space(whole):
    batches = list(SPACE.enumerate(100_000))
    assert [len(batch) for batch in batches] == [100_000] * 4 + [23_624]
    np.testing.assert_array_equal(np.concatenate(batches), whole)
    batches[0][:] = 0  # the caller's own
    np.testing.assert_array_equal(next(SPACE.enumerate(5)), whole[:5])


def test_classes_of_small_graphs_by_brute_force(whole):
    """Every labelled matrix of at most 5 vertices; a class is the least of all its relabellings."""
    found = set()
    for v in range(2, 6):
        pairs = list(itertools.combinations(range(v), 2))
        orders = [(0, *p, v - 1) for p in itertools.permutations(range(1, v - 1))]
        for bits in itertools.product((0, 1), repeat=len(pairs)):
            edges = {pair for pair, bit in zip(pairs, bits, strict=True) if bit}
            sources, targets = {i for i, _ in edges}, {j for _, j in edges}
            if len(edges) > 9 or {*range(v - 1)} - sources or {*range(1, v)} - targets:
                continue
            for ops in itertools.product(range(3), repeat=v - 2):
                label = (-1, *ops, -2)
                found.add(
                    min(
                        (
                            tuple(sorted((order[i], order[j]) for i, j in edges)),
                            tuple(label[order.index(k)] for k in range(v)),
                        )
                        for order in orders
                    )
                )
    small = SPACE.active(whole)[:, 21:].sum(axis=1) <= 3
    assert len(found) == small.sum() == 2_532  # as many as the published small table has


def test_keys_against_isomorphism_by_networkx():
    """Pairs of near graphs: parents, their mutants, the mutants' mutants."""
    parents = random_rows(60, seed=1)
    children = SPACE.mutate(parents, rng=0)
    grandchildren = SPACE.mutate(children, rng=1)
    seen = [0, 0]
    for one, other in [(parents, children), (parents, grandchildren), (children, grandchildren)]:
        equal = SPACE.row_key(one) == SPACE.row_key(other)
        for a, b, same in zip(one, other, equal, strict=True):
            assert isomorphic(as_networkx(a), as_networkx(b)) == same
            seen[int(same)] += 1
    assert min(seen) > 3  # both answers were asked for


def test_a_key_does_not_depend_on_how_many_are_asked_for():
    X = random_rows(600, seed=4)  # few and many are counted in different ways
    for k in (1, 7, 256, 257):
        blocks = [SPACE.row_key(X[i : i + k]) for i in range(0, 600, k)]
        assert np.array_equal(np.concatenate(blocks), SPACE.row_key(X))


def test_relabelling_changes_no_key_and_no_hash():
    moved, X = relabelled(random_rows(3000, seed=2), seed=3)
    assert len(X) > 1000
    np.testing.assert_array_equal(SPACE.row_key(moved), SPACE.row_key(X))
    np.testing.assert_array_equal(SPACE.canonical(moved), SPACE.row_key(X))
    assert SPACE.md5_hash(moved[:200]) == SPACE.md5_hash(X[:200])
    for a, b in zip(moved[:50], X[:50], strict=True):
        assert isomorphic(as_networkx(a), as_networkx(b))


def test_hashes_of_the_published_table(published):
    table, X = published
    assert len(table) == 2_532
    assert SPACE.md5_hash(X) == list(table)
    assert len(np.unique(SPACE.row_key(X))) == 2_532


def test_parameters_of_the_published_table(published):
    table, X = published
    params = [int(row["params"]) for row in table.values()]
    np.testing.assert_array_equal(SPACE.costs(X).params, params)


# -- rows, graphs, strings ------------------------------------------------------------------------


def test_valid_rows_against_networkx():
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.random((600, 21)) < 0.4, rng.integers(3, size=(600, 5))], axis=1)
    expected = []
    for row in X:
        graph = nx.DiGraph([pair for pair, bit in zip(PAIRS, row, strict=False) if bit])
        graph.add_nodes_from((0, 6))
        path = nx.has_path(graph, 0, 6)
        expected.append(path and as_networkx(row).number_of_edges() <= 9)
    assert 100 < sum(expected) < 500
    np.testing.assert_array_equal(SPACE.contains(X.astype(np.int8)), expected)


def test_canonical_form_and_graphs_against_networkx():
    X = random_rows(300, seed=5)
    rows = SPACE.canonical_form(X)
    np.testing.assert_array_equal(SPACE.canonical_form(rows), rows)
    assert not rows[~SPACE.active(rows)].any()
    ops, adjacency = SPACE.graphs(X)
    for row, x, labels, matrix in zip(rows, X, ops, adjacency, strict=True):
        pruned = as_networkx(x)
        place = {v: k for k, v in enumerate(sorted(pruned)[:-1])} | {6: 6}
        expected = nx.relabel_nodes(pruned, place)
        assert set(as_networkx(row).edges) == set(expected.edges)
        assert set(map(tuple, np.argwhere(matrix))) == set(expected.edges)
        words = {v: SPACE.vocabulary[op] for v, op in enumerate(labels) if op >= 0}
        assert words == dict(expected.nodes(data="op")) | {0: "input", 6: "output"}


def test_strings_round_trip(whole):
    X = np.concatenate([random_rows(300, seed=6), whole[:50], whole[::5000]])
    texts = SPACE.to_str(X)
    np.testing.assert_array_equal(SPACE.from_str(texts), SPACE.canonical_form(X))
    assert SPACE.to_str(SPACE.from_str(texts)) == texts


def test_strings_are_the_official_matrix(published):
    table, X = published
    for row, text in zip(table.values(), SPACE.to_str(X), strict=True):
        words = [OPS[int(k)].removesuffix("-bn-relu") for k in row["labels"].split(",")[1:-1]]
        assert text == row["adjacency"] + ":" + ",".join(words)


def test_matrices_in_every_form():
    text = "0110/0010/0001/0000"
    matrix = [[int(bit) for bit in line] for line in text.split("/")]
    (row,) = SPACE.from_str([text + ":conv3x3,maxpool3x3"])
    official = ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]
    for adjacency in (text, matrix, np.array(matrix), np.array(matrix, dtype=bool)):
        for ops in (official, "-1,0,2,-2", [-1, 0, 2, -2], np.array([-1, 0, 2, -2])):
            np.testing.assert_array_equal(SPACE.from_matrix(adjacency, ops), row)
    (long,) = SPACE.from_str([text + ":conv3x3-bn-relu, maxpool3x3"])
    np.testing.assert_array_equal(long, row)


@pytest.mark.parametrize(
    ("adjacency", "ops"),
    [
        ("01/00", "0,1"),  # no input, no output
        ("01/00", "-1,0,-2"),  # three operations for two vertices
        ("011/001", "-1,0,-2"),
        ("01x/001/000", "-1,0,-2"),
        ([[0, 1, 2], [0, 0, 1], [0, 0, 0]], "-1,0,-2"),
        ([[0, 1], [1, 0]], "-1,-2"),  # a cycle
        ([[0, 0], [0, 0]], "-1,-2"),  # no path
        ([[0, 1], [0]], "-1,-2"),
        ([0, 1], "-1,-2"),
        (np.triu(np.ones((5, 5), dtype=int), 1), [-1, 0, 0, 0, -2]),  # 10 edges
        (np.triu(np.ones((8, 8), dtype=int), 1), [-1, 0, 0, 0, 0, 0, 0, -2]),
        ("011/001/000", "-1,7,-2"),
        ("011/001/000", ["input", None, "output"]),
    ],
)
def test_wrong_matrices_are_refused_in_words(adjacency, ops):
    with pytest.raises(SpaceError, match="nb101"):
        SPACE.from_matrix(adjacency, ops)


@given(
    st.text()
    | st.text(alphabet="01/:conv3x1mapl,-bnreu ", max_size=80)
    | st.builds(
        lambda bits, v, ops: (
            "/".join("0" * (i + 1) + bits[7 * i : 7 * i + v - i - 1] for i in range(v))
            + ":"
            + ",".join(ops)
        ),
        st.text(alphabet="01", min_size=60, max_size=60),
        st.integers(0, 8),
        st.lists(st.sampled_from(["conv3x3", "conv1x1", "maxpool3x3", "", "x"]), max_size=6),
    )
)
def test_any_text_is_read_or_refused_in_words(text):
    try:
        X = SPACE.from_str([text])
    except SpaceError:
        return
    np.testing.assert_array_equal(SPACE.from_str(SPACE.to_str(X)), X)


# -- moving about ---------------------------------------------------------------------------------


def test_samples_are_uniform_over_classes(whole):
    """Chi-square over 500 groups of classes, seed 0."""
    X = SPACE.sample(200_000, rng=0)
    group = SPACE.row_key(X) % np.uint64(500)
    expected = np.bincount((SPACE.row_key(whole) % np.uint64(500)).astype(int), minlength=500)
    counts = np.bincount(group.astype(int), minlength=500)
    assert chisquare(counts, expected * len(X) / len(whole)).pvalue > 1e-3
    np.testing.assert_array_equal(X[:10], SPACE.sample(200_000, rng=0)[:10])


def test_mutants_are_other_graphs_one_step_away():
    parents = np.concatenate([random_rows(100, seed=7), SPACE.from_str(["01/00:"] * 5)])
    children = SPACE.mutate(parents, rng=0)
    assert SPACE.contains(children).all()
    np.testing.assert_array_equal(SPACE.canonical_form(children), children)
    np.testing.assert_array_equal(children, SPACE.mutate(parents, rng=0))
    for parent, child in zip(parents, children, strict=True):
        around = SPACE.row_key(SPACE.neighbors(parent))
        assert SPACE.row_key(child[None])[0] in around
        assert SPACE.row_key(parent[None])[0] not in around


def test_mutation_reaches_every_neighbour():
    (parent,) = SPACE.from_str(["0110/0010/0001/0000:conv3x3,maxpool3x3"])
    children = SPACE.mutate(np.repeat(parent[None], 4000, axis=0), rng=0)
    around = np.sort(SPACE.row_key(SPACE.neighbors(parent)))
    np.testing.assert_array_equal(np.unique(SPACE.row_key(children)), around)


def test_mutation_grows_and_shrinks():
    X = SPACE.sample(2000, rng=0)
    sizes = []
    for step in range(30):
        X = SPACE.mutate(X, rng=step)
        sizes.append(SPACE.active(X)[:, 21:].sum(axis=1))
    assert set(np.unique(sizes[-1])) == {0, 1, 2, 3, 4, 5}
    assert (np.diff(np.array(sizes), axis=0) > 0).any()


def test_neighbours_by_brute_force():
    for row in [*random_rows(12, seed=8), *SPACE.from_str(["01/00:", "010/001/000:conv1x1"])]:
        base = as_networkx(row)
        inner = sorted(set(base) - {0, 6})
        order = [0, *inner, 6]
        found = []
        for i, j in itertools.combinations(order, 2):
            graph = base.copy()
            if graph.has_edge(i, j):
                graph.remove_edge(i, j)
            else:
                graph.add_edge(i, j)
            found.append(graph)
            for op in OPS if len(inner) < 5 else ():
                graph = base.copy()
                graph.add_node("new", op=op)
                graph.add_edges_from([(i, "new"), ("new", j)])
                found.append(graph)
        for v, op in itertools.product(inner, OPS):
            graph = base.copy()
            if graph.nodes[v]["op"] != op:
                graph.nodes[v]["op"] = op
                found.append(graph)
        hashes = set()
        for graph in found:
            keep = (nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, 6) | {6})
            graph = graph.subgraph(keep)
            if (
                6 in graph
                and 0 in graph
                and graph.number_of_edges() <= 9
                and nx.has_path(graph, 0, 6)
            ):
                names = list(nx.topological_sort(graph))
                matrix = nx.to_numpy_array(graph, names, dtype=int)
                ops = ["input", *(graph.nodes[v]["op"] for v in names[1:-1]), "output"]
                hashes.update(SPACE.md5_hash(SPACE.from_matrix(matrix, ops)[None]))
        neighbours = SPACE.neighbors(row)
        assert len(neighbours) == len(hashes)
        assert set(SPACE.md5_hash(neighbours)) == hashes


def test_decode_names_what_is_there():
    (row,) = SPACE.from_str(["010/001/000:maxpool3x3"])
    decisions = SPACE.decode(row)
    assert decisions["op_1"] == "maxpool3x3"
    assert decisions["edge_0_1"] == decisions["edge_1_6"] == 1
    assert decisions["edge_0_6"] == 0
    assert decisions["op_2"] is None


@pytest.mark.parametrize("settings", [{"channels": 4}, {"n_stacks": 0}, {"n_cells": True}])
def test_wrong_settings_are_named(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        NB101(**settings)


def test_wrong_counts_are_named():
    with pytest.raises(SettingError, match="bad n"):
        SPACE.sample(-1, rng=0)
    with pytest.raises(SettingError, match="bad batch"):
        next(SPACE.enumerate(0))


def test_vectors_are_refused():
    space = SPACE.with_io((64,), 10)
    (row,) = SPACE.from_str(["01/00:"])
    for call in (space.costs, lambda X: space.build(X[0], (64,), 10)):
        with pytest.raises(SpaceError, match="nb101 takes images"):
            call(row[None])


@pytest.mark.parametrize(
    "text", ["00/00:", "01111/00111/00011/00001/00000:" + ",".join(["conv3x3"] * 3)]
)
def test_what_a_network_must_have_is_said(text):
    with pytest.raises(SpaceError, match="a path from input to output, and at most 9 edges"):
        SPACE.from_str([text])
