"""What is recorded of a supernet after an epoch: what it would choose, and how flat it is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.parts.mixture import Mixture
from foretell.supernets import hessian
from foretell.supernets.bench import Workbench

Record = dict[str, Any]


def record(run: Workbench, look: int | None) -> Record:
    """Weights, what they would choose, and accuracies; no stream moves.

    Args:
        run: the search.
        look: batches of the choosing rows; None for all.
    """
    with torch.no_grad():
        z = run.distribution.mean(run.arch, run.mask, run.mixture)
    best = torch.from_numpy(run.mixture.best(run.scores(), run.mask.cpu().numpy())).to(z.device)
    skip = torch.from_numpy(run.mixture.options("skip_connect")).to(z.device)
    found: Record = {
        "weights": z.double().cpu().numpy().round(6).tolist(),
        "skip_weight": float((z * skip).sum() / max(1, len(z))),
        "skip_share": float((best * skip).sum() / best.sum().clamp(min=1)),
        "weighted": int((best.cpu().numpy() * weighted(run.net, run.mixture)).sum()),
        "sites": len(best),
        "arch": _named(run, best),
        "val_discrete": run.accuracy(best, look),
    }
    return found | ({"val_mixture": run.accuracy(z, look)} if not run.execution.needs_hard else {})


def weighted(net: Supernet, mixture: Mixture) -> NDArray[np.bool_]:
    """Which options have weights to learn, (E, K): all, where a site is a number."""
    found = np.zeros(mixture.shape, dtype=bool)
    found[sorted(set(range(len(found))) - {mixed.site for mixed in net.mixed()})] = True
    for mixed in net.mixed():
        for k, name in enumerate(mixed.keys):
            if name in mixed.ops:
                found[mixed.site, k] |= any(True for _ in mixed.ops[name].parameters())
    return found


def eigenvalue(run: Workbench) -> float:
    """The largest of d2L_va/dalpha2 at the mean weights, on the first four choosing batches."""
    batch = run.choose.batch(torch.arange(min(len(run.choose), 4 * run.method.weights.batch_size)))
    board = run.net.board
    drops = board.skip_drop, board.path_drop
    board.skip_drop = board.path_drop = 0.0

    def f(alpha: Tensor) -> Tensor:
        at: Any = SimpleNamespace(alpha=alpha, beta=run.arch.beta)
        return run.loss(run.distribution.mean(at, run.mask, run.mixture), batch)

    value = hessian.largest(f, run.arch.alpha.detach())
    board.skip_drop, board.path_drop = drops
    return value


def _named(run: Workbench, best: Tensor) -> str:
    try:
        return run.space.to_str(run.mixture.rows(best[None].cpu().numpy()))[0]
    except Exception:  # the best of a mixture need not be a row; of a user's space who knows
        return ""
