"""The ProxylessNAS space: 21 blocks, each one of six inverted residuals, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foretell.spaces.base import Choice, Space
from foretell.spaces.parts.settings import at_least, image_shape

if TYPE_CHECKING:
    from foretell.nets.proxyless import Block

OPS = tuple(f"{k}x{k}_MBConv{e}" for e in (3, 6) for k in (3, 5, 7))
WIDTHS = (24, 40, 80, 96, 192, 320)
DEPTHS = (4, 4, 4, 4, 4, 1)
STRIDES = (2, 2, 2, 1, 2, 1)
STEM, FIRST, FEATURES = 32, 16, 1280


class Proxyless(Space):
    """A chain of 21 blocks in six stages of 24 to 320 channels; 6^6 7^15 rows.

    A block is an inverted residual of kernel 3, 5 or 7 and expansion 3 or 6; those that change
    neither channels nor size may be "none", so that depth is searched too. Small images keep
    their size in the stem and the first stages, so that 4 pixels a side are left.

    Args:
        width: multiplies all channels.
        depth: the most blocks of a stage; the space shrinks with it.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Cai et al., ProxylessNAS, ICLR 2019, section 4.2; the widths are those of its code.

    >>> space = Proxyless()
    >>> space.d, space.size == 6**6 * 7**15
    (21, True)
    """

    name = "proxyless"
    amounts = False

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: int = 4,
        input_shape: tuple[int, ...] = (3, 224, 224),
        n_outputs: int = 1000,
    ) -> None:
        at_least(depth=(depth, 1, 200))
        self.width, self.depth = width, depth
        self._declared = tuple(
            Choice(OPS if k == 0 else (*OPS, "none"), f"stage{s + 1}_block{k + 1}", mix=True)
            for s, most in enumerate(DEPTHS)
            for k in range(min(most, depth))
        )
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def by_hand(self) -> tuple[str, str]:
        """MobileNetV2 as near as the space has it: kernel 3 and expansion 6 everywhere."""
        return "MobileNetV2", ",".join(f"{one.name}=3x3_MBConv6" for one in self.choices)

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Stem, a fixed block, the blocks of the row, 1x1 convolution, mean over pixels, linear."""
        from foretell.nets.proxyless import proxyless_net

        in_channels, height, width = image_shape(self.name, input_shape)
        picked = self.decode(x)
        strides = self._strides(min(height, width))
        return proxyless_net(
            in_channels, (self._wide(STEM), strides[0]), self._wide(FIRST),
            self._blocks(strides[1:]), [picked[one.name] for one in self.choices],
            self._wide(FEATURES), n_outputs,
        )  # fmt: skip

    def _wide(self, channels: int) -> int:
        return max(4, round(channels * self.width / 4) * 4)

    def _strides(self, side: int) -> tuple[int, ...]:
        """Of the stem and the stages: the last that leave 4 pixels a side."""
        out, left = [1] * 7, side
        for i in (6, 5, 4, 3, 2, 1, 0):
            if (2, *STRIDES)[i] == 2 and left > 4:
                out[i], left = 2, -(-left // 2)
        return tuple(out)

    def _blocks(self, strides: tuple[int, ...]) -> list[Block]:
        from foretell.nets.proxyless import Block

        blocks, c = [], self._wide(FIRST)
        for most, wide, stride in zip(DEPTHS, WIDTHS, strides, strict=True):
            for k in range(min(most, self.depth)):
                blocks.append(Block(c, self._wide(wide), stride if k == 0 else 1))
                c = self._wide(wide)
        return blocks
