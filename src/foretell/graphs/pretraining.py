"""Graph encoders that learn from architectures without targets; kept as safetensors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from foretell._files import write_bytes
from foretell.errors import DataError
from foretell.graphs.tensors import Batch


class Objective(Protocol):
    """A module that says how badly it does on graphs, without any target."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What learns."""

    def loss(self, graphs: Batch) -> Tensor:
        """A number to make small."""


class Fidelity(NamedTuple):
    """Shares of operations, of edges (among all pairs of vertices), and of whole graphs."""

    ops: float
    edges: float
    graphs: float


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's own generator at `seed` within, and as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def pretrain(
    module: Objective, graphs: Batch, *, steps: int, lr: float, groups: Tensor, batch_size: int
) -> None:
    """Minimise `module.loss` on batches of graphs: Adam, rising for a tenth, then a cosine.

    Args:
        module: what learns, in place.
        graphs: the architectures.
        steps: of the optimiser.
        lr: highest learning rate.
        groups: (m, k) indices of graphs; a step takes whole rows of it, one after another.
        batch_size: rows of `groups` in a step.
    """
    optimiser = torch.optim.Adam(module.parameters(), lr=lr, fused=True)
    rise = max(steps // 10, 1)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if not len(order):
            order = torch.randperm(len(groups))
        picked, order = groups[order[:batch_size]], order[batch_size:]
        share = (step + 1) / rise if step < rise else (steps - step) / (steps - rise + 1)
        optimiser.param_groups[0]["lr"] = lr * (1.0 - math.cos(math.pi * share)) / 2.0
        optimiser.zero_grad()
        module.loss(graphs.take(picked.reshape(-1))).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()


class Autoencoder(nn.Module):
    """A variational graph autoencoder around any graph encoder.

    The encoder's states h_i give each vertex a latent z_i ~ N(m_i, diag s_i^2), m_i and log s_i^2
    linear in h_i; from latents alone the graph is drawn again,

        P(op_i) = softmax(W z_i + b),    P(i -> j) = sigmoid(z_i U z_j + u z_i + w z_j + c), i < j;

    the loss is the mean over vertices of -log P(op), plus that over pairs of -log P(edge), plus
    `beta` times KL(N(m, s^2), N(0, 1)) for each vertex.

    Args:
        encoder: states (n, v, width) of a `Batch`; vertices that are not there may hold anything.
        width: of the encoder's states.
        words: size of the vocabulary.
        latent: size of z.
        beta: weight of the divergence.
        dropout: share of channels of z left out before the graph is drawn.

    References: Kipf & Welling 2016, Variational Graph Auto-Encoders; Yan et al. 2020, Does
    Unsupervised Architecture Representation Learning Help Neural Architecture Search?, section 3.
    Differs: edges are sigmoid(z_i . z_j) there, which has no direction and cannot tell two vertices
    with the same latent from linked ones; operations are softmax here.
    """

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        words: int,
        latent: int,
        beta: float = 0.005,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, self.beta = encoder, beta
        self.to_latent = nn.Linear(width, 2 * latent)
        self.word = nn.Linear(latent, words)
        self.link = nn.Linear(latent, latent, bias=False)  # U
        self.ends = nn.Linear(latent, 2)  # u and w
        self.drop = nn.Dropout(dropout)

    def latents(self, graphs: Batch) -> tuple[Tensor, Tensor]:
        """Means m and log variances log s^2, both (n, v, latent)."""
        m, log_variance = self.to_latent(self.encoder(graphs)).chunk(2, dim=-1)
        return m, log_variance.clamp(-10.0, 10.0)

    def draw(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of operations (n, v, words) and of edges (n, v, v)."""
        tail, head = self.ends(z).split(1, dim=-1)
        return self.word(z), self.link(z) @ z.transpose(-1, -2) + tail + head.transpose(-1, -2)

    def loss(self, graphs: Batch) -> Tensor:
        """The loss of the class."""
        m, log_variance = self.latents(graphs)
        z = m + (0.5 * log_variance).exp() * torch.randn(m.shape)
        words, edges = self.draw(self.drop(z))
        there, pairs = self._masks(graphs)
        op = nn.functional.cross_entropy(words[there], graphs.ops[there])
        edge = nn.functional.binary_cross_entropy_with_logits(
            edges[pairs], graphs.adjacency[pairs].to(edges.dtype)
        )
        divergence = 0.5 * (m.square() + log_variance.exp() - 1.0 - log_variance).sum(-1)
        return op + edge + self.beta * divergence[there].mean()

    def fidelity(self, graphs: Batch) -> Fidelity:
        """How much of the graphs is drawn right from the means of their latents."""
        with torch.inference_mode():
            words, edges = self.draw(self.latents(graphs)[0])
            there, pairs = self._masks(graphs)
            op = (words.argmax(-1) == graphs.ops) | ~there
            edge = ((edges > 0) == graphs.adjacency) | ~pairs
            whole = op.all(-1) & edge.flatten(1).all(-1)
            return Fidelity(
                op[there].double().mean().item(),
                edge[pairs].double().mean().item(),
                whole.double().mean().item(),
            )

    def _masks(self, graphs: Batch) -> tuple[Tensor, Tensor]:
        """Vertices that are there (n, v), and pairs i < j of them (n, v, v)."""
        there = graphs.ops < self.word.out_features
        return there, (there[:, :, None] & there[:, None, :]).triu(1)


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write the weights of a module as safetensors."""
    state = {name: value.contiguous() for name, value in module.state_dict().items()}
    write_bytes(Path(path), save(state))


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Read the weights of a module that `save_weights` has written.

    Raises:
        DataError: the file cannot be read, or is of another network.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"pretrained weights {str(path)!r}", expected="a .safetensors file", got=error
        ) from error
    own = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(name for name in own.keys() | theirs if own.get(name) != theirs.get(name))
    if wrong:
        raise DataError(
            f"pretrained weights {str(path)!r} are of another network, at {wrong[0]!r}",
            expected=f"shape {own[wrong[0]]}" if wrong[0] in own else "no such weight",
            got=f"shape {theirs[wrong[0]]}" if wrong[0] in theirs else "none",
            hint="load them with the space and the settings they were learnt with",
        )
    module.load_state_dict(state)
