"""Heads on encoded graphs: learnt on labels of other spaces, tuned on a few of this one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from foretell._rng import stream
from foretell.graphs.computation import Computations
from foretell.transfer.parts.encoder import Scorer, tensors
from foretell.transfer.parts.learning import normal_scores, ranking_loss
from foretell.transfer.parts.prior import Floats


class Labelled(NamedTuple):
    """Graphs of one task and their targets (n,), higher is better."""

    graphs: Computations
    y: Floats


def fit(
    module: Scorer,
    tasks: Sequence[Labelled],
    *,
    steps: int = 300,
    batch: int = 32,
    lr: float = 1e-3,
    encoder_lr: float = 0.1,
    random_state: int = 0,
) -> list[float]:
    """Minimise the ranking loss within each task; returns the loss of each step.

    Targets are normal scores within their task, so that tasks need not be comparable.

    Args:
        module: an encoder with its head, in place.
        tasks: of other spaces, or a few results of this one.
        steps: of AdamW, with a cosine to 0.
        batch: graphs of each task in a step.
        lr: highest learning rate of the head.
        encoder_lr: that of the encoder, as a share of `lr`; 0 leaves it as it is, 1 is training end
            to end.
        random_state: of the batches.
    """
    targets = [torch.tensor(normal_scores(task.y), dtype=torch.float32) for task in tasks]
    groups = [{"params": list(module.head.parameters()), "share": 1.0}]
    if encoder_lr > 0:
        groups.append({"params": list(module.encoder.parameters()), "share": encoder_lr})
    optimiser = torch.optim.AdamW(groups, lr=lr, weight_decay=1e-2)
    losses = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * lr * (1.0 + math.cos(math.pi * step / steps)) / 2.0
        total = torch.zeros(())
        for i, (task, wanted) in enumerate(zip(tasks, targets, strict=True)):
            rng = stream(random_state, "head", step, i)
            picked = rng.permutation(task.graphs.n)[:batch]
            scores = module(tensors(task.graphs.take(picked)))
            total = total + ranking_loss(scores[None], wanted[picked][None])
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        losses.append(float(total.detach()) / len(tasks))
    return losses


def score(module: Scorer, graphs: Computations, block: int = 256) -> Floats:
    """Scores of graphs, (n,)."""
    module.eval()
    with torch.no_grad():
        parts = [
            module(tensors(graphs.take(range(i, min(i + block, graphs.n))))).numpy()
            for i in range(0, graphs.n, block)
        ]
    return np.concatenate([np.zeros(0), *parts])
