"""The network of the DARTS space."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor, nn

from foretell.nets.chain import places
from foretell.nets.ops import Halve, conv_bn, op, pooled, relu_conv_bn

Terms = Sequence[tuple[int, str]]  # source and operation, two a node


class NB301Net(nn.Module):
    """Stem, cells of which two halve the size, mean over pixels, linear head.

    Args:
        cells: the normal and the reduction cell, 4 x 2 terms each.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first cells.
        n_cells: cells.
        reductions: numbers of the reduction cells.
        auxiliary: whether a second head after the last reduction helps in training.
        drop_path: probability that an example goes without an operation in training, at its end;
            it grows from 0 in proportion (`progress`). Identities stay.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Liu et al., DARTS, ICLR 2019, section 3.2 (weight 0.4 of the second head, drop path
    0.2). `Differs:` odd sizes are halved rounding up.
    """

    def __init__(
        self,
        cells: Sequence[Terms],
        in_channels: int,
        n_outputs: int,
        channels: int,
        n_cells: int,
        reductions: Container[int],
        auxiliary: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_path, self.share = drop_path, 1.0
        self.second, self.aside = 2 * n_cells // 3, list[Tensor]()
        self.stem = nn.Sequential(*conv_bn(in_channels, 3 * channels, 3))
        self.cells = nn.ModuleList()
        chain = places(3 * channels, channels, n_cells, reductions, joined=4)
        for k, place in enumerate(chain):  # weights are drawn in this order
            self.cells.append(Cell(cells[place.reduction], *place))
            if auxiliary and k == self.second:
                self.auxiliary = Auxiliary(4 * place.channels, n_outputs)
        self.head = nn.Sequential(*pooled(4 * chain[-1].channels, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        older = newer = self.stem(x)
        drop = self.drop_path * self.share if self.training else 0.0
        for k, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, drop)
            if self.training and k == self.second and hasattr(self, "auxiliary"):
                self.aside = [self.auxiliary(newer)]
        logits: Tensor = self.head(newer)
        return logits

    def progress(self, share: float) -> None:
        """How much of the training is done, from 0 to 1."""
        self.share = share

    def more_outputs(self) -> list[tuple[float, Tensor]]:
        """Weights and outputs of further heads in the last pass, for the loss; once."""
        found, self.aside = self.aside, []
        return [(0.4, outputs) for outputs in found]


class Auxiliary(nn.Module):
    """A head on the maps of an inner cell: averages of 5 x 5 pixels, two convolutions, linear."""

    def __init__(self, channels: int, n_outputs: int) -> None:
        super().__init__()
        self.reduced = nn.Sequential(*conv_bn(channels, 128, 1), nn.ReLU())
        self.wide = nn.Conv2d(128, 768, 2, bias=False)
        self.head = nn.Sequential(
            nn.BatchNorm2d(768), nn.ReLU(), nn.Flatten(), nn.Linear(768, n_outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        x = torch.relu(x)
        if x.shape[-2:] == (8, 8):  # as in the paper, of images of 32 x 32
            x = nn.functional.avg_pool2d(x, 5, stride=3)
        else:
            x = nn.functional.adaptive_avg_pool2d(x, 2)
        logits: Tensor = self.head(self.wide(self.reduced(x)))
        return logits


class Cell(nn.Module):
    """Four nodes, each the sum of two operations on earlier ones; all are joined.

    Args:
        terms: source and operation of each term, two a node.
        before, previous: channels of the two inputs.
        channels: of each node.
        reduction: whether operations on the inputs halve the size.
        halved: whether the older input is twice as large as the newer one.
    """

    def __init__(
        self,
        terms: Terms,
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        halved: bool,
    ) -> None:
        super().__init__()
        self.older = Halve(before, channels) if halved else relu_conv_bn(before, channels, 1)
        self.newer = relu_conv_bn(previous, channels, 1)
        self.sources = [source for source, _ in terms]
        self.ops = nn.ModuleList(
            op(name, channels, 2 if reduction and source < 2 else 1) for source, name in terms
        )

    def forward(self, older: Tensor, newer: Tensor, drop: float = 0.0) -> Tensor:
        """The joined nodes, four times as many channels; each operation dropped with `drop`."""
        nodes = [self.older(older), self.newer(newer)]
        for k in range(0, 8, 2):
            first, second = (self._term(i, nodes[self.sources[i]], drop) for i in (k, k + 1))
            nodes.append(first + second)
        return torch.cat(nodes[2:], dim=1)

    def _term(self, i: int, x: Tensor, drop: float) -> Tensor:
        out: Tensor = self.ops[i](x)
        if drop <= 0 or isinstance(self.ops[i], nn.Identity):
            return out
        kept = torch.rand(len(out), 1, 1, 1, device=out.device) >= drop
        return out * kept / (1 - drop)
