"""Ragged batches of computational graphs, and their spectra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import laplacian

import foretell as ft
from foretell.graphs.computation import Canvas, Computations, joined
from foretell.graphs.spectra import spectra


@pytest.fixture(scope="module")
def graphs() -> Computations:
    parts = [
        ft.spaces.get("nb201", channels=4, n_cells=1).computations(
            ft.spaces.get("nb201").sample(6, rng=0)
        ),
        ft.spaces.get("tabular").computations(ft.spaces.get("tabular").sample(4, rng=0)),
    ]
    return joined(parts)


def relabelled(graph: Computations, rng: np.random.Generator) -> Computations:
    """One graph with its vertices in another order."""
    order = rng.permutation(len(graph.ops))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    edges = place[graph.edges].astype(np.int32)
    edges = edges[np.argsort(edges[:, 1], kind="stable")]
    return Computations(*(column[order] for column in graph[:7]), edges, graph.starts)


def test_take_is_the_inverse_of_joined(graphs: Computations) -> None:
    alone = [graphs.take([i]) for i in range(graphs.n)]
    for a, b in zip(joined(alone), graphs, strict=True):
        np.testing.assert_array_equal(a, b)
    picked = [7, 2, 2, 9]
    for a, b in zip(graphs.take(picked), joined([alone[i] for i in picked]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert graphs.take([]).n == 0


def test_totals_are_sums(graphs: Computations) -> None:
    loop = [int(graphs.take([i]).flops.sum()) for i in range(graphs.n)]
    assert graphs.total(graphs.flops).tolist() == loop
    np.testing.assert_array_equal(graphs.graph, np.repeat(range(10), np.diff(graphs.starts)))


def test_spectra_are_those_of_numpy_on_each_graph_alone(graphs: Computations) -> None:
    found = spectra(graphs, k=20)
    for i in range(graphs.n):
        one = graphs.take([i])
        dense = np.zeros((len(one.ops),) * 2)
        dense[tuple(one.edges.T)] = 1
        values = np.sort(np.linalg.eigvals(laplacian(dense + dense.T, normed=True)).real)[:20]
        expected = np.append(values, [values[-1]] * (20 - len(values)))
        np.testing.assert_allclose(found[i], expected, atol=1e-9)


def test_spectra_do_not_know_the_order_of_vertices(graphs: Computations) -> None:
    rng = np.random.default_rng(0)
    other = joined([relabelled(graphs.take([i]), rng) for i in range(graphs.n)])
    np.testing.assert_allclose(spectra(other), spectra(graphs), atol=1e-9)


def test_a_vertex_alone_has_eigenvalue_zero() -> None:
    canvas = Canvas(3, 4, 4)
    canvas.enter(2)
    np.testing.assert_allclose(spectra(canvas.done(canvas.input), 3), [[0.0, 0.0, 2.0]])


def test_every_nb201_graph_is_drawn_in_a_minute() -> None:
    space = ft.spaces.get("nb201")
    X = np.concatenate(list(space.enumerate()))[::50]
    graphs = space.computations(X)
    np.testing.assert_array_equal(graphs.total(graphs.flops), space.costs(X).flops)
    np.testing.assert_array_equal(graphs.total(graphs.params), space.costs(X).params)
