"""Layers of a supernet whose channels, kernels and depths are parts of the largest.

They hold the weights of the largest; a pass takes of them what the weights on the board say. Where
one option is shown, its slice alone is computed; where several are, the largest of them, each value
weighed by the options that have it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foretell.nets.supernet.elastic import Elastic, Size, most, now, weighed


class ElasticLayer(nn.Module):
    """A layer of which a pass takes a part: `shown` has what it took."""

    like: type[nn.Module]  # the layer of a plain network

    def shown(self) -> dict[str, Tensor]:
        """The numbers of the last pass, by the names of the plain layer; views where they can."""
        raise NotImplementedError

    def width(self) -> int:
        """Channels that the last pass gave."""
        raise NotImplementedError


class ElasticConv(ElasticLayer):
    """Convolution whose channels and kernel are parts of the largest.

    Fewer channels are the first ones. A smaller kernel is the middle of the next larger one, times
    a matrix that is learnt, the identity at first: one for each size, shared by all channels.

    Args:
        c_in: channels that are read.
        c_out: channels that are given.
        kernel: odd side.
        stride: as of a convolution.
        depthwise: whether each channel is read alone; then c_in and c_out are the same.
        bias: whether a number is added.

    Shapes: (n, at most c_in, h, w) to (n, at most c_out, h / stride, w / stride).

    References: Cai et al., Once-for-All, ICLR 2020, section 3.3 (kernels, widths); Yu et al.,
    Slimmable Neural Networks, ICLR 2019 (channels); Wan et al., FBNetV2, CVPR 2020, section 3.1
    (several numbers of channels at once).
    """

    like = nn.Conv2d

    def __init__(
        self, c_in: Size, c_out: Size, kernel: Size, stride: int = 1, depthwise: bool = False,
        bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.c_in, self.c_out, self.kernel = c_in, c_out, kernel
        self.stride, self.depthwise = stride, depthwise
        side, groups = most(kernel), most(c_in) if depthwise else 1
        plain = nn.Conv2d(most(c_in), most(c_out), side, groups=groups, bias=bias)
        self.weight, self.bias = plain.weight, plain.bias
        sides = np.unique(kernel.values)[::-1].tolist() if isinstance(kernel, Elastic) else [side]
        self.sides: list[int] = sides
        self.smaller = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k * k)) for k in sides[1:]})
        self._read = most(c_in)

    def forward(self, x: Tensor) -> Tensor:
        """What the options that are shown give."""
        self._read = x.shape[1]
        if not self.depthwise:
            x = weighed(x, self.c_in)
        part = self.shown()
        weight = part["weight"]
        return functional.conv2d(
            x, weight, part.get("bias"), self.stride, weight.shape[-1] // 2,
            groups=len(weight) if self.depthwise else 1,
        )  # fmt: skip

    def shown(self) -> dict[str, Tensor]:
        """The filters of the last pass."""
        n, m = self.width(), 1 if self.depthwise else self._read
        weight = self.weight[:n, :m]
        if isinstance(self.kernel, Elastic):
            shares = self.kernel.shares()
            side = max(k for k, _ in shares)
            terms = [
                self._cut(weight, k) if share is None
                else share * functional.pad(self._cut(weight, k), [(side - k) // 2] * 4)
                for k, share in shares
            ]  # fmt: skip
            weight = terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)
        found = {"weight": weight}
        if self.bias is not None:
            found["bias"] = self.bias[:n]
        return found

    def _cut(self, weight: Tensor, side: int) -> Tensor:
        """Filters of a smaller kernel."""
        for k in self.sides[1:]:
            if k < side:
                break
            edge = (weight.shape[-1] - k) // 2
            inner = weight[..., edge : edge + k, edge : edge + k]
            weight = (inner.reshape(-1, k * k) @ self.smaller[str(k)]).view_as(inner)
        return weight

    def width(self) -> int:
        """Channels that it gives."""
        return self._read if self.depthwise else now(self.c_out)


class ElasticNorm(nn.BatchNorm2d, ElasticLayer):
    """Batch normalisation of the first channels, by the statistics of the batch."""

    like = nn.BatchNorm2d
    _read = 0
    size: Size = 0  # whose order of channels it has

    def forward(self, x: Tensor) -> Tensor:
        """As many channels as come."""
        self._read = n = x.shape[1]
        weight, bias = (self.weight[:n], self.bias[:n]) if self.affine else (None, None)
        return functional.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)

    def shown(self) -> dict[str, Tensor]:
        """Scale and offset of the last pass."""
        if not self.affine:
            return {}
        return {"weight": self.weight[: self._read], "bias": self.bias[: self._read]}

    def width(self) -> int:
        """Channels of the last pass."""
        return self._read


class ElasticLinear(ElasticLayer):
    """Linear map whose units are the first of the largest.

    Args:
        c_in: units that are read; a plain number where they were weighed before.
        c_out: units that are given.

    Shapes: (n, at most c_in) to (n, at most c_out).
    """

    like = nn.Linear

    def __init__(self, c_in: Size, c_out: Size) -> None:
        super().__init__()
        self.c_in, self.c_out = c_in, c_out
        plain = nn.Linear(most(c_in), most(c_out))
        self.weight, self.bias = plain.weight, plain.bias
        self._read = most(c_in)

    def forward(self, x: Tensor) -> Tensor:
        """What the options that are shown give."""
        self._read = x.shape[1]
        part = self.shown()
        return functional.linear(weighed(x, self.c_in), part["weight"], part["bias"])

    def shown(self) -> dict[str, Tensor]:
        """The part of the last pass."""
        n = self.width()
        return {"weight": self.weight[:n, : self._read], "bias": self.bias[:n]}

    def width(self) -> int:
        """Units that it gives."""
        return now(self.c_out)


class Cut(nn.Module):
    """Layers one after the other, of which the first `depth` run.

    Where several depths are shown, y = sum_d z_d h_d over them, h_d the result after d layers.

    Args:
        layers: as many as the largest depth.
        depth: how many of them.
        sizes: channels after each layer, where they are not all the same.

    References: Cai et al., Once-for-All, ICLR 2020, section 3.3 (elastic depth).
    """

    def __init__(self, layers: Sequence[nn.Module], depth: Elastic, sizes: Sequence[Size] = ()):
        super().__init__()
        self.layers, self.depth, self.sizes = nn.ModuleList(layers), depth, tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        """The result after the depth, or its mean over depths."""
        shares = dict(_joined(self.depth.shares()))
        total: Tensor | None = None
        for i in range(max(shares)):
            x = self.layers[i](x)
            if i + 1 in shares:
                share = shares[i + 1]
                part = weighed(x, self.sizes[i]) if self.sizes else x
                part = part if share is None else share * part
                total = part if total is None else _padded(total, part)
        assert total is not None
        return total


def _joined(shares: list[tuple[int, Tensor | None]]) -> list[tuple[int, Tensor | None]]:
    """Weights of equal numbers, added."""
    found: dict[int, Tensor | None] = {}
    for value, share in shares:
        old = found.get(value)
        found[value] = share if old is None or share is None else old + share
    return list(found.items())


def _padded(a: Tensor, b: Tensor) -> Tensor:
    """a + b, the shorter one with zeros at its end; (n, c, ...)."""
    n = max(a.shape[1], b.shape[1])

    def fill(x: Tensor) -> Tensor:
        rest = n - x.shape[1]
        return torch.cat([x, x.new_zeros(len(x), rest, *x.shape[2:])], 1) if rest else x

    return fill(a) + fill(b)


class Shared(nn.Module):
    """x + body(x) where both have as many channels; of x what share of it has them.

    Args:
        body: what is added.
        size: channels of x.
        same: 1 for options where the numbers are equal, else 0.
    """

    def __init__(self, body: nn.Module, size: Size, same: Elastic) -> None:
        super().__init__()
        self.body, self.size, self.same = body, size, same

    def forward(self, x: Tensor) -> Tensor:
        """As many channels as the body gives."""
        y: Tensor = self.body(x)
        if not self.same.now:
            return y
        n = min(x.shape[1], y.shape[1])
        near = weighed(x, self.size)[:, :n] * self.same.chance().to(x.device, x.dtype)
        return torch.cat([y[:, :n] + near, y[:, n:]], 1)


def sort_channels(net: nn.Module, sizes: Callable[[Elastic], Sequence[int]]) -> int:
    """Put the channels inside of each block in the order of their importance.

    A channel is as important as the sum of |w| of those that read it in the block's last
    convolution. Where smaller blocks have learnt already, channels stay on their side of those
    sizes. The largest network computes what it has computed before.

    Args:
        net: a supernet.
        sizes: those that have learnt, of a number of channels.

    Returns: how many blocks were sorted.

    References: Cai et al., Once-for-All, ICLR 2020, section 3.3 (elastic width).
    """
    layers = [m for m in net.modules() if isinstance(m, ElasticConv | ElasticNorm)]
    inner: dict[int, Elastic] = {}
    for layer in layers:
        if isinstance(layer, ElasticConv) and isinstance(layer.c_in, Elastic) and layer.c_in.inner:
            inner[id(layer.c_in)] = layer.c_in
    with torch.no_grad():
        for size in inner.values():
            readers = [
                m for m in layers if isinstance(m, ElasticConv) and m.c_in is size
                and not m.depthwise
            ]  # fmt: skip
            if not readers:
                continue
            weight = readers[-1].weight.abs().sum(dim=(0, 2, 3))
            cuts = sorted({0, size.most, *sizes(size)})
            order = torch.cat([
                a + weight[a:b].argsort(descending=True, stable=True)
                for a, b in itertools.pairwise(cuts)
            ])  # fmt: skip
            for m in layers:
                _reorder(m, size, order)
    return len(inner)


def _reorder(layer: ElasticConv | ElasticNorm, size: Elastic, order: Tensor) -> None:
    if isinstance(layer, ElasticNorm):
        if layer.size is size and layer.affine:
            layer.weight.copy_(layer.weight[order])
            layer.bias.copy_(layer.bias[order])
        return
    if layer.c_out is size:
        layer.weight.copy_(layer.weight[order])
        if layer.bias is not None:
            layer.bias.copy_(layer.bias[order])
    if layer.c_in is size and not layer.depthwise:
        layer.weight.copy_(layer.weight[:, order])
