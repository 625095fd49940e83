"""NAS-Bench-Graph: graph neural networks of four operations on a tree."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell._rng import as_rng
from foretell.errors import SettingError, SpaceError
from foretell.spaces.base import Choice, Costs, Graphs, Rng, Rows, Space
from foretell.spaces.parts.settings import at_least

OPS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
SKIP, V = OPS.index("skip"), 4
SIZE = 26_206
# positions whose operations may change places without changing the network
_ALIKE = {"0000": (0, 1, 2, 3), "0001": (1, 2), "0011": (2, 3), "0111": (1, 2, 3), "0122": (2, 3)}


class NBGraph(Space):
    """The NAS-Bench-Graph cell: four operations on a tree, 26,206 different networks.

    Each of the four nodes reads one earlier node or the input; nodes that nobody reads are the
    result. Columns are the tree (`links`, the sources of nodes 1 to 4, 0 for the input: one of
    0000, 0001, 0011, 0012, 0013, 0111, 0112, 0122, 0123), then the operation of each node: gat,
    gcn, gin, cheb, sage, arma, graph, fc, skip. Only skips is no network.

    Rows in canonical form are the members of the published table. Its rule: a skip that somebody
    reads, that is the only reader of its source, or that only repeats the input goes to the front,
    and whatever read the input reads it; then operations that may change places are sorted.

    `build` makes a network for whole graphs: of `input_shape` (nodes, f + nodes) the first f
    columns are features of the nodes, the others say who is linked with whom (0 or 1).

    Args:
        hidden: channels of each node of the cell.
        input_shape: (nodes, f + nodes).
        n_outputs: number of classes.

    References: Qin et al., NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search,
    NeurIPS 2022.

    >>> space = NBGraph()
    >>> X = space.from_str(["0121:gcn,gin,fc,cheb"])
    >>> space.to_str(X), space.published_hash(X).tolist()
    (['0112:gcn,gin,cheb,fc'], [61237])
    """

    name = "nb-graph"
    rule = "an operation other than skip"
    closed_form_costs = True
    _declared = (Choice(LINKS, "links"), *(Choice(OPS, f"op_{i}") for i in range(1, V + 1)))

    def __init__(
        self,
        *,
        hidden: int = 64,
        input_shape: tuple[int, ...] = (16, 24),
        n_outputs: int = 10,
    ) -> None:
        at_least(hidden=(hidden, 2))
        if hidden % 2:
            raise SettingError("hidden", expected="an even number, for two heads", got=hidden)
        self.hidden = hidden
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)
        self._counted = SIZE

    # -- what a row means ---------------------------------------------------------------------

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        """Rows with an operation other than skip."""
        valid: NDArray[np.bool_] = (X[:, 1:] != SKIP).any(axis=1)
        return valid

    def canonical_form(self, X: Rows) -> Rows:
        """Skips to the front, then equal parts sorted: the published representative."""
        links, order = _skips_first()
        mask = (X[:, 1:] == SKIP) @ (1 << np.arange(V))
        out = np.empty(X.shape, dtype=self._dtype)
        out[:, 0] = links[X[:, 0], mask]
        ops = np.take_along_axis(X[:, 1:], order[X[:, 0], mask], axis=1)
        for name, places in _ALIKE.items():
            rows = out[:, 0] == LINKS.index(name)
            part = ops[np.ix_(rows, places)]
            ops[np.ix_(rows, places)] = np.sort(part, axis=1)
        # two chains of two: the chains change places, not their operations
        a, b, c, d = ops.T
        swap = (out[:, 0] == LINKS.index("0012")) & ((a > b) | ((a == b) & (c > d)))
        ops[swap] = ops[swap][:, [1, 0, 3, 2]]
        out[:, 1:] = ops
        return out

    def sample(self, n: int, rng: Rng = None) -> Rows:
        """`n` rows, uniform over the 26,206 networks, with replacement; shape (n, 5)."""
        at_least(n=(n, 0))
        table = _networks()
        rows: Rows = table[as_rng(rng).integers(0, len(table), size=n)]
        return rows

    def published_hash(self, X: Rows) -> NDArray[np.int64]:
        """The number by which the published tables know a row: links, then 10^k operation."""
        rows = self.canonical_form(self.check(X)).astype(np.int64)
        code: NDArray[np.int64] = rows[:, 0]
        for j in range(1, V + 1):
            code = code * (len(OPS) + 1) + rows[:, j]
        return code

    # -- other views --------------------------------------------------------------------------

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations."""
        return ("input", "output", *OPS)

    def graphs(self, X: Rows) -> Graphs:
        """Input, the four nodes, output; nodes that nobody reads lead to the output.

        Shapes: ops (n, 6), adjacency (n, 6, 6).
        """
        rows = self.canonical_form(X)
        ops = np.ones((len(rows), V + 2), dtype=np.int8)
        ops[:, 0], ops[:, 1:-1] = 0, rows[:, 1:] + 2
        return Graphs(ops, _TREES[rows[:, 0]])

    def to_str(self, X: Any) -> list[str]:
        """Sources and operations of the nodes, e.g. `0012:gcn,gat,fc,skip`."""
        rows = self.canonical_form(self.check(X)).tolist()
        return [f"{LINKS[k]}:{','.join(OPS[op] for op in ops)}" for k, *ops in rows]

    def _parse(self, text: object) -> list[int]:
        links, colon, words = str(text).strip().partition(":")
        ops = [word.strip() for word in words.split(",")]
        bad = [word for word in ops if word not in OPS]
        if bad or not colon or len(ops) != V:
            raise self._bad_string(text, bad[0] if bad else f"{len(ops)} operations")
        found = _regular().get(links.strip())
        if found is None:
            raise self._bad_string(text, links)
        name, order = found
        return [LINKS.index(name), *(OPS.index(ops[i]) for i in order)]

    # -- networks -----------------------------------------------------------------------------

    def by_hand(self) -> tuple[str, str]:
        """Two graph convolutions, one after the other."""
        return "GCN", "0123:skip,skip,gcn,gcn"

    def _sizes(self) -> tuple[int, int]:
        """Nodes and features of the input."""
        shape = self.input_shape
        if len(shape) != 2 or shape[1] <= shape[0]:
            raise SpaceError(
                f"{self.name} takes graphs",
                expected="input_shape (nodes, features + nodes)",
                got=shape,
                hint="put the adjacency matrix behind the features of the nodes",
            )
        return shape[0], shape[1] - shape[0]

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Linear map of the features, the cell, the mean over nodes, linear head."""
        from foretell.nets.nb_graph import NBGraphNet

        other = self.with_io(input_shape, n_outputs)
        _, features = other._sizes()
        links, *ops = self.canonical_form(self._row(x))[0].tolist()
        names = [OPS[op] for op in ops]
        return NBGraphNet(_sources(LINKS[links]), names, features, n_outputs, self.hidden)

    def costs(self, X: Any) -> Costs:
        """Closed form: a sum over the operations, and a head that joins the results.

        With n nodes and h channels a linear map h -> h has h^2 parameters and 2 n h^2 flops, a sum
        over neighbours 2 n^2 h flops.
        """
        nodes, features = self._sizes()
        rows, h = self.canonical_form(self.check(X)), self.hidden
        params = np.array([h * h * _MAPS[op] + h * _VECTORS[op] for op in OPS])
        flops = np.array([2 * nodes * h * (h * _MAPS[op] + nodes * _SUMS[op]) for op in OPS])
        results = _TREES[:, 1:-1, -1].sum(axis=1)[rows[:, 0]]
        outputs = self.n_outputs
        return Costs(
            params[rows[:, 1:]].sum(axis=1) + (features + 1) * h + (h * results + 1) * outputs,
            flops[rows[:, 1:]].sum(axis=1) + 2 * nodes * features * h + 2 * h * results * outputs,
        )


# linear maps, vectors and sums over neighbours of each operation in `foretell.nets.nb_graph`
_MAPS = dict(zip(OPS, (1, 1, 2, 2, 2, 2, 2, 1, 0), strict=True))
_VECTORS = dict(zip(OPS, (3, 1, 2, 1, 1, 1, 1, 1, 0), strict=True))
_SUMS = dict(zip(OPS, (1, 1, 1, 1, 1, 1, 1, 0, 0), strict=True))


def _sources(links: str) -> list[int]:
    return [int(digit) for digit in links]


def _trees() -> NDArray[np.bool_]:
    """Adjacency of each tree with input and output, (9, 6, 6)."""
    adjacency = np.zeros((len(LINKS), V + 2, V + 2), dtype=bool)
    for k, links in enumerate(LINKS):
        sources = _sources(links)
        for node, source in enumerate(sources, start=1):
            adjacency[k, source, node] = True
            adjacency[k, node, -1] = node not in sources
    return adjacency


_TREES = _trees()


@functools.cache
def _regular() -> dict[str, tuple[str, tuple[int, ...]]]:
    """Any list of sources -> the same tree among the nine, and the order of its operations."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {name: (name, (0, 1, 2, 3)) for name in LINKS}
    for name, order in itertools.product(LINKS, itertools.permutations(range(V))):
        place = {0: 0, **{old + 1: new + 1 for old, new in enumerate(order)}}
        moved = [0] * V  # node i of the tree becomes node order[i]
        for i, source in enumerate(_sources(name)):
            moved[order[i]] = place[source]
        if all(source <= i for i, source in enumerate(moved)):
            found.setdefault("".join(map(str, moved)), (name, order))
    return found


