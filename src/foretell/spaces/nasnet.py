"""The NASNet space, as ENAS searches it: blocks of two operations on any earlier blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.graphs.pruning import prune
from foretell.graphs.refinement import class_key
from foretell.spaces.base import Choice, Graphs, Rows, Space
from foretell.spaces.nb301 import reductions
from foretell.spaces.parts.keys import remembered
from foretell.spaces.parts.mixture import Mixture, Node, Site, Weights
from foretell.spaces.parts.settings import at_least, image_shape, undivided

OPS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect")
CELLS = ("normal", "reduce")


class NASNet(Space):
    """A normal and a reduction cell of blocks, each the sum of two operations on earlier ones.

    Sources 0 and 1 are the outputs of the two cells before, source 2 + b is block b; both inputs
    of a block may be the same. What no block reads, an input too, goes through one 1x1 convolution
    to the cell's output; a reduction cell halves its inputs first. Columns are for each cell and
    block: input, operation, input, operation. With 5 blocks prod_{b=0..4} ((b + 2) 5)^2 a cell,
    2.6e25 rows. `canonical` is equal exactly for cells that are equal up to the order of blocks and
    of their two inputs.

    Args:
        blocks: of a cell.
        channels: of the first cells; doubled in each of the two reduction cells.
        n_cells: cells; those at one and two thirds are reduction cells.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Zoph et al., CVPR 2018, section 3 (the space, with 13 operations); Pham et al.,
    ENAS, ICML 2018, section 2.3 (its five).

    >>> space = NASNet()
    >>> space.d, space.size == (2 * 3 * 4 * 5 * 6 * 5**5) ** 4
    (40, True)
    """

    name = "nasnet"
    amounts = False

    def __init__(
        self,
        *,
        blocks: int = 5,
        channels: int = 20,
        n_cells: int = 6,
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> None:
        at_least(blocks=(blocks, 1, 100), channels=(channels, 2), n_cells=(n_cells, 3))
        self.blocks, self.channels, self.n_cells = blocks, channels, n_cells
        self._declared = tuple(
            one
            for cell in CELLS
            for b in range(blocks)
            for k in range(2)
            for one in (
                Choice(tuple(range(b + 2)), f"{cell}_input_{b}_{k}"),
                Choice(OPS, f"{cell}_op_{b}_{k}"),
            )
        )
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def cells(self, X: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sources and operations of the two cells, (n, 2, blocks, 2) each."""
        parts = X.reshape(len(X), 2, self.blocks, 2, 2).astype(np.intp)
        return parts[..., 0], parts[..., 1]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations: of each cell its two inputs, then what it does."""
        inner = ("c_{k-2}", "c_{k-1}", *OPS)
        return ("input", "output", *(f"{cell}:{word}" for cell in CELLS for word in inner))

    def graphs(self, X: Rows) -> Graphs:
        """Both cells side by side, operations as vertices; loose ends lead to the output.

        Shapes: ops (n, v), adjacency (n, v, v), v = 6 + 4 blocks.
        """
        sources, cell_ops = self.cells(X)
        n, inside = len(X), 2 * self.blocks
        v = 6 + 2 * inside
        ops, adjacency = np.zeros((n, v), dtype=np.int8), np.zeros((n, v, v), dtype=bool)
        ops[:, -1] = 1
        node = np.array([0, 1, *np.repeat(np.arange(2, 2 + self.blocks), 2)])  # of each vertex
        for c in range(2):
            at, word = 1 + (2 + inside) * c, 2 + (2 + len(OPS)) * c
            ops[:, at : at + 2] = word, word + 1
            ops[:, at + 2 : at + 2 + inside] = cell_ops[:, c].reshape(n, inside) + word + 2
            adjacency[:, 0, at : at + 2] = True
            read = sources[:, c].reshape(n, inside)
            reads: NDArray[np.bool_] = node[None, :, None] == read[:, None, :]
            adjacency[:, at : at + 2 + inside, at + 2 : at + 2 + inside] = reads
            loose: NDArray[np.bool_] = np.logical_not(reads.any(axis=2))
            adjacency[:, at : at + 2 + inside, -1] = loose
        return prune(Graphs(ops, adjacency))

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """Key of the two cells up to the order of their blocks."""
        return remembered(self, X, self.row_key, lambda rows: class_key(self.graphs(rows)))

    def _edges(self) -> list[tuple[int, int, int]]:
        """Block, which of its inputs, source: all of a cell."""
        return [(b, k, i) for b in range(self.blocks) for k in range(2) for i in range(b + 2)]

    def mixture(self) -> Mixture:
        """All sources of each input of each block of both cells, of which a row has one."""
        edges = self._edges()
        sites = tuple(
            Site(f"{cell}_block_{b}_{k}_from_{i}", OPS) for cell in CELLS for b, k, i in edges
        )
        nodes = tuple(
            Node(tuple(len(edges) * c + e for e, edge in enumerate(edges) if edge[:2] == (b, k)), 1)
            for c in range(2)
            for b in range(self.blocks)
            for k in range(2)
        )
        return Blocks(sites, nodes, space=self)

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """All operations on all edges; each has weights of its own, as in ENAS.

        Args: as in `Space.supernet`.
        """
        from foretell.nets.nasnet import nasnet_supernet

        undivided(self.name, divisor)
        options = [site.options for site in self.mixture().sites]
        return nasnet_supernet(
            options, self._edges(), self._shape(input_shape, n_outputs), reductions(self.n_cells)
        )  # fmt: skip

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Stem, cells, mean over pixels, linear."""
        from foretell.nets.nasnet import nasnet

        sources, ops = (part[0].tolist() for part in self.cells(self._row(x)))
        terms = [
            {
                (b, k, sources[c][b][k]): OPS[ops[c][b][k]]
                for b in range(self.blocks)
                for k in range(2)
            }
            for c in range(2)
        ]
        return nasnet(terms, self._shape(input_shape, n_outputs), reductions(self.n_cells))

    def _shape(self, input_shape: tuple[int, ...], n_outputs: int) -> tuple[int, int, int, int]:
        return image_shape(self.name, input_shape)[0], n_outputs, self.channels, self.n_cells


