"""TransNAS-Bench-101, the space of cells."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import SettingError
from foretell.graphs.computation import Computations
from foretell.graphs.pruning import prune
from foretell.graphs.refinement import class_key
from foretell.spaces.base import Choice, Costs, Graphs, Rows, Space
from foretell.spaces.nb201 import EDGES, LINE_GRAPH
from foretell.spaces.parts.settings import at_least, image_shape
from foretell.spaces.parts.wiring import Wiring

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
_TEXT = re.compile(r"(\d+)-([1-4]+)-([0-3])_([0-3]{2})_([0-3]{3})")


class TNBMicro(Space):
    """The cells of TransNAS-Bench-101: 4 nodes, 6 edges, one of 4 operations on each; 4,096 rows.

    Node j sums what its edges bring, as in NAS-Bench-201, with the same columns: edges 0->1, 0->2,
    1->2, 0->3, 1->3, 2->3; options none, skip_connect, nor_conv_1x1, nor_conv_3x3. Where a cell
    changes channels or size its edges from node 0 do, a skip there by two 1x1 convolutions.

    Strings are the published ones, such as `64-41414-1_02_333`: channels of the stem, what the
    modules of two cells each do (1 nothing, 2 double the channels, 3 halve the size, 4 both), then
    the operations that lead to nodes 1, 2 and 3. `canonical` is the graph of operations that carry
    something to the output.

    Args:
        channels: after the stem, even.
        modules: of the network, digits as in the string.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Duan et al., TransNAS-Bench-101, CVPR 2021.

    >>> space = TNBMicro()
    >>> space.to_str([[1, 0, 2, 3, 3, 3]])
    ['64-41414-1_02_333']
    """

    name = "tnb-micro"
    wiring = Wiring({"skip_connect": 1.0})
    _declared = tuple(Choice(OPS, f"edge_{i}_{j}") for i, j in EDGES)

    def __init__(
        self,
        *,
        channels: int = 64,
        modules: str = "41414",
        input_shape: tuple[int, ...] = (3, 224, 224),
        n_outputs: int = 75,
    ) -> None:
        at_least(channels=(channels, 2))
        if not re.fullmatch("[1-4]+", str(modules)) or channels % 2:
            raise SettingError(
                "channels or modules of space 'tnb-micro'",
                expected="an even number, and digits from 1 to 4",
                got=f"{channels!r} and {modules!r}",
            )
        self.channels, self.modules = channels, str(modules)
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """Key of what leads from input to output, up to the order of nodes."""
        return class_key(self.graphs(X))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations; 'none' edges are absent from the graph."""
        return ("input", "output", *OPS[1:])

    def graphs(self, X: Rows) -> Graphs:
        """Operations as vertices: input, the 6 edges, output; dead operations are left out.

        Shapes: ops (n, 8), adjacency (n, 8, 8).
        """
        ops = np.zeros((len(X), 8), dtype=np.int8)
        ops[:, 1:7] = np.where(X == 0, -1, X.astype(np.int8) + 1)
        ops[:, 7] = 1
        return prune(Graphs(ops, np.repeat(LINE_GRAPH[None], len(X), axis=0)))

    def to_str(self, X: ArrayLike) -> list[str]:
        """Published strings."""
        head = f"{self.channels}-{self.modules}-"
        return [f"{head}{a}_{b}{c}_{d}{e}{f}" for a, b, c, d, e, f in self.check(X).tolist()]

    def _parse(self, text: object) -> list[int]:
        found = _TEXT.fullmatch(str(text).strip())
        if found is None:
            raise self._bad_string(text, text)
        channels, modules, *nodes = found.groups()
        if (int(channels), modules) != (self.channels, self.modules):
            raise self._bad_string(text, f"{channels}-{modules}")
        return [int(digit) for node in nodes for digit in node]

    def by_hand(self) -> tuple[str, str]:
        """A residual block: two 3x3 convolutions and a shortcut."""
        return "ResNet cell", f"{self.channels}-{self.modules}-3_03_100"

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The classifier of the paper: stem, modules of two cells, mean over pixels, linear."""
        from functools import partial

        from foretell.nets.tnb import Cell, TNBNet

        in_channels, _, _ = image_shape(self.name, input_shape)
        block = partial(Cell, self._terms(x))
        return TNBNet(self._modules(), block, in_channels, n_outputs, self.channels)

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.tnb import cell, draw

        image = image_shape(self.name, self.input_shape)
        block = cell(self._terms(x))
        return draw(self._modules(), block, image, self.n_outputs, self.channels)

    def _modules(self) -> list[int]:
        return [int(digit) for digit in self.modules]

    def _terms(self, x: ArrayLike) -> list[tuple[int, int, str]]:
        rows = self._row(x)
        live = np.where(self.graphs(rows).ops[:, 1:7] >= 0, rows, 0)[0].tolist()
        return [(i, j, OPS[op]) for (i, j), op in zip(EDGES, live, strict=True) if op]

    def costs(self, X: ArrayLike) -> Costs:
        """Sums over the computational graphs, a millisecond each; 'Differs:' as in nb201."""
        graphs = self.computations(X)
        return Costs(graphs.total(graphs.params), graphs.total(graphs.flops))
