"""A space of small image networks for own data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import SettingError
from foretell.graphs.computation import Computations
from foretell.graphs.view import Graphs, chain
from foretell.spaces.base import Costs, Rows, Space
from foretell.spaces.parts.grid import Grid
from foretell.spaces.parts.layout import Choice, Layout
from foretell.spaces.parts.settings import at_least, image_shape, numbers, undivided

OPS = ("conv", "ds", "fused", "mbconv")
SQUEEZE = (0, 0.25)


@dataclass(frozen=True)
class Preset:
    """Settings that go together."""

    n_stages: int
    channels: int  # of the stem and, as is, of the first stage
    growth: float  # of the channels from stage to stage
    widths: tuple[float, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]


PRESETS = {
    "tiny": Preset(2, 8, 1.5, (0.5, 1.0, 2.0), (1, 2), (3, 5), (2, 4)),
    "small": Preset(3, 16, 1.5, (1.0, 1.5), (1, 2), (3, 5), (2, 4)),
    "base": Preset(5, 24, 1.6, (0.75, 1.0, 1.25), (1, 2, 3, 4), (3, 5, 7), (3, 4, 6)),
}


class Mobile(Space):
    """Stages of convolutions or mobile blocks, for images of any size on small hardware.

    A network is a stem, `n_stages` stages and a head. A stage is `depth` blocks of one kind:
    `conv` (3x3 convolution), `ds` (depthwise k x k, then 1x1), `fused` (3x3 convolution to
    `expand` times the channels, then 1x1) or `mbconv` (1x1 to `expand` times the channels,
    depthwise k x k, 1x1), each with or without squeeze-excitation (`se`), with batch norm, and
    with a residual around blocks that keep the shape. `kernel` is a decision of ds and mbconv,
    `expand` of fused and mbconv. The head is a 1x1 convolution, the global average and a linear
    layer.

    The input decides the strides: the shorter side is halved floor(log2(side / 4)) times, which
    leaves 4 to 7 pixels. Halvings are spread over the stages, early ones first; what the stages
    cannot take the stem does, up to a stride of 4.

    Rows: the preset "tiny" has 11,664, "small" 373,248 (26,873,856 with `n_stages=4`), "base"
    8.3e12. Strings: the stages joined by "+", such as `mbconv_d2_k5_e4_c24_se0.25`.

    Args:
        preset: "tiny" (thousands of parameters, for images of 8x8), "small" (tens of thousands,
            for a laptop's CPU) or "base".
        n_stages: 1 or more; None: as in the preset, and so for `widths` to `expands`.
        width: multiplies all channels.
        widths: options for the channels of a stage, as multiples of its usual ones.
        depths: options for the number of blocks of a stage.
        kernels: options for depthwise kernels, odd.
        expands: options for the expansion of fused and mbconv, from 2.
        input_shape: (channels, height, width).
        n_outputs: number of classes, or of regression targets.

    References: Tan et al., MnasNet, CVPR 2019 (decisions for each stage); Sandler et al.,
    MobileNetV2, CVPR 2018 (mbconv); Tan & Le, EfficientNetV2, ICML 2021 (fused).

    >>> space = Mobile(input_shape=(1, 8, 8))
    >>> space.size, strides(space.input_shape, 3)
    (373248, (1, 2, 1, 1))
    >>> X = space.from_str("conv_d1_c16_se0+ds_d2_k3_c24_se0+mbconv_d1_k5_e2_c36_se0.25")
    >>> space.costs(X)
    Costs(params=array([12448]), flops=array([350496]))
    """

    name = "mobile"
    closed_form_costs = True

    def __init__(
        self,
        *,
        preset: str = "small",
        n_stages: int | None = None,
        width: float = 1.0,
        widths: Sequence[float] | None = None,
        depths: Sequence[int] | None = None,
        kernels: Sequence[int] | None = None,
        expands: Sequence[int] | None = None,
        input_shape: Sequence[int] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> None:
        if preset not in PRESETS:
            raise SettingError(
                f"unknown preset {preset!r} of space 'mobile'", expected=" or ".join(PRESETS)
            )
        usual = PRESETS[preset]
        self.n_stages = usual.n_stages if n_stages is None else n_stages
        at_least(n_stages=(self.n_stages, 1, 100))
        options = {
            "width": numbers(self.name, "width", [width], 0.01, 100),
            "widths": numbers(self.name, "widths", widths or usual.widths, 0.01, 100),
            "depth": numbers(self.name, "depths", depths or usual.depths, 1, 100, whole=True),
            "kernel": numbers(self.name, "kernels", kernels or usual.kernels, 1, 31, whole=True),
            "expand": numbers(self.name, "expands", expands or usual.expands, 2, 100, whole=True),
        }
        if not all(kernel % 2 for kernel in options["kernel"]):
            raise SettingError("kernels of space 'mobile'", expected="odd", got=options["kernel"])
        full = [usual.channels * width * usual.growth**i for i in range(self.n_stages)]
        self.stem_channels, self.head_channels = _round(full[0]), _round(2 * full[-1])
        declared: list[Choice] = []
        for s, wide in enumerate(full, start=1):
            channels = tuple(_round(wide * share) for share in options["widths"])
            if len(set(channels)) < len(channels):
                raise SettingError(
                    f"channels of stage {s} of space 'mobile'",
                    expected="different numbers, in steps of 4",
                    got=channels,
                    hint="raise `width`, or take `widths` further apart",
                )
            op = f"op_{s}"
            declared += [
                Choice(OPS, op, mix=True),
                Choice(options["depth"], f"depth_{s}", mix=True),
                Choice(options["kernel"], f"kernel_{s}", when={op: ("ds", "mbconv")}, mix=True),
                Choice(options["expand"], f"expand_{s}", when={op: ("fused", "mbconv")}, mix=True),
                Choice(channels, f"channels_{s}", mix=True),
                Choice(SQUEEZE, f"se_{s}", mix=True),
            ]
        self._declared = tuple(declared)
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)
        image_shape(self.name, self.input_shape)
        self._stages = [
            _StageTable(self.choices[j : j + 6], self._declared[j : j + 6])
            for j in range(0, self.d, 6)
        ]
        blocks = dict.fromkeys(word for stage in self._stages for word in stage.blocks)
        widths_used = dict.fromkeys(f"c{c}" for stage in self._stages for c in stage.channels)
        self._vocabulary = ("input", "output", *sorted(blocks), *widths_used)

    def _stage_rows(self, X: Rows) -> list[tuple[_StageTable, NDArray[np.intp]]]:
        """For each stage its table, and which row of the table each architecture has."""
        rows = self.canonical_form(X)
        return [
            (stage, stage.find(rows[:, 6 * i : 6 * i + 6])) for i, stage in enumerate(self._stages)
        ]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Blocks such as "mbconv_k5_e4_se0.25", and channels such as "c24"."""
        return self._vocabulary

    def graphs(self, X: Rows) -> Graphs:
        """The network as a chain: for each stage its channels, then its blocks.

        Shapes: ops (n, v), adjacency (n, v, v), v = 2 + n_stages * (1 + most blocks of a stage).
        """
        index = {word: i for i, word in enumerate(self._vocabulary)}
        deepest = max(self.choices[1].options)
        ops = np.full((len(X), 2 + self.n_stages * (1 + deepest)), -1, dtype=np.int16)
        ops[:, 0], ops[:, -1] = 0, 1
        for i, (stage, at) in enumerate(self._stage_rows(X)):
            first = 1 + i * (1 + deepest)
            ops[:, first] = np.array([index[f"c{c}"] for c in stage.channels])[at]
            block = np.array([index[word] for word in stage.blocks])[at]
            there = np.arange(deepest) < stage.depth[at][:, None]
            ops[:, first + 1 : first + 1 + deepest] = np.where(there, block[:, None], -1)
        return Graphs(ops, chain(ops >= 0))

    def to_str(self, X: ArrayLike) -> list[str]:
        """The stages joined by "+": kind, d(epth), k(ernel), e(xpand), c(hannels), se."""
        words = [stage.words[at] for stage, at in self._stage_rows(self.check(X))]
        return ["+".join(stages) for stages in zip(*words, strict=True)]

    def _parse(self, text: object) -> list[int]:
        words = str(text).strip().split("+")
        if len(words) != self.n_stages:
            raise self._bad_string(text, f"{len(words)} of {self.n_stages} stages")
        row: list[int] = []
        for word, stage in zip(words, self._stages, strict=True):
            if word not in stage.row_of:
                raise self._bad_string(text, word)
            row += stage.row_of[word]
        return row

    def by_hand(self) -> tuple[str, str]:
        """Two blocks of MobileNetV2 a stage; the middle width is 1.0 in every preset.

        Kernel and expansion are the options nearest 3 and 6.
        """
        words = []
        for j in range(0, self.d, 6):
            _, depth, kernel, expand, channels, _ = (one.options for one in self.choices[j : j + 6])
            usual = (_nearest(depth, 2), _nearest(kernel, 3), _nearest(expand, 6))
            middle = sorted(channels)[(len(channels) - 1) // 2]
            words.append(_word("mbconv", *usual, middle, 0, whole=True))
        return "MobileNetV2 blocks", "+".join(words)

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Stem, stages and head for images of this shape."""
        from foretell.nets.mobile import Stage, mobile_net

        channels = image_shape(self.name, input_shape)[0]
        stem, stages = self._plan(x, input_shape)
        first = (self.stem_channels, stem)
        return mobile_net(
            channels, first, [Stage(*one) for one in stages], self.head_channels, n_outputs
        )

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """All kinds of blocks side by side, each the largest, of which rows have a part.

        Args: as in `Space.supernet`.
        """
        from foretell.nets.mobile import OpenStage, mobile_net
        from foretell.nets.supernet.elastic import elastic
        from foretell.nets.supernet.mixed import Board, Options, Supernet, untracked

        undivided(self.name, divisor)
        channels = image_shape(self.name, input_shape)[0]
        stem, *halve = strides(input_shape, self.n_stages)
        board = Board([site.options for site in self.mixture().sites])
        sites = [Options(board, e, column.options) for e, column in enumerate(self.choices)]
        stages = [
            OpenStage(
                op, elastic(depth), elastic(kernel), elastic(expand), elastic(wide), se, stride
            )
            for stride, (op, depth, kernel, expand, wide, se) in zip(
                halve, (sites[j : j + 6] for j in range(0, self.d, 6)), strict=True
            )
        ]
        first = (self.stem_channels, stem)
        net = mobile_net(channels, first, stages, self.head_channels, n_outputs)
        return Supernet(untracked(net), board)

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.mobile import Stage, draw

        image = image_shape(self.name, self.input_shape)
        stem, plan = self._plan(x, self.input_shape)
        stages = [Stage(*one) for one in plan]
        return draw(image, (self.stem_channels, stem), stages, self.head_channels, self.n_outputs)

    def _plan(self, x: ArrayLike, input_shape: Sequence[int]) -> tuple[int, list[tuple[Any, ...]]]:
        """The stem's stride, and of each stage what `foretell.nets.mobile.Stage` says."""
        stem, *halve = strides(input_shape, self.n_stages)
        tables = self._stage_rows(self._row(x))
        return stem, [
            (*stage.values[i], stride) for stride, (stage, (i,)) in zip(halve, tables, strict=True)
        ]

    def costs(self, X: ArrayLike) -> Costs:
        """Parameters and flops, closed form: sums over stages of tables over a stage's rows."""
        rows = self.check(X)
        channels, *side = image_shape(self.name, self.input_shape)
        stem, *halve = strides(self.input_shape, self.n_stages)
        kernel = max(3, 2 * stem - 1)
        side = [math.ceil(s / stem) for s in side]
        weights = channels * self.stem_channels * kernel**2
        params = np.full(len(rows), weights + 2 * self.stem_channels, dtype=np.int64)
        flops = np.full(len(params), 2 * weights * math.prod(side), dtype=np.int64)
        came = np.full(len(params), self.stem_channels)
        for stride, (stage, at) in zip(halve, self._stage_rows(rows), strict=True):
            before = math.prod(side)
            side = [math.ceil(s / stride) for s in side]
            incoming, which = np.unique(came, return_inverse=True)
            table = stage.costs(incoming[:, None], before, math.prod(side))
            params += table[0][which, at]
            flops += table[1][which, at]
            came = stage.channels[at]
        head, outputs = self.head_channels, self.n_outputs
        params += came * head + 2 * head + head * outputs + outputs
        flops += 2 * came * head * math.prod(side) + 2 * head * outputs
        return Costs(params, flops)


class _StageTable:
    """All different stages, by number: what they hold, are called and cost.

    Shapes: with m different stages, `rows` (m, 6); `op`, `depth`, `kernel`, `expand`, `channels`,
    `se`, `blocks` and `words` (m,).
    """

    def __init__(self, columns: Sequence[Choice], declared: Sequence[Choice]) -> None:
        grid = Grid(Layout.of(declared))
        self.rows = grid.rows(0, grid.size)
        self._radix = np.array([len(column.options) for column in columns])
        self._number = np.zeros(int(self._radix.prod()), dtype=np.intp)
        self._number[self._code(self.rows)] = np.arange(grid.size)
        options = [column.options for column in columns]
        values = [[options[j][i] for j, i in enumerate(row)] for row in self.rows.tolist()]
        for value in values:
            value[2] = value[2] if value[0] in ("ds", "mbconv") else 3
            value[3] = value[3] if value[0] in ("fused", "mbconv") else 1
        self.values = values
        op, depth, kernel, expand, channels, se = zip(*values, strict=True)
        self.op, self.depth, self.kernel = np.array(op), np.array(depth), np.array(kernel)
        self.expand, self.channels, self.se = np.array(expand), np.array(channels), np.array(se)
        self.blocks = [_word(*value) for value in values]
        words = [_word(*value, whole=True) for value in values]
        self.words: NDArray[Any] = np.array(words, dtype=object)
        self.row_of = dict(zip(words, self.rows.tolist(), strict=True))

    def _code(self, rows: Rows) -> NDArray[np.intp]:
        code: NDArray[np.intp] = np.ravel_multi_index(
            tuple(rows.T.astype(np.intp)), tuple(self._radix)
        )
        return code

    def find(self, rows: Rows) -> NDArray[np.intp]:
        """Numbers of rows (n, 6) in canonical form."""
        return self._number[self._code(rows)]

    def costs(self, came: NDArray[Any], before: int, after: int) -> tuple[NDArray[Any], ...]:
        """Parameters and flops for some incoming channels (k, 1), each of shape (k, m).

        `before` and `after` are the numbers of pixels around the stage's first block.
        """
        params, flops = self._block(came, before, after)
        more = self._block(self.channels, after, after)
        return params + (self.depth - 1) * more[0], flops + (self.depth - 1) * more[1]

    def _block(
        self, came: NDArray[Any], before: int, after: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        out = self.channels
        conv, ds, mb = self.op == "conv", self.op == "ds", self.op == "mbconv"
        wide = np.where(conv, out, came * self.expand)
        inner = np.maximum(4, (came * self.se).astype(np.int64))
        first = np.where(ds, 0, came * wide * np.where(mb, 1, self.kernel**2))
        depthwise = np.where(ds | mb, wide * self.kernel**2, 0)
        last = np.where(conv, 0, wide * out)
        squeeze = np.where(self.se > 0, 2 * wide * inner, 0)
        norms = 2 * (np.where(ds, 0, wide) + np.where(ds | mb, wide, 0) + np.where(conv, 0, out))
        biases = np.where(self.se > 0, inner + wide, 0)
        flops = first * np.where(mb, before, after) + (depthwise + last) * after + squeeze
        return first + depthwise + last + squeeze + norms + biases, 2 * flops


def strides(input_shape: Sequence[int], n_stages: int) -> tuple[int, ...]:
    """Strides of the stem and of each stage for images of this shape.

    >>> strides((3, 32, 32), 3), strides((3, 224, 224), 5)
    ((1, 2, 2, 2), (1, 2, 2, 2, 2, 2))
    """
    halvings = max(0, int(math.log2(min(input_shape[1:]) / 4)))
    in_stages = min(halvings, n_stages)
    halved = {i * n_stages // in_stages for i in range(in_stages)}
    stem = min(4, 2 ** (halvings - in_stages))
    return (stem, *(2 if s in halved else 1 for s in range(n_stages)))


def _word(
    op: str, depth: int, kernel: int, expand: int, channels: int, se: float, *, whole: bool = False
) -> str:
    """A stage in one word, or only what its blocks are."""
    parts = [op, f"d{depth}"] if whole else [op]
    parts += [f"k{kernel}"] if op in ("ds", "mbconv") else []
    parts += [f"e{expand}"] if op in ("fused", "mbconv") else []
    parts += [f"c{channels}"] if whole else []
    return "_".join([*parts, f"se{se}"])


def _nearest(options: Sequence[int], wanted: int) -> int:
    return min(options, key=lambda option: abs(option - wanted))


def _round(channels: float) -> int:
    """Channels in steps of 4."""
    return max(4, 4 * round(channels / 4))
