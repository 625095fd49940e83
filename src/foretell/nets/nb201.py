"""The network of NAS-Bench-201."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foretell.nets.ops import avg_pool, conv_bn, op, pooled, relu_conv_bn

Terms = Sequence[tuple[int, int, str]]  # source, target, operation


class NB201Net(nn.Module):
    """Stem, three stages of equal cells with a residual reduction before the 2nd and 3rd, head.

    Args:
        terms: of a cell; those that carry nothing to node 3, its output, are computed all the same.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first stage; doubled at each reduction.
        n_cells: in each stage.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Dong & Yang, NAS-Bench-201, ICLR 2020, figure 1. `Differs:` the average pooling of
    a reduction rounds odd sizes up, as its strided convolution does (there sizes are even).
    """

    def __init__(
        self, terms: Terms, in_channels: int, n_outputs: int, channels: int, n_cells: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(in_channels, channels, 3))
        cells: list[nn.Module] = []
        for stage in range(3):
            if stage:
                cells.append(Reduction(channels))
                channels *= 2
            cells += [Cell(terms, channels) for _ in range(n_cells)]
        self.cells = nn.Sequential(*cells)
        self.head = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), *pooled(channels, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        logits: Tensor = self.head(self.cells(self.stem(x)))
        return logits


class Cell(nn.Module):
    """One cell: node j is the sum over its edges of operation(node i); zeros without any edge."""

    def __init__(self, terms: Terms, channels: int) -> None:
        super().__init__()
        self.terms = list(terms)
        self.convs = nn.ModuleDict(
            {f"edge_{i}_{j}": op(name, channels) for i, j, name in terms if "conv" in name}
        )
        self.pool = avg_pool()

    def forward(self, x: Tensor) -> Tensor:
        """The output node."""
        nodes, pooled = {0: x}, dict[int, Tensor]()
        for i, j, name in self.terms:
            if i not in nodes:  # what nothing reaches is zero
                nodes[i] = torch.zeros_like(x)
            if name == "skip_connect":
                term = nodes[i]
            elif name == "avg_pool_3x3":
                if i not in pooled:  # all pooled edges of a node carry the same tensor
                    pooled[i] = self.pool(nodes[i])
                term = pooled[i]
            else:
                term = self.convs[f"edge_{i}_{j}"](nodes[i])
            nodes[j] = nodes[j] + term if j in nodes else term
        return nodes[3] if 3 in nodes else torch.zeros_like(x)


class Reduction(nn.Module):
    """Residual block that halves the size and doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(channels, 2 * channels, 3, stride=2)
        self.conv_b = relu_conv_bn(2 * channels, 2 * channels, 3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True, count_include_pad=False),
            nn.Conv2d(channels, 2 * channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shortcut plus two convolutions."""
        out: Tensor = self.shortcut(x) + self.conv_b(self.conv_a(x))
        return out
