"""The four spaces of RobustDARTS: the DARTS space with few operations an edge."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.base import Choice, Rows
from foretell.spaces.nb301 import CELLS, NB301, NODES, PAIRS

_SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}
_NORMAL = (
    "skip/dil3 skip/dil5 skip/dil5 skip/sep3 skip/dil3 max/skip skip/sep3 skip/sep3 skip/dil3 "
    "skip/sep3 max/skip skip/dil3 dil3/dil5 dil3/dil5"
)
_REDUCE = (
    "max/avg max/dil3 max/avg max/avg skip/dil5 max/avg max/sep3 skip/dil3 skip/dil5 max/avg "
    "max/avg skip/dil5 skip/dil5 skip/dil5"
)
Table = tuple[tuple[str, ...], ...]  # of each of 14 + 14 edges its operations


class _Few(NB301):
    """Two operations an edge; a row says which of the two."""

    table: ClassVar[Table] = ()
    closed_form_costs = False

    def cells(self, X: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sources and operations of the two cells, (n, 2, 8) each."""
        sources, which = super().cells(X)
        targets = np.repeat(NODES, 2)
        edges = targets * (targets - 1) // 2 - 1 + sources
        words = np.array([[self.ops.index(name) for name in names] for names in self.table])
        words = words.reshape(2, 14, -1)
        return sources, words[np.arange(2)[None, :, None], edges, which]

    def _option(self, cell: int, i: int, j: int, name: str) -> int:
        names = self.table[14 * cell + j * (j - 1) // 2 - 1 + i]
        return names.index(name) if name in names else -1

    def mixed_options(self) -> tuple[tuple[str, ...], ...]:
        """Operations of each edge of the supernet."""
        return self.table

    def costs(self, X: Any) -> Any:
        """Counted on the network."""
        return super(NB301, self).costs(X)


def _declared(n: int) -> tuple[Choice, ...]:
    return tuple(
        one
        for cell in CELLS
        for one in (
            *(
                Choice(tuple(f"{i}_{j}" for i, j in PAIRS[node]), f"{cell}_inputs_{node}")
                for node in NODES[1:]
            ),
            *(Choice(tuple(range(n)), f"{cell}_op_{node}_{k}") for node in NODES for k in (0, 1)),
        )
    )


class DartsS1(_Few):
    """S1: two operations an edge, different ones on each edge.

    References: Zela et al., Understanding and Robustifying Differentiable Architecture Search, ICLR
    2020, section 3; the list is that of its code.

    >>> DartsS1().mixture().sites[5].options
    ('max_pool_3x3', 'skip_connect')
    """

    name = "darts-s1"
    table = tuple(
        tuple(_SHORT[word] for word in pair.split("/")) for pair in f"{_NORMAL} {_REDUCE}".split()
    )
    _declared = _declared(2)


class DartsS2(_Few):
    """S2: skip connection or 3x3 separable convolution on every edge.

    References: Zela et al., ICLR 2020, section 3.
    """

    name = "darts-s2"
    table = (("skip_connect", "sep_conv_3x3"),) * 28
    _declared = _declared(2)


class DartsS3(_Few):
    """S3: as S2; the supernet has a "none" on every edge as well, which no row has.

    References: Zela et al., ICLR 2020, section 3.
    """

    name = "darts-s3"
    table = (("skip_connect", "sep_conv_3x3"),) * 28
    _declared = _declared(2)

    def mixed_options(self) -> tuple[tuple[str, ...], ...]:
        """Operations of each edge of the supernet."""
        return (("none", "skip_connect", "sep_conv_3x3"),) * 28


class DartsS4(_Few):
    """S4: 3x3 separable convolution or noise, drawn anew in every pass, on every edge.

    References: Zela et al., ICLR 2020, section 3.
    """

    name = "darts-s4"
    ops = (*NB301.ops, "noise")
    table = (("noise", "sep_conv_3x3"),) * 28
    _declared = _declared(2)
