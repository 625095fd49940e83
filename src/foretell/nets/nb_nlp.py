"""Recurrent networks of recipes of NAS-Bench-NLP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Node = tuple[int, str, Sequence[int]]  # number, operation, what it reads


class NBNLPNet(nn.Module):
    """Linear map of each step's input, one recurrent cell, linear head of its last output.

    Args:
        nodes: those that matter, sources first; a source is 0 for the input, then the states,
            then the nodes.
        new: state -> the node that becomes it.
        n_states: of the cell.
        steps: of a sequence.
        features: of a step.
        n_outputs: of the head.
        hidden: size of every node.

    Shapes: (n, steps, features) to (n, n_outputs).

    References: Klyuchnikov et al., NAS-Bench-NLP, 2022. `Differs:` one layer with a classifier
    instead of three with a language model; the input is mapped to the size of the states first.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        new: Mapping[int, int],
        n_states: int,
        steps: int,
        features: int,
        n_outputs: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.nodes, self.new, self.steps, self.hidden = list(nodes), dict(new), steps, hidden
        self.n_states = n_states
        self.stem = nn.Linear(features, hidden)
        self.linear = nn.ModuleDict(
            {
                f"node_{j}": nn.Linear(hidden * len(reads), hidden)
                for j, op, reads in nodes
                if op == "linear"
            }
        )
        self.head = nn.Linear(hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        inputs = self.stem(x)
        zero = torch.zeros_like(inputs[:, 0])
        states, first = dict.fromkeys(range(self.n_states), zero), 1 + self.n_states
        for t in range(self.steps):
            values = {0: inputs[:, t], **{1 + i: state for i, state in states.items()}}
            for j, op, reads in self.nodes:
                values[first + j] = self._value(j, op, [values[k] for k in reads])
            states |= {i: values[first + j] for i, j in self.new.items()}
        logits: Tensor = self.head(states[0])
        return logits

    def _value(self, j: int, op: str, reads: list[Tensor]) -> Tensor:
        if op == "linear":
            out: Tensor = self.linear[f"node_{j}"](torch.cat(reads, dim=-1))
            return out
        if op == "blend":
            z, a, b = reads
            return z * a + (1.0 - z) * b
        if op == "elementwise_prod":
            return reads[0] * reads[1]
        if op == "elementwise_sum":
            return reads[0] + reads[1]
        if op == "activation_tanh":
            return torch.tanh(reads[0])
        if op == "activation_sigm":
            return torch.sigmoid(reads[0])
        return nn.functional.leaky_relu(reads[0])