@functools.cache
def _skips_first() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each tree and set of skips (a bit each): the tree, and the order of the operations.

    Shapes: (9, 16) and (9, 16, 4).
    """
    links = np.zeros((len(LINKS), 2**V), dtype=np.intp)
    order = np.zeros((len(LINKS), 2**V, V), dtype=np.intp)
    for k, name in enumerate(LINKS):
        for mask in range(2**V):
            sources, places = _move(_sources(name), list(range(V)), mask)
            text = "".join(map(str, sources))
            tree, again = _regular()[text]
            links[k, mask] = LINKS.index(tree)
            order[k, mask] = [places[i] for i in again]
    return links, order


def _move(sources: list[int], places: list[int], mask: int) -> tuple[list[int], list[int]]:
    """The published rule for skips: see `NBGraph`."""
    skip = [bool(mask >> i & 1) for i in places]
    for i in range(V):
        if not skip[i]:
            continue
        read = i + 1 in sources
        alone = sum(source == sources[i] for source in sources) == 1
        if read or alone or _only_skips(i, sources, skip):
            # `i` becomes node 1, its readers read its source, readers of the input read it
            moved = [sources[i] if s == i + 1 else s for s in sources]
            moved = [s + 1 if s <= i else s for s in moved]
            sources = [0, *moved[:i], *moved[i + 1 :]]
            places = [places[i], *places[:i], *places[i + 1 :]]
            skip = [skip[i], *skip[:i], *skip[i + 1 :]]
    return sources, places


def _only_skips(i: int, sources: list[int], skip: list[bool]) -> bool:
    while i > -1:
        if not skip[i]:
            return False
        i = sources[i] - 1
    return True


@functools.cache
def _networks() -> Rows:
    """All networks, (26206, 5), read-only."""
    table = np.concatenate(list(NBGraph().enumerate()))
    table.flags.writeable = False
    return table
