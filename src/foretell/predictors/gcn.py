"""The Neural Predictor: a graph network on the graph view of a space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from foretell.errors import DataError, SettingError
from foretell.predictors._features import Encodings, encode, resolve
from foretell.predictors._graphnet import Batch, GraphNet, batch, inputs
from foretell.predictors._losses import LOSSES, Loss
from foretell.predictors._targets import Scale, Target
from foretell.predictors.base import Floats, Predictor
from foretell.spaces.base import Rows, Space

_KNOTS = 32  # of the map from scores to targets
_BLOCK = 2**19  # floats of one layer that are scored at a time: they stay in the cache


class GCN(Predictor):
    """Bidirectional graph network; an ensemble trained to order architectures.

    Each member passes messages along the edges and against them (`_graphnet.GraphNet`), and is
    trained by AdamW with a cosine schedule to put the better of two architectures first,

        loss = mean over pairs y_i > y_j of log(1 + exp(s_j - s_i)).

    Scores of a member are standardised on the training rows, then averaged. With the losses
    "rank" and "hinge", a strictly increasing piecewise linear map takes the k-th quantile of the
    training scores to the k-th quantile of the training targets, so predictions are in units of
    y. The standard deviation is the spread of the members' scores through the same map: it tells
    where the networks disagree, not the noise of one training, and is too narrow as an interval
    (`auto` widens it by cross-validation).

    Args:
        space: the space whose rows it sees.
        hidden: width of the graph layers, at least 1.
        layers: number of graph layers, at least 1.
        head: width between the two linear maps at the end, at least 1.
        encoding: features of the whole graph beside the pooled vertices (a name of the catalog,
            an `Encoding`, or a tuple of them); None for none. With it the head has a bias and a
            relu.
        loss: "rank" (logistic) or "hinge" on pairs; "mse" on the target; or "bce" on targets in
            [0, 1], whose predictions are then log-odds.
        target: of "mse": "rank" or "value"; ranking losses look at the order alone.
        members: networks that differ by their initial weights (and dropout), at least 1.
        epochs: passes through the training rows, at least 1; as many more as `min_steps` needs.
        min_steps: fewest optimiser steps.
        batch_size: architectures in a step, at least 2.
        lr: highest learning rate.
        weight_decay: decoupled weight decay.
        dropout: share of channels left out, in [0, 1).
        random_state: non-negative seed, or None for fresh entropy.

    References: Wen et al. 2020, Neural Predictor for Neural Architecture Search, section 3;
    Burges et al. 2005 (pairwise logistic loss).
    Differs: the paper has one member, squared error, 144 channels and no features of the graph:
    `GCN.paper(space)`; there weight decay is Adam's, dropout is drawn for each vertex, here for
    each graph.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = GCN(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    """

    has_std = True

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        layers: int = 3,
        head: int = 48,
        encoding: Encodings | None = "graph-stats",
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 4,
        epochs: int = 80,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 1e-2,
        weight_decay: float = 1e-2,
        dropout: float = 0.0,
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
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> GCN:
        """The settings of the paper: one network, squared error of standardised targets."""
        settings: dict[str, Any] = {
            "hidden": 144,
            "head": 128,
            "encoding": None,
            "loss": "mse",
            "target": "value",
            "members": 1,
            "epochs": 300,
            "min_steps": 1,
            "batch_size": 10,
            "lr": 1e-4,
            "weight_decay": 1e-3,
            "dropout": 0.1,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    # -- learning -----------------------------------------------------------------------------

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self._check_settings()
        self.encodings_ = [] if self.encoding is None else resolve(self.encoding, self.space)
        raw = self._features(X)
        self.centre_ = raw.mean(axis=0)
        spread = raw.std(axis=0)
        self.spread_ = np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
        scale = self._scale(y)
        graphs = self._batch(X)
        self.net_ = self._train(graphs, scale.score(y), rng)
        scores = self._scores(graphs)
        if self.loss in ("mse", "bce"):
            self.scale_, self.shift_, self.unit_ = scale, np.zeros(1), np.ones(1)
            return
        unit = scores.std(axis=1)
        self.shift_, self.unit_ = scores.mean(axis=1), np.where(unit > 1e-9, unit, 1.0)
        mean = ((scores - self.shift_[:, None]) / self.unit_[:, None]).mean(axis=0)
        self.scale_ = _quantile_map(mean, y)

    def _check_settings(self) -> None:
        least = {"hidden": 1, "layers": 1, "head": 1, "members": 1, "epochs": 1, "batch_size": 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise SettingError(name, expected=f"at least {low}", got=getattr(self, name))
        if self.loss not in LOSSES:
            raise SettingError("loss", expected="one of " + ", ".join(LOSSES), got=repr(self.loss))
        if self.lr <= 0:
            raise SettingError("lr", expected="above 0", got=self.lr)
        if self.weight_decay < 0:
            raise SettingError("weight_decay", expected="at least 0", got=self.weight_decay)
        if not 0 <= self.dropout < 1:
            raise SettingError("dropout", expected="in [0, 1)", got=self.dropout)

    def _scale(self, y: Floats) -> Scale:
        """What the loss sees as its target."""
        if self.loss != "bce":
            return Scale.of(y, self.target)
        if y.min() < 0.0 or y.max() > 1.0:
            raise DataError(
                "targets y of loss 'bce'", expected="in [0, 1]", got=f"{y.min()} to {y.max()}"
            )
        return Scale(np.array([0.0, 1.0]), np.array([0.0, 1.0]))

    def _train(self, graphs: Batch, target: Floats, rng: np.random.Generator) -> GraphNet:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        n = len(target)
        net = GraphNet(
            self.members,
            len(self.space.vocabulary),
            graphs.features.shape[1],
            hidden=self.hidden,
            layers=self.layers,
            head=self.head,
            relu=self.encoding is not None,
            dropout=self.dropout,
            generator=generator,
        )
        seen = inputs(graphs, len(self.space.vocabulary))
        goal = torch.from_numpy(target.astype(np.float32))
        loss = LOSSES[self.loss]
        parts = max(n // self.batch_size, 1)  # equal batches, none much smaller
        epochs = max(self.epochs, math.ceil(self.min_steps / parts))
        optimiser = torch.optim.AdamW(
            net.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True
        )
        step, steps = 0, epochs * parts
        for _ in range(epochs):
            for rows in torch.randperm(n, generator=generator).tensor_split(parts):
                optimiser.param_groups[0]["lr"] = (
                    self.lr * (1.0 + math.cos(math.pi * step / steps)) / 2.0
                )
                optimiser.zero_grad()
                total = loss(net(seen.take(rows), generator), goal[rows])
                total.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                step += 1
        return net.eval().requires_grad_(False)

    # -- scoring ------------------------------------------------------------------------------

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        step = 32_768  # rows whose graphs are in memory at once
        parts = [self._scores(self._batch(X[i : i + step])) for i in range(0, len(X), step)]
        scores = (np.concatenate(parts, axis=1) - self.shift_[:, None]) / self.unit_[:, None]
        mean, std = scores.mean(axis=0), scores.std(axis=0)
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _features(self, X: Rows) -> NDArray[np.float32]:
        if not self.encodings_:
            return np.zeros((len(X), 0), dtype=np.float32)
        return encode(self.encodings_, X)

    def _batch(self, X: Rows) -> Batch:
        features = (self._features(X) - self.centre_) / self.spread_
        if self.encodings_:
            features = np.concatenate([features, np.ones((len(X), 1), dtype=np.float32)], axis=1)
        return batch(self.space.graphs(X), features, len(self.space.vocabulary))

    def _scores(self, graphs: Batch) -> Floats:
        """Scores (M, n) of the members; equal graphs are scored once."""
        kept, where = _distinct(graphs)
        graphs = graphs.take(torch.from_numpy(kept))
        n, v = graphs.ops.shape
        words = len(self.space.vocabulary)
        step = max(_BLOCK // (v * max(2 * self.hidden * self.members, words, v)), 1)
        with torch.inference_mode():
            parts = [
                self.net_(inputs(graphs.take(slice(i, i + step)), words)) for i in range(0, n, step)
            ]
            return torch.cat(parts, dim=1).numpy().astype(np.float64)[:, where]


def _distinct(graphs: Batch) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the different graphs, and for each graph its place among them."""
    n = len(graphs.ops)
    parts = (
        graphs.ops.numpy().astype(np.int16),
        np.packbits(graphs.adjacency.numpy().reshape(n, -1), axis=1),
        graphs.features.numpy(),
    )
    key = np.concatenate([part.reshape(n, -1).view(np.uint8) for part in parts], axis=1)
    packed = np.ascontiguousarray(key).view(np.dtype((np.void, key.shape[1])))[:, 0]
    _, kept, where = np.unique(packed, return_index=True, return_inverse=True)
    return kept, where


def _quantile_map(scores: Floats, y: Floats) -> Scale:
    """The increasing map of quantiles of `scores` to those of `y`; see `GCN`."""
    levels = np.linspace(0.0, 1.0, min(len(y), _KNOTS))
    knots, values = np.quantile(scores, levels), np.quantile(y, levels)
    # scores that rounding alone tells apart are one knot: no step of y hangs on the last digit
    grid = np.round((knots - knots[0]) * (1e4 / max(knots[-1] - knots[0], 1e-12)))
    kept = np.unique(grid, return_index=True)[1]
    knots, values = knots[kept], values[kept]
    reach = values[-1] - values[0]
    if len(knots) < 2 or reach == 0.0:
        return Scale(np.array([-1.0, 1.0]), y.mean() + float(y.std()) * np.array([-1.0, 1.0]))
    return Scale(knots, values + 1e-6 * reach * (knots - knots[0]) / (knots[-1] - knots[0]))
