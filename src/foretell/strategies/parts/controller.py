"""A recurrent network that decides one decision after the other, and REINFORCE for it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from foretell.graphs.pretraining import seeded
from foretell.search.history import Floats
from foretell.spaces.base import Rows, Space


class Controller(nn.Module):
    """p(x) = prod_j p(x_j | x_1, ..., x_(j-1)): an LSTM reads the option before, and a linear map
    of its state has a logit for each option of decision j.

    Args:
        n_options: of each decision, (d,).
        hidden: width of embeddings and states.
        layers: of the LSTM.
        generator: of the weights, uniform in +-`width`.
        width: see there.
    """

    def __init__(
        self,
        n_options: Sequence[int],
        hidden: int,
        layers: int,
        generator: torch.Generator,
        width: float = 0.08,
    ) -> None:
        super().__init__()
        self.ends = np.concatenate([[0], np.cumsum(n_options)]).tolist()
        self.embed = nn.Embedding(self.ends[-1] + 1, hidden)  # the last one is before everything
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, self.ends[-1])
        with torch.no_grad():
            for weight in self.parameters():
                weight.uniform_(-width, width, generator=generator)

    def log_probs(self, X: Tensor) -> list[Tensor]:
        """Of each decision the log-probabilities of its options, given the decisions before.

        Shapes: X (n, d) integers; gives d tensors (n, options).
        """
        tokens = X + torch.tensor(self.ends[:-1])
        begin = torch.full((len(X), 1), self.ends[-1], dtype=torch.long)
        states, _ = self.lstm(self.embed(torch.cat([begin, tokens[:, :-1]], dim=1)))
        return [
            torch.log_softmax(self._logits(states[:, j], j), dim=-1)
            for j in range(len(self.ends) - 1)
        ]

    def _logits(self, state: Tensor, j: int) -> Tensor:
        part = slice(self.ends[j], self.ends[j + 1])
        return nn.functional.linear(state, self.head.weight[part], self.head.bias[part])

    def taken(self, X: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of rows over their decisions that apply, (n,) each."""
        logs = self.log_probs(X)
        mine = torch.stack(
            [one.gather(1, X[:, j, None]).squeeze(1) for j, one in enumerate(logs)], dim=1
        )
        unsure = torch.stack([-(one.exp() * one).sum(dim=1) for one in logs], dim=1)
        return (mine * active).sum(dim=1), (unsure * active).sum(dim=1)

    @torch.no_grad()
    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """`n` rows as the policy decides them, (n, d)."""
        X = np.zeros((n, len(self.ends) - 1), dtype=np.int64)
        token = torch.full((n, 1), self.ends[-1], dtype=torch.long)
        memory = None
        for j in range(X.shape[1]):
            state, memory = self.lstm(self.embed(token), memory)
            logits = self._logits(state[:, 0], j).numpy().astype(np.float64)
            X[:, j] = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
            token = torch.from_numpy(X[:, j : j + 1]) + self.ends[j]
        return X

    @torch.no_grad()
    def log_probability(self, space: Space, X: Rows) -> Floats:
        """Log-probability of rows (n, d), (n,)."""
        logs, _ = self.taken(*tensors(space, X))
        return np.asarray(logs.numpy().astype(np.float64))


class Policy(NamedTuple):
    """A controller in training.

    Args:
        controller: decides.
        optimiser: Adam on its weights.
        baseline: moving average of the rewards; None before the first.
    """

    controller: Controller
    optimiser: torch.optim.Optimizer
    baseline: float | None = None


def tensors(space: Space, X: Rows) -> tuple[Tensor, Tensor]:
    """Rows (n, d) as the controller reads them, and which decisions apply."""
    rows = space.canonical_form(X)
    return torch.from_numpy(rows.astype(np.int64)), torch.from_numpy(space.active(rows)).double()


def policy(space: Space, hidden: int, layers: int, lr: float, seed: int) -> Policy:
    """An untrained one, in double precision so that its updates do not hang on the machine."""
    generator = torch.Generator().manual_seed(seed)
    with seeded(seed):  # torch draws weights of its own before ours
        controller = Controller(space.n_options.tolist(), hidden, layers, generator).double()
    return Policy(controller, torch.optim.Adam(controller.parameters(), lr=lr))


def reinforce_loss(
    controller: Controller, X: Tensor, active: Tensor, advantage: Tensor, entropy: float
) -> Tensor:
    """-(1/n) sum_i [A_i log p(x_i) + entropy H_i], whose gradient is minus that of REINFORCE.

    Shapes: X and active (n, d), advantage (n,).
    """
    logs, unsure = controller.taken(X, active)
    return -(advantage * logs + entropy * unsure).mean()


def updated(
    before: Policy, space: Space, X: Rows, rewards: Floats, entropy: float, decay: float
) -> Policy:
    """The policy after one step on rows (n, d) with rewards (n,); `before` stays as it is.

    The advantage is the reward less the baseline, which then moves: b <- decay b + (1 - decay)
    mean(R); it begins at the first mean.
    """
    mean = float(rewards.mean())
    baseline = mean if before.baseline is None else before.baseline
    controller, optimiser = _copy(before)
    advantage = torch.from_numpy(np.asarray(rewards - baseline, dtype=np.float64))
    optimiser.zero_grad()
    rows, active = tensors(space, X)
    loss: Any = reinforce_loss(controller, rows, active, advantage, entropy)
    loss.backward()
    optimiser.step()
    return Policy(controller, optimiser, decay * baseline + (1 - decay) * mean)


def _copy(before: Policy) -> tuple[Controller, torch.optim.Optimizer]:
    controller: Controller = copy.deepcopy(before.controller)
    groups = before.optimiser.param_groups[0]
    optimiser = torch.optim.Adam(controller.parameters(), lr=groups["lr"])
    optimiser.load_state_dict(copy.deepcopy(before.optimiser.state_dict()))
    return controller, optimiser
