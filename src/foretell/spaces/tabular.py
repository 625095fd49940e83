"""A space of multilayer perceptrons for feature vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foretell.graphs.computation import Computations, sizes
from foretell.graphs.view import Graphs, chain
from foretell.spaces.base import Costs, Rows, Space
from foretell.spaces.parts.layout import Choice
from foretell.spaces.parts.settings import at_least, numbers

ACTIVATIONS = ("relu", "silu", "tanh")
NORMS = ("none", "batch", "layer")


class Tabular(Space):
    """Multilayer perceptrons: depth, width of each layer, activation, norm, dropout, shortcuts.

    A hidden layer is linear, norm, activation, dropout; with `residual` each but the first adds
    its input, through a linear map where the widths differ: h_i = body_i(h_{i-1}) + W_i h_{i-1}.
    The last layer is linear, for class scores or regression targets. Inputs of more than one
    dimension are flattened.

    Args:
        max_depth: most hidden layers, from 2.
        widths: options for the units of a hidden layer.
        dropouts: options for the dropout rate, 0 to 0.99.
        input_shape: (features,).
        n_outputs: number of classes, or of regression targets.

    References: Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021
    (such networks as the baseline to beat).

    >>> space = Tabular(input_shape=(64,))
    >>> space.size
    41985
    >>> X = space.from_str("depth=1,width_0=32,activation=relu,norm=batch,dropout=0")
    >>> space.costs(X)
    Costs(params=array([2474]), flops=array([4736]))
    """

    name = "tabular"
    closed_form_costs = True

    def __init__(
        self,
        *,
        max_depth: int = 4,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        dropouts: Sequence[float] = (0, 0.1, 0.3),
        input_shape: Sequence[int] = (16,),
        n_outputs: int = 10,
    ) -> None:
        at_least(max_depth=(max_depth, 2, 200))
        units = numbers(self.name, "widths", widths, 1, 100_000, whole=True)
        rates = numbers(self.name, "dropouts", dropouts, 0, 0.99)
        self._declared = (
            Choice(tuple(range(1, max_depth + 1)), "depth", mix=True),
            Choice(units, "width", repeat="depth", mix=True),
            Choice(ACTIVATIONS, "activation", mix=True),
            Choice(NORMS, "norm"),
            Choice(rates, "dropout"),
            Choice((False, True), "residual", when={"depth": range(2, max_depth + 1)}),
        )
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Linear layers by their units, norms, activations and dropouts by their rate."""
        return ("input", "output", *(word for words in self._words() for word in words if word))

    def _words(self) -> list[list[str]]:
        """The four vertices of a layer: for each option its word, or "" where it is no vertex."""
        width, activation, norm, dropout = (
            self._layout.options(name) for name in ("width", "activation", "norm", "dropout")
        )
        return [
            [f"linear{units}" for units in width],
            ["" if kind == "none" else kind for kind in norm],
            list(activation),
            [f"dropout{rate}" if rate else "" for rate in dropout],
        ]

    def graphs(self, X: Rows) -> Graphs:
        """Four vertices for a hidden layer (linear, norm, activation, dropout); shortcuts as edges.

        What is "none" or has rate 0 is no vertex. A shortcut around layer i is an edge from the
        end of layer i - 1 to the start of layer i + 1, or to the output.

        Shapes: ops (n, v), adjacency (n, v, v), v = 2 + 4 * max_depth.
        """
        rows = self.canonical_form(X)
        index = {word: i for i, word in enumerate(self.vocabulary)}
        depth, deepest = self._layout.chosen(rows, "depth"), self.d - 5
        ops = np.full((len(rows), 2 + 4 * deepest), -1, dtype=np.int16)
        ops[:, 0], ops[:, -1] = 0, 1
        groups = self._layout.groups
        for place, words in enumerate(self._words()):
            codes = np.array([index.get(word, -1) for word in words])
            name = ("width", "norm", "activation", "dropout")[place]
            for i in range(deepest):
                j = groups[name].start + (i if name == "width" else 0)
                ops[:, 1 + 4 * i + place] = np.where(i < depth, codes[rows[:, j]], -1)
        adjacency = chain(ops >= 0)
        line = np.arange(len(rows))
        for i in range(1, deepest):
            around = self._layout.chosen(rows, "residual") & (i < depth)
            before = 4 * i - np.argmax(ops[:, 4 * i : 4 * i - 4 : -1] >= 0, axis=1)
            after = np.where(i + 1 < depth, 4 * i + 5, ops.shape[1] - 1)
            adjacency[line[around], before[around], after[around]] = True
        return Graphs(ops, adjacency)

    def by_hand(self) -> tuple[str, str]:
        """Two ReLU layers of the middle width, with the least dropout and no more."""
        widths, rates = (sorted(self._layout.options(name)) for name in ("width", "dropout"))
        width, rate = widths[(len(widths) - 1) // 2], rates[0]
        text = f"depth=2,width_0={width},width_1={width},activation=relu,norm=none,dropout={rate}"
        return f"2 ReLU layers of {width}", f"{text},residual=False"

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Hidden layers and a last linear layer.

        A supernet holds all depths, widths and activations; norm, dropout and shortcuts are those
        of `by_hand`.
        """
        from foretell.nets.supernet.elastic import elastic
        from foretell.nets.tabular import mlp

        picked = self.decode(x)
        return mlp(
            math.prod(input_shape),
            [elastic(width) for width in picked["width"]],
            picked["activation"],
            picked["norm"],
            float(picked["dropout"]),
            bool(picked["residual"]),
            n_outputs,
            elastic(picked["depth"]),
        )

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.tabular import draw

        picked = self.decode(x)
        return draw(
            sizes(self.input_shape),
            picked["width"],
            picked["activation"],
            picked["norm"],
            bool(picked["residual"]),
            self.n_outputs,
        )

    def costs(self, X: ArrayLike) -> Costs:
        """Parameters and flops, closed form: a sum over layers."""
        rows = self.canonical_form(self.check(X))
        depth, widths = self._layout.chosen(rows, "depth"), self._layout.chosen(rows, "width")
        norms = 2 * (self._layout.chosen(rows, "norm") != "none")
        residual = self._layout.chosen(rows, "residual")
        came = np.full(len(rows), math.prod(self.input_shape), dtype=np.int64)
        params, weights = np.zeros_like(came), np.zeros_like(came)
        for i in range(self.d - 5):
            there, width = i < depth, widths[:, i].astype(np.int64)
            maps = 1 + (residual & (i > 0) & (came != width))
            weights += np.where(there, maps * came * width, 0)
            params += np.where(there, (1 + norms) * width, 0)
            came = np.where(there, width, came)
        weights += came * self.n_outputs
        return Costs(params + weights + self.n_outputs, 2 * weights)
