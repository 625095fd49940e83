"""Means and variances that normalisation layers keep, estimated anew for weights as they are.

Running averages follow the weights with a lag: after few steps they are still near the 0 and 1
that they began with, and a network that has learnt is measured at chance. What is measured here is
measured with statistics of the weights that it has, over a share of the training rows that
`plan` bounds. A forward pass costs about a third of a step, so all of it is about
`SHARE` / 3 of a training's time for the epochs and as much again for the last one: 8 %.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
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
        self._sums = [[torch.zeros_like(one).double() for one in _kept(x)] for x in self.layers]
        self._calls = [torch.zeros_like(sums[0].view(-1)[:1]) for sums in self._sums]

    def __enter__(self) -> Self:
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.model.eval)
            for layer, sums, calls in zip(self.layers, self._sums, self._calls, strict=True):
                for one in (*sums, calls):
                    one.zero_()
                undo.callback(setattr, layer, "momentum", layer.momentum)
                counted = layer._buffers.get("num_batches_tracked")
                if counted is not None:
                    undo.callback(counted.copy_, counted.clone())
                undo.callback(layer.register_forward_hook(_adder(sums, calls)).remove)
            self.model.eval()
            for layer in self.layers:
                layer.momentum = 1.0  # type: ignore[assignment]  # what a batch has, nothing before
                layer.training = True
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._undo.close()
        if kind is not None:
            return
        for layer, sums, calls in zip(self.layers, self._sums, self._calls, strict=True):
            for one, total in zip(_kept(layer), sums, strict=True):
                # a layer that no pass has reached keeps what it has
                one.copy_(torch.where(calls > 0, total / calls.clamp(min=1), one.double()))


def _kept(layer: nn.Module) -> list[Tensor]:
    return [layer._buffers[key] for key in _NAMES]  # type: ignore[misc]  # tensors


def _adder(sums: list[Tensor], calls: Tensor) -> Callable[..., None]:
    def add(layer: nn.Module, *_: object) -> None:
        for total, one in zip(sums, _kept(layer), strict=True):
            total += one
        calls.add_(1)

    return add


def read(model: nn.Module) -> Statistics:
    """Copies of what the layers keep, by name."""
    return {
        f"{name}.{key}": layer._buffers[key].clone()  # type: ignore[union-attr]  # a tensor
        for name, layer in tracking(model).items()
        for key in _NAMES
    }


@torch.no_grad()
def put(model: nn.Module, statistics: Statistics) -> None:
    """Give layers what `read` has copied."""
    for name, values in statistics.items():
        model.get_buffer(name).copy_(values)


@contextlib.contextmanager
def aside(model: nn.Module) -> Iterator[None]:
    """What happens to statistics inside is undone at the end, to the bit."""
    before = read(model)
    try:
        yield
    finally:
        put(model, before)
