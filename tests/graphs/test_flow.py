"""What flows through an untrained network, against lists of ways, closed forms and wide layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foretell as ft
from foretell.graphs.computation import VOCABULARY, Canvas, Computations
from foretell.graphs.measures import NAMES, measures

WEIGHTED = {"conv", "depthwise", "linear"}


def told(graph: Computations) -> dict[str, float]:
    return dict(zip(NAMES, measures(graph)[0].tolist(), strict=True))


def by_hand(graph: Computations) -> tuple[list[tuple[float, list[int]]], list[str], list[float]]:
    """Ways back from the output with their relevance, the words, and the variances."""
    words = [VOCABULARY[op] for op in graph.ops]
    sources: dict[int, list[int]] = {v: [] for v in range(len(words))}
    for a, b in graph.edges.tolist():
        sources[b].append(a)
    variance: list[float] = []
    brought = []
    for v, word in enumerate(words):
        parts = np.array([variance[u] for u in sources[v]])
        if word == "concat":
            widths = np.array([graph.shapes[u, 5] for u in sources[v]], dtype=float)
            parts = parts * widths / widths.sum()
        total = parts.sum() if len(parts) else 1.0
        brought.append(parts / total if total > 0 else parts)
        factor = {"relu": 0.5, "avg-pool": 0.5, "zero": 0.0}.get(word, 1.0)
        variance.append(float(total > 0) if word == "batch-norm" else factor * total)

    def back(v: int, share: float) -> list[tuple[float, list[int]]]:
        if share == 0:
            return []
        if not sources[v]:
            return [(share, [v])]
        pairs = zip(sources[v], brought[v], strict=True)
        return [(s, [v, *rest]) for u, part in pairs for s, rest in back(u, share * part)]

    return back(len(words) - 1, float(variance[-1] > 0)), words, variance


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nb201", {"channels": 4, "n_cells": 1}),
        ("nb101", {"channels": 8, "n_stacks": 1, "n_cells": 1}),
    ],
)
def test_relevance_is_the_sum_over_ways(name: str, settings: dict[str, Any]) -> None:
    space = ft.spaces.get(name, **settings)
    for x in space.sample(6, rng=4):
        graph = space.draw(x)
        row, (ways, words, variance) = told(graph), by_hand(graph)
        counts = [sum(words[v] in WEIGHTED for v in way) for _, way in ways]
        shares = np.array([share for share, _ in ways])
        mean = float(np.dot(shares, counts))
        assert row["felt_weighted"] == pytest.approx(mean)
        assert row["felt_spread"] == pytest.approx(
            np.sqrt(max(np.dot(shares, np.square(counts)) - mean**2, 0)), abs=1e-6
        )
        params = sum(share * graph.params[way].sum() for share, way in ways)
        assert row["felt_params"] == pytest.approx(np.log1p(params))
        alive = sorted({v for _, way in ways for v in way})
        assert row["felt_live_params"] == pytest.approx(np.log1p(graph.params[alive].sum()))
        assert row["felt_variance"] == pytest.approx(np.log(max(variance[-1], 1e-6)))


def test_synflow_is_the_sum_over_ways_of_products() -> None:
    canvas = Canvas(3, 8, 8)
    x = canvas.conv(canvas.input, 4, 3)
    y = canvas.add(canvas.conv(x, 4, 1), canvas.conv(x, 4, 3))
    row = told(canvas.done(y))
    fans = [3 * 9, 4 * 1, 4 * 9]
    assert row["felt_synflow"] == pytest.approx(
        np.log(np.sqrt(fans[0] * fans[1]) + np.sqrt(fans[0] * fans[2]))
    )


def test_correlations_are_those_of_wide_random_layers() -> None:
    canvas = Canvas(600)
    x = canvas.input
    for _ in range(3):
        x = canvas.relu(canvas.linear(x, 600, bias=False))
    row = told(canvas.done(x))
    rng = np.random.default_rng(0)
    for correlation, name in ((0.0, "felt_alike_0"), (0.3, "felt_alike_3")):
        measured = []
        for _ in range(20):
            a, b = np.linalg.qr(rng.normal(size=(600, 2)))[0].T
            one, two = a, correlation * a + np.sqrt(1 - correlation**2) * b
            for _ in range(3):
                W = rng.normal(size=(600, 600))
                one, two = np.maximum(W @ one, 0), np.maximum(W @ two, 0)
            measured.append(one @ two / np.sqrt((one @ one) * (two @ two)))
        assert row[name] == pytest.approx(np.mean(measured), abs=0.02)


def test_gradients_of_a_chain_and_of_a_skip() -> None:
    canvas = Canvas(8, 4, 4)
    x = canvas.conv(canvas.input, 8, 3)
    for _ in range(2):
        # a norm of what a ReLU halved doubles the gradient, the ReLU halves it
        x = canvas.norm(canvas.conv(canvas.relu(x), 8, 3))
    assert told(canvas.done(x))["felt_grad_in"] == pytest.approx(0.0)
    both = canvas.add(x, canvas.conv(canvas.relu(x), 8, 3))
    assert told(canvas.done(both))["felt_grad_in"] == pytest.approx(np.log(1.5))


def test_what_never_arrives_has_no_relevance() -> None:
    canvas = Canvas(3, 4, 4)
    x = canvas.conv(canvas.input, 4, 3)
    lost = canvas.zero(canvas.conv(x, 4, 3))
    row = told(canvas.done(canvas.add(x, lost)))
    assert (row["n_wide"], row["felt_wide"]) == (np.log1p(2), 1.0)
    assert row["felt_live_params"] == pytest.approx(np.log1p(3 * 4 * 9))
    space = ft.spaces.get("nb201", channels=4, n_cells=1)
    dead = told(space.draw([0] * 6))
    for name in ("params", "many", "synflow"):
        assert dead[f"felt_{name}"] == pytest.approx(0.0, abs=1e-6)


def test_networks_of_many_sums_stay_finite() -> None:
    canvas = Canvas(2, 2, 2)
    x = canvas.input
    for _ in range(1200):
        x = canvas.add(x, canvas.each(x, "sigmoid"), x)
    assert np.isfinite(measures(canvas.done(x))).all()
