"""Parts of transformers against torch's own."""

from __future__ import annotations

import torch
from torch import nn

from foretell.predictors.parts.transformer import Norm, attention


def test_attention_equals_that_of_torch():
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 5, k, 12, generator=draw) for k in (3, 7, 7))
    there = torch.rand(5, 7, generator=draw) < 0.6
    there[:, 0] = True
    ours = attention(query, key, value, 3, there)
    torchs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    torchs.in_proj_weight.data = torch.eye(12).repeat(3, 1)
    torchs.out_proj.weight.data = torch.eye(12)
    for member in range(2):
        expected, _ = torchs(query[member], key[member], value[member], key_padding_mask=~there)
        torch.testing.assert_close(ours[member], expected)


def test_attention_takes_values_of_another_width():
    draw = torch.Generator().manual_seed(1)
    query, key = torch.randn(2, 1, 4, 5, 6, generator=draw)
    value = torch.randn(1, 4, 5, 10, generator=draw)
    there = torch.ones(4, 5, dtype=torch.bool)
    out = attention(query, key, value, 2, there)
    weights = (query[0, 0, 2, 3:] @ key[0, 0, :, 3:].T / 3**0.5).softmax(-1)
    torch.testing.assert_close(out[0, 0, 2, 5:], weights @ value[0, 0, :, 5:])


def test_norm_equals_that_of_torch_for_each_member():
    draw = torch.Generator().manual_seed(2)
    H = 3.0 * torch.randn(2, 4, 5, 6, generator=draw) + 1.0
    ours = Norm(2, 6)
    for weights in ours.parameters():
        weights.data = torch.randn(weights.shape, generator=draw)
    for member in range(2):
        torchs = nn.LayerNorm(6)
        torchs.weight.data = ours.scale[member, 0, 0].detach()
        torchs.bias.data = ours.shift[member, 0, 0].detach()
        torch.testing.assert_close(ours(H)[member], torchs(H[member]))
