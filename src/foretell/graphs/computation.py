"""Computational graphs: what a network computes, operation by operation, in one vocabulary.

A graph of a space (`foretell.graphs.view`) has the space's own words; here every network, of any
space or of none, is told in the same ones, with the sizes of what flows. `foretell.graphs.traced`
finds the graph of a module, a `Canvas` draws one without any module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

VOCABULARY = (
    *("other", "input", "output"),
    *("conv", "conv-transposed", "depthwise", "linear", "embedding", "recurrent"),  # weighted
    *("matmul", "attention", "batch-norm", "norm"),
    *("relu", "relu6", "leaky-relu", "elu", "sigmoid", "hard-sigmoid", "tanh", "swish"),
    *("hard-swish", "gelu", "softmax"),
    *("add", "mul", "concat", "max-pool", "avg-pool", "mean", "pad", "resample", "zero"),
)
WORD = {word: i for i, word in enumerate(VOCABULARY)}
SHAPES = ("h_in", "h_out", "w_in", "w_out", "c_in", "c_out")
_NO_WEIGHT = (0, 0, 0, 0)


class Computations(NamedTuple):
    """Computational graphs of n networks, one after the other (a ragged batch).

    Vertices of all graphs are numbered through; graph i has those from `starts[i]` to
    `starts[i + 1]`, in an order in which every edge leads to a later vertex.

    Shapes: with V vertices and E edges in all, `ops` (V,) indices into `VOCABULARY`; `shapes`
    (V, 6) height, width and channels in and out, as `SHAPES` names them, of one example; `kernels`
    (V, 2); `weights` (V, 4): of weighted operations outputs, inputs (of a group) and kernel, else
    0; `bias` (V,) bool; `params` (V,) parameters, those of a shared weight at its first use;
    `flops` (V,), two for each multiply-add of convolutions and matrix products; `edges` (E, 2)
    source and target, sorted by target; `starts` (n + 1,).
    """

    ops: NDArray[np.int8]
    shapes: NDArray[np.int32]
    kernels: NDArray[np.int16]
    weights: NDArray[np.int32]
    bias: NDArray[np.bool_]
    params: NDArray[np.int64]
    flops: NDArray[np.int64]
    edges: NDArray[np.int32]
    starts: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of graphs."""
        return len(self.starts) - 1

    @property
    def graph(self) -> NDArray[np.intp]:
        """Which graph each vertex belongs to, (V,)."""
        return np.repeat(np.arange(self.n), np.diff(self.starts))

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sums over the vertices of each graph, (V, ...) to (n, ...)."""
        kind = np.int64 if values.dtype.kind in "bi" else values.dtype
        until = np.zeros((len(values) + 1, *values.shape[1:]), dtype=kind)
        np.cumsum(values, axis=0, out=until[1:])
        sums: NDArray[Any] = np.diff(until[self.starts], axis=0)
        return sums

    def take(self, picked: Sequence[int] | NDArray[np.integer[Any]]) -> Computations:
        """Some graphs, in the order of `picked`."""
        index = np.asarray(picked, dtype=np.int64).reshape(-1)
        sizes = np.diff(self.starts)[index]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        vertex = np.arange(starts[-1]) + np.repeat(self.starts[index] - starts[:-1], sizes)
        begin = np.searchsorted(self.edges[:, 1], self.starts)
        many = np.diff(begin)[index]
        place = np.concatenate([[0], np.cumsum(many)])
        edge = np.arange(place[-1]) + np.repeat(begin[index] - place[:-1], many)
        shift = np.repeat(self.starts[index] - starts[:-1], many)
        columns = (column[vertex] for column in self[:7])
        edges = (self.edges[edge] - shift[:, None]).astype(np.int32)
        return Computations._make((*columns, edges, starts))


def joined(parts: Iterable[Computations]) -> Computations:
    """Batches as one, in their order.

    >>> canvas = Canvas(3, 8, 8)
    >>> one = canvas.done(canvas.conv(canvas.input, 4, 3))
    >>> two = joined([one, one])
    >>> two.n, two.starts.tolist(), two.edges.tolist()
    (2, [0, 3, 6], [[0, 1], [1, 2], [3, 4], [4, 5]])
    """
    batches = list(parts) or [Canvas(1).done().take([])]
    offsets = np.cumsum([0, *(len(batch.ops) for batch in batches)])
    columns: Any = (
        np.concatenate(column) for column in zip(*(b[:7] for b in batches), strict=True)
    )
    edges = [(b.edges + k).astype(np.int32) for b, k in zip(batches, offsets, strict=False)]
    ends = [b.starts[1:] + k for b, k in zip(batches, offsets, strict=False)]
    return Computations._make((*columns, np.concatenate(edges), np.concatenate([[0], *ends])))


class Value(NamedTuple):
    """What flows: the vertex it comes from, and its size for one example."""

    vertex: int
    channels: int
    height: int
    width: int


class Canvas:
    """Draws one computational graph, operation by operation, as the network computes it.

    Each method is an operation on values that gives its value; what PyTorch's module of that kind
    computes, with its rounding of sizes.

    Args:
        channels, height, width: of the input.

    >>> canvas = Canvas(3, 8, 8)
    >>> x = canvas.relu(canvas.norm(canvas.conv(canvas.input, 16, 3, stride=2)))
    >>> graph = canvas.done(canvas.linear(canvas.mean(x), 10))
    >>> [VOCABULARY[op] for op in graph.ops]
    ['input', 'conv', 'batch-norm', 'relu', 'mean', 'linear', 'output']
    >>> int(graph.flops.sum()), int(graph.params.sum())
    (14144, 634)
    """

    def __init__(self, channels: int, height: int = 1, width: int = 1) -> None:
        self._rows: list[tuple[int, ...]] = []
        self._edges: list[tuple[int, int]] = []
        self.input = self.enter(channels, height, width)

    def enter(self, channels: int, height: int = 1, width: int = 1) -> Value:
        """An input; the first one is there from the start."""
        size = (channels, height, width)
        return self.vertex("input", (), size, size)

    def vertex(
        self,
        word: str,
        sources: Sequence[Value],
        into: Sequence[int],
        out: Sequence[int],
        kernel: tuple[int, int] = (0, 0),
        weight: tuple[int, int, int, int] = _NO_WEIGHT,
        bias: bool = False,
        params: int = 0,
        flops: int = 0,
    ) -> Value:
        """Any operation: sizes are channels, height and width."""
        number = len(self._rows)
        a, h, w = into
        c, y, x = out
        self._rows.append((WORD[word], h, y, w, x, a, c, *kernel, *weight, bias, params, flops))
        for source in dict.fromkeys(source[0] for source in sources):
            self._edges.append((source, number))
        return Value(number, c, y, x)

    def conv(
        self,
        x: Value,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        axes: int = 2,
    ) -> Value:
        """Convolution, padded by half its reach; over the height alone with `axes` 1."""
        _, c, h, w = x
        reach, wide = dilation * (kernel - 1), kernel if axes == 2 else 1
        pad = 2 * (dilation * (kernel // 2)) - reach - 1
        y = (h + pad) // stride + 1
        v = (w + pad) // stride + 1 if axes == 2 else w
        inside = c // groups
        count = channels * inside * kernel * wide
        return self.vertex(
            "depthwise" if groups > 1 and inside == 1 else "conv",
            (x,),
            x[1:],
            (channels, y, v),
            (kernel, wide),
            (channels, inside, kernel, wide),
            bias,
            count + channels * bias,
            2 * count * y * v,
        )

    def linear(self, x: Value, features: int, bias: bool = True) -> Value:
        """A linear map of the channels, at each place."""
        _, c, h, w = x
        count = c * features
        return self.vertex(
            "linear",
            (x,),
            x[1:],
            (features, h, w),
            weight=(features, c, 1, 1),
            bias=bias,
            params=count + features * bias,
            flops=2 * count * h * w,
        )

    def norm(self, x: Value, word: str = "batch-norm") -> Value:
        """Normalisation with a scale and an offset a channel."""
        return self.vertex(word, (x,), x[1:], x[1:], params=2 * x.channels)

    def each(self, x: Value, word: str) -> Value:
        """A function of each number, such as "sigmoid"."""
        return self.vertex(word, (x,), x[1:], x[1:])

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        return self.each(x, "relu")

    def add(self, *terms: Value) -> Value:
        """The sum of two or more, one addition after another."""
        total = terms[0]
        for term in terms[1:]:
            total = self.vertex("add", (total, term), total[1:], total[1:])
        return total

    def mul(self, x: Value, gate: Value) -> Value:
        """Each number of `x` times one of `gate`, which may have one place for all."""
        return self.vertex("mul", (x, gate), x[1:], x[1:])

    def concat(self, terms: Sequence[Value]) -> Value:
        """Joined channels."""
        _, c, h, w = terms[0]
        return self.vertex("concat", terms, (c, h, w), (sum(term.channels for term in terms), h, w))

    def pool(
        self,
        x: Value,
        word: str,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        ceil: bool = False,
    ) -> Value:
        """ "max-pool" or "avg-pool" over kernel x kernel places."""

        def size(side: int) -> int:
            places = side + 2 * padding - kernel
            out = -(-places // stride) + 1 if ceil else places // stride + 1
            return out - 1 if ceil and (out - 1) * stride >= side + padding else out

        _, c, h, w = x
        return self.vertex(word, (x,), (c, h, w), (c, size(h), size(w)), (kernel, kernel))

    def mean(self, x: Value) -> Value:
        """The mean over all places."""
        return self.vertex("mean", (x,), x[1:], (x.channels, 1, 1), (x.height, x.width))

    def pad(self, x: Value, rows: int, columns: int) -> Value:
        """`x` with so many rows and columns more."""
        _, c, h, w = x
        return self.vertex("pad", (x,), (c, h, w), (c, h + rows, w + columns))

    def zero(self, x: Value) -> Value:
        """Zeros in the size of `x`."""
        return self.each(x, "zero")

    def done(self, *outputs: Value) -> Computations:
        """The graph, with its outputs."""
        for value in outputs:
            self.vertex("output", (value,), value[1:], value[1:])
        rows = np.array(self._rows, dtype=np.int64)
        edges = np.array(self._edges, dtype=np.int32).reshape(-1, 2)
        return Computations(
            rows[:, 0].astype(np.int8),
            rows[:, 1:7].astype(np.int32),
            rows[:, 7:9].astype(np.int16),
            rows[:, 9:13].astype(np.int32),
            rows[:, 13].astype(np.bool_),
            rows[:, 14],
            rows[:, 15],
            edges,
            np.array([0, len(rows)]),
        )


def described(graph: Computations) -> list[str]:
    """One line a vertex: its operation, sizes, weight and sources.

    >>> canvas = Canvas(3, 8, 8)
    >>> described(canvas.done(canvas.conv(canvas.input, 4, 3)))[1]
    '1 conv 3x8x8 to 4x8x8, kernel 3x3, weight 4x3x3x3, from 0'
    """
    sources: dict[int, list[int]] = {}
    for a, b in graph.edges.tolist():
        sources.setdefault(b, []).append(a)
    lines = []
    for i, op in enumerate(graph.ops.tolist()):
        h, y, w, x, c, d = graph.shapes[i].tolist()
        text = f"{i} {VOCABULARY[op]} {c}x{h}x{w} to {d}x{y}x{x}"
        if graph.kernels[i].any():
            text += ", kernel " + "x".join(map(str, graph.kernels[i].tolist()))
        if graph.weights[i].any():
            text += ", weight " + "x".join(map(str, graph.weights[i].tolist()))
        text += ", bias" if graph.bias[i] else ""
        text += ", from " + ", ".join(map(str, sources[i])) if i in sources else ""
        lines.append(text)
    return lines


def sizes(input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width of an input, as a traced one has them.

    Of three sides or more the first are the channels, else the last.

    >>> sizes((3, 32, 32)), sizes((16,)), sizes((7, 5))
    ((3, 32, 32), (16, 1, 1), (5, 7, 1))
    """
    sides = list(input_shape)
    channels = sides.pop(0 if len(sides) >= 3 else -1)
    return channels, sides[0] if sides else 1, math.prod(sides[1:])
