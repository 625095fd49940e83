"""What flows through an untrained network: variances forwards, relevance and gradients backwards.

All graphs of a batch are passed at once, vertex by vertex of their own orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.graphs.computation import VOCABULARY, WORD, Computations

ACTS = VOCABULARY[WORD["relu"] : WORD["gelu"] + 1]
WEIGHTED = ("conv", "depthwise", "conv-transposed", "linear", "recurrent")
FELT = (
    *("params", "flops", "memory", "channels", "side", "many", "spread", "wide_flops"),
    *("live_params", "live_flops", "alike_0", "alike_3", "alike_mean", "variance"),
    *("grad_in", "grad_mean", "grad_top", "grad_spread", "grad_params", "synflow"),
)
_ALIKE = (0.0, 0.3)  # correlations of the two inputs
_NONE, _HUGE = 1e-12, 1e100
_FAINT, _GREAT = 1e-6, 1e12  # a gradient's second moment is told between them
Floats = NDArray[np.float64]
Step = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def steps(graphs: Computations) -> Iterator[Step]:
    """For each place in the order the vertices there that read something, what, and from where."""
    place = graphs.edges[:, 1] - graphs.starts[graphs.graph[graphs.edges[:, 1]]]
    order = np.argsort(place, kind="stable")
    edges, place = graphs.edges[order].astype(np.intp), place[order]
    bounds = np.flatnonzero(np.diff(place)) + 1
    for part in np.split(edges, bounds) if len(edges) else []:
        begin = np.flatnonzero(np.diff(part[:, 1], prepend=-1))
        yield part[begin, 1], part[:, 0], begin


def words(graphs: Computations, *names: str) -> NDArray[np.bool_]:
    """Which vertices are one of these operations, (V,)."""
    return np.isin(graphs.ops, [WORD[name] for name in names])


class _Forward(NamedTuple):
    variance: Floats  # (V,)
    entered: Floats  # (V,) variance of what comes in
    alike: Floats  # (V, 2) correlation of two inputs here
    shares: list[Floats]  # of each step: which part of the variance of its vertex an edge brings
    depth: Floats  # (V, 2) mean and deviation of the weighted operations on the way
    paths: Floats  # (V,) logarithm of the sum over ways of the products of |weights|


def felt(graphs: Computations, own: Floats) -> tuple[Floats, Mapping[str, Floats]]:
    """What of each operation reaches the output of the network before it is trained.

    Two inputs of variance 1 and covariance c go through layers of random weights: with v the
    variance and c the covariance at a vertex,

        weighted:    v, c                        activation: v / 2, v / 2 k(c / v)
        norm:        1, c / v                    avg-pool:   v / 2, c
        add:         sums over the sources       concat:     means by channels
        mul:         v / 4, c / 4                zero:       0, 0

    with k(r) = (sqrt(1 - r^2) + r (pi - arccos r)) / pi. The relevance of the output is 1, and
    flows back along each edge with the share of the variance that it brings; the second moment of
    the gradient flows back along each edge with the factor 1 / v of a norm's input and those above.

    Returns sums of `own` (V, k) by relevance, (n, k), and of each graph:

    - `params`, `flops`, `memory` (numbers kept by weighted operations), `wide_flops`: sums by
      relevance; `live_params`, `live_flops`: of what has any;
    - `channels`, `side` of weighted operations: means of log(1 + x) by relevance; `many`: how many
      have relevance, as (sum r)^2 / sum r^2; `spread`: deviation of their number on a way;
    - `alike_0`, `alike_3`: correlation at the output of inputs with 0 and .3, `alike_mean` that
      over weighted operations; `variance` at the output (log);
    - `grad_in` at the input, `grad_mean`, `grad_top`, `grad_spread` over weighted operations, and
      `grad_params`, the sum of gradient, variance that enters, and parameters (logs);
    - `synflow`: log of the sum over all ways of the products of root fan-ins.

    References: Poole et al. 2016, Exponential expressivity (the map of correlations); Cho & Saul
    2009 (k); Yang et al. 2019, A mean field theory of batch normalization; Veit et al. 2016
    (networks with skips as ensembles of ways); Tanaka et al. 2020, SynFlow. `Differs:` one number
    a vertex: channels of a value are alike, terms of a sum independent, all activations a ReLU.
    """
    marked = {
        "norm": words(graphs, "batch-norm", "norm"),
        "act": words(graphs, *ACTS),
        "pool": words(graphs, "avg-pool"),
        "mul": words(graphs, "mul"),
        "zero": words(graphs, "zero"),
        "weighted": words(graphs, *WEIGHTED),
    }
    order = list(steps(graphs))
    seen = _forward(graphs, order, marked)
    end, weighted = graphs.starts[1:] - 1, marked["weighted"]
    relevance, grad = np.zeros(len(graphs.ops)), np.zeros(len(graphs.ops))
    relevance[end], grad[end] = seen.variance[end] > _NONE, 1.0
    gain = np.ones(len(grad))
    gain[marked["norm"]] = 1.0 / np.maximum(seen.entered[marked["norm"]], 1e-3)
    for word, factor in (("act", 0.5), ("pool", 0.5), ("mul", 0.25), ("zero", 0.0)):
        gain[marked[word]] = factor
    for (vertices, sources, begin), share in zip(order[::-1], seen.shares[::-1], strict=True):
        to = np.repeat(vertices, np.diff(np.append(begin, len(sources))))
        np.add.at(relevance, sources, relevance[to] * share)
        np.add.at(grad, sources, np.minimum(grad[to] * gain[to], _GREAT))
    count = np.maximum(graphs.total(weighted), 1)
    heard = np.where(weighted, relevance, 0.0)
    total = np.maximum(graphs.total(heard), 1e-9)
    out = graphs.shapes[:, 1].astype(np.float64) * graphs.shapes[:, 3] * graphs.shapes[:, 5]
    wide = words(graphs, "conv", "conv-transposed") & (graphs.kernels.max(axis=1) > 1)
    live = relevance > 1e-9
    logs = np.log(np.clip(grad, _FAINT, _GREAT))
    mean = graphs.total(np.where(weighted, logs, 0.0)) / count
    square = graphs.total(np.where(weighted, logs**2, 0.0)) / count
    power = np.minimum(grad, _GREAT) * np.minimum(seen.entered, 1e6) * graphs.params
    found = {
        "params": graphs.total(relevance * graphs.params),
        "flops": graphs.total(relevance * graphs.flops),
        "memory": graphs.total(heard * out),
        "wide_flops": graphs.total(np.where(wide, relevance * graphs.flops, 0.0)),
        "live_params": graphs.total(np.where(live, graphs.params, 0)),
        "live_flops": graphs.total(np.where(live, graphs.flops, 0)),
        "channels": graphs.total(heard * np.log1p(graphs.shapes[:, 5])) / total,
        "side": graphs.total(heard * np.log1p(graphs.shapes[:, 1])) / total,
        "many": total**2 / np.maximum(graphs.total(heard**2), 1e-9),
        "spread": seen.depth[end, 1],
        "alike_0": seen.alike[end, 0],
        "alike_3": seen.alike[end, 1],
        "alike_mean": graphs.total(np.where(weighted, seen.alike[:, 1], 0.0)) / count,
        "variance": np.log(np.maximum(seen.variance[end], _FAINT)),
        "grad_in": logs[graphs.starts[:-1]],
        "grad_mean": mean,
        "grad_top": np.maximum.reduceat(np.where(weighted, logs, -20.0), graphs.starts[:-1]),
        "grad_spread": np.sqrt(np.maximum(square - mean**2, 0.0)),
        "grad_params": graphs.total(np.where(weighted, power, 0.0)),
        "synflow": np.where(np.isfinite(seen.paths[end]), seen.paths[end], 0.0),
    }
    return graphs.total(relevance[:, None] * own), found


def _forward(
    graphs: Computations, order: list[Step], marked: Mapping[str, NDArray[np.bool_]]
) -> _Forward:
    size = len(graphs.ops)
    variance, entered, paths = np.zeros(size), np.zeros(size), np.full(size, -np.inf)
    both, depth = np.zeros((size, len(_ALIKE))), np.zeros((size, 2))  # mean, mean of squares
    inputs = words(graphs, "input")
    variance[inputs], both[inputs], paths[inputs] = 1.0, _ALIKE, 0.0
    joins, channels = words(graphs, "concat"), graphs.shapes[:, 5].astype(np.float64)
    fan = np.maximum(graphs.weights[:, 1:].prod(axis=1, dtype=np.float64), 1.0)
    steep = np.where(marked["weighted"], 0.5 * np.log(fan), 0.0)
    shares = []
    for v, sources, begin in order:
        to = np.repeat(np.arange(len(v)), np.diff(np.append(begin, len(sources))))
        width = np.maximum(np.add.reduceat(channels[sources], begin), 1.0)
        part = np.where(joins[v][to], channels[sources] / width[to], 1.0)
        into = np.add.reduceat(variance[sources] * part, begin)
        mixed = np.add.reduceat(both[sources] * part[:, None], begin)
        some = into > _NONE
        share = np.where(some[to], variance[sources] * part / np.maximum(into[to], _NONE), 0.0)
        shares.append(share)
        way = np.add.reduceat(depth[sources] * share[:, None], begin)
        top = np.maximum.reduceat(paths[sources], begin)
        finite = np.where(np.isfinite(top), top, 0.0)
        rest = np.add.reduceat(np.exp(paths[sources] - finite[to]), begin)
        paths[v] = np.where(np.isfinite(top), finite + np.log(np.maximum(rest, 1e-300)), -np.inf)
        paths[v] += steep[v]
        r = _ratio(mixed, into)
        new, pair = into.copy(), mixed.copy()
        act, norm = marked["act"][v], marked["norm"][v]
        new[act], pair[act] = 0.5 * into[act], 0.5 * into[act, None] * _bent(r[act])
        new[norm], pair[norm] = some[norm], r[norm]
        new[marked["pool"][v]] *= 0.5
        for word, factor in (("mul", 0.25), ("zero", 0.0)):
            new[marked[word][v]] *= factor
            pair[marked[word][v]] *= factor
        paths[v[marked["zero"][v]]] = -np.inf
        entered[v] = into
        variance[v], both[v] = np.minimum(new, _HUGE), np.minimum(pair, _HUGE)
        one = marked["weighted"][v].astype(np.float64)
        depth[v, 0], depth[v, 1] = way[:, 0] + one, way[:, 1] + 2.0 * one * way[:, 0] + one
        depth[v[new <= _NONE]] = 0.0
    depth[:, 1] = np.sqrt(np.maximum(depth[:, 1] - depth[:, 0] ** 2, 0.0))
    return _Forward(variance, entered, _ratio(both, variance), shares, depth, paths)


def _ratio(both: Floats, variance: Floats) -> Floats:
    """Correlations (n, 2) of covariances, 1 where nothing varies."""
    some = variance[:, None] > 1e-9
    ratio: Floats = np.divide(both, variance[:, None], out=np.ones_like(both), where=some)
    return np.clip(ratio, 0.0, 1.0)


def _bent(r: Floats) -> Floats:
    """What a ReLU makes of correlations."""
    bent: Floats = (np.sqrt(1.0 - r * r) + r * (np.pi - np.arccos(r))) / np.pi
    return bent
