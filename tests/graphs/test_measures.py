"""Numbers of computational graphs against walks that are listed one by one."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.graphs.computation import VOCABULARY, Canvas, Computations, joined
from foretell.graphs.measures import NAMES, measures

WEIGHTED = {"conv", "depthwise", "linear"}


@pytest.fixture(scope="module")
def graphs() -> Computations:
    parts = [
        ft.spaces.get("nb201", channels=4, n_cells=1),
        ft.spaces.get("nb101", channels=8, n_stacks=1, n_cells=1),
        ft.spaces.get("mobile", preset="tiny"),
    ]
    return joined([space.computations(space.sample(4, rng=2)) for space in parts])


def ways(graph: Computations) -> list[list[int]]:
    """Every way back from the output."""
    sources: dict[int, list[int]] = {}
    for a, b in graph.edges.tolist():
        sources.setdefault(b, []).append(a)

    def back(v: int) -> list[list[int]]:
        return [[v, *rest] for u in sources[v] for rest in back(u)] if v in sources else [[v]]

    return back(len(graph.ops) - 1)


def test_depths_and_ways_are_those_of_a_list(graphs: Computations) -> None:
    found = measures(graphs)
    for i in range(graphs.n):
        graph = graphs.take([i])
        row = dict(zip(NAMES, found[i], strict=True))
        listed = ways(graph)
        words = [VOCABULARY[op] for op in graph.ops]
        if "zero" in words:
            continue
        lengths = [sum(words[v] in WEIGHTED for v in way) for way in listed]
        assert (row["longest_weighted"], row["shortest_weighted"]) == (max(lengths), min(lengths))
        assert row["paths"] == pytest.approx(np.log(len(listed)))
        into = np.bincount(graph.edges[:, 1], minlength=len(words))
        odds = [np.prod([1 / into[v] for v in way if into[v]]) for way in listed]
        assert row["mean_weighted"] == pytest.approx(np.dot(odds, lengths))
        acts = [sum(words[v] in ("relu", "sigmoid") for v in way) for way in listed]
        assert row["mean_act"] == pytest.approx(np.dot(odds, acts))


def test_sums_are_those_of_the_costs() -> None:
    space = ft.spaces.get("nb201")
    X = space.sample(20, rng=0)
    found = dict(zip(NAMES, measures(space.computations(X)).T, strict=True))
    np.testing.assert_allclose(found["params"], np.log1p(space.costs(X).params))
    np.testing.assert_allclose(found["flops"], np.log1p(space.costs(X).flops))
    threes = (space._live(X) == 3).sum(axis=1) * 15 + 1 + 4
    np.testing.assert_allclose(found["n_wide"], np.log1p(threes))


def test_receptive_field_of_a_chain() -> None:
    canvas = Canvas(3, 32, 32)
    x = canvas.conv(canvas.input, 4, 3, stride=2)
    x = canvas.conv(canvas.pool(x, "max-pool", 2, 2), 4, 5)
    row = dict(zip(NAMES, measures(canvas.done(x))[0], strict=True))
    assert np.expm1(row["longest_field"]) == pytest.approx(2 * 1 + 1 * 2 + 4 * 4)


def test_a_network_that_its_input_does_not_reach() -> None:
    space = ft.spaces.get("nb201")
    row = dict(zip(NAMES, measures(space.draw([0] * 6))[0], strict=True))
    assert (row["reached"], row["paths"], row["mean_weighted"]) == (0.0, 0.0, 1.0)


def test_graphs_do_not_know_each_other(graphs: Computations) -> None:
    alone = np.concatenate([measures(graphs.take([i])) for i in range(graphs.n)])
    np.testing.assert_allclose(measures(graphs), alone, rtol=1e-12)
