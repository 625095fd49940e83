"""The DARTS space, which NAS-Bench-301 covers: two cells of four nodes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import SettingError, SpaceError
from foretell.graphs.computation import Computations
from foretell.graphs.pruning import prune
from foretell.graphs.refinement import class_key
from foretell.spaces.base import Choice, Costs, Graphs, Rows, Space
from foretell.spaces.parts.keys import remembered
from foretell.spaces.parts.mixture import Mixture, Node, Site, Weights
from foretell.spaces.parts.settings import at_least, divides, image_shape

OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
CELLS = ("normal", "reduce")
NODES = (2, 3, 4, 5)  # nodes 0 and 1 are the two cells before
PAIRS = {node: tuple(itertools.combinations(range(node), 2)) for node in NODES}
_CONFIG = "NetworkSelectorDatasetInfo:darts:"
_PAIR = r"[\[(]\s*'(\w+)'\s*,\s*(\d)\s*[\])]"
_LIST = r"[\[(]\s*(" + _PAIR + r"(?:\s*,\s*" + _PAIR + r"){7})\s*,?\s*[\])]"
_CONCAT = r"(?:(?:list\()?range\(2,\s*6\)\)?|[\[(]2,\s*3,\s*4,\s*5[\])])"
_SUM = re.compile(r"\s*,?\s*[\])]\s*\+\s*[\[(]\s*")  # between the parts of a list
_GENOTYPE = re.compile(
    rf"Genotype\(\s*normal\s*=\s*{_LIST},\s*normal_concat\s*=\s*{_CONCAT},"
    rf"\s*reduce\s*=\s*{_LIST},\s*reduce_concat\s*=\s*{_CONCAT}\s*,?\s*\)"
)
_CONCATS = "range(2, 6)"


class NB301(Space):
    """The DARTS space: a normal and a reduction cell, 10^18 rows.

    A cell reads the outputs of the two cells before it (nodes 0 and 1); each of its nodes 2 to 5
    adds two operations on two different earlier nodes; the output joins nodes 2 to 5. Columns
    are, for the normal, then the reduction cell: which two nodes nodes 3, 4 and 5 read (node 2
    reads both inputs), then the two operations of nodes 2 to 5: max_pool_3x3, avg_pool_3x3,
    skip_connect, sep_conv_3x3, sep_conv_5x5, dil_conv_3x3, dil_conv_5x5.

    Strings are genotypes as DARTS prints them, with sources in ascending order. `canonical` is
    equal exactly for cells that are equal up to the order of their nodes.

    Args:
        channels: of the first cells; doubled in each of the two reduction cells.
        n_cells: cells; those at one and two thirds are reduction cells.
        auxiliary: whether networks have a second head that helps in training (`costs` leave it
            out, as the paper does).
        drop_path: probability with which operations are dropped at the end of training; 0.2 there.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Liu et al., DARTS, ICLR 2019; Siems et al., NAS-Bench-301, 2020 (32 channels,
    8 cells).

    >>> space = NB301()
    >>> (text,) = space.to_str([[0] * 11 + [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3]])
    >>> text[:58], space.costs(space.from_str([text])).params.tolist()
    ("Genotype(normal=[('max_pool_3x3', 0), ('max_pool_3x3', 1),", [603242])
    """

    name = "nb301"
    ops: ClassVar[tuple[str, ...]] = OPS  # that edges may have
    closed_form_costs = True
    amounts = False
    _declared = tuple(
        one
        for cell in CELLS
        for one in (
            *(
                Choice(tuple(f"{i}_{j}" for i, j in PAIRS[node]), f"{cell}_inputs_{node}")
                for node in NODES[1:]
            ),
            *(Choice(OPS, f"{cell}_op_{node}_{k}") for node in NODES for k in (0, 1)),
        )
    )

    def __init__(
        self,
        *,
        channels: int = 32,
        n_cells: int = 8,
        auxiliary: bool = False,
        drop_path: float = 0.0,
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> None:
        at_least(channels=(channels, 1), n_cells=(n_cells, 3))
        if not 0 <= drop_path < 1:
            raise SettingError("drop_path", expected="a probability below 1", got=drop_path)
        self.channels, self.n_cells = channels, n_cells
        self.auxiliary, self.drop_path = auxiliary, drop_path
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """Key of the two cells up to the order of their nodes."""
        return remembered(self, X, self.row_key, lambda rows: class_key(self.graphs(rows)))

    def cells(self, X: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sources and operations of the two cells, (n, 2, 8) each, two of a node side by side."""
        parts = X.reshape(len(X), 2, 11).astype(np.intp)
        sources = np.empty((len(X), 2, 8), dtype=np.intp)
        sources[:, :, :2] = 0, 1
        for k, node in enumerate(NODES[1:]):
            sources[:, :, 2 * k + 2 : 2 * k + 4] = np.array(PAIRS[node])[parts[:, :, k]]
        return sources, parts[:, :, 3:]

    # -- other views --------------------------------------------------------------------------

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations: of each cell its two inputs, then what it does."""
        inner = ("c_{k-2}", "c_{k-1}", *self.ops)
        return ("input", "output", *(f"{cell}:{word}" for cell in CELLS for word in inner))

    def graphs(self, X: Rows) -> Graphs:
        """Both cells side by side, operations as vertices.

        The input leads to the two inputs of each cell; an operation on a node reads that node's
        two operations; all operations lead to the output, because all nodes do.

        Shapes: ops (n, 22), adjacency (n, 22, 22).
        """
        n = len(X)
        sources, cell_ops = self.cells(X)
        ops = np.zeros((n, 22), dtype=np.int8)
        ops[:, -1] = 1
        adjacency = np.zeros((n, 22, 22), dtype=bool)
        for c in range(2):
            at, word = 1 + 10 * c, 2 + (2 + len(self.ops)) * c  # of the first input of the cell
            ops[:, at : at + 2] = word, word + 1
            ops[:, at + 2 : at + 10] = cell_ops[:, c] + word + 2
            adjacency[:, 0, at : at + 2] = True
            adjacency[:, at + 2 : at + 10, -1] = True
            node = np.array([0, 1, *np.repeat(NODES, 2)])  # of each vertex of the cell
            reads: NDArray[np.bool_] = node[None, :, None] == sources[:, c, None, :]
            adjacency[:, at : at + 10, at + 2 : at + 10] = reads
        return prune(Graphs(ops, adjacency))

    def to_str(self, X: ArrayLike) -> list[str]:
        """Genotypes as DARTS prints them."""
        sources, ops = self.cells(self.check(X))
        out = []
        for pair in zip(sources.tolist(), ops.tolist(), strict=True):
            lists = [
                ", ".join(f"({self.ops[op]!r}, {i})" for i, op in zip(s, o, strict=True))
                for s, o in zip(*pair, strict=True)
            ]
            parts = [
                f"{cell}=[{text}], {cell}_concat={_CONCATS}"
                for cell, text in zip(CELLS, lists, strict=True)
            ]
            out.append(f"Genotype({', '.join(parts)})")
        return out

    def _parse(self, text: object) -> list[int]:
        plain = _SUM.sub(", ", str(text).strip().replace('"', "'"))
        if not _GENOTYPE.fullmatch(plain):
            raise self._bad_string(text, str(text)[:40])
        pairs = re.findall(_PAIR, plain)
        row: list[int] = []
        for c in range(2):
            inputs, ops = [], []
            for k, node in enumerate(NODES):
                first, second = sorted(
                    ((int(i), op) for op, i in pairs[8 * c + 2 * k : 8 * c + 2 * k + 2]),
                    key=lambda one: one[0],
                )
                bad = [op for _, op in (first, second) if op not in self.ops]
                if bad or first[0] == second[0] or second[0] >= node:
                    raise self._bad_string(text, bad[0] if bad else f"inputs of node {node}")
                inputs.append(PAIRS[node].index((first[0], second[0])))
                picked = [self._option(c, i, node, op) for i, op in (first, second)]
                if -1 in picked:
                    raise self._bad_string(text, (first, second)[picked.index(-1)][1])
                ops += picked
            row += [*inputs[1:], *ops]
        return row

    def _option(self, cell: int, i: int, j: int, name: str) -> int:
        """The option that an operation is on the edge from node i to j, -1 for none of them."""
        return OPS.index(name)

    def from_config(self, config: Mapping[str, Any]) -> Rows:
        """The row, shape (22,), of a configuration as the NAS-Bench-301 files write it.

        Keys are `...:darts:edge_<cell>_<k>` (the operation on edge k; edges 0 and 1 lead to node 2,
        2 to 4 to node 3, and so on) and `...:darts:inputs_node_<cell>_<node>` such as "0_2".

        Raises: SpaceError where something is missing or is no such operation.
        """
        short = {key.removeprefix(_CONFIG): value for key, value in config.items()}
        row: list[int] = []
        try:
            for cell in CELLS:
                inputs, ops = [], []
                for node in NODES:
                    words = str(short.get(f"inputs_node_{cell}_{node}", "0_1")).split("_")
                    pair = tuple(sorted(int(word) for word in words))
                    inputs.append(PAIRS[node].index(pair))
                    offset = node * (node - 1) // 2 - 1
                    ops += [OPS.index(short[f"edge_{cell}_{offset + i}"]) for i in pair]
                row += [*inputs[1:], *ops]
        except (KeyError, ValueError, TypeError) as error:
            raise SpaceError(
                "not a configuration of space 'nb301'",
                expected=f"operations and inputs under {_CONFIG}...",
                got=error,
            ) from None
        found: Rows = self.check([row])[0]
        return found

    # -- the supernet --------------------------------------------------------------------------

    def mixed_options(self) -> tuple[tuple[str, ...], ...]:
        """Operations of each of the 14 + 14 edges of the supernet, node by node.

        `Differs:` no "none" among them, which DARTS mixes and never takes; `darts-s3` has it.
        """
        return (OPS,) * 28

    def mixture(self) -> Mixture:
        """All edges of both cells; of the edges of a node a row has two."""
        names = [f"{cell}_edge_{i}_{j}" for cell in CELLS for j in NODES for i in range(j)]
        sites = tuple(map(Site, names, self.mixed_options()))
        at = {name: e for e, name in enumerate(names)}
        nodes = tuple(
            Node(tuple(at[f"{cell}_edge_{i}_{j}"] for i in range(j)), 2)
            for cell in CELLS
            for j in NODES
        )
        return Genotypes(sites, nodes, frozenset({"none"}), space=self)

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """The same skeleton with all operations on all edges; cells of a kind share the weights.

        References: Liu et al., DARTS, ICLR 2019, section 2.
        """
        from foretell.nets.supernet.darts import darts_supernet

        in_channels, _, _ = image_shape(self.name, input_shape)
        divides(self.name, 1 if divisor == 1 else 2 * divisor, channels=self.channels)
        n = self.n_cells
        return darts_supernet(
            self.mixed_options(), in_channels, n_outputs, self.channels, n, reductions(n), divisor
        )

    # -- networks -----------------------------------------------------------------------------

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The network of DARTS: stem, cells, mean over pixels, linear; and what helps to train."""
        from foretell.nets.nb301 import NB301Net

        in_channels, _, _ = image_shape(self.name, input_shape)
        n, extras = self.n_cells, (self.auxiliary, self.drop_path)
        shape = (in_channels, n_outputs, self.channels, n, reductions(n))
        return NB301Net(self._terms(x), *shape, *extras)

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.nb301 import draw

        image, n = image_shape(self.name, self.input_shape), self.n_cells
        return draw(self._terms(x), image, self.n_outputs, self.channels, n, reductions(n))

    def _terms(self, x: ArrayLike) -> list[list[tuple[int, str]]]:
        """Source and operation of each term of the two cells."""
        sources, ops = self.cells(self._row(x))
        return [
            [(source, self.ops[op]) for source, op in zip(*pair, strict=True)]
            for pair in zip(sources[0].tolist(), ops[0].tolist(), strict=True)
        ]

    def costs(self, X: ArrayLike) -> Costs:
        """Closed form: each operation's costs by its stride, over all cells.

        With c channels a separable convolution of kernel q is 2 q^2 c + 2 c^2 weights, a dilated
        one q^2 c + c^2; batch normalisations add 2 parameters a channel.
        """
        in_channels, h, w = image_shape(self.name, self.input_shape)
        sources, ops = self.cells(self.check(X))
        before = previous = 3 * self.channels
        c = self.channels
        params = np.full(len(ops), 9 * in_channels * previous + 2 * previous)
        flops = np.full(len(ops), 18 * in_channels * previous * h * w)
        for k in range(self.n_cells):
            cell = int(k in reductions(self.n_cells))
            c *= 1 + cell
            inputs = (before + previous) * c  # 1x1 convolutions of the two cells before
            params += inputs + 4 * c
            flops += 2 * inputs * h * w
            if cell:
                h, w = -(-h // 2), -(-w // 2)
            weights, norms = _sizes(c)
            strided = ((sources[:, cell] < 2) & bool(cell)).astype(np.intp)
            convolved = weights[strided, ops[:, cell]].sum(axis=1)
            params += convolved + norms[strided, ops[:, cell]].sum(axis=1)
            flops += 2 * convolved * h * w
            before, previous = previous, 4 * c
        outputs = self.n_outputs
        return Costs(params + (previous + 1) * outputs, flops + 2 * previous * outputs)


@dataclass(frozen=True)
class Genotypes(Mixture):
    """The mixture of a DARTS space.

    Args:
        space: of the rows.
    """

    space: NB301 = field(kw_only=True)

    def weights(self, X: Rows) -> Weights:
        """One option on two edges of each node."""
        sources, ops = self.space.cells(X)
        targets = np.repeat(NODES, 2)
        edges = targets * (targets - 1) // 2 - 1 + sources + 14 * np.arange(2)[None, :, None]
        out = np.zeros((len(X), *self.shape), dtype=np.float32)
        option = np.full((self.shape[0], len(self.space.ops)), -1)
        for e, site in enumerate(self.sites):
            for k, name in enumerate(site.options):
                if name in self.space.ops:
                    option[e, self.space.ops.index(name)] = k
        n = np.arange(len(X))[:, None, None]
        out[n, edges, option[edges, ops]] = 1.0
        return out

    def rows(self, weights: Weights) -> Rows:
        """Which two edges, and the option on each."""
        out = []
        for one in weights:
            row: list[int] = []
            for c in range(2):
                inputs, ops = [], []
                for j in NODES:
                    start = 14 * c + j * (j - 1) // 2 - 1
                    there = one[start : start + j]
                    pair = tuple(np.flatnonzero(there.any(axis=1)).tolist())
                    if len(pair) != 2:
                        raise SpaceError(
                            f"node {j} of a {CELLS[c]} cell", expected="two edges", got=len(pair)
                        )
                    inputs.append(PAIRS[j].index(pair))
                    for i in pair:
                        name = self.sites[start + i].options[int(there[i].argmax())]
                        ops.append(self.space._option(c, i, j, name))
                row += [*inputs[1:], *ops]
            out.append(row)
        return self.space.check(out)


def _sizes(c: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Convolution weights and normalisation parameters of each operation, (stride - 1, op)."""
    weights, norms = np.zeros((2, 2, len(OPS)), dtype=np.int64)
    for k, op in enumerate(OPS):
        if "conv" in op:
            twice = 1 + op.startswith("sep")
            weights[:, k] = twice * (int(op[-1]) ** 2 * c + c * c)
            norms[:, k] = twice * 2 * c
    skip = OPS.index("skip_connect")
    weights[1, skip], norms[1, skip] = c * c, 2 * c
    return weights, norms


def reductions(n_cells: int) -> tuple[int, int]:
    """Which cells halve the size: those at one and two thirds."""
    return n_cells // 3, 2 * n_cells // 3
