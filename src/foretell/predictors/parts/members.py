"""Layers of M networks side by side: tensors have a leading axis of members."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """H_m W_m + b_m, for each member m a map of its own.

    Args:
        members: M.
        rows, columns: widths before and after.
        generator: draws the weights, Xavier-uniform; biases start at 0.
        bias: whether there is a b.

    Shapes: (M, ..., rows) or, alike for all members, (1, ..., rows) to (M, ..., columns).
    """

    def __init__(
        self,
        members: int,
        rows: int,
        columns: int,
        generator: torch.Generator,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = draw(members, rows, columns, generator)
        self.bias = nn.Parameter(torch.zeros(members, 1, columns)) if bias else None

    def forward(self, H: Tensor) -> Tensor:
        """H W + b."""
        members, rows, columns = self.weight.shape
        flat = H.reshape(H.shape[0], -1, rows).expand(members, -1, -1)
        if self.bias is None:
            out = torch.bmm(flat, self.weight)
        else:
            out = torch.baddbmm(self.bias, flat, self.weight)
        return out.view(members, *H.shape[1:-1], columns)


class MLP(nn.Module):
    """Linear maps with a relu and dropout between them, and with `last` after them too."""

    def __init__(
        self,
        members: int,
        widths: list[int],
        generator: torch.Generator,
        dropout: float = 0.0,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.dropout, self.last = dropout, last
        self.maps = nn.ModuleList(
            Linear(members, rows, columns, generator) for rows, columns in pairwise(widths)
        )

    def forward(self, H: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(M, ..., widths[0]) to (M, ..., widths[-1])."""
        for place, one in enumerate(self.maps):
            H = one(H)
            if self.last or place + 1 < len(self.maps):
                H = drop(torch.relu(H), self.dropout, generator)
        return H


def draw(members: int, rows: int, columns: int, generator: torch.Generator) -> nn.Parameter:
    """Xavier-uniform weights (M, rows, columns)."""
    bound = (6.0 / (rows + columns)) ** 0.5
    return nn.Parameter(
        (2.0 * torch.rand(members, rows, columns, generator=generator) - 1.0) * bound
    )


def drop(H: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Dropout of a `share` of the entries; none without a generator."""
    if generator is None or share == 0.0:
        return H
    return H * ((torch.rand(H.shape, generator=generator) >= share) / (1.0 - share))


def along(edges: Tensor, H: Tensor) -> Tensor:
    """Sums over the edges: (M, n, v, d) to sum_u edges[., v, u] H[., u], edges (n, v, v)."""
    members, n, v, d = H.shape
    wide = edges.expand(members, n, v, v).reshape(members * n, v, v)
    return torch.bmm(wide, H.reshape(members * n, v, d)).view(members, n, v, d)
