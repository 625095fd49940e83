"""A network drawn from the graph view of its space: boxes, edges, as hand-written SVG."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.report.display import Display, colour, open_svg
from foretell.report.html import escape
from foretell.report.reading import Run
from foretell.report.units import plural, short
from foretell.runs.trial import Trial
from foretell.spaces.base import Space

_BOX, _GAP, _LINE = 34.0, 18.0, 66.0  # box height, between boxes, between layers
_KINDS = 6  # colours, taken in the order of the vocabulary


@dataclass(frozen=True)
class Graph:
    """One network: `labels` and `kinds` of its vertices, `edges` (i, j) with i < j.

    A kind is the number of a family of operations, 0 and 1 for input and output.
    """

    labels: tuple[str, ...]
    kinds: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]


def network(run: Run, trial: Trial | None) -> Display | None:
    """The network of one trial, or None when its space is not at hand."""
    if trial is None or run.space is None or run.rows((trial,)) is None:
        return None
    graph = graph_of(run.space, np.array(trial.x))
    caption = (
        f"Network #{trial.id} of {run.space.name}: "
        f"{plural(len(graph.labels), 'vertex', 'vertices')}, {plural(len(graph.edges), 'edge')}."
    )
    label = f"{caption} " + "; ".join(
        f"{graph.labels[i]} to {graph.labels[j]}" for i, j in graph.edges[:40]
    )
    return Display(
        "network",
        "The best network",
        caption,
        {
            "from_vertex": [i for i, _ in graph.edges],
            "from": [graph.labels[i] for i, _ in graph.edges],
            "to_vertex": [j for _, j in graph.edges],
            "to": [graph.labels[j] for _, j in graph.edges],
        },
        lambda: draw(graph, "network", label),
    )


def graph_of(space: Space, x: NDArray[np.integer]) -> Graph:
    """The vertices of one row that are there, and their edges.

    >>> from foretell import spaces
    >>> graph_of(spaces.get("nb201"), np.array([1, 0, 0, 0, 3, 0])).labels
    ('input', 'skip_connect', 'nor_conv_3x3', 'output')
    """
    row = space.canonical_form(space.check(x[None]))
    ops, adjacency = space.graphs(row)
    there = np.flatnonzero(ops[0] >= 0)
    words = space.vocabulary
    edges = np.argwhere(adjacency[0][np.ix_(there, there)])
    kinds = {word: i for i, word in enumerate(dict.fromkeys(map(_kind, words)))}
    return Graph(
        tuple(words[k] for k in ops[0][there]),
        tuple(kinds[_kind(words[k])] for k in ops[0][there]),
        tuple((int(i), int(j)) for i, j in edges),
    )


def draw(graph: Graph, name: str, label: str) -> str:
    """The graph as one `<svg>`: a chain in rows like a text, anything else in layers downwards."""
    widths = [9.0 + 7.4 * len(short(text, 22)) + 9.0 for text in graph.labels]
    chain = all(edge == (i, i + 1) for i, edge in enumerate(graph.edges)) and (
        len(graph.edges) == len(graph.labels) - 1
    )
    if chain and len(graph.labels) > 7:
        centres, paths, size = _as_rows(widths)
    else:
        centres, paths, size = _in_layers(graph, widths)
    parts = [open_svg(name, label, *size), _arrow_head(name)]
    parts += [
        f'<path d="{path}" style="fill: none; stroke: {colour("muted")}; stroke-width: 1.6" '
        f'marker-end="url(#{name}-arrow)"/>'
        for path in paths
    ]
    vertices = zip(graph.labels, graph.kinds, centres, widths, strict=True)
    parts += [_box(text, kind, x, y, width) for text, kind, (x, y), width in vertices]
    return "".join([*parts, "</svg>"])


def _kind(word: str) -> str:
    """The family of an operation: the letters it begins with, as in "mbconv_k5" and "width=32"."""
    letters = re.match(r"[^\W\d_]+", word)
    return letters[0] if letters and word not in ("input", "output") else word


def _box(text: str, kind: int, x: float, y: float, width: float) -> str:
    end = kind < 2  # input and output come first in every vocabulary
    hue = colour("muted" if end else f"kind-{(kind - 2) % _KINDS}")
    fill = f"fill: {colour('card')}" if end else f"fill: {hue}; fill-opacity: 0.16"
    return (
        f'<g><title>{escape(text)}</title><rect x="{x - width / 2:.1f}" y="{y - _BOX / 2:.1f}" '
        f'width="{width:.1f}" height="{_BOX:g}" rx="{_BOX / 2 if end else 8:g}" '
        f'style="{fill}; stroke: {hue}; stroke-width: 1.6"/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" '
        f'style="font: 13px var(--sans, sans-serif); fill: {colour("ink")}">'
        f"{escape(short(text, 22))}</text></g>"
    )


def _arrow_head(name: str) -> str:
    return (
        f'<defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto-start-reverse"><path d="M0 0.6L7.4 4L0 7.4z" '
        f'style="fill: {colour("muted")}"/></marker></defs>'
    )


Points = list[tuple[float, float]]


def _as_rows(widths: list[float]) -> tuple[Points, list[str], tuple[float, float]]:
    """Boxes row by row, every other row from right to left, so that all arrows are short."""
    room, gap = 460.0, 30.0
    rows: list[list[int]] = [[]]
    used = 0.0
    for i, width in enumerate(widths):
        if rows[-1] and used + gap + width > room:
            rows.append([])
            used = 0.0
        used += width + (gap if rows[-1] else 0.0)
        rows[-1].append(i)
    centres: Points = [(0.0, 0.0)] * len(widths)
    for r, row in enumerate(rows):
        free = room - sum(widths[i] for i in row)
        between = free / (len(row) - 1) if len(row) > 1 and r < len(rows) - 1 else gap
        x = 2.0
        for i in row:
            middle = x + widths[i] / 2
            centres[i] = (middle if r % 2 == 0 else room + 4 - middle, 20 + r * _LINE)
            x += widths[i] + between
    paths = []
    for i in range(len(widths) - 1):
        (x0, y0), (x1, y1) = centres[i], centres[i + 1]
        if y0 == y1:
            side = 1 if x1 > x0 else -1
            paths.append(
                f"M{x0 + side * widths[i] / 2:.1f} {y0:g}H{x1 - side * widths[i + 1] / 2:.1f}"
            )
        else:
            paths.append(_curve([(x0, y0 + _BOX / 2), (x1, y1 - _BOX / 2)]))
    return centres, paths, (room + 4, 40 + (len(rows) - 1) * _LINE)


def _in_layers(graph: Graph, widths: list[float]) -> tuple[Points, list[str], tuple[float, float]]:
    """Layers by longest path from the input; long edges bend around boxes through dummies.

    References: Sugiyama, Tagawa & Toda 1981.
    """
    n = len(graph.labels)
    layer = [0] * n
    for i, j in graph.edges:  # sorted by source, and every edge has i < j
        layer[j] = max(layer[j], layer[i] + 1)
    last = n - 1
    layer[last] = max(layer[last], max(layer[:last], default=0) + (n > 1))
    wide, depth = list(widths), list(layer)
    routes: list[list[int]] = []
    for i, j in graph.edges:
        route = [i]
        for step in range(layer[i] + 1, layer[j]):
            route.append(len(wide))
            wide.append(12.0)
            depth.append(step)
        routes.append([*route, j])
    before: list[list[int]] = [[] for _ in wide]
    after: list[list[int]] = [[] for _ in wide]
    for route in routes:
        for a, b in itertools.pairwise(route):
            after[a].append(b)
            before[b].append(a)
    layers = [[k for k in range(len(wide)) if depth[k] == level] for level in range(max(depth) + 1)]
    place = _place(layers, before, after, wide, n)
    low = min(place[k] - wide[k] / 2 for k in range(len(wide)))
    high = max(place[k] + wide[k] / 2 for k in range(len(wide)))
    at = [(place[k] - low + 3, 20 + depth[k] * _LINE) for k in range(len(wide))]
    paths = []
    for route in routes:
        points = [at[k] for k in route]
        points[0] = (points[0][0], points[0][1] + _BOX / 2)
        points[-1] = (points[-1][0], points[-1][1] - _BOX / 2)
        paths.append(_curve(points))
    return at[:n], paths, (high - low + 6, 40 + max(depth) * _LINE)


def _place(
    layers: list[list[int]],
    before: list[list[int]],
    after: list[list[int]],
    wide: list[float],
    n: int,
) -> list[float]:
    """Where each vertex lies: order by the mean of its neighbours, then pull, keeping distance.

    The first `n` are boxes, the others bends of long edges, which pull harder to become straight.
    """
    place = [0.0] * len(wide)
    for line in layers:
        for k, vertex in enumerate(line):
            place[vertex] = k - (len(line) - 1) / 2
    for sweep in range(12):
        down = sweep % 2 == 0
        for line in layers if down else reversed(layers):
            for vertex in line:
                near = before[vertex] if down else after[vertex]
                if near:
                    place[vertex] = sum(place[k] for k in near) / len(near)
            line.sort(key=lambda vertex: place[vertex])
            for k, vertex in enumerate(line):
                place[vertex] = k - (len(line) - 1) / 2
    for line in layers:
        _spread(line, place, wide)
    for sweep in range(20):
        for line in layers if sweep % 2 == 0 else reversed(layers):
            for vertex in line:
                near = before[vertex] + after[vertex]
                pull = [(1, 3, 9)[(vertex >= n) + (k >= n)] for k in near]
                if near:
                    mean = sum(p * place[k] for p, k in zip(pull, near, strict=True)) / sum(pull)
                    place[vertex] = mean
            _spread(line, place, wide)
    return place


def _spread(line: list[int], place: list[float], wide: list[float]) -> None:
    """Move the vertices of one layer apart where they are too near, as little as possible.

    Least squares under minimal distances: pooling of adjacent violators on the places less the
    distances so far.
    """
    offset, total = [], 0.0
    for k, vertex in enumerate(line):
        if k:
            total += (wide[line[k - 1]] + wide[vertex]) / 2 + _GAP
        offset.append(total)
    blocks: list[tuple[float, int]] = []  # mean, count
    for k, vertex in enumerate(line):
        mean, n = place[vertex] - offset[k], 1
        while blocks and blocks[-1][0] > mean:
            other, m = blocks.pop()
            mean, n = (mean * n + other * m) / (n + m), n + m
        blocks.append((mean, n))
    k = 0
    for mean, n in blocks:
        for _ in range(n):
            place[line[k]] = mean + offset[k]
            k += 1


def _curve(points: Points) -> str:
    """A smooth line downwards through the points, vertical at each."""
    words = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        bend = (y1 - y0) / 2
        words.append(f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}")
    return "".join(words)
