"""BRP-NAS: the binary relation of two architectures."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from foretell.graphs.tensors import Batch
from foretell.predictors.base import Floats
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.global_net import Global, GlobalNet, with_global
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.neural import RANGES, Neural, side_by_side
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class BRP(Neural):
    """BRP-NAS: which of two architectures is better, from two embeddings by one linear map.

    A graph network with a global vertex (`parts.global_net.GlobalNet`, layer normalisation) embeds
    both architectures; a linear map of the two embeddings side by side has two logits, and

        P(i better than j) = softmax(W [e_i; e_j] + b)_1.

    Averaged over both orders of the pair, the log-odds of that are s_i - s_j with
    s_i = (w_11 - w_21 - w_12 + w_22) . e_i / 2 (w_kl: what logit k takes from embedding l), because
    b and the common part cancel. So the relation is antisymmetric, the comparator never goes in a
    circle, and sorting n rows takes n scores. `compare` gives the probabilities.

    Args:
        space: the space whose rows it sees.
        hidden: width of the graph layers, at least 1.
        layers: number of graph layers, at least 1.
        head: widths of hidden layers between embedding and score; the paper has none.
        encoding: features of the whole graph beside the embedding (a name of the catalog, an
            `Encoding`, or a tuple of them); None for none.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay, device,
            random_state: as in `Neural`.
        dropout: share of channels left out, in [0, 1).

    References: Dudziak et al. 2020, BRP-NAS: Prediction-based NAS using GCNs, sections 3 and 4.
    Differs: the paper has one member of 4 layers of 600 channels, learns the softmax of two
    accuracies ("soft") and has no features of the graph: `BRP.paper(space)`; there batches are of
    pairs, here of architectures with all their pairs, and training stops early. The default
    learns the order alone, the limit of "soft" for far apart targets.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = BRP(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    >>> model.compare([[3, 3, 3, 3, 3, 3]], [[0, 0, 0, 0, 0, 0]])[0] > 0.9
    np.True_
    """

    least: ClassVar = {"hidden": 1, "layers": 1}
    ranges: ClassVar = RANGES

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        layers: int = 3,
        head: tuple[int, ...] = (48,),
        encoding: Encodings | None = COUNTED,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 4,
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> BRP:
        """The paper's settings: one wide network, soft labels of standardised targets."""
        settings: dict[str, Any] = {
            "hidden": 600,
            "layers": 4,
            "head": (),
            "encoding": None,
            "loss": "soft",
            "target": "value",
            "members": 1,
            "epochs": 250,
            "min_steps": 1,
            "batch_size": 8,
            "lr": 3.5e-4,
            "weight_decay": 5e-4,
            "dropout": 0.2,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def compare(self, A: ArrayLike, B: ArrayLike) -> Floats:
        """P(a better than b) for rows A (n, d) and B (n, d), side by side: (n,), by all members.

        1 / (1 + exp(-(s_a - s_b))), averaged; `compare(A, B) + compare(B, A)` is 1.
        """
        check_is_fitted(self, "n_features_in_")
        a, b = (self._scores(self._view(rows)) for rows in side_by_side(self.space, A, B))
        return np.asarray(expit(a - b).mean(axis=0))

    def _net(self, view: Batch, generator: torch.Generator) -> GlobalNet:
        return GlobalNet(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            hidden=self.hidden,
            layers=self.layers,
            head=self.head,
            norm="layer",
            dropout=self.dropout,
            generator=generator,
        )

    def _inputs(self, view: Batch) -> Global:
        return with_global(view, len(self.space.vocabulary))

    def _floats(self, view: Batch) -> int:
        return 2 * (view.ops.shape[1] + 1) * self.members * self.hidden
