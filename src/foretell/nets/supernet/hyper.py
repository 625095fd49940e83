"""A supernet whose operations have the weights that a graph network writes for the row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from foretell.nets.supernet.mixed import Supernet


class HyperSupernet(Supernet):
    """Sites are vertices with the options that the board shows; messages go along `links` and back.

    A weight of an operation is a linear map of its site's state and its place in the network, one
    map for each shape, divided to the scale 2/fan-in. What is no operation of a site has weights
    of its own, which are trained too.

    Args:
        net: a supernet.
        links: pairs of sites, of which the second reads what the first gives.
        hidden: numbers of a state.
        rounds: of messages.

    References: Zhang, Ren & Urtasun, Graph HyperNetworks for NAS, ICLR 2019. `Differs:` one map for
    each shape instead of chunks.
    """

    def __init__(
        self, net: Supernet, links: Sequence[tuple[int, int]], hidden: int, rounds: int
    ) -> None:
        super().__init__(net.net, net.board)
        self.rounds = rounds
        E, K = net.board.z.shape
        words = sorted({name for names in net.board.options for name in names})
        table = torch.zeros(E, K, len(words))
        for e, names in enumerate(net.board.options):
            for k, name in enumerate(names):
                table[e, k, words.index(name)] = 1.0
        ahead = torch.zeros(E, E)
        for a, b in links:
            ahead[b, a] = 1.0
        self.register_buffer("words", table, persistent=False)
        self.register_buffer("ahead", ahead, persistent=False)
        self.embed = nn.Linear(len(words), hidden)
        self.message = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        self.update = nn.GRUCell(hidden, hidden)
        self.maps = nn.ModuleDict()
        self.places = nn.ParameterDict()
        self.written: list[tuple[str, int, str, str, torch.Size]] = []
        for m, mixed in enumerate(net.mixed()):
            prefix = next(name for name, one in self.net.named_modules() if one is mixed)
            for name, value in list(mixed.named_parameters()):
                if value.ndim < 2:
                    continue
                key = "x".join(map(str, value.shape))
                if key not in self.maps:
                    self.maps[key] = nn.Linear(hidden, value.numel())
                place = f"{m}_{name.replace('.', '_')}"
                self.places[place] = nn.Parameter(0.1 * torch.randn(hidden))
                self.written.append((f"{prefix}.{name}", mixed.site, key, place, value.shape))
                value.requires_grad_(False)

    def states(self) -> Tensor:
        """Of each site for what the board shows, (E, hidden)."""
        words, ahead = self.get_buffer("words"), self.get_buffer("ahead")
        shown = torch.einsum("ek,ekw->ew", self.board.z.detach().to(words), words)
        state: Tensor = torch.tanh(self.embed(shown))
        for _ in range(self.rounds):
            for way, matrix in enumerate((ahead, ahead.T)):
                sent = matrix @ self.message[way](state)
                state = self.update(sent, state)
        return state

    def weights(self) -> dict[str, Tensor]:
        """What is written for the row that the board shows, by name in the network."""
        state, out = self.states(), {}
        for name, site, key, place, shape in self.written:
            raw = self.maps[key](torch.tanh(state[site] + self.places[place])).view(shape)
            fan_in = math.prod(shape[1:])
            out[name] = raw / raw.std().clamp(min=1e-6) * math.sqrt(2 / fan_in)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Logits with the written weights."""
        out: Tensor = functional_call(self.net, self.weights(), (x,))
        return out
