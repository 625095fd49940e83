"""Numbers that a supernet leaves open: channels, kernels and depths, as parts of the largest.

In the place of a number a network is built with an `Elastic`, which knows the options of its sites
on the board. `foretell.nets.supernet.elastic_layers` has what is built with one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foretell.nets.supernet.mixed import Board, Options


class Elastic:
    """A whole number for each combination of options of some sites.

    Products with numbers and with each other, and `of` of them, are elastic too.

    Args:
        board: of the supernet.
        sites: numbers of the sites, rising.
        values: the number of each combination of their options, an axis a site.
        inner: whether layers of one block alone read as many channels, so that their order is free.

    >>> board = Board([("8", "16"), ("2", "3")])
    >>> wide = Elastic(board, (0,), [8, 16]) * Elastic(board, (1,), [2, 3])
    >>> board.show(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> wide.most, wide.now
    (48, 24)
    """

    def __init__(
        self, board: Board, sites: tuple[int, ...], values: Any, inner: bool = False
    ) -> None:
        self.board, self.sites, self.inner = board, sites, inner
        self.values: NDArray[np.int64] = np.asarray(values, dtype=np.int64)

    @property
    def most(self) -> int:
        """The largest number of all."""
        return int(self.values.max())

    @property
    def now(self) -> int:
        """The largest number of those that are shown."""
        return max(int(self.values[at]) for at in self._shown())

    def _shown(self) -> list[tuple[int, ...]]:
        return list(itertools.product(*(self.board.live[e] for e in self.sites)))

    def shares(self) -> list[tuple[int, Tensor | None]]:
        """Of what is shown each number with its weight; None for the weight of one alone that
        has no gradient and is 1."""
        z, shown = self.board.z, self._shown()
        weights = [
            torch.stack([z[e, k] for e, k in zip(self.sites, at, strict=True)]).prod()
            for at in shown
        ]
        if len(shown) == 1 and not z.requires_grad and float(weights[0]) == 1.0:
            return [(int(self.values[shown[0]]), None)]
        return [(int(self.values[at]), share) for at, share in zip(shown, weights, strict=True)]

    def gain(self, n: int) -> Tensor | None:
        """How much the first n values count: the weight of all options that have them, (n,)."""
        shares = self.shares()
        weights = [share for _, share in shares if share is not None]
        if not weights:
            return None
        place = torch.arange(n, device=self.board.z.device)
        sizes = torch.tensor([size for size, _ in shares], device=place.device)
        return torch.stack(weights) @ (place < sizes[:, None]).to(weights[0].dtype)

    def chance(self) -> Tensor:
        """The mean of the numbers that are shown, by their weights."""
        return torch.stack(
            [torch.as_tensor(float(v)) if s is None else v * s for v, s in self.shares()]
        ).sum()

    def of(self, f: Callable[..., Any], other: int | Elastic = 0) -> Elastic:
        """f of the number, or of it and another, for each combination."""
        board, sites, values = self.board, self.sites, self.values
        more: NDArray[np.int64] = np.asarray(other) if isinstance(other, int) else other.values
        if isinstance(other, Elastic):
            sites = tuple(sorted({*self.sites, *other.sites}))
            values, more = (_spread(one, sites) for one in (self, other))
        values, more = np.broadcast_arrays(values, more)
        one = isinstance(other, int)
        found = [
            int(f(a) if one else f(a, b))
            for a, b in zip(values.ravel().tolist(), more.ravel().tolist(), strict=True)
        ]
        return Elastic(board, sites, np.array(found).reshape(values.shape), self.inner)

    def __mul__(self, other: int | Elastic) -> Elastic:
        if isinstance(other, int):
            return self.of(lambda a: a * other)
        return self.of(lambda a, b: a * b, other)

    __rmul__ = __mul__

    def private(self) -> Elastic:
        """The same, for channels that one block alone reads."""
        return Elastic(self.board, self.sites, self.values, inner=True)


Size = int | Elastic


def _spread(one: Elastic, sites: tuple[int, ...]) -> NDArray[np.int64]:
    sizes = iter(one.values.shape)
    return one.values.reshape([next(sizes) if e in one.sites else 1 for e in sites])


def elastic(option: Any) -> Any:
    """A number of a decision; in a supernet all of its options, as an `Elastic`.

    >>> elastic(16)
    16
    """
    if isinstance(option, Options):
        return Elastic(option.board, (option.site,), [int(value) for value in option.values])
    return option


def most(size: Size) -> int:
    """The number, or the largest that it can be."""
    return size.most if isinstance(size, Elastic) else size


def now(size: Size) -> int:
    """The number, or the largest of those that are shown."""
    return size.now if isinstance(size, Elastic) else size


def of(f: Callable[[int], int], size: Size) -> Size:
    """f of a number, elastic where it is.

    >>> of(lambda c: c // 4, 16)
    4
    """
    return size.of(f) if isinstance(size, Elastic) else f(size)


def times(a: Size, b: Size) -> Size:
    """Channels inside of a block: a b, in an order that is the block's own."""
    product = a * b
    return product.private() if isinstance(product, Elastic) else product


def alike(a: Size, b: Size) -> bool | Elastic:
    """Whether two numbers are equal; elastic, 1 or 0, where that depends on options."""
    if a is b or (isinstance(a, int) and isinstance(b, int)):
        return a is b or a == b
    if isinstance(a, Elastic):
        same = a.of(lambda x, y: x == y, b) if isinstance(b, Elastic) else a.of(lambda x: x == b)
    else:
        return alike(b, a)
    low, high = int(same.values.min()), same.most
    return bool(low) if low == high else same


def weighed(x: Tensor, size: Size) -> Tensor:
    """x (n, c, ...), each channel by the weight of the options that have it."""
    gain = size.gain(x.shape[1]) if isinstance(size, Elastic) else None
    return x if gain is None else x * gain.view(1, -1, *(1,) * (x.ndim - 2))
