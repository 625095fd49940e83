"""Networks of a space tried out: built, run forward and backward, copied, traced."""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from foretell._rng import derive
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.finding import Finding, Level, failed, said

BATCH = 2  # examples in the forward pass


class _Trouble(Exception):  # noqa: N818  # a finding on its way up
    def __init__(self, level: Level, code: str, what: str, todo: str) -> None:
        super().__init__(what)
        self.key, self.todo = (level, code, what), todo


def networks(space: Space, X: Rows, rng: np.random.Generator) -> Iterator[Finding]:
    """Build the networks of some rows, run them forward and backward, and say what they show."""
    import torch

    shape, outputs = space.input_shape, space.n_outputs
    seed = derive(int(rng.integers(2**31)), "inputs")
    troubles: dict[tuple[Level, str, str], tuple[str, list[str]]] = {}
    built: list[_Tried] = []
    names = _names(space, X)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for x, name in zip(X, names, strict=True):
            tried = _Tried()
            built.append(tried)
            try:
                for trouble in tried.run(space, x, shape, outputs):
                    troubles.setdefault(trouble.key, (trouble.todo, []))[1].append(name)
            except _Trouble as trouble:
                troubles.setdefault(trouble.key, (trouble.todo, []))[1].append(name)
        for (level, code, what), (todo, where) in troubles.items():
            share = f"all {len(X)}" if len(where) == len(X) else f"{len(where)} of {len(X)}"
            text = f"{what} for {share} networks, such as {where[0]!r}; {todo}"
            yield Finding(level, code, text)
        good = [tried for tried in built if tried.forward_s]
        if not good:
            return
        yield from _other_shape(space, X[:2])
    params = sorted(tried.params for tried in good)
    text = f"parameters: {params[0]:,} to {params[-1]:,}, median {params[(len(params) - 1) // 2]:,}"
    yield Finding("info", "params", text)
    build_ms, forward_ms = (
        1e3 * float(np.median([getattr(tried, name) for tried in good]))
        for name in ("build_s", "forward_s")
    )
    text = f"building takes {build_ms:.1f} ms, {BATCH} inputs forward {forward_ms:.1f} ms (median)"
    yield Finding("info", "time", text)
    try:
        costs = space.costs(X)
    except Exception as error:
        yield failed("costs", "`costs`", error)
        return
    for i, tried in enumerate(built):
        if tried.forward_s and tried.params != int(costs.params[i]):
            text = (
                f"`costs` says {int(costs.params[i]):,} parameters for {names[i]!r}, the network "
                f"has {tried.params:,}; correct `costs`, or leave it to the default"
            )
            yield Finding("error", "costs", text)
            return