@dataclass(frozen=True)
class Blocks(Mixture):
    """Edges of a `NASNet`, one for each source of each input of a block."""

    space: NASNet = field(kw_only=True)

    def weights(self, X: Rows) -> Weights:
        """One operation on one edge for each input of a block."""
        sources, ops = self.space.cells(X)
        edges = np.array(self.space._edges())
        block, which, source = edges.T
        taken = sources[:, :, block, which] == source  # (n, 2, E / 2)
        option = ops[:, :, block, which][..., None] == np.arange(len(OPS))
        both = taken[..., None] & option
        out: Weights = both.reshape(len(X), -1, len(OPS)).astype(np.float32)
        return out

    def rows(self, weights: Weights) -> Rows:
        """The strongest edge of each input, and its operation."""
        edges, n = self.space._edges(), len(weights)
        parts = weights.reshape(n, 2, len(edges), len(OPS))
        X = np.zeros((n, 2, self.space.blocks, 2, 2), dtype=np.intp)
        for b in range(self.space.blocks):
            for k in range(2):
                at = [e for e, edge in enumerate(edges) if edge[:2] == (b, k)]
                source = parts[:, :, at].max(axis=3).argmax(axis=2)
                X[:, :, b, k, 0] = source
                mine = np.take_along_axis(parts[:, :, at], source[..., None, None], axis=2)
                X[:, :, b, k, 1] = mine[:, :, 0].argmax(axis=2)
        return X.reshape(n, -1)

    def links(self) -> list[tuple[int, int]]:
        """Edges into a block, and those that read it."""
        edges = self.space._edges()
        return [
            (len(edges) * c + a, len(edges) * c + b)
            for c in range(2)
            for a, (block, _, _) in enumerate(edges)
            for b, (_, _, source) in enumerate(edges)
            if source == 2 + block
        ]
