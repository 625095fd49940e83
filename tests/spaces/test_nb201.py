"""NAS-Bench-201 rows: strings, the 6,466 classes, the graph view."""

from __future__ import annotations

import csv
import gzip
import json

import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foretell.errors import SettingError, SpaceError
from foretell.spaces.nb201 import EDGES, NB201, OPS

SPACE = NB201()
ALL = np.concatenate(list(SPACE.enumerate()))


def classes(labels):
    """Labels of a partition as the number of first appearance."""
    _, first, back = np.unique(labels, return_index=True, return_inverse=True)
    return first[back]


def test_whole_space_once():
    assert SPACE.size == len(ALL) == len(np.unique(ALL, axis=0)) == 5**6
    np.testing.assert_array_equal(np.sort(SPACE.row_key(ALL)), np.arange(5**6))


def test_strings_of_the_published_table(data_dir):
    with gzip.open(data_dir / "nb201.csv.gz", "rt") as file:
        archs = [row["arch"] for row in csv.DictReader(file)]
    X = SPACE.from_str(archs)
    assert SPACE.to_str(X) == archs
    assert len(np.unique(SPACE.row_key(X))) == 15_625


def test_official_string_is_read_edge_by_edge():
    text = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    decisions = SPACE.decode(SPACE.from_str([text])[0])
    assert decisions == {
        "edge_0_1": "none",
        "edge_0_2": "skip_connect",
        "edge_1_2": "nor_conv_1x1",
        "edge_0_3": "nor_conv_3x3",
        "edge_1_3": "avg_pool_3x3",
        "edge_2_3": "none",
    }


def written_out(row):
    """The benchmark's unique string with zeros considered, from the official description."""
    op = {edge: OPS[k] for edge, k in zip(EDGES, row, strict=True)}
    nodes = ["0"]
    for j in (1, 2, 3):
        terms = []
        for i in range(j):
            if op[i, j] == "none" or nodes[i] == "#":
                terms.append("#")
            elif op[i, j] == "skip_connect":
                terms.append(nodes[i])
            else:
                terms.append("(" + nodes[i] + ")" + "@" + op[i, j])
        nodes.append("+".join(sorted(terms)))
    return nodes[3]


def test_canonical_is_the_benchmark_s_unique_string():
    labels = np.array([written_out(row) for row in ALL.tolist()])
    keys = SPACE.canonical(ALL)
    np.testing.assert_array_equal(classes(keys), classes(labels))
    assert len(np.unique(keys)) == 6_466


