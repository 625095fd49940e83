"""The networks of TransNAS-Bench-101."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from foretell.nets.ops import Halve, conv_bn, pooled, relu_conv_bn

Terms = Sequence[tuple[int, int, str]]  # source, target, operation


class TNBNet(nn.Module):
    """Stem that quarters the size, modules of two blocks each, mean over pixels, linear head.

    Args:
        modules: of each whether it doubles the channels and halves the size: 1 neither, 2 the
            channels, 3 the size, 4 both; its first block does.
        block: channels in, channels out and stride -> a block.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: after the stem.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Duan et al., TransNAS-Bench-101, CVPR 2021, figure 1: the classifier of its tasks
    of classes. `Differs:` operations that carry nothing to a cell's output are left out.
    """

    def __init__(
        self,
        modules: Sequence[int],
        block: Callable[[int, int, int], nn.Module],
        in_channels: int,
        n_outputs: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *conv_bn(in_channels, channels // 2, 3, 2),
            *relu_conv_bn(channels // 2, channels, 3, 2),
        )
        blocks: list[nn.Module] = []
        for module in modules:
            wide = channels * (2 if module % 2 == 0 else 1)
            blocks += [block(channels, wide, 2 if module > 2 else 1), block(wide, wide, 1)]
            channels = wide
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(*pooled(channels, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits


class Cell(nn.Module):
    """Node j is the sum over its edges of operation(node i); zeros without any edge.

    Edges from node 0 change channels and size.
    """

    def __init__(self, terms: Terms, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.terms, self.c_out, self.stride = list(terms), c_out, stride
        self.ops = nn.ModuleDict()
        for i, j, name in terms:
            c, step = (c_in, stride) if i == 0 else (c_out, 1)
            if name != "skip_connect":
                self.ops[f"edge_{i}_{j}"] = relu_conv_bn(c, c_out, int(name[-1]), step)
            elif c != c_out or step > 1:
                self.ops[f"edge_{i}_{j}"] = Halve(c, c_out, step)

    def forward(self, x: Tensor) -> Tensor:
        """The output node."""
        nodes = {0: x}
        for i, j, _ in self.terms:
            key = f"edge_{i}_{j}"
            term = self.ops[key](nodes[i]) if key in self.ops else nodes[i]
            nodes[j] = nodes[j] + term if j in nodes else term
        if 3 in nodes:
            return nodes[3]
        zeros = torch.zeros_like(x[:, :1, :: self.stride, :: self.stride])
        return zeros.expand(-1, self.c_out, -1, -1)


class Basic(nn.Module):
    """A residual block of two 3x3 convolutions."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(c_in, c_out, 3, stride)
        self.conv_b = relu_conv_bn(c_out, c_out, 3)
        same = c_in == c_out and stride == 1
        self.shortcut = nn.Sequential() if same else nn.Sequential(*conv_bn(c_in, c_out, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Shortcut plus two convolutions."""
        body = self.conv_b(self.conv_a(x))
        out: Tensor = self.shortcut(x) + body
        return out
