"""Parts of transformers for M networks side by side: the first axis is the members'."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Norm(nn.Module):
    """M layer normalisations with scale and shift. Shapes: (M, n, v, width) to the same."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(members, 1, 1, width))
        self.shift = nn.Parameter(torch.zeros(members, 1, 1, width))

    def forward(self, H: Tensor) -> Tensor:
        """Zero mean and unit variance along the last axis, then scale and shift."""
        normal = nn.functional.layer_norm(H, H.shape[-1:])
        return torch.addcmul(self.shift, normal, self.scale)


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, there: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(w)) V of each head, side by side, over the keys that are there.

    Shapes: `query` (M, n, q, heads * w), `key` (M, n, v, heads * w), `value` (M, n, v, heads * u)
    and `there` (n, v) bool to (M, n, q, heads * u).
    """
    members, n, q, _ = query.shape

    def split(H: Tensor) -> Tensor:
        return H.reshape(members * n, H.shape[2], heads, -1).transpose(1, 2)

    mask = torch.zeros(there.shape, device=there.device).masked_fill(~there, -1e9)[:, None, None, :]
    out = nn.functional.scaled_dot_product_attention(
        split(query), split(key), split(value), attn_mask=mask.repeat(members, heads, q, 1)
    )
    return out.transpose(1, 2).reshape(members, n, q, -1)
