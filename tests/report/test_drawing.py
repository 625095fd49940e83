"""Drawings of networks: every box, every edge, nothing on top of something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretell as ft
from foretell.report.drawing import Graph, draw, graph_of, network
from foretell.report.reading import read

SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each box."""
    out = []
    for box in ElementTree.fromstring(svg).iter(f"{SVG}rect"):
        x, y, w, h = (float(box.attrib[k]) for k in ("x", "y", "width", "height"))
        out.append((x, y, x + w, y + h))
    return out


def ends(svg: str) -> list[tuple[float, float, float, float]]:
    """Start and end of each edge."""
    root = ElementTree.fromstring(svg)
    paths = [p.attrib["d"] for p in root.iter(f"{SVG}path") if "marker-end" in p.attrib]
    out = []
    for path in paths:
        x, y = re.findall(r"-?[\d.]+", path)[:2]
        if "H" in path:
            out.append((float(x), float(y), float(path.partition("H")[2]), float(y)))
        else:
            out.append((float(x), float(y), *map(float, re.findall(r"-?[\d.]+", path)[-2:])))
    return out


def assert_sound(graph: Graph) -> None:
    svg = draw(graph, "g", "label")
    placed = boxes(svg)
    assert len(placed) == len(graph.labels)
    for (a, b, c, d), (e, f, g, h) in combinations(placed, 2):
        assert c <= e or g <= a or d <= f or h <= b, "boxes overlap"
    view = ElementTree.fromstring(svg).attrib["viewBox"].split()
    width, height = float(view[2]), float(view[3])
    assert all(a >= 0 and b >= 0 and c <= width and d <= height for a, b, c, d in placed)
    drawn = ends(svg)
    assert len(drawn) == len(graph.edges)
    for (i, j), (x0, y0, x1, y1) in zip(graph.edges, drawn, strict=True):
        for x, y, k in ((x0, y0, i), (x1, y1, j)):
            left, top, right, bottom = placed[k]
            assert left - 0.2 <= x <= right + 0.2
            assert top - 0.2 <= y <= bottom + 0.2


@st.composite
def dags(draw_: st.DrawFn) -> Graph:
    n = draw_(st.integers(2, 12))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    edges = draw_(st.lists(st.sampled_from(pairs), unique=True, max_size=24))
    edges = sorted({*edges, *pairwise(range(n))} if draw_(st.booleans()) else edges)
    labels = tuple(draw_(st.sampled_from(["a", "conv3x3", "x" * 40])) for _ in range(n))
    return Graph(labels, tuple(range(n)), tuple(edges))


@settings(deadline=None, max_examples=60)
@given(dags())
def test_any_graph_is_drawn_whole(graph: Graph) -> None:
    assert_sound(graph)


@pytest.mark.parametrize("name", ["nb101", "nb201"])
def test_networks_of_the_spaces_are_drawn_whole(name: str) -> None:
    space = ft.spaces.get(name)
    for x in space.sample(25, rng=0):
        assert_sound(graph_of(space, x))


def test_layers_go_down() -> None:
    space = ft.spaces.get("nb201")
    graph = graph_of(space, np.array([1, 2, 3, 4, 1, 2]))
    placed = boxes(draw(graph, "g", "label"))
    assert all(placed[i][3] < placed[j][1] for i, j in graph.edges)


def test_long_chains_run_in_rows() -> None:
    labels = ("input", *(f"block_{i}" for i in range(18)), "output")
    graph = Graph(labels, tuple(range(20)), tuple(pairwise(range(20))))
    assert_sound(graph)
    placed = boxes(draw(graph, "g", "label"))
    assert len({top for _, top, _, _ in placed}) < 10
    assert max(right for _, _, right, _ in placed) < 500


def test_the_graph_of_a_space_has_its_words() -> None:
    own = ft.Space.from_choices(
        {"depth": [1, 2], "op": ft.choice(["a", "b"], repeat="depth")}, print
    )
    (x,) = own.from_str(["depth=1,op_0=b"])
    graph = graph_of(own, x)
    assert graph.labels == ("input", "depth=1", "op=b", "output")
    assert graph.edges == ((0, 1), (1, 2), (2, 3))


def test_operations_of_one_family_have_one_colour() -> None:
    space = ft.spaces.get("nb201")
    graph = graph_of(space, np.array([2, 0, 3, 0, 0, 1]))
    assert graph.labels == ("input", "nor_conv_1x1", "nor_conv_3x3", "skip_connect", "output")
    _, one, three, skip, _ = graph.kinds
    assert one == three != skip


def test_the_drawing_gives_its_edges_as_numbers(make_run: Callable[..., Path]) -> None:
    run = read(make_run())
    display = network(run, run.winner)
    assert display is not None
    assert run.winner is not None
    assert run.space is not None
    graph = graph_of(run.space, np.array(run.winner.x))
    frame = display.frame()
    assert list(zip(frame["from_vertex"], frame["to_vertex"], strict=True)) == list(graph.edges)
    assert frame["from"] == [graph.labels[i] for i, _ in graph.edges]


def test_labels_are_escaped() -> None:
    svg = draw(Graph(("<i>&", "b"), (2, 3), ((0, 1),)), "g", '"')
    assert "<i>" not in svg
    texts = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert texts == ["<i>&", "b"]
