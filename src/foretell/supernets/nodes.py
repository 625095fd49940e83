"""Sites whose results are added, and the share that each of them has in the sum."""

from __future__ import annotations

import torch
from torch import Tensor

from foretell.spaces.parts.mixture import Mixture


def meeting(mixture: Mixture) -> list[tuple[int, ...]]:
    """Sites whose results are added: those of nodes, else of one target by names as "edge_0_2"."""
    if mixture.nodes:
        return [node.sites for node in mixture.nodes]
    found: dict[str, list[int]] = {}
    for e, site in enumerate(mixture.sites):
        head, _, target = site.name.rpartition("_")
        found.setdefault(target if head.startswith("edge") else site.name, []).append(e)
    return [tuple(sites) for sites in found.values()]


def scale(beta: Tensor, mask: Tensor, mixture: Mixture) -> Tensor:
    """Softmax of beta over the sites of each node that have an option left; 0 for the others.

    Shapes: beta (E,), mask (E, K), to (E,).
    """
    alive = mask.any(1)
    out = torch.zeros_like(beta)
    for sites in meeting(mixture):
        on = [e for e in sites if bool(alive[e])]
        if on:
            index = torch.tensor(on, device=beta.device)
            out = out.index_put((index,), beta[index].softmax(0))
    return out
