"""A recurrent network that says where in a latent space the next row should be."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from foretell.graphs.pretraining import seeded
from foretell.predictors.base import Floats


class Walker(nn.Module):
    """p(z_t | z_1, ..., z_(t-1)) = N(W h_t + b, I), h_t the state of an LSTM after those before.

    Args:
        latent: size of z.
        hidden: of the state.
        generator: of the weights.
    """

    def __init__(self, latent: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.lstm = nn.LSTM(latent, hidden, batch_first=True)
        self.head = nn.Linear(hidden, latent)
        width = 1 / math.sqrt(hidden)
        with torch.no_grad():
            for weight in self.parameters():
                weight.uniform_(-width, width, generator=generator)

    def means(self, Z: Tensor) -> Tensor:
        """What was expected of each point of a walk (t, f), and is of the next one, (t + 1, f)."""
        before = torch.cat([Z.new_zeros(1, Z.shape[1]), Z])
        states, _ = self.lstm(before[None])
        expected: Tensor = self.head(states[0])
        return expected

    def log_density(self, Z: Tensor) -> Tensor:
        """Of each point of a walk (t, f) given those before it, (t,)."""
        far = (Z - self.means(Z)[:-1]).square().sum(dim=1)
        return -0.5 * (far + Z.shape[1] * math.log(2 * math.pi))


class Walk(NamedTuple):
    """A walker in training, with its optimiser, the average of the rewards, and where it is.

    `walker` and `optimiser` are not changed by what uses them; `baseline` is None at the start.
    """

    walker: Walker
    optimiser: torch.optim.Optimizer
    baseline: float | None = None


def walk(latent: int, hidden: int, lr: float, seed: int) -> Walk:
    """An untrained one, in double precision."""
    with seeded(seed):  # torch draws weights of its own before ours
        walker = Walker(latent, hidden, torch.Generator().manual_seed(seed)).double()
    return Walk(walker, torch.optim.Adam(walker.parameters(), lr=lr))


def learnt(before: Walk, Z: Floats, rewards: Floats, decay: float) -> Walk:
    """After a step of REINFORCE on a walk (t, f) with rewards (t,); `before` stays as it is."""
    mean = float(rewards.mean())
    baseline = mean if before.baseline is None else before.baseline
    walker: Walker = copy.deepcopy(before.walker)
    optimiser = torch.optim.Adam(walker.parameters(), lr=before.optimiser.param_groups[0]["lr"])
    optimiser.load_state_dict(copy.deepcopy(before.optimiser.state_dict()))
    optimiser.zero_grad()
    advantage = torch.from_numpy(np.asarray(rewards - baseline))
    loss: Tensor = -(advantage * walker.log_density(torch.from_numpy(Z))).mean()
    loss.backward()
    optimiser.step()
    return Walk(walker, optimiser, decay * baseline + (1 - decay) * mean)


@torch.no_grad()
def expected(walker: Walker, Z: Floats) -> Floats:
    """Where the walker expects the point after a walk (t, f), (f,)."""
    return np.asarray(walker.means(torch.from_numpy(Z))[-1].numpy())