def test_equal_keys_are_equal_functions():
    """Cells of random odd functions on vectors: equal key, equal value."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, 8, 8))

    def values(edge, x):
        out = np.where((ALL[:, edge] == 1)[:, None], x, 0.0)
        for op in (2, 3, 4):
            out = np.where((ALL[:, edge] == op)[:, None], np.tanh(x @ weights[op]), out)
        return out

    nodes = [np.tile(rng.normal(size=8), (len(ALL), 1))]
    for j in (1, 2, 3):
        edges = [(e, i) for e, (i, target) in enumerate(EDGES) if target == j]
        nodes.append(sum(values(e, nodes[i]) for e, i in edges))
    _, first, back = np.unique(SPACE.canonical(ALL), return_index=True, return_inverse=True)
    np.testing.assert_allclose(nodes[3], nodes[3][first[back]], atol=1e-12)
    # sums that the benchmark's text tells apart are equal functions: 5,390 classes at most
    assert len(np.unique(nodes[3].round(9), axis=0)) <= 5_390


def test_graph_is_the_line_graph_of_live_edges():
    ops, adjacency = SPACE.graphs(ALL)
    words = np.array([*SPACE.vocabulary, "absent"])
    for k in np.random.default_rng(0).choice(len(ALL), 300, replace=False):
        cell = nx.DiGraph([e for e, op in zip(EDGES, ALL[k], strict=True) if op])
        cell.add_nodes_from(range(4))
        onward = nx.descendants(cell, 0) | {0}
        back = nx.ancestors(cell, 3) | {3}
        live = [(i, j) in cell.edges and {i, j} <= onward and {i, j} <= back for i, j in EDGES]
        expected = [OPS[op] if on else "absent" for op, on in zip(ALL[k], live, strict=True)]
        assert words[ops[k]].tolist() == ["input", *expected, "output"]
        line = nx.line_graph(
            cell.edge_subgraph([e for e, on in zip(EDGES, live, strict=True) if on])
        )
        arcs = {(EDGES[a - 1], EDGES[b - 1]) for a, b in np.argwhere(adjacency[k]) if a and b < 7}
        assert arcs == set(line.edges)
        from_input = {EDGES[b - 1] for a, b in np.argwhere(adjacency[k]) if a == 0}
        into_output = {EDGES[a - 1] for a, b in np.argwhere(adjacency[k]) if b == 7}
        assert from_input == {e for e in line if e[0] == 0}
        assert into_output == {e for e in line if e[1] == 3}


@example("0\x1f")  # a blank to `re` and `str`, and not to `int`
@given(st.text() | st.text(alphabet="|+~012noreskip_cavgl3x", max_size=90))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        (row,) = SPACE.from_str([text])
    except SpaceError:
        return
    assert text.strip() in (*SPACE.to_str([row]), str(SPACE.index([row])[0]))


@given(st.integers(0, 5**6 - 1), st.integers(0, 100), st.characters())
def test_one_wrong_character_is_noticed(k, at, character):
    text = SPACE.to_str(ALL[[k]])[0]
    at %= len(text)
    changed = text[:at] + character + text[at + 1 :]
    try:
        (row,) = SPACE.from_str([changed])
    except SpaceError:
        assert changed != text
        return
    assert SPACE.to_str([row]) == [changed.strip()]


def test_costs_follow_the_data():
    small, large = SPACE.with_io((1, 8, 8), 10), SPACE.with_io((1, 16, 16), 10)
    X = ALL[::500]
    np.testing.assert_array_equal(small.costs(X).params, large.costs(X).params)
    head = 2 * 64 * 10
    np.testing.assert_array_equal(4 * (small.costs(X).flops - head), large.costs(X).flops - head)


@pytest.mark.parametrize("settings", [{"channels": 0}, {"n_cells": 0}, {"n_cells": 1.5}])
def test_wrong_settings_are_named(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        NB201(**settings)


def test_vectors_are_refused():
    space = SPACE.with_io((64,), 10)
    for call in (space.costs, lambda X: space.build(X[0], (64,), 10)):
        with pytest.raises(SpaceError, match="nb201 takes images"):
            call(ALL[:1])


def test_other_notations_of_the_same_cell():
    X = SPACE.sample(50, rng=0)
    ways = [[], [], [], [], [], []]
    for text, row in zip(SPACE.to_str(X), X.tolist(), strict=True):
        nodes = []
        for node in text.split("+"):
            pairs = [word.split("~") for word in node.strip("|").split("|")]
            nodes.append(tuple((op, int(source)) for op, source in pairs))
        ways[0].append(str(tuple(nodes)))
        ways[1].append(str(nodes).replace("'", '"'))
        ways[2].append(str(tuple(row)))
        ways[3].append("".join(map(str, row)))
        ways[4].append("-".join(map(str, row)))
        ways[5].append(json.dumps(nodes))
    for way in ways:
        assert np.array_equal(SPACE.from_str(way), X)
    for wrong in ("(0, 1, 2, 3, 4)", "01234", "0123456", "(0, 1, 2, 3, 4, 5)", "(('none', 0),)"):
        with pytest.raises(SpaceError):
            SPACE.from_str([wrong])
    for wrong in ("15625", "-1", "1.5", "00012"):
        with pytest.raises(SpaceError, match="not an architecture"):
            SPACE.from_str([wrong])
    for wrong in (ways[0][0].replace("('", "('x_"), ways[0][0] + "+1"):
        with pytest.raises(SpaceError):
            SPACE.from_str([wrong])


def test_numbers_are_those_of_the_published_files(data_dir):
    """The file lists all cells with their numbers; a few stand in the benchmark's own code."""
    with gzip.open(data_dir / "nb201.csv.gz", "rt", newline="") as lines:
        numbers, archs = zip(*((r["index"], r["arch"]) for r in csv.DictReader(lines)), strict=True)
    assert sorted(map(int, numbers)) == list(range(15_625))
    X = SPACE.from_str(archs)
    assert SPACE.index(X).tolist() == list(map(int, numbers))
    assert np.array_equal(SPACE.from_str(numbers), X)


def test_numbers_and_rows_are_one_to_one():
    X = SPACE.sample(300, rng=0)
    assert np.array_equal(SPACE.from_str([f" {i} " for i in SPACE.index(X)]), X)
    first, ninth = SPACE.to_str(SPACE.from_str(["0", "9"]))
    convs = "|nor_conv_1x1~0|skip_connect~1|"
    assert first == f"|avg_pool_3x3~0|+{convs}+{convs}skip_connect~2|"
    assert ninth == "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
