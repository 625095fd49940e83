"""Predictors that train a torch network on rows, as an ensemble: all but the network."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import loguniform
from torch import Tensor, nn

from foretell.errors import DataError, SettingError
from foretell.evidence.parts.beside import mutants
from foretell.graphs.tensors import batch
from foretell.nets.devices import pick_device
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import unaware, widening
from foretell.predictors.parts.features import Encodings, encode, resolve, standard
from foretell.predictors.parts.losses import LOSSES, ON_TARGETS, Loss
from foretell.predictors.parts.targets import Scale, Scales, Target
from foretell.spaces.base import Rows, Space

# settings worth trying for networks of graph layers, as RandomizedSearchCV takes them
RANGES = {
    "hidden": [16, 32, 64],
    "layers": [2, 3, 4],
    "lr": loguniform(2e-3, 3e-2),
    "weight_decay": loguniform(1e-3, 1e-1),
    "epochs": [40, 80, 160],
}
_KNOTS = 32  # of the map from scores to targets
_BLOCK = 2**19  # floats of one layer that are scored at a time: they stay in the cache
_CARD_BLOCK = 2**26  # likewise on a card: a quarter of a gigabyte
# Floats of one layer, over all rows, from which "auto" takes a card. NOT MEASURED YET:
# perf/bench_gpu.py prints the crossing; below it starting a card is thought to cost more.
CROSSING = 2**27
_ROWS = 32_768  # rows whose view is in memory at once


class View(Protocol):
    """What a network reads of n rows: a NamedTuple of tensors with first axis n."""

    def take(self, rows: Any) -> Self:
        """Some of the rows: an index tensor or a slice."""

    def __iter__(self) -> Iterator[Tensor]: ...


V = TypeVar("V", bound=View)


class Neural(Predictor):
    """Base of predictors that train M networks side by side, by AdamW with a cosine schedule.

    A subclass lists its parameters in `__init__` - those below, and those of its network - and
    implements `_net`; by default that network reads a `Batch` of graphs, with the standardised
    features of `encoding` and a constant beside. Other rows to tensors: `_view`; costly tensors
    that follow from those: `_inputs`. Rows with equal views are scored once.

    Scores of a member are standardised on the training rows, then averaged. With ranking losses,
    a strictly increasing piecewise linear map takes the k-th quantile of the training scores to
    the k-th quantile of the training targets, so predictions are in units of y. The
    variance of a score is the variance between the members plus a constant, and goes through the
    same map. The constant is measured (`parts.calibration`): each of several members leaves a
    quarter of the rows out (no row more than one member), and intervals are as wide as its errors
    there ask for. What members say of the rows that they left out is
    `unseen_`. A single member sees all rows, so it says of no deviation, and nor does the loss
    "bce".

    Args:
        space: the space whose rows it sees.
        encoding: features beside the view (a name of the catalog, an `Encoding`, or a tuple of
            them, the one that says most first: its features are given unit variance, the others'
            0.3^2 where they are many, so that they are learnt later); None for none.
        loss: a name of `parts.losses.LOSSES`.
        target: of "mse" and "mae": "rank" or "value"; ranking losses look at the order alone.
        members: networks that differ by their initial weights (and dropout), at least 1.
        epochs: passes through the training rows, at least 1; as many more as `min_steps` needs.
        min_steps: fewest optimiser steps.
        batch_size: architectures in a step, at least 2.
        lr: highest learning rate.
        weight_decay: decoupled weight decay.
        device: where rows are scored: "cpu", "cuda", "cuda:1", ..., or "auto": a card, if there is
            one, from `CROSSING` floats of a layer on. Predictors are trained on the CPU: on some
            hundred rows a card only starts kernels.
        random_state: non-negative seed, or None for fresh entropy.
    """

    without_std = "several members and another loss than 'bce' measure it on what they leave out"
    least: ClassVar[dict[str, int]] = {}  # the smallest values of settings of the subclass
    encoding: Encodings | None = None
    loss: Loss
    target: Target
    members: int
    epochs: int
    min_steps: int
    batch_size: int
    lr: float
    weight_decay: float
    dropout: float = 0.0
    device: str = "auto"
    left_out: ClassVar[float] = 0.25  # of the rows, by each of several members

    @property
    def has_std(self) -> bool:  # type: ignore[override]  # that of several members
        """Whether members leave rows out on which deviations are measured."""
        return self.members > 1 and self.loss != "bce"

    @property
    def leaves_out(self) -> bool:
        """Whether each row is left out by one of the members."""
        return self.members * self.left_out >= 1.0 and self.loss != "bce"

    # -- what a method is -----------------------------------------------------------------------

    @abstractmethod
    def _net(self, view: Any, generator: torch.Generator) -> nn.Module:
        """An untrained network: `net(inputs, generator=None)` gives scores (M, n).

        With a generator dropout is on. Modules of torch that draw from the global generator are
        welcome: it is seeded around `_net` and the training, and restored.
        """

    def _view(self, X: Rows) -> Any:
        """What the network reads of rows (n, d), a `View`."""
        return batch(self.space.graphs(X), self._features(X), len(self.space.vocabulary))

    def _inputs(self, view: Any) -> Any:
        """A `View` as the network takes it: what is large and follows from it."""
        return view

    def _floats(self, view: Any) -> int:
        """Floats of the widest layer of all members for one row: how many rows fit the cache."""
        return 128 * self.members * int(view[0][0].numel())

    def _loss(self, net: nn.Module, seen: Any, goal: Tensor, generator: torch.Generator) -> Tensor:
        """The sum over members of the losses of one batch.

        `goal` is (n,), or (M, n) with NaN where a member leaves a row out.
        """
        return LOSSES[self.loss](net(seen, generator), goal)

    def _variance(self, view: Any) -> Floats:
        """Variance (n,) of standardised scores that a member knows of itself, M averaged."""
        return np.zeros(len(view[0]))

    # -- learning -------------------------------------------------------------------------------

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self._check_settings()
        self.encodings_ = [] if self.encoding is None else resolve(self.encoding, self.space, X)
        if self.encodings_:
            _, self.centre_, self.weight_ = standard(self.encodings_, X)
        scale = self._scale(y)
        view = self._view(X)
        with torch.random.fork_rng(devices=[]):
            seed = int(rng.integers(2**31))
            torch.default_generator.manual_seed(seed)
            goal, out = scale.score(y), self._left_out(len(y), rng)
            hidden = np.where(out, np.nan, goal) if out.any() else goal
            self.net_ = self._train(view, hidden, torch.Generator().manual_seed(seed))
        scores = self._scores(view)
        unit, self.shift_ = scores.std(axis=1), scores.mean(axis=1)
        self.unit_ = np.where(unit > 1e-9, unit, 1.0)
        if self.loss in ON_TARGETS:
            self.scale_, self.shift_, self.unit_ = scale, np.zeros(1), np.ones(1)
        else:
            self.scale_ = _quantile_map(self._standard(scores).mean(axis=0), y)
        self.shrink_, self.widen_, self.unseen_ = 1.0, 0.0, None
        if out.any():
            with mutants(self.space, X, rng) as near:
                between = float(self._standard(self._scores(self._view(near))).var(axis=0).mean())
            self._calibrate(y, self._standard(scores), out, between, self._variance(view))

    def _calibrate(
        self,
        y: Floats,
        scores: Floats,
        out: NDArray[np.bool_],
        between: float,
        own: Floats,
    ) -> None:
        """Deviations from the errors of single members on rows that they have not seen.

        Their variance is `between` them, on rows that none has seen, one change away from those of
        the fit - what is drawn of the space may be of another kind than these, and there they
        differ by far more - and what each knows of itself, `own` (n,). As
        (y - mean)^2 = mean_m (y - s_m)^2 - var_m s_m, their mean errs less than one of them.
        """
        rows = out.any(axis=0)
        alone = (scores * out).sum(axis=0)[rows] / out.sum(axis=0)[rows]
        known = between + own[rows]
        scales: Scale | Scales = unaware(self.scale_, y[rows])
        if self.loss not in ON_TARGETS and isinstance(scales, Scales):
            all_of_them, left = scores.mean(axis=0), np.flatnonzero(rows)
            scales = Scales.stack(
                [_quantile_map(np.delete(all_of_them, i), np.delete(y, i)) for i in left]
            )
        self.shrink_, self.widen_ = widening(y[rows], alone, known, scales)
        mean, std = np.full(len(y), np.nan), np.full(len(y), np.nan)
        mean[rows] = self.scale_.value(alone)
        std[rows] = self.scale_.spread(alone, np.sqrt(self.shrink_ * known + self.widen_))
        self.unseen_ = (mean, std)
        if self.widen_ > 0.0:
            errs = float(((self.scale_.score(y[rows]) - alone) ** 2).mean())
            less = 1.0 - between / max(errs, 2.0 * between, 1e-12)
            self.widen_ = max(less * (between + self.widen_) - between, 0.0)

    def _left_out(self, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which rows a member does not see, (M, n)."""
        out = np.zeros((self.members, n), dtype=bool)
        each = min(int(self.left_out * n), n // self.members)
        if self.members > 1 and self.loss != "bce" and each:
            count = n if self.leaves_out else each * self.members
            rows = rng.permutation(n)[:count]
            out[np.arange(count) % self.members, rows] = True
        return out

    def _standard(self, scores: Floats) -> Floats:
        """Scores (M, n) in units of their spread on the training rows."""
        standard: Floats = (scores - self.shift_[:, None]) / self.unit_[:, None]
        return standard

    def _check_settings(self) -> None:
        least = {"members": 1, "epochs": 1, "batch_size": 2}
        for name, low in {**self.least, **least}.items():
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

    def _train(self, view: Any, target: Floats, generator: torch.Generator) -> nn.Module:
        n = target.shape[-1]
        net = self._net(view, generator)
        seen = self._inputs(view)
        goal = torch.tensor(target, dtype=torch.float32)
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
                total = self._loss(net, seen.take(rows), goal[..., rows], generator)
                total.backward()
                optimiser.step()
                step += 1
        return net.eval().requires_grad_(False)

    # -- scoring --------------------------------------------------------------------------------

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        views = (self._view(X[i : i + _ROWS]) for i in range(0, len(X), _ROWS))
        parts = [(self._scores(view), self._variance(view)) for view in views]
        scores = self._standard(np.concatenate([part for part, _ in parts], axis=1))
        mean = scores.mean(axis=0)
        if not self.has_std:
            return self.scale_.value(mean), None
        own = np.concatenate([part for _, part in parts])
        std = np.sqrt(self.shrink_ * (scores.var(axis=0) + own) + self.widen_)
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _features(self, X: Rows) -> NDArray[np.float32]:
        """Standardised features of `encoding` and a constant, (n, f); (n, 0) without encoding."""
        if not self.encodings_:
            return np.zeros((len(X), 0), dtype=np.float32)
        features = (encode(self.encodings_, X) - self.centre_) * self.weight_
        return np.concatenate([features, np.ones((len(X), 1))], axis=1, dtype=np.float32)

    def _scores(self, view: Any) -> Floats:
        """Scores (M, n) of the members."""
        kept, where = _distinct(view)
        view = view.take(torch.from_numpy(kept))
        each = max(self._floats(view), 1)
        device = place(self.device, each * len(kept))
        net = self.net_ if device.type == "cpu" else copy.deepcopy(self.net_).to(device)
        step = max((_BLOCK if device.type == "cpu" else _CARD_BLOCK) // each, 1)
        with torch.inference_mode():
            parts = [
                net(self._inputs(moved(view.take(slice(i, i + step)), device))).cpu()
                for i in range(0, len(kept), step)
            ]
            return torch.cat(parts, dim=1).numpy().astype(np.float64)[:, where]


def place(device: str, floats: int) -> torch.device:
    """Where rows are scored that need so many floats of a layer, see `Neural`.

    Raises:
        SettingError: torch does not have that device here.

    >>> place("cpu", 10**12), place("auto", 100)
    (device(type='cpu'), device(type='cpu'))
    """
    return pick_device("cpu" if device == "auto" and floats < CROSSING else device)


def moved(view: V, device: torch.device) -> V:
    """A view on a device."""
    if device.type == "cpu":
        return view
    return type(view)(*(tensor.to(device) for tensor in view))  # a NamedTuple of tensors


class Ensemble(nn.Module):
    """M independent networks as one: scores (M, n) from networks that give (n,) each.

    Networks with a leading axis for the members (`parts.graph_net.GraphNet`) are several times
    faster where a layer is small; this serves where one is large, or torch's own modules are
    wanted.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, view: Any, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n)."""
        return torch.stack([network(view, generator) for network in self.networks])


def side_by_side(space: Space, A: ArrayLike, B: ArrayLike) -> tuple[Rows, Rows]:
    """Checked rows of two sets of equally many, for predictors that compare."""
    left, right = (space.canonical_form(space.check(rows)) for rows in (A, B))
    if len(left) != len(right):
        raise DataError("rows to compare", expected=f"{len(left)} on both sides", got=len(right))
    return left, right


def _distinct(view: View) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the different views, and for each row its place among them."""
    parts = []
    for tensor in view:
        flat = tensor.numpy().reshape(len(tensor), -1)
        if flat.dtype == np.bool_:
            flat = np.packbits(flat, axis=1)
        elif flat.dtype == np.int64:
            flat = flat.astype(np.int32)
        parts.append(np.ascontiguousarray(flat).view(np.uint8))
    key = np.ascontiguousarray(np.concatenate(parts, axis=1))
    packed = key.view(np.dtype((np.void, key.shape[1])))[:, 0]
    _, kept, where = np.unique(packed, return_index=True, return_inverse=True)
    return kept, where


def _quantile_map(scores: Floats, y: Floats) -> Scale:
    """The increasing map of quantiles of `scores` to those of `y`; see `Neural`."""
    levels = np.linspace(0.0, 1.0, min(len(y), _KNOTS))
    knots, values = np.quantile(scores, levels), np.quantile(y, levels)
    # scores that rounding alone tells apart are one knot: no step of y hangs on the last digit
    grid = np.round((knots - knots[0]) * (1e4 / max(knots[-1] - knots[0], 1e-12)))
    kept = np.unique(grid, return_index=True)[1]
    knots, values = knots[kept], values[kept]
    reach = values[-1] - values[0]
    if len(knots) < 2 or reach == 0.0:
        middle = float(y.mean())
        spread = max(float(y.std()), 1e-9 * max(abs(middle), 1.0))  # never none: it goes both ways
        return Scale(np.array([-1.0, 1.0]), middle + spread * np.array([-1.0, 1.0]))
    return Scale(knots, values + 1e-6 * reach * (knots - knots[0]) / (knots[-1] - knots[0]))
