"""Numbers of computational graphs that mean the same in every space: counts, sizes, ways through.

All graphs of a batch are passed at once, vertex by vertex of their own orders, so that thousands
take a second.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.graphs.computation import WORD, Computations
from foretell.graphs.flow import ACTS, FELT, WEIGHTED, felt, steps, words

_CONVS = ("conv", "depthwise", "conv-transposed")
_KINDS = ("wide", "point", "depthwise", "linear", "act", "pool", "norm")
_WALKS = (*_KINDS, "weighted", "field")
NAMES: tuple[str, ...] = (
    *(f"n_{kind}" for kind in _KINDS),
    *("n_add", "n_concat", "n_mul", "n_attention", "n_recurrent", "n_zero", "n_other"),
    *("params", "flops", "vertices", "edges", "memory"),
    *(f"flops_{kind}" for kind in ("wide", "point", "depthwise")),
    *(f"mean_{kind}" for kind in _WALKS),
    *(f"longest_{kind}" for kind in ("weighted", "act", "field", "pool")),
    *(f"shortest_{kind}" for kind in ("weighted", "act", "field")),
    *("paths", "channels", "narrowest", "channels_out", "side_out", "side", "reached"),
    *(f"felt_{kind}" for kind in _WALKS),
    *(f"felt_{name}" for name in FELT),
)
# what is told as its logarithm: amounts that multiply; the others are told as they are
LOGS = (
    frozenset(
        name for name in NAMES if name.startswith(("n_", "flops_")) or name.endswith("_field")
    )
    | {"params", "flops", "vertices", "edges", "memory", "channels", "narrowest", "channels_out"}
    | {
        "side_out",
        "side",
    }
    | {f"felt_{name}" for name in ("params", "flops", "memory", "wide_flops", "many")}
    | {f"felt_{name}" for name in ("live_params", "live_flops", "grad_params")}
)


class _Flow(NamedTuple):
    """What came along until each vertex: means over ways back, most and least of any way."""

    mean: NDArray[np.float64]
    most: NDArray[np.float64]
    least: NDArray[np.float64]
    paths: NDArray[np.float64]  # logarithm of their number


def measures(graphs: Computations) -> NDArray[np.float64]:
    """What is known of each network from its graph alone, one column for each of `NAMES`.

    Counts `n_` of operations (wide convolutions have a kernel above 1), `params`, `flops` in all
    and by kind, numbers that are kept on the way (`memory`); of the ways from an input to the
    output the number (`paths`), and of what stands on them (weighted operations, activations,
    poolings, the receptive `field`) the `longest_`, the `shortest_` and the `mean_`: a walk back
    from the output that takes each source with equal odds. `channels` and `side` are means over
    weighted operations. What begins with `felt_` says what reaches the output before any
    training (`foretell.graphs.flow.felt`). Amounts are log(1 + x).

    Shapes: returns (n, len(NAMES)).

    >>> from foretell.graphs.computation import Canvas
    >>> canvas = Canvas(3, 8, 8)
    >>> x = canvas.relu(canvas.conv(canvas.input, 4, 3))
    >>> y = canvas.add(x, canvas.conv(x, 4, 3))
    >>> row = dict(zip(NAMES, measures(canvas.done(y))[0], strict=True))
    >>> [float(row[f"{kind}_weighted"]) for kind in ("mean", "longest", "shortest")]
    [1.5, 2.0, 1.0]
    """
    columns = {name: np.zeros(graphs.n) for name in NAMES}
    marks = _marks(graphs)
    for kind in _KINDS:
        columns[f"n_{kind}"] = graphs.total(marks[kind])
    for word in ("add", "concat", "mul", "attention", "recurrent", "zero", "other"):
        columns[f"n_{word}"] = graphs.total(graphs.ops == WORD[word])
    columns["params"], columns["flops"] = graphs.total(graphs.params), graphs.total(graphs.flops)
    columns["vertices"] = np.diff(graphs.starts)
    columns["edges"] = np.diff(np.searchsorted(graphs.edges[:, 1], graphs.starts))
    out = graphs.shapes[:, 1].astype(np.int64) * graphs.shapes[:, 3] * graphs.shapes[:, 5]
    columns["memory"] = graphs.total(np.where(marks["weighted"], out, 0))
    for kind in ("wide", "point", "depthwise"):
        columns[f"flops_{kind}"] = graphs.total(np.where(marks[kind], graphs.flops, 0))
    count = np.maximum(graphs.total(marks["weighted"]), 1)
    for name, column in (("channels", 5), ("side", 1)):
        size = np.where(marks["weighted"], np.log1p(graphs.shapes[:, column]), 0.0)
        columns[name] = np.expm1(graphs.total(size) / count)
    narrow = np.where(marks["weighted"], graphs.shapes[:, 5], np.iinfo(np.int32).max)
    columns["narrowest"] = _smallest(narrow, graphs)
    last = np.maximum(graphs.starts[1:] - 2, graphs.starts[:-1])
    columns["channels_out"] = graphs.shapes[last, 4]
    columns["side_out"] = graphs.shapes[last, 0]
    own = _own(graphs, marks)
    flow = _flow(graphs, own)
    end = graphs.starts[1:] - 1
    for i, kind in enumerate(_WALKS):
        columns[f"mean_{kind}"] = flow.mean[end, i]
        if f"longest_{kind}" in columns:
            columns[f"longest_{kind}"] = flow.most[end, i]
        if f"shortest_{kind}" in columns:
            columns[f"shortest_{kind}"] = flow.least[end, i]
    columns["paths"] = flow.paths[end]
    columns["reached"] = np.isfinite(flow.paths[end]) & (flow.least[end, -1] < 1e8)
    columns["paths"] = np.where(columns["reached"], columns["paths"], 0.0)
    heard, found = felt(graphs, own)
    columns |= {f"felt_{kind}": heard[:, i] for i, kind in enumerate(_WALKS)}
    columns |= {f"felt_{name}": values for name, values in found.items()}
    for name, values in columns.items():
        if name in LOGS:
            columns[name] = np.log1p(values)
    return np.stack([columns[name] for name in NAMES], axis=1).astype(np.float64)


def _smallest(values: NDArray[Any], graphs: Computations) -> NDArray[Any]:
    least: NDArray[Any] = np.minimum.reduceat(values, graphs.starts[:-1])
    return np.where(least == np.iinfo(np.int32).max, 0, least)


def _marks(graphs: Computations) -> dict[str, NDArray[np.bool_]]:
    """Which vertex is of which kind."""
    ops = graphs.ops
    conv = words(graphs, "conv", "conv-transposed")
    wide = graphs.kernels.max(axis=1) > 1
    return {
        "wide": conv & wide,
        "point": conv & ~wide,
        "depthwise": ops == WORD["depthwise"],
        "linear": words(graphs, "linear", "matmul"),
        "act": words(graphs, *ACTS),
        "pool": words(graphs, "max-pool", "avg-pool"),
        "norm": words(graphs, "batch-norm", "norm"),
        "weighted": words(graphs, *WEIGHTED),
    }


def _own(graphs: Computations, marks: dict[str, NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Of which kind each vertex is, and what it adds to the receptive field."""
    own = np.stack([marks[kind] for kind in _WALKS[:-1]], axis=1).astype(np.float64)
    first = graphs.shapes[graphs.starts[:-1], 0].astype(np.float64)
    jump = np.repeat(first, np.diff(graphs.starts)) / np.maximum(graphs.shapes[:, 0], 1)
    local = words(graphs, *_CONVS, "max-pool", "avg-pool")
    reach = np.where(local, np.maximum(graphs.kernels[:, 0] - 1, 0) * jump, 0.0)
    return np.column_stack([own, reach])


def _flow(graphs: Computations, own: NDArray[np.float64]) -> _Flow:
    mean, most = np.zeros_like(own), np.zeros_like(own)
    least = np.zeros_like(own)
    paths = np.zeros(len(own))
    blocked = graphs.ops == WORD["zero"]
    for vertices, sources, begin in steps(graphs):
        many = np.diff(np.append(begin, len(sources)))[:, None]
        mean[vertices] = own[vertices] + np.add.reduceat(mean[sources], begin) / many
        most[vertices] = own[vertices] + np.maximum.reduceat(most[sources], begin)
        least[vertices] = own[vertices] + np.minimum.reduceat(least[sources], begin)
        top = np.maximum.reduceat(paths[sources], begin)
        rest = np.exp(paths[sources] - np.repeat(top, many[:, 0]))
        paths[vertices] = top + np.log(np.add.reduceat(rest, begin))
        stop = vertices[blocked[vertices]]
        mean[stop], most[stop], least[stop], paths[stop] = 0.0, 0.0, 1e9, 0.0
    least = np.where(least < 1e8, least, 0.0) + np.where(least < 1e8, 0.0, 1e9) * (
        np.arange(least.shape[1]) == least.shape[1] - 1
    )
    return _Flow(mean, most, least, paths)
