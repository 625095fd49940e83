"""NAS-Bench-101: graphs of at most 7 vertices and 9 edges with operations on the vertices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import SpaceError
from foretell.graphs.computation import Computations
from foretell.spaces.base import Choice, Costs, Graphs, Rng, Rows, Space
from foretell.spaces.parts import dag
from foretell.spaces.parts.dag import COLUMN, FROM, MAX_EDGES, N_EDGES, PAIRS, TO, Columns, V
from foretell.spaces.parts.settings import at_least, image_shape
from foretell.spaces.parts.wiring import Wiring

OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
SIZE = 423_624


class NB101(Space):
    """The NAS-Bench-101 cell: 423,624 graphs up to isomorphism.

    Columns are the 21 bits above the diagonal of the 7 x 7 adjacency matrix, row by row (vertex 0
    is the input, 6 the output), then the operations of vertices 1 to 5: conv3x3-bn-relu,
    conv1x1-bn-relu, maxpool3x3. A vertex on no path from input to output is pruned: it is not
    there. A row is valid when a path is left and at most 9 edges are.

    In canonical form the vertices that are there come first, in their written order (1 to k), and
    what belongs to the others holds 0. `row_key` and `canonical` are equal exactly for isomorphic
    graphs, because the published table holds one entry for each class. `enumerate` and `sample`
    give one fixed member of each class; `sample` is uniform over the 423,624 classes. The first
    use of either lists the space (about a second, 11 MB kept).

    Args:
        channels: of the stem and the first stack; doubled in each further stack.
        n_stacks: stacks; before each but the first, a 2 x 2 max pooling halves the size.
        n_cells: cells in each stack.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Ying et al., NAS-Bench-101: Towards Reproducible NAS, ICML 2019.

    >>> space = NB101()
    >>> X = space.from_str(["0110/0010/0001/0000:conv3x3,maxpool3x3"])
    >>> space.to_str(X), int(X.sum())
    (['0110/0010/0001/0000:conv3x3,maxpool3x3'], 6)
    >>> space.md5_hash(space.from_str(["0110/0010/0001/0000:maxpool3x3,maxpool3x3"]))
    ['001a6fcc8b38cbc515be788a86bdc804']
    """

    name = "nb101"
    rule = "a path from input to output, and at most 9 edges that are on one"
    closed_form_costs = True
    amounts = False
    wiring = Wiring({"maxpool3x3": 1.4}, joins=True, projects=True)
    _declared = (
        *(Choice((0, 1), f"edge_{i}_{j}") for i, j in PAIRS),
        *(Choice(OPS, f"op_{v}") for v in range(1, V - 1)),
    )

    def __init__(
        self,
        *,
        channels: int = 128,
        n_stacks: int = 3,
        n_cells: int = 3,
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> None:
        at_least(channels=(channels, V - 2), n_stacks=(n_stacks, 1), n_cells=(n_cells, 1))
        self.channels, self.n_stacks, self.n_cells = channels, n_stacks, n_cells
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)
        self._counted = SIZE  # classes, not rows

    # -- what a row means ---------------------------------------------------------------------

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        """Rows with a path from input to output and at most 9 edges after pruning."""
        edges, there = dag.pruned(X)
        valid: NDArray[np.bool_] = there[0] & (edges.sum(axis=0, dtype=np.int8) <= MAX_EDGES)
        return valid

    def active(self, X: Rows) -> NDArray[np.bool_]:
        """Edges between vertices that are there, and operations of those; shape (n, 26)."""
        _, there = dag.pruned(X)
        return np.concatenate([there[FROM] & there[TO], there[1:-1]]).T

    def canonical_form(self, X: Rows) -> Rows:
        """Pruned vertices hold operation 0 and no edges, and come after those that are there."""
        mask = self.active(X)
        rows: Rows = np.where(mask, X, 0).astype(self._dtype, copy=False)
        there = mask[:, N_EDGES:]
        gaps = (there[:, :-1] < there[:, 1:]).any(axis=1)
        if gaps.any():
            order = np.argsort(~there[gaps], axis=1, kind="stable") + 1
            rows[gaps] = dag.reorder(rows[gaps], order)
        return rows

    # -- moving about -------------------------------------------------------------------------

    def enumerate(self, batch: int = 65_536) -> Iterator[Rows]:
        """One member of each class, in blocks of at most `batch` rows, few vertices first."""
        at_least(batch=(batch, 1))
        table = dag.all_classes()
        for start in range(0, SIZE, batch):
            yield table[start : start + batch].copy()

    def sample(self, n: int, rng: Rng = None) -> Rows:
        """`n` rows, uniform over the classes of isomorphic graphs, with replacement.

        Shapes: returns (n, 26).
        """
        at_least(n=(n, 0))
        return dag.all_classes()[as_rng(rng).integers(0, SIZE, size=n)]

    def mutate(self, X: ArrayLike, rng: Rng = None) -> Rows:
        """Each row with one change: an edge flipped, an operation replaced or a vertex inserted.

        Drawn, again until possible, is with one half each: a pair of vertices that are there, whose
        edge is flipped; or one of the five places for a vertex. A vertex there takes another
        operation; in an empty place a new one with a random operation gets the edges i -> new -> j
        for a random pair i < j. What that takes off every path vanishes. The graph always becomes
        another one.

        `Differs:` Ying et al. flip each edge with probability 1/21 and redraw each operation with
        1/5, one of each in the mean, possibly none, on graphs that are not pruned.

        Shapes: (n, 26) to (n, 26), canonical form.
        """
        rng = as_rng(rng)
        parents = self.canonical_form(self.check(X))
        inner = self.active(parents)[:, N_EDGES:].sum(axis=1)
        children, todo = parents.copy(), np.arange(len(parents))
        while len(todo):  # each row has a possible change, so each draw may be the last
            base, m = parents[todo], inner[todo]
            child = self._changed(base, m, rng)
            good = self.valid(child) & (child != base).any(axis=1)
            children[todo[good]] = child[good]
            todo = todo[~good]
        return children

    def _changed(self, base: Rows, m: NDArray[np.intp], rng: np.random.Generator) -> Rows:
        """One drawn change of each canonical row with `m` inner vertices; maybe none, or wrong."""
        child = base.copy()
        flip, op = rng.random(len(m)) < 0.5, rng.integers(len(OPS), size=len(m))
        column = np.where(
            flip, rng.integers(N_EDGES, size=len(m)), rng.integers(N_EDGES, self.d, size=len(m))
        )
        child[flip, column[flip]] ^= 1
        change = ~flip & (column - N_EDGES < m)
        step = 1 + rng.integers(len(OPS) - 1, size=len(m))
        child[change, column[change]] = (base[change, column[change]] + step[change]) % len(OPS)
        new = ~flip & ~change
        first = rng.integers(m + 2)
        second = (first + 1 + rng.integers(m + 1)) % (m + 2)
        source, target = np.minimum(first, second), np.maximum(first, second)
        target = np.where(target > m, V - 1, target)
        child[new] = dag.insert(base[new], source[new], target[new], op[new])
        return self.canonical_form(child)

    def neighbors(self, x: ArrayLike) -> Rows:
        """Every different graph that one change as in `mutate` reaches, shape (k, 26)."""
        base = self.canonical_form(self._row(x))
        m = int(self.active(base)[:, N_EDGES:].sum())
        flips = base ^ np.eye(N_EDGES, self.d, dtype=base.dtype)
        vertex = np.repeat(np.arange(N_EDGES, N_EDGES + m), 2)
        changes = np.repeat(base, 2 * m, axis=0)
        changes[np.arange(2 * m), vertex] += np.tile(np.array([1, 2], dtype=base.dtype), m)
        changes[:, N_EDGES:] %= len(OPS)
        rows = [flips, changes]
        if m < V - 2:
            ends = [*range(m + 1), V - 1]
            source, target, op = np.array(
                [(i, j, op) for i, j in PAIRS if {i, j} <= {*ends} for op in range(len(OPS))]
            ).T
            rows.append(dag.insert(np.repeat(base, len(op), axis=0), source, target, op))
        found = self.canonical_form(np.concatenate(rows).astype(self._dtype))
        found = found[self.valid(found)]
        keys = self.row_key(found)
        first = np.sort(np.unique(keys, return_index=True)[1])
        other: Rows = found[first[keys[first] != self.row_key(base)]]
        return other

    # -- identity -----------------------------------------------------------------------------

    def row_key(self, X: Rows) -> NDArray[np.uint64]:
        """The class of isomorphic graphs as a 64-bit key, shape (n,).

        Colour refinement (Weisfeiler & Leman): a vertex starts with its operation, h_v = mix(op_v),
        and three times becomes h_v = mix(a h_v + b sum_{u -> v} h_u + c sum_{v -> w} h_w) modulo
        2^64; the key is mix(sum_v h_v). Over the whole space no two classes share a key.
        """
        return dag.class_key(X)

    def md5_hash(self, X: ArrayLike) -> list[str]:
        """The module hash by which the published table knows a graph.

        h_v = md5 of (out-degree, in-degree, label) with label -1 for the input, the operation's
        index, -2 for the output; then for each vertex of the graph once: h_v = md5(sorted hashes of
        its sources | of its targets | h_v); the module's is the md5 of the sorted list.
        """
        graphs = self.graphs(self.check(X))
        labels = np.array([-1, -2, *range(len(OPS))])[graphs.ops]
        out = []
        for ops, label, adjacency in zip(graphs.ops, labels, graphs.adjacency, strict=True):
            there = np.flatnonzero(ops >= 0)
            matrix = adjacency[np.ix_(there, there)]
            out.append(dag.module_hash(matrix, label[there].tolist()))
        return out

    # -- other views --------------------------------------------------------------------------

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations."""
        return ("input", "output", *OPS)

    def graphs(self, X: Rows) -> Graphs:
        """The pruned graph: input, 5 places for operations (op -1 when not there), output.

        Shapes: ops (n, 7), adjacency (n, 7, 7).
        """
        rows = self.canonical_form(X)
        ops = np.empty((len(rows), V), dtype=np.int8)
        ops[:, 0], ops[:, -1] = 0, 1
        ops[:, 1:-1] = np.where(self.active(rows)[:, N_EDGES:], rows[:, N_EDGES:] + 2, -1)
        return Graphs(ops, dag.adjacency(rows))

    def to_str(self, X: ArrayLike) -> list[str]:
        """The pruned graph, `adjacency rows:operations`, e.g. `010/001/000:conv3x3`."""
        graphs = self.graphs(self.check(X))
        inner = (graphs.ops[:, 1:-1] >= 0).sum(axis=1)
        short = ["", "", *(op.removesuffix("-bn-relu") for op in OPS)]
        out = [""] * len(inner)
        for m in range(V - 1):  # graphs of one size are one block of characters
            (rows,) = np.nonzero(inner == m)
            there = [*range(m + 1), V - 1]
            text = np.full((len(rows), m + 2, m + 3), ord("/"), dtype=np.uint8)
            text[:, :, :-1] = graphs.adjacency[np.ix_(rows, there, there)] + np.uint8(ord("0"))
            text[:, -1, -1] = ord(":")
            lines, width = text.tobytes().decode(), text[:1].size
            for k, (i, ops) in enumerate(
                zip(rows.tolist(), graphs.ops[rows, 1 : m + 1].tolist(), strict=True)
            ):
                out[i] = lines[k * width : (k + 1) * width] + ",".join([short[op] for op in ops])
        return out

    def _parse(self, text: object) -> list[int]:
        matrix, colon, words = str(text).strip().partition(":")
        names = [word.strip() for word in words.split(",")] if words.strip() else []
        names = [word if word in OPS else f"{word}-bn-relu" for word in names]
        bad = [word.removesuffix("-bn-relu") for word in names if word not in OPS]
        if bad or not colon:
            raise self._bad_string(text, bad[0] if bad else "(no ':')")
        lines = matrix.split("/")
        try:
            return dag.pack(lines, [OPS.index(word) for word in names])
        except ValueError as error:
            raise self._bad_string(text, error) from None

    def from_matrix(
        self,
        adjacency: str | Sequence[Sequence[int]] | NDArray[Any],
        ops: str | Sequence[str | int],
    ) -> Rows:
        """The row, shape (26,), of a graph as the published files write it, in canonical form.

        Args:
            adjacency: upper triangular v x v matrix of 0 and 1, 2 <= v <= 7; or its rows as a
                string, `"011/001/000"`.
            ops: of all v vertices: names (`input`, ..., `output`), or labels -1 (input), 0
                (conv3x3-bn-relu), 1 (conv1x1-bn-relu), 2 (maxpool3x3), -2 (output); a string is
                split at commas.

        Raises: SpaceError when it is no graph of the space.

        >>> NB101().from_matrix([[0, 1, 0], [0, 0, 1], [0, 0, 0]], "-1,2,-2").nonzero()[0]
        array([ 0, 10, 21])
        """
        words = ops.split(",") if isinstance(ops, str) else ops
        labels = {"-1": "input", "-2": "output", **{str(k): op for k, op in enumerate(OPS)}}
        names = [labels.get(str(word).strip(), str(word).strip()) for word in words]
        try:
            if names[:1] != ["input"] or names[-1:] != ["output"] or {*names[1:-1]} - {*OPS}:
                raise ValueError(f"operations {names}")
            lines = (
                adjacency.split("/")
                if isinstance(adjacency, str)
                else ["".join(str(int(bit)) for bit in line) for line in adjacency]
            )
            row = dag.pack(lines, [OPS.index(name) for name in names[1:-1]])
        except (ValueError, TypeError) as error:
            raise SpaceError(
                "not a graph of space 'nb101'",
                expected="an upper triangular 0/1 matrix of 2 to 7 vertices and their operations,"
                " 'input' first and 'output' last",
                got=str(error),
            ) from None
        canonical: Rows = self.canonical_form(self.check([row]))[0]
        return canonical

    # -- networks -----------------------------------------------------------------------------

    def by_hand(self) -> tuple[str, str]:
        """A residual block: two 3x3 convolutions and a shortcut."""
        return "ResNet cell", "0101/0010/0001/0000:conv3x3,conv3x3"

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The network of the paper: stem, stacks of cells with max pooling between, linear head."""
        from foretell.nets.nb101 import NB101Net

        in_channels, _, _ = image_shape(self.name, input_shape)
        return NB101Net(*self._cell(x), in_channels, n_outputs, self.n_cells)

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.nb101 import draw

        image = image_shape(self.name, self.input_shape)
        return draw(*self._cell(x), image, self.n_outputs, self.n_cells)

    def _cell(self, x: ArrayLike) -> tuple[list[tuple[int, int]], list[str], list[list[int]]]:
        """Edges, operations, and the channels of each vertex in each stack."""
        rows = self.canonical_form(self._row(x))
        columns = dag.edges(rows)
        edges = [pair for pair, there in zip(PAIRS, columns[:, 0], strict=True) if there]
        ops = [OPS[op] for op in rows[0, N_EDGES:]]
        channels = [self.channels * 2**stack for stack in range(self.n_stacks)]
        return edges, ops, [vertex_channels(columns, c)[:, 0].tolist() for c in channels]

    def costs(self, X: ArrayLike) -> Costs:
        """Closed form, from the channels of each vertex (`vertex_channels`).

        A convolution of kernel q from a to b channels on s pixels has q^2 a b + 2b parameters
        (batch normalisation included) and 2 q^2 a b s flops. The order in which vertices are
        written may move a channel from one to another, so isomorphic rows may differ slightly.
        """
        c_in, h, w = image_shape(self.name, self.input_shape)
        rows = self.canonical_form(self.check(X))
        edges, c = dag.edges(rows), self.channels
        kernel = np.array([9, 1, 0])[rows[:, N_EDGES:].T]  # weights of a convolution per a b
        params = np.full(len(rows), 9 * c_in * c + 2 * c)
        flops = np.full(len(rows), 18 * c_in * c * h * w)
        previous = c
        for stack in range(self.n_stacks):
            if stack:
                h, w, c = -(-h // 2), -(-w // 2), 2 * c
            width = vertex_channels(edges, c)
            projected = np.sum([edges[COLUMN[0, v]] * width[v] for v in range(1, V)], axis=0)
            convolved = (kernel * width[1:-1] ** 2).sum(axis=0)
            norms = 2 * (((kernel > 0) * width[1:-1]).sum(axis=0) + projected)
            for cell in range(self.n_cells):
                weights = convolved + projected * (c if cell else previous)
                params += weights + norms
                flops += 2 * weights * h * w
            previous = c
        return Costs(params + (c + 1) * self.n_outputs, flops + 2 * c * self.n_outputs)


def vertex_channels(edges: Columns, channels: int) -> NDArray[np.int64]:
    """Channels of each vertex of cells with `channels` at the output; 0 for pruned vertices.

    The vertices that feed the output share its channels equally, the first ones taking one more
    while a remainder lasts; any other has the maximum of those it feeds (Ying et al. 2019, A.1).

    Shapes: edges (21, n) of pruned graphs to (7, n); the input's entry is 0.
    """
    width = np.zeros((V, edges.shape[1]), dtype=np.int64)
    width[-1] = channels
    last = [edges[COLUMN[v, V - 1]] for v in range(1, V - 1)]
    fan_in = np.maximum(np.sum(last, axis=0), 1)
    share, rest = np.divmod(channels, fan_in)
    before = np.cumsum(last, axis=0) - last
    for v in reversed(range(1, V - 1)):
        through = [edges[COLUMN[v, u]] * width[u] for u in range(v + 1, V - 1)]
        widest = np.max(through, axis=0) if through else 0
        width[v] = np.where(last[v - 1], share + (before[v - 1] < rest), widest)
    return width
