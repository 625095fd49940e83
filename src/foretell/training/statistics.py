"""Means and variances that normalisation layers keep, estimated anew for weights as they are.

Running averages follow the weights with a lag: after few steps they are still near the 0 and 1
that they began with, and a network that has learnt is measured at chance. What is measured here is
measured with statistics of the weights that it has, over a share of the training rows that
`plan` bounds. A forward pass costs about a third of a step, so all of it is about
`SHARE` / 3 of a training's time for the epochs and as much again for the last one: 8 %.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn

SHARE = 1 / 8  # of the training rows that are looked at again after an epoch
LEAST, LEAST_LAST = 16, 64  # rows that are looked at, where there are so many

Statistics = dict[str, Tensor]
_NAMES = ("running_mean", "running_var")


def tracking(model: nn.Module) -> dict[str, nn.Module]:
    """Layers that follow statistics in training, by name: those of torch, and what is like them.

    A layer has buffers `running_mean` and `running_var` and a `momentum` that is not 0, and
    `model.train()` turns it on; one that a network keeps frozen is not among them.

    >>> list(tracking(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))))
    ['1']
    """
    modes = {module: module.training for module in model.modules()}
    model.train()
    layers = {
        name: module
        for name, module in model.named_modules()
        if module.training
        and all(isinstance(module._buffers.get(key), Tensor) for key in _NAMES)
        and getattr(module, "momentum", 0.0) != 0
    }
    for module, mode in modes.items():
        module.training = mode
    return layers


def plan(n: int, epochs: int, *, last: bool) -> int:
    """How many of `n` training rows are looked at after an epoch.

    n / 8, and at least 16; after the last of all epochs n epochs / 8, and at least 64; at most n.

    >>> plan(50_000, 10, last=False), plan(50_000, 10, last=True), plan(50_000, 2, last=True)
    (6250, 50000, 12500)
    >>> plan(84, 10, last=False), plan(10, 10, last=False)
    (16, 10)
    """
    if last:
        return min(n, max(LEAST_LAST, int(n * epochs * SHARE)))
    return min(n, max(LEAST, int(n * SHARE)))


def estimate(model: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Put into each layer the mean of its statistics over batches; all else stays as it is.

    Each is (1/b) sum_i s_i of b batches, with s_i what the layer found in batch i: for batch
    normalisation its mean and unbiased variance. Dropout is off, as it is when the network is
    used. A layer that several places share has the mean over all of them.

    Args:
        model: any network; left in eval mode.
        inputs: batches of at least two rows.

    References: Izmailov et al., Averaging Weights Leads to Wider Optima, UAI 2018 (section 3.2).
    """
    found = Estimate(model)
    with found:
        for x in inputs if found.layers else ():
            with torch.no_grad():
                model(x)


class Estimate:
    """The sums behind `estimate`, where they stay: what runs inside may be a recorded graph.

    Inside of `with`, each forward pass of the network adds what its layers find; at the end they
    have the means, and what is not theirs is as it was.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.layers = list(dict.fromkeys(tracking(model).values()))
        kept = _kept(self.layers)
        sizes = [one.numel() for one in kept]
        where = kept[0].device if kept else None
        self._sums = torch.zeros(sum(sizes), dtype=torch.float64, device=where)
        self._calls = torch.zeros(len(self.layers), dtype=torch.float64, device=where)
        of = torch.arange(len(self.layers)).repeat_interleave(len(_NAMES))
        self._of = of.repeat_interleave(torch.tensor(sizes, dtype=torch.int64)).to(where)
        self._sizes = sizes
        self._counted = [
            counted
            for layer in self.layers
            if (counted := layer._buffers.get("num_batches_tracked")) is not None
        ]

    def __enter__(self) -> Self:
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.model.eval)
            undo.callback(_put, self._counted, _copies(self._counted))
            self._sums.zero_()
            self._calls.zero_()
            sums = iter(self._sums.split(self._sizes))
            for layer, calls in zip(self.layers, self._calls, strict=True):
                undo.callback(setattr, layer, "momentum", layer.momentum)
                mine = [next(sums).view_as(one) for one in _kept([layer])]
                undo.callback(layer.register_forward_hook(_adder(mine, calls)).remove)
            self.model.eval()
            for layer in self.layers:
                layer.momentum = 1.0  # type: ignore[assignment]  # what a batch has, nothing before
                layer.training = True
            self._undo = undo.pop_all()
        return self

    @torch.no_grad()
    def __exit__(self, kind: object, *_: object) -> None:
        self._undo.close()
        if kind is not None or not self.layers:
            return
        kept, calls = _kept(self.layers), self._calls[self._of]
        now = torch.cat([one.reshape(-1) for one in kept])
        # a layer that no pass has reached keeps what it has
        found = torch.where(calls > 0, self._sums / calls.clamp(min=1), now.double())
        _put(kept, found.to(now.dtype).split(self._sizes))


def _kept(layers: Iterable[nn.Module]) -> list[Tensor]:
    return [layer._buffers[key] for layer in layers for key in _NAMES]  # type: ignore[misc]  # tensors


def _adder(sums: list[Tensor], calls: Tensor) -> Callable[..., None]:
    def add(layer: nn.Module, *_: object) -> None:
        for total, one in zip(sums, _kept([layer]), strict=True):
            total += one
        calls.add_(1)

    return add


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    made = [torch.empty_like(one) for one in tensors]
    _put(made, tensors)
    return made


def _put(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy values into tensors: on a card a few kernels, not one for each."""
    if tensors:
        torch._foreach_copy_(
            list(tensors), [v.view_as(t) for t, v in zip(tensors, values, strict=True)]
        )


@torch.no_grad()
def read(model: nn.Module) -> Statistics:
    """Copies of what the layers keep, by name."""
    layers = tracking(model)
    names = [f"{name}.{key}" for name in layers for key in _NAMES]
    return dict(zip(names, _copies(_kept(layers.values())), strict=True))


@torch.no_grad()
def put(model: nn.Module, statistics: Statistics) -> None:
    """Give layers what `read` has copied."""
    _put([model.get_buffer(name) for name in statistics], list(statistics.values()))


@contextlib.contextmanager
def aside(model: nn.Module) -> Iterator[None]:
    """What happens to statistics inside is undone at the end, to the bit."""
    before = read(model)
    try:
        yield
    finally:
        put(model, before)
