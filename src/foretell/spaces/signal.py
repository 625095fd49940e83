"""A space of one-dimensional convolutional networks for signals and time series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foretell.errors import SpaceError
from foretell.graphs.computation import Computations
from foretell.graphs.view import Graphs, chain
from foretell.spaces.base import Costs, Rows, Space
from foretell.spaces.parts.layout import Choice
from foretell.spaces.parts.settings import at_least, numbers, signal_shape


class Signal(Space):
    """Convolutions over time: depth, width, kernel and stride of each block, shortcuts, dropout.

    A block is a convolution, batch normalisation and ReLU; with `residual` its input is added
    before the ReLU, through a 1 x 1 convolution where shapes differ:
    h_i = relu(norm(conv_i(h_{i-1})) + W_i h_{i-1}). The mean over time goes through dropout and a
    linear layer, so signals may have any length.

    Args:
        max_depth: most blocks, from 2.
        widths: options for the channels of a block.
        kernels: options for the length of a kernel, odd.
        dropouts: options for the dropout rate, 0 to 0.99.
        input_shape: (channels, length).
        n_outputs: number of classes, labels or regression targets.

    References: Wang et al., Time Series Classification from Scratch with Deep Neural Networks,
    IJCNN 2017 (such networks, with and without shortcuts, as strong baselines).

    >>> space = Signal(input_shape=(1, 140), n_outputs=5)
    >>> X = space.from_str("depth=1,width_0=16,kernel_0=3,stride_0=2,residual=False,dropout=0")
    >>> space.costs(X)
    Costs(params=array([165]), flops=array([6880]))
    """

    name = "signal"
    closed_form_costs = True

    def __init__(
        self,
        *,
        max_depth: int = 4,
        widths: Sequence[int] = (16, 32, 64, 128),
        kernels: Sequence[int] = (3, 5, 9, 17),
        dropouts: Sequence[float] = (0, 0.2),
        input_shape: Sequence[int] = (1, 128),
        n_outputs: int = 10,
    ) -> None:
        at_least(max_depth=(max_depth, 2, 200))
        channels = numbers(self.name, "widths", widths, 1, 100_000, whole=True)
        lengths = numbers(self.name, "kernels", kernels, 1, 9_999, whole=True)
        rates = numbers(self.name, "dropouts", dropouts, 0, 0.99)
        if any(length % 2 == 0 for length in lengths):
            raise SpaceError("signal: kernels", expected="odd lengths", got=tuple(lengths))
        self._declared = (
            Choice(tuple(range(1, max_depth + 1)), "depth"),
            Choice(channels, "width", repeat="depth"),
            Choice(lengths, "kernel", repeat="depth"),
            Choice((1, 2), "stride", repeat="depth"),
            Choice((False, True), "residual"),
            Choice(rates, "dropout"),
        )
        self._deepest = max_depth
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Convolutions by their kernel, width and stride, dropouts by their rate."""
        blocks = [
            f"conv{kernel}-{width}-s{stride}"
            for width in self._layout.options("width")
            for kernel in self._layout.options("kernel")
            for stride in self._layout.options("stride")
        ]
        return (
            "input",
            "output",
            *blocks,
            *(f"dropout{r}" for r in self._layout.options("dropout") if r),
        )

    def graphs(self, X: Rows) -> Graphs:
        """A vertex for each block and for dropout; shortcuts as edges around their block.

        Shapes: ops (n, v), adjacency (n, v, v), v = 3 + max_depth.
        """
        rows = self.canonical_form(X)
        words = {word: i for i, word in enumerate(self.vocabulary)}
        depth, deepest = self._layout.chosen(rows, "depth"), self._deepest
        ops = np.full((len(rows), deepest + 3), -1, dtype=np.int16)
        ops[:, 0], ops[:, -1] = 0, 1
        groups = self._layout.groups
        width, kernel, stride = (rows[:, groups[name]] for name in ("width", "kernel", "stride"))
        code = (width * len(self._layout.options("kernel")) + kernel) * 2 + stride + 2
        there = np.arange(deepest) < depth[:, None]
        ops[:, 1 : deepest + 1] = np.where(there, code, -1)
        rates = np.array(
            [words.get(f"dropout{rate}", -1) for rate in self._layout.options("dropout")]
        )
        ops[:, -2] = rates[rows[:, groups["dropout"].start]]
        adjacency = chain(ops >= 0)
        end = np.where(ops[:, -2] >= 0, deepest + 1, deepest + 2)
        line, residual = np.arange(len(rows)), self._layout.chosen(rows, "residual")
        for i in range(deepest):
            around = residual & (i < depth)
            after = np.where(i + 1 < depth, i + 2, end)
            adjacency[line[around], i, after[around]] = True
        return Graphs(ops, adjacency)

    def by_hand(self) -> tuple[str, str]:
        """Three convolutions of the second widest, kernels falling, as in Wang et al."""
        widths, lengths = (
            sorted(self._layout.options("width")),
            sorted(self._layout.options("kernel")),
        )
        depth = min(3, self._deepest)
        width = widths[max(0, len(widths) - 2)]
        falling = [lengths[max(0, min(len(lengths) - 1, 2 - i))] for i in range(depth)]
        parts = [f"depth={depth}"]
        parts += [f"width_{i}={width}" for i in range(depth)]
        parts += [f"kernel_{i}={length}" for i, length in enumerate(falling)]
        parts += [f"stride_{i}=1" for i in range(depth)]
        rate = min(self._layout.options("dropout"))
        text = ",".join([*parts, "residual=False", f"dropout={rate}"])
        return f"{depth} convolutions of {width}", text

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Blocks, the mean over time and a last linear layer."""
        from foretell.nets.signal import convolutions

        picked = self.decode(x)
        return convolutions(
            signal_shape(self.name, input_shape)[0],
            picked["width"],
            picked["kernel"],
            picked["stride"],
            bool(picked["residual"]),
            float(picked["dropout"]),
            n_outputs,
        )

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.signal import draw

        picked = self.decode(x)
        return draw(
            signal_shape(self.name, self.input_shape),
            picked["width"],
            picked["kernel"],
            picked["stride"],
            bool(picked["residual"]),
            self.n_outputs,
        )

    def costs(self, X: ArrayLike) -> Costs:
        """Parameters and flops, closed form: a sum over blocks."""
        rows = self.canonical_form(self.check(X))
        depth, residual = self._layout.chosen(rows, "depth"), self._layout.chosen(rows, "residual")
        width, kernel, stride = (
            self._layout.chosen(rows, name).astype(np.int64)
            for name in ("width", "kernel", "stride")
        )
        channels, size = signal_shape(self.name, self.input_shape)
        came = np.full(len(rows), channels, dtype=np.int64)
        length = np.full(len(rows), size, dtype=np.int64)
        params, work = np.zeros_like(came), np.zeros_like(came)
        for i in range(self._deepest):
            there = i < depth
            length = np.where(there, -(-length // stride[:, i]), length)
            shortcut = residual & ((came != width[:, i]) | (stride[:, i] > 1))
            weights = came * width[:, i] * (kernel[:, i] + shortcut)
            params += np.where(there, weights + 2 * width[:, i], 0)
            work += np.where(there, weights * length, 0)
            came = np.where(there, width[:, i], came)
        last = came * self.n_outputs
        return Costs(params + last + self.n_outputs, 2 * (work + last))
