"""Networks of the stages of a search: how each begins, and what it keeps of the one before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from foretell.errors import SettingError
from foretell.spaces.base import Space
from foretell.training import checkpoint


def deeper(space: Space, cells: int) -> Space:
    """The space with another number of cells.

    Raises: SettingError for one without cells.
    """
    if "n_cells" not in {**space.settings, "n_cells": getattr(space, "n_cells", None)}:
        raise SettingError("stages with depth", expected="a space with `n_cells`", got=space.name)
    other: Space = type(space)(**{**space.settings, "n_cells": cells})
    return other.with_io(space.input_shape, space.n_outputs)


def widen(
    old: nn.Module, new: nn.Module, rng: np.random.Generator
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Give a wider network the weights of a narrower one: new channels copy random old ones.

    All that share a number of channels copy alike, so that a channel and those that read it stay
    together. Networks of the same names.

    Returns: for each parameter how a tensor of its old shape becomes one of its new shape.

    References: Chen et al., Net2Net, ICLR 2016, section 2.2; Chen et al., DrNAS, ICLR 2021.
    `Differs:` from Net2Net the copies are not divided by their number, as in DrNAS: batch
    normalisation follows, and the function changes a little.
    """
    picks: dict[tuple[int, int], Tensor] = {}

    def pick(a: int, b: int) -> Tensor:
        if (a, b) not in picks:
            more = rng.integers(0, a, size=b - a)
            picks[a, b] = torch.from_numpy(np.concatenate([np.arange(a), more]))
        return picks[a, b]

    def grown(like: torch.Size) -> Callable[[Tensor], Tensor]:
        def grow(value: Tensor) -> Tensor:
            for dim, (a, b) in enumerate(zip(value.shape, like, strict=True)):
                if a < b:
                    value = value.index_select(dim, pick(a, b).to(value.device))
            return value.clone()

        return grow

    before = checkpoint.named_tensors(old)
    out = {}
    with torch.no_grad():
        for name, value in checkpoint.named_tensors(new).items():
            out[name] = grown(value.shape)
            value.copy_(out[name](before[name]))
    return out


def pass_on(
    old: torch.optim.Optimizer,
    before: nn.Module,
    new: torch.optim.Optimizer,
    after: nn.Module,
    grow: dict[str, Callable[[Tensor], Tensor]],
) -> None:
    """Give the optimiser of a widened network the momentum of the one before, widened alike."""
    momentum = {name: old.state.get(p, {}) for name, p in before.named_parameters()}
    for name, p in after.named_parameters():
        memory = momentum.get(name, {}).get("momentum_buffer")
        if memory is not None:
            new.state[p]["momentum_buffer"] = grow[name](memory)
