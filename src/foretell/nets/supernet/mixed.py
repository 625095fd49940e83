"""The weighed operation, and the board that all those of a network read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

NONE = "none"
SKIP = "skip_connect"


class Board:
    """What all mixed operations of a network read in a forward pass.

    Args:
        options: of each site.

    `z` (E, K) are the weights; `live` says which options of a site run, `there` whether the site
    is there at all; `execute(mixed, x, live)` combines the options of a site. `scale` (E,)
    multiplies what a site gives, `skip_drop` and `path_drop` are the rates at which identities and
    other operations lose values and paths, with masks of `rng`.
    """

    def __init__(self, options: Sequence[Sequence[str]]) -> None:
        self.options = [tuple(each) for each in options]
        self.z: Tensor = torch.zeros(len(self.options), max(map(len, self.options)))
        self.live: list[tuple[int, ...]] = [()] * len(self.options)
        self.there: list[bool] = [True] * len(self.options)
        self.execute: Callable[[Mixed, Tensor, tuple[int, ...]], Tensor] = full
        self.scale: Tensor | None = None
        self.skip_drop = self.path_drop = 0.0
        self.rng: torch.Generator | None = None
        self.show(torch.ones_like(self.z))

    def show(
        self,
        z: Tensor,
        run: Iterable[Sequence[bool]] | None = None,
        execute: Callable[[Mixed, Tensor, tuple[int, ...]], Tensor] | None = None,
    ) -> None:
        """Weights for the next passes.

        Args:
            z: (E, K).
            run: which options run, (E, K); None for those of other weight than 0.
            execute: how options of a site are combined; None: their weighted sum.
        """
        self.z, self.execute = z, execute or full
        rows = (z.detach() != 0).tolist() if run is None else run
        for e, (row, names) in enumerate(zip(rows, self.options, strict=True)):
            on = [k for k, name in enumerate(names) if row[k]]
            self.live[e] = tuple(k for k in on if names[k] != NONE)
            self.there[e] = bool(on)


class Mixed(nn.Module):
    """Sum of a site's options on the same input, each by its weight.

    With `divisor` q > 1 only the first C/q channels go through the options; the others pass by
    (through `bypass` where the size changes), and the channels are shuffled in q groups.

    Args:
        board: of the network.
        site: its number there.
        ops: constructor of each option; "none" has none.
        channels: of the input, where `divisor` is more than 1.
        divisor: q.
        bypass: for the channels that pass by; None for the identity.

    References: Liu et al., DARTS, ICLR 2019, equation 2; Xu et al., PC-DARTS, ICLR 2020,
    equation 2 (partial channels).
    """

    def __init__(
        self,
        board: Board,
        site: int,
        ops: Mapping[str, nn.Module],
        divisor: int = 1,
        bypass: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.board, self.site, self.divisor = board, site, divisor
        names = board.options[site]
        self.keys = [name.replace(".", "-") for name in names]  # no module has a dot in its name
        self.ops = nn.ModuleDict(
            {k: ops[n] for k, n in zip(self.keys, names, strict=True) if n != NONE}
        )
        self.bypass = bypass
        self.calls = 0  # options run so far, for whoever counts

    @property
    def present(self) -> bool:
        """Whether it carries anything."""
        board, e = self.board, self.site
        return bool(board.live[e]) or (board.there[e] and self.divisor > 1)

    def option(self, k: int, x: Tensor) -> Tensor:
        """Option number k on x, with what is dropped dropped."""
        name = self.keys[k]
        self.calls += 1
        out: Tensor = self.ops[name](x)
        board = self.board
        if name == SKIP and isinstance(self.ops[name], nn.Identity):
            if board.skip_drop and self.training:
                out = out * _mask(out, out.shape, board.skip_drop, board.rng)
        elif board.path_drop and self.training:
            shape = (len(out), *(1,) * (out.ndim - 1))
            out = out * _mask(out, shape, board.path_drop, board.rng)
        return out

    def term(self, x: Tensor) -> Tensor | None:
        """What it adds to its node; None where it carries nothing."""
        if not self.present:
            return None
        live, q = self.board.live[self.site], self.divisor
        if q == 1:
            out = self.board.execute(self, x, live)
        else:
            mine, other = x.split([x.shape[1] // q, x.shape[1] - x.shape[1] // q], dim=1)
            other = other if self.bypass is None else self.bypass(other)
            if live:
                done = self.board.execute(self, mine.contiguous(), live)
            else:
                done = other.new_zeros(len(x), mine.shape[1], *other.shape[2:])
            out = shuffled(torch.cat([done, other], dim=1), q)
        scale = self.board.scale
        return out if scale is None else out * scale[self.site]

    def forward(self, x: Tensor) -> Tensor:
        """What it gives; zeros where it carries nothing."""
        out = self.term(x)
        return torch.zeros_like(x) if out is None else out


def full(mixed: Mixed, x: Tensor, live: tuple[int, ...]) -> Tensor:
    """sum_k z_k o_k(x) over the live options."""
    z = mixed.board.z[mixed.site].unbind()
    out = mixed.option(live[0], x) * z[live[0]]
    for k in live[1:]:
        out = out + mixed.option(k, x) * z[k]
    return out


class Supernet(nn.Module):
    """A network of mixed operations: (n, *input_shape) to (n, n_outputs) by the weights shown.

    Args:
        net: the network; its mixed operations read `board`.
        board: the weights.
    """

    def __init__(self, net: nn.Module, board: Board) -> None:
        super().__init__()
        self.net, self.board = net, board

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        out: Tensor = self.net(x)
        return out

    def mixed(self) -> list[Mixed]:
        """All mixed operations, in the order of the network."""
        return [module for module in self.net.modules() if isinstance(module, Mixed)]

    @property
    def plain(self) -> bool:
        """Whether all sites are mixed operations, and none is a number."""
        return {mixed.site for mixed in self.mixed()} >= set(range(len(self.board.options)))


class Options:
    """All options of a decision, in the place of one of them: `mixed` makes an operation of it."""

    def __init__(self, board: Board, site: int, values: Sequence[Any]) -> None:
        self.board, self.site, self.values = board, site, tuple(values)


def mixed(option: Any, make: Callable[[Any], nn.Module]) -> nn.Module:
    """The operation of an option; in a supernet all of them, weighed.

    Args:
        option: of a decision that is marked by `mix=True`, as `Space.decode` gives it.
        make: the operation of an option.

    >>> mixed("tanh", lambda name: {"tanh": nn.Tanh(), "relu": nn.ReLU()}[name])
    Tanh()
    """
    if isinstance(option, Options):
        ops = {str(value): searching(make(value)) for value in option.values}
        return Mixed(option.board, option.site, ops)
    return make(option)


def searching(module: nn.Module) -> nn.Module:
    """The module with batch normalisations as in a search: statistics of the batch, no scale.

    Statistics of a mixture say nothing of one of its networks, and a scale would let an operation
    make up for its weight.
    """
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        like = type(module)
        return like(module.num_features, eps=module.eps, affine=False, track_running_stats=False)
    for name, child in module.named_children():
        setattr(module, name, searching(child))
    return module


def untracked(module: nn.Module) -> nn.Module:
    """The module with batch normalisations that always use the statistics of the batch."""
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return module


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels in the order 0, C/q, 2C/q, ..., 1, C/q + 1, ... for q groups of C channels.

    >>> shuffled(torch.arange(6).view(1, 6, 1, 1), 2).flatten().tolist()
    [0, 3, 1, 4, 2, 5]
    """
    n, c, *rest = x.shape
    return x.view(n, groups, c // groups, *rest).transpose(1, 2).reshape(n, c, *rest)


def _mask(like: Tensor, shape: Sequence[int], rate: float, rng: torch.Generator | None) -> Tensor:
    kept = torch.rand(tuple(shape), generator=rng) >= rate
    return kept.to(like.device, like.dtype) / (1 - rate if rate < 1 else math.inf)
