"""NAS-Bench-1Shot1: three spaces inside of NAS-Bench-101 that a supernet can hold."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.base import Choice, Costs, Graphs, Rows, Space
from foretell.spaces.nb101 import NB101, OPS
from foretell.spaces.parts.dag import COLUMN, N_EDGES
from foretell.spaces.parts.mixture import Mixture, Site, Weights
from foretell.spaces.parts.settings import at_least, image_shape

_OUT = 6  # the output vertex of NAS-Bench-101


class _OneShot(Space):
    """Inner nodes with an operation and a fixed number of parents each; so has the output.

    Columns are, for each node with a choice and then for the output, which parents it reads, then
    the operation of each inner node. `to_nb101` gives the rows of NAS-Bench-101 that they are;
    `canonical` is equal for isomorphic ones.

    Args:
        channels: of the first stack; doubled in each further one.
        n_stacks: stacks.
        n_cells: cells in each stack.
        input_shape: (channels, height, width).
        n_outputs: number of classes.
    """

    amounts = False
    wiring = NB101.wiring
    parents: ClassVar[tuple[int, ...]] = ()  # of the inner nodes, then of the output

    def __init__(
        self,
        *,
        channels: int = 16,
        n_stacks: int = 3,
        n_cells: int = 3,
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> None:
        at_least(channels=(channels, 8), n_stacks=(n_stacks, 1), n_cells=(n_cells, 1))
        self.channels, self.n_stacks, self.n_cells = channels, n_stacks, n_cells
        self._inside = NB101(
            channels=channels, n_stacks=n_stacks, n_cells=n_cells, input_shape=input_shape,
            n_outputs=n_outputs,
        )  # fmt: skip
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    @classmethod
    def picks(cls) -> list[tuple[tuple[int, ...], ...]]:
        """The sets of parents that each inner node, and then the output, may have."""
        return [tuple(itertools.combinations(range(v + 1), n)) for v, n in enumerate(cls.parents)]

    def to_nb101(self, X: Rows) -> Rows:
        """Rows of NAS-Bench-101, (n, 26), in canonical form."""
        rows = np.zeros((len(X), N_EDGES + 5), dtype=np.int8)
        inner, column = len(self.parents) - 1, 0
        for v, sets in enumerate(self.picks()):
            target = _OUT if v == inner else v + 1
            picked = X[:, column] if len(sets) > 1 else np.zeros(len(X), dtype=int)
            column += len(sets) > 1
            for k, sources in enumerate(sets):
                for u in sources:
                    rows[picked == k, COLUMN[u, target]] = 1
        rows[:, N_EDGES : N_EDGES + inner] = X[:, column:]
        return self._inside.canonical_form(rows)

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """The class of isomorphic graphs that NAS-Bench-101 knows it by."""
        return self._inside.row_key(self.to_nb101(X))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Vertex operations."""
        return self._inside.vocabulary

    def graphs(self, X: Rows) -> Graphs:
        """The pruned graph, as NAS-Bench-101 has it."""
        return self._inside.graphs(self.to_nb101(X))

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The network of NAS-Bench-101."""
        return self._inside.build(self.to_nb101(self._row(x))[0], input_shape, n_outputs)

    def costs(self, X: Any) -> Costs:
        """Those of NAS-Bench-101."""
        inside = self._inside.with_io(self.input_shape, self.n_outputs)
        return inside.costs(self.to_nb101(self.check(X)))

    def mixture(self) -> Mixture:
        """A site for each choice of parents, which keeps several, and for each operation."""
        sets, inner = self.picks(), len(self.parents) - 1
        names = [f"node_{v + 1}" for v in range(inner)] + ["output"]
        sites = [
            Site(f"inputs_{names[v]}", tuple(map(str, range(v + 1))), self.parents[v])
            for v in range(inner + 1)
            if len(sets[v]) > 1
        ]
        sites += [Site(f"op_{names[v]}", OPS) for v in range(inner)]
        return Blocks(tuple(sites), sets=tuple(one for one in sets if len(one) > 1))

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """Choice blocks: all operations and all parents of each node.

        `Differs:` from the network of a row each node has as many channels as any other.
        """
        from foretell.nets.supernet.nb1shot1 import nb1shot1_supernet

        if divisor != 1:
            return super().supernet(input_shape, n_outputs, divisor=divisor)
        in_channels, _, _ = image_shape(self.name, input_shape)
        sites = self.mixture().sites
        sets, inner = self.picks(), len(self.parents) - 1
        free = [v for v in range(inner + 1) if len(sets[v]) > 1]
        parents = [list(range(v + 1)) if len(sets[v]) > 1 else list(sets[v][0])
                   for v in range(inner + 1)]  # fmt: skip
        return nb1shot1_supernet(
            [site.options for site in sites], parents, {v: e for e, v in enumerate(free)},
            range(len(free), len(sites)), in_channels, n_outputs, self.channels, self.n_stacks,
            self.n_cells,
        )  # fmt: skip


@dataclass(frozen=True)
class Blocks(Mixture):
    """The mixture of choice blocks.

    Args:
        sets: the parents that each option of the first columns means.
    """

    sets: tuple[tuple[tuple[int, ...], ...], ...] = field(kw_only=True)

    def weights(self, X: Rows) -> Weights:
        """1 at each parent, and at the operation."""
        out = np.zeros((len(X), *self.shape), dtype=np.float32)
        n = np.arange(len(X))
        for e in range(len(self.sites)):
            if e < len(self.sets):
                out[n[:, None], e, np.array(self.sets[e])[X[:, e]]] = 1.0
            else:
                out[n, e, X[:, e]] = 1.0
        return out

    def rows(self, weights: Weights) -> Rows:
        """The set of parents, and the operation."""
        X = np.zeros((len(weights), len(self.sites)), dtype=np.int8)
        for e in range(len(self.sites)):
            if e < len(self.sets):
                masks = np.zeros((len(self.sets[e]), self.shape[1]), dtype=bool)
                for k, sources in enumerate(self.sets[e]):
                    masks[k, list(sources)] = True
                same = ((weights[:, e, None] > 0) == masks).all(axis=2)
                X[:, e] = same.argmax(axis=1)
            else:
                X[:, e] = weights[:, e].argmax(axis=1)
        return X


def _columns(parents: tuple[int, ...]) -> tuple[Choice, ...]:
    out, inner = [], len(parents) - 1
    for v, n in enumerate(parents):
        sets = list(itertools.combinations(range(v + 1), n))
        if len(sets) > 1:
            name = "output" if v == inner else f"node_{v + 1}"
            out.append(Choice(tuple("_".join(map(str, one)) for one in sets), f"inputs_{name}"))
    return (*out, *(Choice(OPS, f"op_node_{v + 1}") for v in range(inner)))


class OneShot1(_OneShot):
    """Space 1: four nodes of 1, 2, 2, 2 parents, two of them (or the input) reach the output.

    References: Zela et al., NAS-Bench-1Shot1, ICLR 2020, section 3.

    >>> OneShot1().size
    14580
    """

    name = "nb1shot1-1"
    parents = (1, 2, 2, 2, 2)
    _declared = _columns(parents)


class OneShot2(_OneShot):
    """Space 2: four nodes of 1, 1, 2, 2 parents, three reach the output.

    References: Zela et al., NAS-Bench-1Shot1, ICLR 2020, section 3.

    >>> OneShot2().size
    29160
    """

    name = "nb1shot1-2"
    parents = (1, 1, 2, 2, 3)
    _declared = _columns(parents)


class OneShot3(_OneShot):
    """Space 3: five nodes of 1, 1, 1, 2, 2 parents, two reach the output.

    References: Zela et al., NAS-Bench-1Shot1, ICLR 2020, section 3.

    >>> OneShot3().size
    1312200
    """

    name = "nb1shot1-3"
    parents = (1, 1, 1, 2, 2, 2)
    _declared = _columns(parents)
