"""A recurrent network that writes a row, option after option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.distribution import (
    Architecture,
    Distribution,
    Draw,
    Gradient,
    gumbel,
    log_softmax,
)


class Writer(Architecture):
    """The weights of the controller; `alpha` is there, and is not used."""

    def __init__(self, mixture: Mixture, hidden: int, rng: torch.Generator) -> None:
        E, K = mixture.shape
        super().__init__(torch.zeros(E, K))
        self.alpha.requires_grad_(False)
        self.cell = nn.LSTMCell(hidden, hidden, bias=False)
        self.tokens = nn.Embedding(E * K + 1, hidden)  # the last one begins
        self.options = nn.Linear(hidden, E * K)
        self.strength = nn.Linear(hidden, 1, bias=False)
        with torch.no_grad():
            for weight in (*self.cell.parameters(), self.tokens.weight, self.options.weight,
                           self.strength.weight):  # fmt: skip
                weight.copy_(0.2 * torch.rand(weight.shape, generator=rng) - 0.1)
            self.options.bias.zero_()


@dataclass(frozen=True)
class Controller(Distribution):
    """An LSTM reads the options of the sites before and gives the logits of the next one.

    Logits l are shaped to t tanh(l / T). Of a node, `keep` sites are drawn without putting back,
    by one more logit for each site.

    Args:
        hidden: units of the LSTM.
        temperature: T.
        tanh: t.
        samples: rows whose mean is `mean`.

    References: Pham et al., ENAS, ICML 2018, section 2.1. `Differs:` one LSTM for the whole row,
    and inputs are sites like any other.
    """

    hidden: int = 32
    temperature: float = 5.0
    tanh: float = 2.5
    samples: int = 64
    gradient: ClassVar[tuple[Gradient, ...]] = ("score",)
    hard: ClassVar[bool] = True

    def start(self, mixture: Mixture, rng: torch.Generator, beta: bool = False) -> Architecture:
        """Small random weights: nearly equal options."""
        return Writer(mixture, self.hidden, rng)

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """A row, and log p of each of its sites."""
        assert isinstance(arch, Writer)
        E, K = mixture.shape
        token = torch.tensor([E * K], device=mask.device)
        state: tuple[Tensor, Tensor] | None = None
        hot, found, strengths = torch.zeros(mask.shape), [], []
        there = mask & torch.from_numpy(mixture.takeable).to(mask.device)
        for e, site in enumerate(mixture.sites):
            state = arch.cell(arch.tokens(token), state)
            logits = arch.options(state[0])[0].view(E, K)[e]
            logits = self.tanh * torch.tanh(logits / self.temperature)
            log_p = log_softmax(logits[None], there[e][None])[0]
            drawn = _without_back(log_p, site.keep, rng)
            hot[e, drawn[0]] = 1.0
            found.append(drawn[1])
            strengths.append(arch.strength(state[0])[0, 0])
            token = torch.tensor([e * K + drawn[0][0]], device=mask.device)
        log_prob = torch.stack(found)
        for node in mixture.nodes:
            log_p = torch.stack([strengths[e] for e in node.sites]).log_softmax(0)
            kept, score = _without_back(log_p, node.keep, rng)
            gone = [e for i, e in enumerate(node.sites) if i not in kept]
            hot[gone] = 0.0
            share = torch.zeros(E).index_fill(0, torch.tensor(node.sites), 1 / len(node.sites))
            log_prob = log_prob + score * share.to(log_prob.device)
        return Draw(hot.to(mask.device), log_prob)

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """The mean of some rows."""
        rng = torch.Generator().manual_seed(0)
        with torch.no_grad():
            rows = [self.draw(arch, mask, mixture, 1.0, rng).z for _ in range(self.samples)]
        return torch.stack(rows).mean(0)


def _without_back(log_p: Tensor, n: int, rng: torch.Generator) -> tuple[list[int], Tensor]:
    """`n` different options in the order of the draw, and its log p."""
    noisy = gumbel(log_p.detach().cpu().double(), rng)
    order = noisy.argsort(descending=True)[: min(n, int((log_p > -1e29).sum()))]
    picked = log_p[order.to(log_p.device)]
    left = torch.log1p(-picked.exp().cumsum(0)[:-1].clamp(max=1 - 1e-6)).sum()
    return order.tolist(), picked.sum() - left
