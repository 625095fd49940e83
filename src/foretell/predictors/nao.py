"""NAO: an encoder of the sequence, a predictor on its latent, and a decoder back."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import torch
from scipy.stats import loguniform
from torch import Tensor, nn

from foretell.encodings.sequence import PAD, tokens, used
from foretell.errors import SettingError
from foretell.graphs.order import canonical
from foretell.graphs.tensors import mean
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.losses import LOSSES, Loss
from foretell.predictors.parts.neural import Ensemble, Neural
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Rows, Space

Step = Literal["vertex", "token"]


class NAO(Neural):
    """Recurrent encoder, predictor and decoder, trained together; an ensemble that orders.

    The architecture is a sequence of tokens (`encodings.sequence`), one vertex a step, in an order
    that does not change when vertices are renamed. With x_t the sum of the embeddings of the tokens
    of step t,

        h_1..h_L = bidirectional LSTM(x_1..x_L),    c_t = (W h_t + x_t) / |W h_t + x_t|,
        latent c = mean_t c_t / |mean_t c_t|,    score = w . (c + mlp(c, features)) / sqrt(2),
        decoder: LSTM that starts from c, reads step t - 1 and attends to c_1..c_L, gives step t;

        loss = (1 - weight) ranking loss(score) + weight (-mean log P(token)).

    The decoder makes the latent hold the whole architecture. Scores are averaged and mapped to the
    targets as in `GCN`, whose remark on the standard deviation holds here too.

    Args:
        space: the space whose rows it sees.
        hidden: width of embeddings, latent, and each direction of the LSTM.
        head: width of the hidden layer of `mlp`.
        step: "vertex" for one step of the LSTM a vertex, "token" for one a token.
        weight: of the decoder's loss, in [0, 1).
        encoding: features of the whole graph beside the latent (a name of the catalog, an
            `Encoding`, or a tuple of them); None for none.
        loss: "rank" (logistic) or "hinge" on pairs; "mse" or "mae" on the target; or "bce".
        target: of "mse" and "mae": "rank" or "value"; ranking losses look at the order alone.
        members: networks that differ by their initial weights and dropout, at least 1.
        epochs: passes through the training rows, at least 1; as many more as `min_steps` needs.
        min_steps: fewest optimiser steps.
        batch_size: architectures in a step of the optimiser, at least 2.
        lr: highest learning rate.
        weight_decay: decoupled weight decay.
        dropout: share of channels left out, in [0, 1).
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: Luo et al. 2018, Neural Architecture Optimization, section 3; White et al. 2021,
    How Powerful are Performance Predictors in NAS?
    Differs: the paper has one network, a step for each token, squared error and no features of the
    graph: `NAO.paper(space)`, with the 50 epochs of the study instead of the paper's 1,000, and a
    rate that falls by a cosine; its order of vertices is that of the table.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(40, rng=0)
    >>> model = NAO(space, hidden=8, min_steps=40, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> low, high = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]])
    >>> bool(high > low + 2)
    True
    """

    least: ClassVar[dict[str, int]] = {"hidden": 1, "head": 1}
    ranges: ClassVar = {
        "hidden": [16, 32, 64],
        "weight": [0.0, 0.2, 0.5],
        "lr": loguniform(3e-3, 3e-2),
        "weight_decay": loguniform(1e-3, 1e-1),
        "epochs": [20, 40, 80],
    }

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        head: int = 48,
        step: Step = "vertex",
        weight: float = 0.2,
        encoding: Encodings | None = COUNTED,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 3,
        epochs: int = 40,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 1e-2,
        weight_decay: float = 1e-2,
        dropout: float = 0.1,
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.hidden = hidden
        self.head = head
        self.step = step
        self.weight = weight
        self.encoding = encoding
        self.loss = loss
        self.target = target
        self.members = members
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.device = device
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> NAO:
        """The settings of the paper as the study has them."""
        settings: dict[str, Any] = {
            "hidden": 64,
            "head": 16,
            "step": "token",
            "encoding": None,
            "loss": "mse",
            "target": "value",
            "members": 1,
            "epochs": 50,
            "min_steps": 1,
            "batch_size": 100,
            "lr": 1e-3,
            "weight_decay": 1e-4,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.step not in ("vertex", "token"):
            raise SettingError("step", expected="'vertex' or 'token'", got=repr(self.step))
        if not 0 <= self.weight < 1:
            raise SettingError("weight", expected="in [0, 1)", got=self.weight)

    def _view(self, X: Rows) -> Steps:
        steps = tokens(canonical(self.space.graphs(X)))
        if self.step == "token":
            steps = steps[:, used(steps.shape[2]), None]
        return Steps(torch.from_numpy(steps), torch.tensor(self._features(X)))

    def _inputs(self, view: Steps) -> Inputs:
        hot = nn.functional.one_hot(view.tokens, self._n_tokens)[..., 1:].flatten(2)
        return Inputs(view.tokens, hot.to(torch.float32), view.features)

    def _floats(self, view: Steps) -> int:
        steps, slots = view.tokens.shape[1:]
        return steps * (slots * self._n_tokens + 16 * self.hidden)

    @property
    def _n_tokens(self) -> int:
        return len(self.space.vocabulary) + 2

    def _net(self, view: Steps, generator: torch.Generator) -> nn.Module:
        slots, features = view.tokens.shape[2], view.features.shape[1]
        return Ensemble(
            Network(slots, self._n_tokens, features, self.hidden, self.head, self.dropout)
            for _ in range(self.members)
        )

    def _loss(
        self, net: nn.Module, seen: Inputs, goal: Tensor, generator: torch.Generator
    ) -> Tensor:
        assert isinstance(net, Ensemble)
        both = [network.both(seen) for network in net.networks]  # type: ignore[operator]  # of `_net`
        scores = torch.stack([score for score, _ in both])
        drawn = torch.stack([loss for _, loss in both]).sum()
        return (1.0 - self.weight) * LOSSES[self.loss](scores, goal) + self.weight * drawn


class Steps(NamedTuple):
    """Tokens (n, L, k), k of them a step, and features (n, f)."""

    tokens: Tensor
    features: Tensor

    def take(self, rows: Any) -> Steps:
        """Some of the rows."""
        return Steps(self.tokens[rows], self.features[rows])


class Inputs(NamedTuple):
    """`Steps` with their tokens also one-hot side by side, (n, L, k (tokens - 1))."""

    tokens: Tensor
    hot: Tensor
    features: Tensor

    def take(self, rows: Any) -> Inputs:
        """Some of the rows."""
        return Inputs(self.tokens[rows], self.hot[rows], self.features[rows])


class Network(nn.Module):
    """Encoder, predictor and decoder of one member; the equations are `NAO`'s.

    Args:
        slots: tokens a step, k.
        n_tokens: number of different tokens, `PAD` included.
        features: of the whole graph, f.
        hidden, head: widths.
        dropout: share of channels of embeddings and states that is left out in training.
    """

    def __init__(
        self, slots: int, n_tokens: int, features: int, hidden: int, head: int, dropout: float
    ) -> None:
        super().__init__()
        self.slots, self.n_tokens = slots, n_tokens
        self.drop = nn.Dropout(dropout)
        self.enter = nn.Linear(slots * (n_tokens - 1), hidden)
        nn.init.normal_(self.enter.weight, std=slots**-0.5)  # sums of embeddings: unit variance
        self.encoder = nn.LSTM(hidden, hidden, bidirectional=True, batch_first=True)
        self.leave = nn.Linear(2 * hidden, hidden)
        self.inner = nn.Linear(hidden + features, head)
        self.outer = nn.Linear(head, hidden)
        self.score = nn.Linear(hidden, 1)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.attend = nn.Linear(2 * hidden, hidden)
        self.write = nn.Linear(hidden, slots * n_tokens)

    def forward(self, seen: Inputs, generator: torch.Generator | None = None) -> Tensor:
        """Scores (n,)."""
        return self._score(self._encode(seen)[2], seen)

    def both(self, seen: Inputs) -> tuple[Tensor, Tensor]:
        """Scores (n,), and minus the mean log probability of the tokens."""
        read, states, latent = self._encode(seen)
        logits = self._decode(read, states, latent)
        drawn = nn.functional.cross_entropy(
            logits.flatten(0, 2), seen.tokens.flatten(), ignore_index=PAD
        )
        return self._score(latent, seen), drawn

    def fidelity(self, seen: Inputs) -> float:
        """Share of tokens that the decoder finds likeliest, given the tokens before."""
        with torch.inference_mode():
            likeliest = self._decode(*self._encode(seen)).argmax(-1)
            there = seen.tokens != PAD
            return float((likeliest == seen.tokens)[there].double().mean())

    def _encode(self, seen: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings and states of the steps (n, L, hidden), and the latent (n, hidden)."""
        read = self.drop(self.enter(seen.hot))
        states = self.leave(self.drop(self.encoder(read)[0])) + read
        states = nn.functional.normalize(states, dim=-1)
        latent = mean(states, (seen.tokens != PAD).any(-1))
        return read, states, nn.functional.normalize(latent, dim=-1)

    def _score(self, latent: Tensor, seen: Inputs) -> Tensor:
        wide = torch.cat([latent, seen.features], dim=-1)
        more = self.drop(torch.relu(self.outer(self.drop(torch.relu(self.inner(wide))))))
        score: Tensor = self.score((latent + more) * 0.5**0.5).squeeze(-1)
        return score

    def _decode(self, read: Tensor, states: Tensor, latent: Tensor) -> Tensor:
        """Logits (n, L, k, tokens) of each step from the steps before it."""
        before = torch.cat([torch.zeros_like(read[:, :1]), read[:, :-1]], dim=1)
        start = latent.unsqueeze(0).contiguous()
        H, _ = self.decoder(before, (start, torch.zeros_like(start)))
        attention = (H @ states.transpose(1, 2) * H.shape[-1] ** 0.5).softmax(-1)
        H = torch.tanh(self.attend(torch.cat([attention @ states, H], dim=-1)))
        logits: Tensor = self.write(self.drop(H))
        return logits.view(*logits.shape[:2], self.slots, self.n_tokens)
