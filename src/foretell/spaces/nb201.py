"""NAS-Bench-201, the topology space of NATS-Bench."""

from __future__ import annotations

import functools
import hashlib
import random
import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.graphs.computation import Computations
from foretell.graphs.pruning import prune
from foretell.spaces.base import Choice, Costs, Graphs, Rows, Space
from foretell.spaces.parts.mixture import Mixture, columns
from foretell.spaces.parts.settings import at_least, divides, image_shape
from foretell.spaces.parts.wiring import Wiring

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # source -> target, the string's order
NONE, SKIP = 0, 1
_ORDER_SEED = 88  # of the order in which the benchmark has shuffled all cells
_WORDS = [{f"{op}~{i}": number for number, op in enumerate(OPS)} for i in range(3)]  # by source
_INDICES = re.compile(r"\s*[(\[]?\s*[0-4](?:[\s,;_-]*[0-4]){5}\s*[)\]]?\s*")


class NB201(Space):
    """The NAS-Bench-201 cell: 4 nodes, 6 edges, one of 5 operations on each; 15,625 rows.

    Node j sums what its edges bring: x_j = sum_{i<j} op_ij(x_i); x_3 is the output. Columns are
    the edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3 in the order of the official string; options are
    none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3. `row_key` tells all 15,625 rows
    apart (the published tables hold each of them); `canonical` has 6,466 values.

    Args:
        channels: of the first stage; doubled at each of the two reductions.
        n_cells: cells in each of the three stages.
        unused: whether networks have the operations that no path uses as well, as the benchmark's
            own ones do: they cost, and change nothing.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Dong & Yang, NAS-Bench-201, ICLR 2020; Dong et al., NATS-Bench, TPAMI 2021.

    >>> space = NB201()
    >>> space.to_str([[0, 1, 2, 3, 4, 1]])
    ['|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|']
    >>> space.index(space.from_str(["0", "15624"])).tolist()
    [0, 15624]
    """

    name = "nb201"
    closed_form_costs = True
    wiring = Wiring({"skip_connect": 1.0, "avg_pool_3x3": 1.0})
    numbered = True
    _declared = tuple(Choice(OPS, f"edge_{i}_{j}") for i, j in EDGES)

    def __init__(
        self,
        *,
        channels: int = 16,
        n_cells: int = 5,
        unused: bool = False,
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> None:
        at_least(channels=(channels, 1), n_cells=(n_cells, 1))
        self.channels, self.n_cells, self.unused = channels, n_cells, unused
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """Key of the function up to zeroed and identity edges: 6,466 values over the space.

        The rule is the benchmark's own: a node is its incoming terms, written out and sorted; a
        zeroed edge, or any edge from a node that is exactly zero, brings '#', an identity edge
        brings its source, any other edge '(source)@operation'. Because the terms are compared as
        text, some sums that differ only in their order stay apart: as functions there are fewer.

        Shapes: (n, d) to (n,) uint64.
        """
        return _canonical_keys()[self.row_key(X).astype(np.int64)]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations; 'none' edges are absent from the graph."""
        return ("input", "output", *OPS[1:])

    def graphs(self, X: Rows) -> Graphs:
        """Operations as vertices: input, the 6 edges, output; dead operations are left out.

        A vertex is there when its operation lies on a path from input to output without 'none';
        all other vertices have op -1 and no edges.

        Shapes: ops (n, 8), adjacency (n, 8, 8).
        """
        ops = np.zeros((len(X), 8), dtype=np.int8)
        ops[:, 1:7] = np.where(X == NONE, -1, X.astype(np.int8) + 1)
        ops[:, 7] = 1
        return prune(Graphs(ops, np.repeat(LINE_GRAPH[None], len(X), axis=0)))

    def to_str(self, X: ArrayLike) -> list[str]:
        """Official strings, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        rows = self.check(X)
        words = [[f"{op}~{i}|" for op in OPS] for i, _ in EDGES]
        out = []
        for row in rows.tolist():
            a, b, c, d, e, f = (words[j][o] for j, o in enumerate(row))
            out.append(f"|{a}+|{b}{c}+|{d}{e}{f}")
        return out

    def index(self, X: ArrayLike) -> NDArray[np.int64]:
        """The number of each row in the benchmark's own files, 0 to 15,624: what `from_str` reads.

        Shapes: (n, d) to (n,).
        """
        place = np.empty(len(_order()), dtype=np.int64)
        place[_order()] = np.arange(len(place))
        found: NDArray[np.int64] = place[self.check(X).astype(np.int64) @ _PLACES]
        return found

    def _parse(self, text: object) -> list[int]:
        """Official strings; the tuples of their cells, six numbers of operations, an index.

        The numbers are those of `OPS`, the order of the published files, edge by edge as in the
        string: "(3, 1, 0, 3, 4, 1)", "3-1-0-3-4-1" or "310341". A number of at most five digits is
        the index in the published files (`index`).
        """
        plain = str(text)
        if "|" in plain:
            return self._official(plain)
        if isinstance(text, str) and (number := re.fullmatch(r"\s*(0|[1-9][0-9]{0,4})\s*", text)):
            index = int(number[1])
            if index >= len(_order()):
                raise self._bad_string(text, f"{text.strip()} of 0 to {len(_order()) - 1}")
            row: list[int] = (_order()[index] // _PLACES % len(OPS)).tolist()
            return row
        if _INDICES.fullmatch(plain):
            return [int(digit) for digit in re.findall(r"\d", plain)]
        return self._tuples(text)

    def _official(self, text: str) -> list[int]:
        """The row of "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"."""
        nodes = text.strip().split("+")
        row = []
        if len(nodes) != 3:
            raise self._bad_string(text, f"{len(nodes)} of 3 nodes")
        for j, node in enumerate(nodes, start=1):
            words = node.split("|")
            if len(words) != j + 2 or words[0] or words[-1]:
                raise self._bad_string(text, node)
            for known, word in zip(_WORDS, words[1:-1], strict=False):
                if word not in known:
                    raise self._bad_string(text, word)
                row.append(known[word])
        return row

    def _tuples(self, text: object) -> list[int]:
        """The row of "((('none', 0),), (('skip_connect', 0), ('none', 1)), (...))"."""
        words = re.findall(r"[(\[]\s*['\"](\w+)['\"]\s*,\s*(\d)\s*[)\]]", str(text))
        rest = re.sub(r"['\"]\w+['\"]|[\d\s,()\[\]]", "", str(text))
        if rest or [int(source) for _, source in words] != [i for i, _ in EDGES]:
            raise self._bad_string(text, str(text)[:40])
        bad = [op for op, _ in words if op not in OPS]
        if bad:
            raise self._bad_string(text, bad[0])
        return [OPS.index(op) for op, _ in words]

    def by_hand(self) -> tuple[str, str]:
        """The residual block that the paper compares with: two 3x3 convolutions and a shortcut."""
        text = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
        return "ResNet cell", text

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The network of the paper: stem, 3 stages of cells with residual reductions, head.

        Operations on no path from input to output without 'none' are left out, unless `unused`
        ones are wanted.
        """
        from foretell.nets.nb201 import NB201Net

        in_channels, _, _ = image_shape(self.name, input_shape)
        return NB201Net(
            self._terms(x, self.unused), in_channels, n_outputs, self.channels, self.n_cells
        )

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it: operations that no path uses compute nothing."""
        from foretell.nets.drawings.nb201 import draw

        image = image_shape(self.name, self.input_shape)
        return draw(
            self._terms(x, unused=False), image, self.n_outputs, self.channels, self.n_cells
        )

    def _terms(self, x: ArrayLike, unused: bool) -> list[tuple[int, int, str]]:
        rows = self._row(x)
        (row,) = (rows if unused else self._live(rows)).tolist()
        return [(i, j, OPS[op]) for (i, j), op in zip(EDGES, row, strict=True) if op != NONE]

    def mixture(self) -> Mixture:
        """Each edge with its five operations; none counts as one."""
        names = [column.name for column in self.choices]
        return columns(names, [OPS] * len(EDGES), [0] * len(EDGES), range(len(EDGES)))

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """The same skeleton with all operations on each edge, shared weights in all 3 stages.

        References: Dong & Yang, NAS-Bench-201, ICLR 2020, section 5 (its searches by DARTS, GDAS).
        """
        from foretell.nets.supernet.nb201 import nb201_supernet

        in_channels, _, _ = image_shape(self.name, input_shape)
        divides(self.name, divisor, channels=self.channels)
        return nb201_supernet(
            EDGES, [OPS] * len(EDGES), in_channels, n_outputs, self.channels, self.n_cells, divisor
        )

    def costs(self, X: ArrayLike) -> Costs:
        """Closed form: a fixed skeleton plus the convolutions of each cell.

        With c channels and s pixels in stage k (c = channels 2^k, s halved twice), a convolution of
        kernel q has q^2 c^2 + 2c parameters and 2 q^2 c^2 s flops. Counted are the convolutions
        that `build` makes: those on a path from input to output without 'none', or all.

        The published parameters are those with `unused` ones, the published flops half of theirs.
        A convolution that no path uses only learns the offset of its normalisation, a constant.
        """
        in_channels, h, w = image_shape(self.name, self.input_shape)
        rows = self.check(X)
        live = rows if self.unused else self._live(rows)
        ones = (live == OPS.index("nor_conv_1x1")).sum(axis=1, dtype=np.int64)
        threes = (live == OPS.index("nor_conv_3x3")).sum(axis=1, dtype=np.int64)
        weights, c = ones + 9 * threes, self.channels
        params = np.full(len(live), 9 * in_channels * c + 2 * c)
        flops = np.full(len(live), 18 * in_channels * c * h * w)
        for stage in range(3):
            if stage:  # conv 3x3 c -> 2c, conv 3x3 2c -> 2c, shortcut 1x1 c -> 2c
                h, w = -(-h // 2), -(-w // 2)
                params += 56 * c * c + 8 * c
                flops += 112 * c * c * h * w
                c *= 2
            params += self.n_cells * (weights * c * c + 2 * c * (ones + threes))
            flops += self.n_cells * 2 * weights * c * c * h * w
        return Costs(params + 2 * c + (c + 1) * self.n_outputs, flops + 2 * c * self.n_outputs)

    def _live(self, X: Rows) -> Rows:
        """`X` with 'none' on every edge that carries nothing from input to output."""
        live: Rows = np.where(self.graphs(X).ops[:, 1:7] >= 0, X, NONE)
        return live


_PLACES = len(OPS) ** np.arange(len(EDGES))[::-1]  # rows in lexical order


@functools.cache
def _order() -> NDArray[np.int64]:
    """All rows, by their place in lexical order, in the benchmark's: shuffled by Python, seed 88.

    References: Dong & Yang, AutoDL-Projects, `generate_meta_info`, which fixes seed and shuffle.
    """
    order = list(range(len(OPS) ** len(EDGES)))
    random.Random(_ORDER_SEED).shuffle(order)
    return np.array(order)


@functools.cache
def _canonical_keys() -> NDArray[np.uint64]:
    """`NB201.canonical` of all 15,625 rows, in the order of their `row_key`."""
    nodes1 = [_term("0", op) for op in OPS]
    nodes2 = [_join(_term("0", p), _term(one, q)) for one in nodes1 for p in OPS for q in OPS]
    texts = [
        _join(_term("0", p), _term(nodes1[k // 25], q), _term(two, r))
        for k, two in enumerate(nodes2)
        for p in OPS
        for q in OPS
        for r in OPS
    ]
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _term(source: str, op: str) -> str:
    if op == "none" or source == "#":
        return "#"
    return source if op == "skip_connect" else f"({source})@{op}"


def _join(*terms: str) -> str:
    return "+".join(sorted(terms))


def _line_graph() -> NDArray[np.bool_]:
    """Edges a -> b become arcs when b starts where a ends; input and output at the ends."""
    adjacency = np.zeros((8, 8), dtype=bool)
    for p, (i, j) in enumerate(EDGES, start=1):
        adjacency[0, p], adjacency[p, 7] = i == 0, j == 3
        for q, (k, _) in enumerate(EDGES, start=1):
            adjacency[p, q] = j == k
    return adjacency


LINE_GRAPH = _line_graph()
