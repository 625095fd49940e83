"""The graph of a network while its calls are watched: which value each tensor is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as tree

from foretell.errors import DataError
from foretell.graphs.calls import FOLDED, Call, Facts, facts, moved, size
from foretell.graphs.computation import Canvas, Computations, Value


class Book:
    """Which value each tensor is, and the graph as far as it is drawn."""

    def __init__(self) -> None:
        self.canvas: Canvas | None = None
        self.values: dict[int, tuple[int, int]] = {}  # id of a tensor -> vertex, axis of channels
        self._alive: list[Any] = []  # an id is a tensor's only while it lives
        self._counted: set[int] = set()
        self._made: dict[int, list[nn.Parameter]] = {}  # id of a tensor -> what it is made of

    def derive(self, leaves: Sequence[Tensor], out: Any) -> None:
        """A call on weights alone: what comes of it stands for them."""
        weights = [w for x in leaves for w in self._weights(x)]
        for x in tensors(out) if weights else ():
            if not isinstance(x, nn.Parameter):
                self._made[id(x)] = weights
                self._alive.append(x)

    def _weights(self, x: Tensor) -> list[nn.Parameter]:
        return [x] if isinstance(x, nn.Parameter) else self._made.get(id(x), [])

    def enter(self, x: Tensor) -> None:
        """An input."""
        axis = 1 if x.ndim >= 4 else max(x.ndim - 1, 0)
        sides = size(x, axis)
        if self.canvas is None:
            self.canvas = Canvas(*sides)
            vertex = self.canvas.input.vertex
        else:
            vertex = self.canvas.enter(*sides).vertex
        self._keep(x, vertex, axis)

    def _keep(self, x: Tensor, vertex: int, axis: int) -> None:
        self.values[id(x)] = vertex, axis
        self._alive.append(x)

    def note(
        self, name: str, args: Any, kwargs: Mapping[str, Any], out: Any, *, in_place: bool
    ) -> None:
        """One call, and what came of it."""
        leaves, outs = list(tensors((args, dict(kwargs)))), list(tensors(out))
        known = [x for x in leaves if id(x) in self.values]
        if not known or self.canvas is None:
            return self.derive(leaves, out)
        if not outs:
            return None
        source = known[0]
        vertex, axis = self.values[id(source)]
        if name in FOLDED:
            for x in outs:
                self._keep(x, vertex, moved(name, args, kwargs, source, x, axis))
            return None
        statics = [x for x in leaves if id(x) not in self.values]
        axes = [self.values[id(x)][1] for x in known]
        call = Call(name, args, kwargs, known, axes, statics, outs[0])
        vertex, axis = self._draw(call, facts(call))
        for x in outs:
            self._keep(x, vertex, axis)
        if in_place or kwargs.get("inplace") is True:
            self._keep(source, vertex, axis)
        return None

    def _draw(self, call: Call, found: Facts) -> tuple[int, int]:
        assert self.canvas is not None
        x, out = call.known[0], call.out
        params = 0
        for w in (w for x in call.statics for w in self._weights(x)):
            if id(w) not in self._counted:
                self._counted.add(id(w))
                self._alive.append(w)
                params += w.numel()
        into = size(x, found.axis if x.ndim == out.ndim else call.axes[0])
        if found.word == "recurrent" or call.name == "stack":
            into = size(x, x.ndim - 1)
        height, width = map(int, found.kernel)
        outputs, inputs, *sides = map(int, found.weight)
        value = self.canvas.vertex(
            found.word,
            [Value(self.values[id(y)][0], 0, 0, 0) for y in call.known],
            into,
            size(out, found.axis),
            (height, width),
            (outputs, inputs, sides[0], sides[1]),
            found.bias,
            params,
            found.flops,
        )
        return value.vertex, found.axis

    def done(self, outputs: Any) -> Computations:
        """The graph, its outputs those tensors of a result that depend on an input."""
        found = [x for x in tensors(outputs) if id(x) in self.values]
        if self.canvas is None or not found:
            raise refused("forward", "it gives no tensor that depends on its input")
        ends = [Value(self.values[id(x)][0], *size(x, self.values[id(x)][1])) for x in found]
        return self.canvas.done(*ends)


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    return (x for x in tree.tree_leaves(value) if isinstance(x, Tensor))


def refused(name: str, why: str) -> DataError:
    """What is said of a network that cannot be followed."""
    return DataError(
        f"this network cannot be traced: at operation {name!r}, {why}",
        hint="write its forward in operations of torch on whole tensors, and check the example",
    )
