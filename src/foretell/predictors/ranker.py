"""A Siamese ranker: a network that compares two architectures, and a tournament."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from foretell.graphs.tensors import Batch
from foretell.predictors.base import Floats
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.global_net import Global, GlobalNet, with_global
from foretell.predictors.parts.losses import better
from foretell.predictors.parts.members import Linear, drop
from foretell.predictors.parts.neural import RANGES, Neural, side_by_side
from foretell.spaces.base import Space


class Comparator(nn.Module):
    """M encoders, and for each a network that says which of two embeddings is better.

    d(i, j) = f(e_i, e_j) - f(e_j, e_i) with f(a, b) = w . relu(U a + V b + c), so
    d(i, j) = -d(j, i). Scores are the mean over the `anchors`, the embedded training rows, of
    P(i better than j) = 1 / (1 + exp(-d(i, j))).
    """

    anchors: Tensor

    def __init__(
        self,
        encoder: GlobalNet,
        width: int,
        hidden: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.encoder, self.dropout = encoder, dropout
        self.first = Linear(encoder.members, width, hidden, generator)
        self.second = Linear(encoder.members, width, hidden, generator, bias=False)
        self.last = Linear(encoder.members, hidden, 1, generator, bias=False)
        self.register_buffer("anchors", torch.zeros(encoder.members, 0, width))

    def compare(
        self, left: Tensor, right: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """d (M, ...) of embeddings (M, ..., width) whose shapes broadcast."""
        forth = torch.relu(self.first(left) + self.second(right))
        back = torch.relu(self.first(right) + self.second(left))
        lead: Tensor = self.last(drop(forth - back, self.dropout, generator))
        return lead.squeeze(-1)

    def forward(self, view: Global, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n)."""
        rows = self.encoder.embed(view, generator)
        lead = self.compare(rows.unsqueeze(2), self.anchors.unsqueeze(1), generator)
        return torch.sigmoid(lead).mean(-1)


class Ranker(Neural):
    """A Siamese ranker: a network compares two architectures, a tournament ranks them.

    Two embeddings of one graph network (`parts.global_net.GlobalNet`) enter a comparator that is
    more than the difference of two scores (`Comparator`), d(i, j) = f(e_i, e_j) - f(e_j, e_i),
    trained on all pairs of a batch,

        loss = mean over pairs y_i > y_j of log(1 + exp(-d(i, j))).

    A row's score is its expected share of wins against the training rows,
    mean over j of 1 / (1 + exp(-d(i, j))): n comparisons for each row, done as one array.

    Args:
        space: the space whose rows it sees.
        hidden: width of the graph layers, at least 1.
        layers: number of graph layers, at least 1.
        head: width of the embedding, at least 1.
        pair: width of the comparator's hidden layer, at least 1.
        max_rows: most training rows that a row is compared with; of more, a random part.
        encoding: features of the whole graph beside the embedding (a name of the catalog, an
            `Encoding`, or a tuple of them); None for none.
        members, epochs, min_steps, batch_size, lr, weight_decay, device, random_state: as
            in `Neural`.
        dropout: share of channels left out, in [0, 1).

    References: Chen et al. 2021, Contrastive Neural Architecture Search with Neural Architecture
    Comparators (CTNAS); Changiz Rezaei et al. 2021, GA-NAS (Siamese discriminator).
    Differs: the comparator of CTNAS is linear in the two embeddings, which makes it a difference
    of scores (see `BRP`), and scores against a moving baseline; here it has a hidden layer, is
    antisymmetric by construction, and scores against all training rows. `Ranker.paper(space)` has
    the widths and the optimiser of CTNAS.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = Ranker(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    """

    least: ClassVar = {"hidden": 1, "layers": 1, "head": 1, "pair": 1, "max_rows": 1}
    loss = "rank"
    target = "rank"
    ranges: ClassVar = RANGES

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        layers: int = 3,
        head: int = 48,
        pair: int = 16,
        max_rows: int = 500,
        encoding: Encodings | None = COUNTED,
        members: int = 8,
        epochs: int = 80,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 1e-2,
        weight_decay: float = 1e-2,
        dropout: float = 0.0,
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.hidden = hidden
        self.layers = layers
        self.head = head
        self.pair = pair
        self.max_rows = max_rows
        self.encoding = encoding
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> Ranker:
        """One network of the size and training of CTNAS, no features of the graph."""
        settings: dict[str, Any] = {
            "hidden": 128,
            "layers": 4,
            "head": 128,
            "pair": 128,
            "encoding": None,
            "members": 1,
            "epochs": 1000,
            "min_steps": 1,
            "batch_size": 32,
            "lr": 2e-4,
            "weight_decay": 5e-4,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _net(self, view: Batch, generator: torch.Generator) -> Comparator:
        encoder = GlobalNet(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            hidden=self.hidden,
            layers=self.layers,
            head=(self.head,),
            norm="layer",
            dropout=self.dropout,
            generator=generator,
        )
        return Comparator(encoder, self.head, self.pair, self.dropout, generator)

    def _inputs(self, view: Batch) -> Global:
        return with_global(view, len(self.space.vocabulary))

    def _floats(self, view: Batch) -> int:
        return 2 * (view.ops.shape[1] + 1) * self.members * max(self.hidden, self.pair)

    def _loss(self, net: nn.Module, seen: Any, goal: Tensor, generator: torch.Generator) -> Tensor:
        assert isinstance(net, Comparator)  # of `_net`
        rows = net.encoder.embed(seen, generator)
        lead = net.compare(rows.unsqueeze(2), rows.unsqueeze(1), generator)
        ordered = better(goal).to(lead.dtype)
        wrong = nn.functional.softplus(-lead) * ordered
        return (wrong.sum((-2, -1)) / ordered.sum((-2, -1)).clamp(min=1.0)).sum()

    def _train(self, view: Batch, target: Floats, generator: torch.Generator) -> nn.Module:
        net = super()._train(view, target, generator)
        assert isinstance(net, Comparator)
        rows = torch.randperm(len(view.ops), generator=generator)[: self.max_rows].sort().values
        with torch.no_grad():
            net.anchors = net.encoder.embed(self._inputs(view.take(rows)))
        return net

    def compare(self, A: ArrayLike, B: ArrayLike) -> Floats:
        """P(a better than b) for rows A (n, d) and B (n, d), side by side: (n,), by all members.

        1 / (1 + exp(-d(a, b))), averaged; `compare(A, B) + compare(B, A)` is 1.
        """
        check_is_fitted(self, "n_features_in_")
        net = self.net_
        assert isinstance(net, Comparator)
        with torch.inference_mode():
            a, b = (
                net.encoder.embed(self._inputs(self._view(rows)))
                for rows in side_by_side(self.space, A, B)
            )
            lead = net.compare(a, b).numpy().astype(np.float64)
        return np.asarray(expit(lead).mean(axis=0))
