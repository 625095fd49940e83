"""arch2vec: a Gaussian process on an embedding that was learnt without targets."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from foretell.encodings import Encoding
from foretell.encodings.arch2vec import Arch2Vec as Embedding
from foretell.encodings.parts.learnt import Learnt
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.gp import GP
from foretell.predictors.parts.features import COUNTED, Encodings, resolve
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Rows, Space


class Arch2Vec(Predictor):
    """Gaussian process on the latent of an unsupervised graph autoencoder.

    The autoencoder learns from architectures alone, once for a space and in a few seconds
    (`encodings.arch2vec`); the process (`GP`) learns from the targets, with one length scale for
    the embedding and one for each other encoding beside it.

    Args:
        space: the space whose rows it sees.
        embedding: the learnt encoding: a name of the catalog ("arch2vec", "cate") or an
            `Encoding`, e.g. `encodings.get("arch2vec", space, path="weights.safetensors")`.
        encoding: features beside the embedding (a name of the catalog, an `Encoding`, or a tuple
            of them); None for none.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        steps: of learning the embedding, where it is a name.
        random_state: non-negative seed, or None for fresh entropy.

    References: Yan et al. 2020, Does Unsupervised Architecture Representation Learning Help Neural
    Architecture Search?, sections 3 and 4.2.
    Differs: the paper's process sees the embedding alone, and accuracies: `Arch2Vec.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(50, rng=0)
    >>> model = Arch2Vec(space, steps=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    has_std = True

    ranges: ClassVar = {
        "embedding": ["arch2vec", "cate"],
        "encoding": [None, "graph-stats", COUNTED],
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        embedding: str | Encoding = "arch2vec",
        encoding: Encodings | None = COUNTED,
        target: Target = "rank",
        steps: int = 400,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.embedding = embedding
        self.encoding = encoding
        self.target = target
        self.steps = steps
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> Arch2Vec:
        """The settings of the paper: its embedding alone, and standardised targets."""
        settings = {"embedding": Embedding.paper(space), "encoding": None, "target": "value"}
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        parts = resolve(self.embedding, self.space, X)
        if isinstance(self.embedding, str) and isinstance(parts[0], Learnt):
            parts[0].set_params(steps=self.steps)
        if self.encoding is not None:
            parts += resolve(self.encoding, self.space, X)
        seed = int(rng.integers(2**31))
        self.head_ = GP(self.space, encoding=tuple(parts), target=self.target, random_state=seed)
        self.head_.fit(X, y)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return self.head_.predict(X, return_std=True)

    def _mean(self, X: Rows) -> Floats:
        return self.head_.predict(X)
