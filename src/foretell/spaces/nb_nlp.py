"""NAS-Bench-NLP: recurrent cells as recipes, graphs of elementary operations."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import SpaceError
from foretell.graphs.pruning import prune, reachable
from foretell.graphs.refinement import class_key
from foretell.spaces.base import Choice, Costs, Graphs, Rng, Rows, Space
from foretell.spaces.parts.keys import remembered
from foretell.spaces.parts.recipes import LEAVES, OPS, STATES, Node, Recipe, parse
from foretell.spaces.parts.settings import at_least

ARITY = np.array([inputs for *_, inputs in OPS])
_BY_ARITY = np.argsort(-ARITY, kind="stable")  # operations, those of three inputs first
BLEND = 2
FIRST = 2  # the first column of a node; before are the numbers of states and of nodes
WIDE = 4  # columns of a node: operation and three sources
_WORDS = ("linear", "blend", "elementwise_prod", "elementwise_sum",
          "activation_tanh", "activation_sigm", "activation_leaky_relu")  # fmt: skip


class Parts(NamedTuple):
    """Rows taken apart, for N nodes.

    Shapes: `states`, `nodes` (n,) counts; `ops` (n, N), -1 where there is no node; `sources`
    (n, N, 3), 0 to 3 for a leaf, 4 + k for node k, -1 for none; `new` (n, 3), the node of each
    state, -1 for none.
    """

    states: NDArray[np.intp]
    nodes: NDArray[np.intp]
    ops: NDArray[np.intp]
    sources: NDArray[np.intp]
    new: NDArray[np.intp]


class NBNLP(Space):
    """Recurrent cells of NAS-Bench-NLP: how a step makes new states from its input and old ones.

    A recipe has 1 to 3 states and up to `max_nodes` nodes. A node applies linear (of 2 or 3
    inputs), blend (z a + (1 - z) b), elementwise_prod, elementwise_sum, activation_tanh,
    activation_sigm or activation_leaky_relu to different earlier things: the input x, the old
    states h_prev_0 to h_prev_2, earlier nodes. Each new state is one node; h_new_0 is also what
    the cell gives on.

    Columns: number of states, number of nodes, then for each node its operation and three sources,
    then the node of each new state. `row_key` tells written recipes apart; `canonical` leaves out
    what no state that matters needs, and the order of nodes. `sample` draws the numbers, operations
    and sources uniformly, then leaves out nodes that no state needs.

    Strings are `linear x h0; tanh 0 -> 1`: the nodes, numbered from 0, and the nodes of the new
    states. `from_str` also reads recipes as the benchmark's files have them, JSON from names to
    `{"op": ..., "input": [...]}`.

    Args:
        max_nodes: nodes of the largest recipe, 3 or more.
        hidden: size of every node of `build`.
        input_shape: (steps, features).
        n_outputs: number of classes.

    References: Klyuchnikov et al., NAS-Bench-NLP, IEEE Access 2022.

    >>> space = NBNLP()
    >>> recipe = '{"f": {"op": "linear", "input": ["x", "h_prev_0"]}, '
    >>> recipe += '"h_new_0": {"op": "activation_tanh", "input": ["f"]}}'
    >>> space.to_str(space.from_str([recipe]))
    ['linear x h0; tanh 0 -> 1']
    """

    name = "nb-nlp"
    rule = "different sources of each node, old states that have a new one, states of other nodes"
    closed_form_costs = True
    amounts = False

    def __init__(
        self,
        *,
        max_nodes: int = 16,
        hidden: int = 64,
        input_shape: tuple[int, ...] = (16, 8),
        n_outputs: int = 10,
    ) -> None:
        at_least(max_nodes=(max_nodes, STATES), hidden=(hidden, 1))
        if max_nodes > 99:
            raise SpaceError("max_nodes of space 'nb-nlp'", expected="3 to 99", got=max_nodes)
        self.max_nodes, self.hidden = max_nodes, hidden
        self._declared = tuple(_choices(max_nodes))
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)
        self._counted = sum(
            count * self._ways(states, nodes) for states, nodes, count in self._sizes()
        )

    # -- what a row means ---------------------------------------------------------------------

    def parts(self, X: Rows) -> Parts:
        """Rows (n, d) taken apart."""
        n, N = len(X), self.max_nodes
        states, nodes = X[:, 0].astype(np.intp) + 1, X[:, 1].astype(np.intp) + 1
        cells = X[:, FIRST : FIRST + WIDE * N].reshape(n, N, WIDE).astype(np.intp)
        there = np.arange(N) < nodes[:, None]
        ops = np.where(there, cells[:, :, 0], -1)
        used = there[:, :, None] & (np.arange(3) < ARITY[cells[:, :, 0], None])
        new = np.where(np.arange(STATES) < states[:, None], X[:, FIRST + WIDE * N :], -1)
        return Parts(states, nodes, ops, np.where(used, cells[:, :, 1:], -1), new.astype(np.intp))

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        """Rows with the promises of `rule`."""
        states, nodes, _, sources, new = self.parts(X)
        a, b, c = sources[:, :, 0], sources[:, :, 1], sources[:, :, 2]
        equal = (b >= 0) & (a == b) | (c >= 0) & ((a == c) | (b == c))
        old = (sources >= 1) & (sources <= STATES) & (sources > states[:, None, None])
        far = new >= nodes[:, None]
        p, q, r = new.T
        same = (q >= 0) & (p == q) | (r >= 0) & ((p == r) | (q == r))
        wrong: NDArray[np.bool_] = equal.any(axis=1) | old.any(axis=(1, 2)) | far.any(axis=1)
        right: NDArray[np.bool_] = ~(wrong | same)
        return right

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """Key of the graph view."""
        return remembered(self, X, self.row_key, lambda rows: class_key(self.graphs(rows)))

    # -- moving about -------------------------------------------------------------------------

    def _sizes(self) -> Iterator[tuple[int, int, int]]:
        """Numbers of states and nodes, and in how many ways nodes can be the new states."""
        for states in range(1, STATES + 1):
            for nodes in range(states, self.max_nodes + 1):
                yield states, nodes, math.perm(nodes, states)

    def _ways(self, states: int, nodes: int) -> int:
        """In how many ways so many nodes can be written."""
        return math.prod(
            sum(math.perm(1 + states + j, inputs) for inputs in ARITY.tolist())
            for j in range(nodes)
        )

    def enumerate(self, batch: int = 65_536) -> Iterator[Rows]:
        """Every written recipe once: few states first, then few nodes."""
        at_least(batch=(batch, 1))
        for states, nodes, count in self._sizes():
            tables = [_ways_of_node(states, j) for j in range(nodes)]
            new = np.array(list(itertools.permutations(range(nodes), states)), dtype=self._dtype)
            total = count * self._ways(states, nodes)
            for start in range(0, total, batch):
                code = start + np.arange(min(batch, total - start))
                rows = np.zeros((len(code), self.d), dtype=self._dtype)
                rows[:, :FIRST] = states - 1, nodes - 1
                code, digit = np.divmod(code, count)
                rows[:, self.d - STATES : self.d - STATES + states] = new[digit.astype(np.intp)]
                for j in reversed(range(nodes)):
                    code, digit = np.divmod(code, len(tables[j]))
                    at = FIRST + WIDE * j
                    rows[:, at : at + WIDE] = tables[j][digit.astype(np.intp)]
                yield rows

    def sample(self, n: int, rng: Rng = None) -> Rows:
        """`n` rows without nodes that no state needs, shape (n, d)."""
        at_least(n=(n, 0))
        rng, N = as_rng(rng), self.max_nodes
        states = rng.integers(1, STATES + 1, size=n)
        nodes = rng.integers(states, N + 1)
        known = 1 + states[:, None] + np.arange(N)  # what a node can read
        # three inputs need three things to read: the first node may have two
        low = np.where(known < 3, (ARITY == 3).sum(), 0)
        op = _BY_ARITY[low + rng.integers(0, len(OPS) - low)]
        first = rng.integers(0, known)
        second = rng.integers(0, known - 1)
        second += second >= first
        third = rng.integers(0, np.maximum(known - 2, 1))
        low_one, high_one = np.minimum(first, second), np.maximum(first, second)
        third += third >= low_one
        third += third >= high_one
        sources = np.stack([first, second, third], axis=2)
        sources += (sources > states[:, None, None]) * (STATES - states[:, None, None])
        new = np.argsort(np.where(np.arange(N) < nodes[:, None], rng.random((n, N)), 2.0), axis=1)[
            :, :STATES
        ]  # different nodes
        rows = np.zeros((n, self.d), dtype=self._dtype)
        rows[:, 0], rows[:, 1] = states - 1, nodes - 1
        cells = np.concatenate([op[:, :, None], sources], axis=2).reshape(n, WIDE * N)
        rows[:, FIRST : FIRST + WIDE * N] = cells
        rows[:, self.d - STATES :] = new
        return self._compact(self.canonical_form(rows))

    def _compact(self, X: Rows) -> Rows:
        """The rows without nodes that no state needs."""
        n, N = len(X), self.max_nodes
        parts = self.parts(X)
        kept = self._needed(parts, np.ones((n, STATES), dtype=bool))
        place = np.cumsum(kept, axis=1) - 1
        order = np.argsort(~kept, axis=1, kind="stable")
        line = np.arange(n)[:, None]
        sources = parts.sources[line, order]
        moved = place[line[:, :, None], np.maximum(sources - len(LEAVES), 0)] + len(LEAVES)
        sources = np.where(sources >= len(LEAVES), moved, sources)
        rows = X.copy()
        rows[:, 1] = np.maximum(kept.sum(axis=1) - 1, 0)
        cells = np.concatenate([parts.ops[line, order][:, :, None], sources], axis=2)
        rows[:, FIRST : FIRST + WIDE * N] = np.maximum(cells, 0).reshape(n, WIDE * N)
        new = place[line, np.maximum(parts.new, 0)]
        rows[:, self.d - STATES :] = np.where(parts.new >= 0, new, 0)
        return self.canonical_form(rows)

    def _edges(self, parts: Parts) -> NDArray[np.bool_]:
        """Which node reads which, (n, N, N), source first."""
        k = np.arange(self.max_nodes) + len(LEAVES)
        edges: NDArray[np.bool_] = (parts.sources[:, None] == k[:, None, None]).any(axis=3)
        return edges

    def _needed(self, parts: Parts, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Nodes (n, N) that some new state of `wanted` (n, 3) needs in the same step."""
        wanted = wanted & (parts.new >= 0)
        nodes = np.arange(self.max_nodes)
        ends = ((parts.new[:, :, None] == nodes) & wanted[:, :, None]).any(axis=1)
        back = self._edges(parts)[:, ::-1, ::-1].transpose(0, 2, 1)
        return reachable(back, ends[:, ::-1])[:, ::-1]

    def live(self, parts: Parts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Nodes (n, N) and states (n, 3) that h_new_0 needs in this or a later step."""
        states = np.zeros((len(parts.ops), STATES), dtype=bool)
        states[:, 0] = True
        nodes = self._needed(parts, states)
        for _ in range(STATES - 1):
            for i in range(1, STATES):
                reads = (parts.sources == 1 + i).any(axis=2)
                states[:, i] |= (reads & nodes).any(axis=1)
            nodes = self._needed(parts, states)
        return nodes, states

    # -- other views --------------------------------------------------------------------------

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations; `blend_gate` is the product z a inside of a blend."""
        old = tuple(f"h_prev_{i}" for i in range(STATES))
        new = tuple(f"h_new_{i}" for i in range(STATES))
        return ("input", "output", "x", *old, *_WORDS, "blend_gate", *new)

    def graphs(self, X: Rows) -> Graphs:
        """What h_new_0 needs in this or a later step: leaves, nodes, new states, output.

        The input leads to x and the old states, the new states lead to the output. A blend is two
        vertices, so that its three sources can be told apart: z and a lead to its gate, the gate,
        z and b to itself.

        Shapes: ops (n, 9 + 2 N), adjacency (n, 9 + 2 N, 9 + 2 N).
        """
        n, N = len(X), self.max_nodes
        parts = self.parts(X)
        nodes, states = self.live(parts)
        words = {word: k for k, word in enumerate(self.vocabulary)}
        v = 6 + STATES + 2 * N
        ops = np.full((n, v), -1, dtype=np.int8)
        ops[:, 0], ops[:, -1] = 0, 1
        ops[:, 1 : 1 + len(LEAVES)] = np.arange(len(LEAVES)) + words["x"]
        gate, node = 5 + 2 * np.arange(N), 6 + 2 * np.arange(N)
        of_op = np.array([words[name] for _, name, _ in OPS])
        ops[:, node] = np.where(nodes, of_op[parts.ops], -1)
        blend = nodes & (parts.ops == BLEND)
        ops[:, gate] = np.where(blend, words["blend_gate"], -1)
        new = v - 1 - STATES + np.arange(STATES)
        ops[:, new] = np.where(states, np.arange(STATES) + words["h_new_0"], -1)
        adjacency = np.zeros((n, v, v), dtype=bool)
        adjacency[:, 0, 1 : 1 + len(LEAVES)] = True
        vertex = np.concatenate([1 + np.arange(len(LEAVES)), node])  # of each source
        row, to, slot = np.nonzero((parts.sources >= 0) & nodes[:, :, None])
        source = vertex[parts.sources[row, to, slot]]
        mixed = blend[row, to]
        direct = ~mixed | (slot != 1)
        adjacency[row[direct], source[direct], node[to[direct]]] = True
        gated = mixed & (slot < 2)
        adjacency[row[gated], source[gated], gate[to[gated]]] = True
        row, to = np.nonzero(blend)
        adjacency[row, gate[to], node[to]] = True
        row, state = np.nonzero(states & (parts.new >= 0))
        adjacency[row, node[parts.new[row, state]], new[state]] = True
        adjacency[:, new, -1] = states
        return prune(Graphs(ops, adjacency))

    def to_str(self, X: ArrayLike) -> list[str]:
        """Nodes and new states, `linear x h0; tanh 0 -> 1`."""
        parts = self.parts(self.canonical_form(self.check(X)))
        rows = zip(*(one.tolist() for one in parts[2:]), strict=True)
        return [str(_recipe(ops, sources, new)) for ops, sources, new in rows]

    def _parse(self, text: object) -> list[int]:
        try:
            recipe = parse(str(text).strip())
            if len(recipe.nodes) > self.max_nodes:
                raise ValueError(f"{len(recipe.nodes)} nodes")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._bad_string(text, " ".join(str(error).split())) from None
        row = [0] * self.d
        row[:FIRST] = len(recipe.new) - 1, len(recipe.nodes) - 1
        for j, (op, sources) in enumerate(recipe.nodes):
            at = FIRST + WIDE * j
            row[at : at + 1 + len(sources)] = op, *sources
        row[self.d - STATES : self.d - STATES + len(recipe.new)] = recipe.new
        return row

    # -- networks -----------------------------------------------------------------------------

    def by_hand(self) -> tuple[str, str]:
        """The gated recurrent unit."""
        gates = "linear x h0; sigm 0; linear x h0; sigm 2; prod 1 h0; linear x 4; tanh 5"
        return "GRU", gates + "; blend 3 h0 6 -> 7"

    def _io(self) -> tuple[int, int]:
        if len(self.input_shape) != 2:
            raise SpaceError(
                f"{self.name} takes sequences",
                expected="input_shape (steps, features)",
                got=self.input_shape,
            )
        return self.input_shape[0], self.input_shape[1]

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Linear map of each step's input, the cell over all steps, linear head of the last one."""
        from foretell.nets.nb_nlp import NBNLPNet

        steps, features = self.with_io(input_shape, n_outputs)._io()
        parts = self.parts(self.canonical_form(self._row(x)))
        nodes, states = self.live(parts)
        ops = [
            (j, OPS[parts.ops[0, j]][1], [int(s) for s in parts.sources[0, j] if s >= 0])
            for j in np.flatnonzero(nodes[0]).tolist()
        ]
        (kept,) = np.nonzero(states[0] & (parts.new[0] >= 0))
        new = {i: int(parts.new[0, i]) for i in kept.tolist()}
        return NBNLPNet(ops, new, STATES, steps, features, n_outputs, self.hidden)

    def costs(self, X: ArrayLike) -> Costs:
        """Closed form: linear nodes that matter, once a step, and the maps around the cell."""
        steps, features = self._io()
        parts, h = self.parts(self.canonical_form(self.check(X))), self.hidden
        nodes, _ = self.live(parts)
        linear = nodes & (parts.ops <= 1)
        weights = (linear * ARITY[parts.ops]).sum(axis=1) * h * h
        outputs = self.n_outputs
        return Costs(
            weights + linear.sum(axis=1) * h + (features + 1) * h + (h + 1) * outputs,
            2 * steps * (weights + features * h) + 2 * h * outputs,
        )


def _choices(max_nodes: int) -> Iterator[Choice]:
    yield Choice(tuple(range(1, STATES + 1)), "states")
    yield Choice(tuple(range(1, max_nodes + 1)), "nodes")
    names = tuple(op for op, *_ in OPS)
    for j in range(max_nodes):
        yield Choice(names, f"op_{j}", when={"nodes": range(j + 1, max_nodes + 1)})
        things = (*LEAVES, *map(str, range(j)))
        for k in range(3):
            reading = [op for op, _, inputs in OPS if inputs > k]
            yield Choice(things, f"in_{j}_{k}", when={f"op_{j}": reading})
    for i in range(STATES):
        when = {"states": range(i + 1, STATES + 1)}
        yield Choice(tuple(range(max_nodes)), f"h_new_{i}", when=when if i else None)


@functools.cache
def _ways_of_node(states: int, j: int) -> NDArray[np.int8]:
    """All ways to write node j: operation and three sources, 0 where there is none."""
    things = [*range(1 + states), *range(len(LEAVES), len(LEAVES) + j)]
    rows = [
        (op, *reads, *[0] * (3 - inputs))
        for op, inputs in enumerate(ARITY.tolist())
        for reads in itertools.permutations(things, inputs)
    ]
    return np.array(rows, dtype=np.int8)


def _recipe(ops: list[int], sources: list[list[int]], new: list[int]) -> Recipe:
    """A row of `Parts`, without what is not there."""
    nodes = [
        Node(op, [s for s in reads if s >= 0])
        for op, reads in zip(ops, sources, strict=True)
        if op >= 0
    ]
    return Recipe(nodes, [k for k in new if k >= 0])
