"""Sub-networks of the once-for-all MobileNetV3, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from foretell.nets.drawings.ofa import Block, plan
from foretell.nets.mobile import Residual
from foretell.nets.ops import conv_bn

_ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "hard-swish": nn.Hardswish}


class OFANet(nn.Module):
    """The images at a resolution, stem, MobileNetV3 blocks, two 1x1 convolutions, linear head.

    Args:
        stages: for each of five stages (kernel, expansion) of its blocks.
        resolution: side of the square that images are brought to; 0: as they are.
        width: multiplies all channels, which are multiples of 8.
        in_channels: of the images.
        n_outputs: of the head.

    Shapes: (n, in_channels, h, w) to (n, n_outputs).

    References: Cai et al., Once-for-All, ICLR 2020; Howard et al., MobileNetV3, ICCV 2019.
    `Differs:` weights of its own, not those of the supernet.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[tuple[int, int]]],
        resolution: int,
        width: float,
        in_channels: int,
        n_outputs: int,
    ) -> None:
        super().__init__()
        shape = plan(stages, width)
        self.resolution = resolution
        stem = shape.stem
        self.stem = nn.Sequential(*conv_bn(in_channels, stem, 3, 2), nn.Hardswish())
        self.blocks = nn.Sequential(*(_block(block) for block in shape.blocks))
        last = shape.blocks[-1].out
        self.features = nn.Sequential(
            *conv_bn(last, shape.wide, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(shape.wide, shape.mixed, 1, bias=False), nn.Hardswish(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(shape.mixed, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        side = self.resolution
        if side:
            x = nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        logits: Tensor = self.head(self.features(self.blocks(self.stem(x))))
        return logits


class Squeeze(nn.Module):
    """x * hard-sigmoid of a small network of the channels' means."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inside, 1),
            nn.ReLU(),
            nn.Conv2d(inside, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        out: Tensor = x * self.gate(x)
        return out


def _block(block: Block) -> nn.Module:
    act = _ACTS[block.act]
    layers: list[nn.Module] = []
    if block.wide != block.channels:
        layers += [*conv_bn(block.channels, block.wide, 1), act()]
    layers += [*conv_bn(block.wide, block.wide, block.kernel, block.stride, block.wide), act()]
    if block.squeeze:
        layers.append(Squeeze(block.wide, block.squeeze))
    body = nn.Sequential(*layers, *conv_bn(block.wide, block.out, 1))
    same = block.stride == 1 and block.channels == block.out
    return Residual(body) if same else body