class _Tried:
    """What one network showed."""

    params = 0
    build_s = 0.0
    forward_s = 0.0

    def run(
        self, space: Space, x: Rows, shape: tuple[int, ...], outputs: int
    ) -> Iterator[_Trouble]:
        """Build and run; raises at what ends it, yields what does not."""
        import torch

        start = time.perf_counter()
        module = self._build(space, x, shape, outputs)
        self.build_s = time.perf_counter() - start
        again = self._build(space, x, shape, outputs)
        if _structure(module) != _structure(again):
            todo = "`build` must depend on its arguments alone"
            yield _Trouble("error", "structure", "the same row built two different networks", todo)
        parameters = {k: p for k, p in module.named_parameters() if p.requires_grad}
        params = sum(p.numel() for p in parameters.values())
        inputs = torch.randn(BATCH, *shape)
        start = time.perf_counter()
        try:
            answer = module(inputs)
        except Exception as error:
            what = f"the forward pass of {BATCH} inputs of shape {shape} failed ({said(error)})"
            raise _Trouble("error", "forward", what, "build for the given input_shape") from None
        seconds = time.perf_counter() - start
        if not isinstance(answer, torch.Tensor) or tuple(answer.shape) != (BATCH, outputs):
            got = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
            what = f"the output is {got} where ({BATCH}, {outputs}) is needed"
            todo = "end with nn.Linear(..., n_outputs)"
            raise _Trouble("error", "output", what, todo)
        if not bool(torch.isfinite(answer).all()):
            todo = "look for a division, a logarithm or a missing normalisation"
            raise _Trouble("error", "finite", "the output has NaN or infinite values", todo)
        self.params, self.forward_s = params, seconds
        yield from self._backward(answer, parameters)
        yield from self._exports(again, inputs)
        yield from self._comes_back(module, lambda: self._build(space, x, shape, outputs), inputs)

    def _build(self, space: Space, x: Rows, shape: tuple[int, ...], outputs: int) -> Any:
        from torch import nn

        from foretell.training import soundness

        try:
            module = space.build(x, shape, outputs)
        except Exception as error:
            what = f"`build` failed ({said(error)})"
            raise _Trouble("error", "build", what, "fix that line") from None
        if not isinstance(module, nn.Module):
            what = f"`build` returned {type(module).__name__}"
            raise _Trouble("error", "build", what, "return an nn.Module")
        if trouble := soundness.unsized(module):
            raise _Trouble("error", *trouble)
        return module

    def _backward(self, answer: Any, parameters: dict[str, Any]) -> Iterator[_Trouble]:
        if not parameters:
            todo = "nothing can be trained; that is fine only if it is meant"
            yield _Trouble("warning", "gradient", "the network has no trainable parameters", todo)
            return
        try:
            answer.square().mean().backward()
        except Exception as error:
            what = f"the backward pass failed ({said(error)})"
            todo = "keep torch.no_grad and in-place changes out of forward"
            raise _Trouble("error", "backward", what, todo) from None
        idle = [name for name, p in parameters.items() if p.grad is None]
        if idle:
            more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
            todo = "use it in forward, or do not make it"
            what = f"parameter {idle[0]!r}{more} gets no gradient"
            yield _Trouble("warning", "gradient", what, todo)
        wrong = [
            name
            for name, p in parameters.items()
            if p.grad is not None and not math.isfinite(float(p.grad.sum()))
        ]
        if wrong:
            todo = "look for a division, a root or a logarithm near zero"
            yield _Trouble("error", "gradient", f"the gradient of {wrong[0]!r} is not finite", todo)

    def _comes_back(self, module: Any, again: Callable[[], Any], inputs: Any) -> Iterator[_Trouble]:
        """Two steps of training, saved, and read back into a fresh build."""
        import torch

        from foretell.training import soundness

        weights = [p for p in module.parameters() if p.requires_grad]
        try:
            if weights:
                step = torch.optim.SGD(weights, 1e-2)
                for _ in range(2):
                    step.zero_grad()
                    module(inputs).square().mean().backward()
                    step.step()
            for trouble in soundness.troubles(module, again, inputs):
                yield _Trouble("error", *trouble)
        except Exception as error:
            what = f"training two steps failed ({said(error)})"
            yield _Trouble("error", "train", what, "fix that line")

    def _exports(self, module: Any, inputs: Any) -> Iterator[_Trouble]:
        import torch
        from torch import fx

        try:
            with torch.no_grad():
                module.eval()(inputs)
            copy.deepcopy(module)
        except Exception as error:
            todo = "keep tensors that have a gradient, locks and files out of the module"
            what = f"the network cannot be copied ({said(error)})"
            yield _Trouble("error", "copy", what, todo)
        try:
            fx.symbolic_trace(module)
        except Exception as error:
            todo = (
                "without that best/ has no stand-alone model.py: no `if` on values or shapes of "
                "tensors in forward"
            )
            what = f"torch.fx cannot trace the network ({said(error)})"
            yield _Trouble("warning", "trace", what, todo)


def _structure(module: Any) -> list[tuple[str, tuple[int, ...]]]:
    named = itertools.chain(module.named_parameters(), module.named_buffers())
    return [(name, tuple(p.shape)) for name, p in named]


def _other_shape(space: Space, X: Rows) -> Iterator[Finding]:
    """Whether networks adapt to other data."""
    import torch

    first, *rest = space.input_shape
    shape = (first + 1, *(size + 4 for size in rest))
    outputs = space.n_outputs + 1
    for x in X:
        try:
            answer = space.build(x, shape, outputs)(torch.randn(BATCH, *shape))
            wrong = "" if answer.shape == (BATCH, outputs) else f"the output is {answer.shape}"
        except Exception as error:
            wrong = said(error)
        if wrong:
            text = (
                f"networks do not adapt to other data, such as inputs of shape {shape} and "
                f"{outputs} outputs: {wrong}; use the input_shape and n_outputs that `build` gets"
            )
            yield Finding("warning", "io", text)
            return


def _names(space: Space, X: Rows) -> list[str]:
    try:
        return space.to_str(X)
    except Exception:  # has a finding of its own
        return [str(x.tolist()) for x in X]
