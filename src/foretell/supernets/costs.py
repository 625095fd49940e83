"""What each option of each site costs."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from foretell._rng import stream
from foretell.nets.supernet.mixed import Mixed, Supernet
from foretell.spaces.base import Space
from foretell.spaces.parts.mixture import Mixture

ROWS = 400  # of which costs are asked, at least as many as there are options


def counted(net: Supernet, input_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Parameters and flops of each option, summed over all places of its site; (E, K) each.

    Flops are those of `torch.utils.flop_counter` for one input. Normalisations count as the
    supernet has them, without scale and offset.
    """
    shapes: dict[Mixed, torch.Size] = {}
    shown, net.board.z = net.board.z, net.board.z.detach()  # what has a graph cannot be copied
    copied = copy.deepcopy(net).to("meta").eval()
    net.board.z = shown

    board = copied.board
    E, K = board.z.shape
    everything = torch.zeros(E, K, device="meta")
    board.show(everything, [[k < len(names) for k in range(K)] for names in board.options])
    terms = Mixed.term

    def term(self: Mixed, x: Tensor) -> Tensor | None:
        shapes[self] = x.shape
        return terms(self, x)

    params, flops = torch.zeros(E, K), torch.zeros(E, K)
    with torch.no_grad():
        for mixed in copied.mixed():
            mixed.term = term.__get__(mixed)  # type: ignore[method-assign]  # to see its input
        copied(torch.zeros((1, *input_shape), device="meta"))
        for mixed, shape in shapes.items():
            x = torch.zeros((1, shape[1] // mixed.divisor, *shape[2:]), device="meta")
            for k, name in enumerate(mixed.keys):
                if name in mixed.ops:
                    op = mixed.ops[name]
                    params[mixed.site, k] += sum(p.numel() for p in op.parameters())
                    with FlopCounterMode(display=False) as counter:
                        op(x)
                    flops[mixed.site, k] += counter.get_total_flops()
    return params, flops


def fitted(space: Space, mixture: Mixture, name: str, seed: int = 0) -> Tensor:
    """The table c (E, K) of least |cost(x) - c_0 - sum_e c_{e, x_e}|^2 over random rows.

    The cheapest option of each site costs 0 in it. Exact where costs add up.

    Args:
        space: that knows the cost, as "latency_ms" of a limited space.
        mixture: of the space.
        name: of the cost.
        seed: of the rows.
    """
    E, K = mixture.shape
    n = max(ROWS, 4 * E * K) if space.closed_form([name]) else 2 * E * K
    X = mixture.inside(space.sample(n, stream(seed)))
    A = mixture.weights(X).reshape(len(X), E * K)
    y = space.measure(X, [name])[:, 0]
    good = np.isfinite(y)
    A1 = np.column_stack([np.ones(good.sum()), A[good]])
    table, *_ = np.linalg.lstsq(A1, y[good], rcond=None)
    costs = table[1:].reshape(E, K)
    known = A.any(axis=0).reshape(E, K)
    lowest = np.where(known, costs, np.inf).min(axis=1, keepdims=True)
    return torch.from_numpy(np.where(known, costs - np.where(np.isfinite(lowest), lowest, 0), 0.0))
