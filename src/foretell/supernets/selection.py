"""How an architecture is chosen of a trained supernet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foretell import strategies
from foretell.search.asktell import Search
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.distribution import Architecture, Distribution


class Chooser(Protocol):
    """What of a search a selection sees."""

    space: Space
    mixture: Mixture
    arch: Architecture
    mask: Tensor
    distribution: Distribution
    seed: int
    progress: dict[str, Any]  # how far the selection is; kept with the state

    def scores(self) -> NDArray[np.float64]:
        """Mean weights of all options, (E, K), times those of edge normalisation."""

    def accuracy(self, z: Tensor, batches: int | None = None) -> float:
        """Of the mixture z on the rows that choose; None for all batches."""

    def loss_of(self, z: Tensor, batches: int | None = None) -> float:
        """Its loss there."""

    def score(self, X: Rows, batches: int | None = None) -> NDArray[np.float64]:
        """Accuracy of rows with inherited weights, (n,)."""

    def holds(self, X: Rows) -> NDArray[np.bool_]:
        """Which rows are made of options that are there."""

    def tune(self, epochs: int) -> None:
        """Train on, with alpha, from a fresh optimiser."""

    def save(self) -> None:
        """Keep what was reached."""

    def rng(self) -> np.random.Generator:
        """The stream of selection."""


@dataclass(frozen=True)
class Selection(ABC):
    """From a trained supernet to rows, the best first."""

    @abstractmethod
    def select(self, search: Chooser) -> Rows:
        """Rows (k, d), within the limits of the space."""


@dataclass(frozen=True)
class Magnitude(Selection):
    """The options of largest weight; of a node its strongest sites.

    Where that row is over a limit of the space, the likeliest one within is taken: single
    decisions are changed that lose least of sum log p for the excess they save.

    Args:
        skips: the most identities in the row's first cell, the weakest leave; None for any number.

    References: Liu et al., DARTS, ICLR 2019, section 2.4; Chen et al., P-DARTS, ICCV 2019 (skips).
    """

    skips: int | None = None

    def select(self, search: Chooser) -> Rows:
        """One row."""
        scores, mask = search.scores(), search.mask.cpu().numpy()
        skip = search.mixture.options("skip_connect")
        if self.skips is not None:
            cell = np.zeros_like(skip)
            cell[: _first_cell(search.mixture)] = True
            while True:
                best = search.mixture.best(scores, mask)
                there = (best > 0) & skip & cell
                if there.sum() <= self.skips:
                    break
                e, k = np.argwhere(there)[np.argmin(scores[there])]
                mask[e, k] = False
        row = search.mixture.rows(search.mixture.best(scores, mask)[None])
        return _within(search, row, scores)


@dataclass(frozen=True)
class ProgressiveRemoval(Selection):
    """Options by what their removal costs, one site after the other, with training in between.

    In random order of sites: each option's weight is set to 0 in turn, the others stay; the one
    without which accuracy is lowest is kept, alone; then the network trains on. Then in each node
    with more sites than a row has, the one whose removal costs least leaves, until they are as
    many.

    Args:
        tune: epochs of training after each decision.
        criterion: what is measured.
        batches: of the choosing rows; None for all.

    References: Wang et al., DARTS+PT, ICLR 2021, algorithms 1 and 2.
    """

    tune: int = 5
    criterion: Literal["accuracy", "loss"] = "accuracy"
    batches: int | None = None

    def select(self, search: Chooser) -> Rows:
        """One row; a broken-off selection goes on at the next decision."""
        mixture = search.mixture
        if "order" not in search.progress:
            rng = search.rng()
            nodes = [i for i, n in enumerate(mixture.nodes) if len(n.sites) > n.keep]
            order = [["site", int(e)] for e in rng.permutation(len(mixture.sites))]
            order += [["node", nodes[i]] for i in rng.permutation(len(nodes))]
            search.progress["order"] = order
        while search.progress["order"]:
            kind, at = search.progress["order"][0]
            (self._site if kind == "site" else self._node)(search, at)
            del search.progress["order"][0]
            if search.progress["order"]:
                search.tune(self.tune)
            search.save()
        final = search.mixture.best(search.scores(), search.mask.cpu().numpy())
        return _within(search, mixture.rows(final[None]), search.scores())

    def _measure(self, search: Chooser, z: Tensor) -> float:
        if self.criterion == "loss":
            return -search.loss_of(z, self.batches)
        return search.accuracy(z, self.batches)

    def _site(self, search: Chooser, e: int) -> None:
        """Keep the option whose removal costs most."""
        keep = search.mixture.sites[e].keep
        takeable = torch.from_numpy(search.mixture.takeable).to(search.mask.device)
        live = torch.nonzero(search.mask[e] & takeable[e]).flatten().tolist()
        with torch.no_grad():
            z = search.distribution.mean(search.arch, search.mask, search.mixture)
        without = []
        for k in live:
            trial = z.clone()
            trial[e, k] = 0
            without.append(self._measure(search, trial))
        kept = [live[i] for i in np.argsort(without, kind="stable")[:keep]]
        mask = search.mask.clone()
        mask[e] = False
        mask[e, kept] = True
        search.mask = mask

    def _node(self, search: Chooser, number: int) -> None:
        """Remove sites until a row's number is left."""
        node = search.mixture.nodes[number]
        sites = [e for e in node.sites if bool(search.mask[e].any())]
        while len(sites) > node.keep:
            with torch.no_grad():
                z = search.distribution.mean(search.arch, search.mask, search.mixture)
            without = []
            for e in sites:
                trial = z.clone()
                trial[e] = 0
                without.append(self._measure(search, trial))
            gone = sites.pop(int(np.argmax(without)))
            mask = search.mask.clone()
            mask[gone] = False
            search.mask = mask


@dataclass(frozen=True)
class SampleAndScore(Selection):
    """Random rows, scored with inherited weights, the best of them on all choosing rows.

    Args:
        n: rows; all there are, where they are no more.
        batches: for the first score; None for all.
        best: how many are scored on all.

    References: Li & Talwalkar, UAI 2019, section 3.2.
    """

    n: int = 1000
    batches: int | None = 10
    best: int = 10

    def select(self, search: Chooser) -> Rows:
        """The `best` rows, best first."""
        X = candidates(search, self.n)
        first = search.score(X, self.batches)
        X = X[np.argsort(-first, kind="stable")[: self.best]]
        if self.batches is not None:
            X = X[np.argsort(-search.score(X), kind="stable")]
        return X


@dataclass(frozen=True)
class DrawAndScore(Selection):
    """Rows by the distribution that was learnt, scored with inherited weights.

    Args:
        n: rows.
        batches: for the score; None for all.

    References: Pham et al., ENAS, ICML 2018, section 2.2 (deriving architectures).
    """

    n: int = 10
    batches: int | None = 1

    def select(self, search: Chooser) -> Rows:
        """The rows, best first."""
        generator = torch.Generator().manual_seed(int(search.rng().integers(2**31)))
        with torch.no_grad():
            drawn = [
                search.distribution.draw(search.arch, search.mask, search.mixture, 1.0, generator).z
                for _ in range(20 * self.n)
            ]
        X = search.mixture.rows(torch.stack(drawn).cpu().numpy())
        X = X[np.sort(np.unique(X, axis=0, return_index=True)[1])]
        inside = search.space.within(X)
        X = X[inside][: self.n] if inside.any() else candidates(search, self.n)
        return X[np.argsort(-search.score(X, self.batches), kind="stable")]


@dataclass(frozen=True)
class Evolve(Selection):
    """A strategy of the catalog searches with inherited accuracy as its result.

    Args:
        n: rows that it may score.
        strategy: its name.
        batches: for a score; None for all.
        best: rows that are returned.

    References: Guo et al., SPOS, ECCV 2020, section 3.4 (evolution).
    """

    n: int = 1000
    strategy: str = "regularized-evolution"
    batches: int | None = 10
    best: int = 10

    def select(self, search: Chooser) -> Rows:
        """The best rows, best first."""
        kind = type(strategies.get(self.strategy))
        settings = kind.scaled(self.n)
        ask = Search(search.space, strategies.get(self.strategy, **settings), search.seed)
        rows: list[Rows] = []
        values: list[NDArray[np.float64]] = []
        while (left := self.n - sum(len(one) for one in rows)) > 0:
            X = ask.ask(min(left, ask.round_size or left))
            if not len(X):
                break
            near = search.mixture.inside(X)
            score = np.where(search.holds(near), 0.0, -1.0)
            score[score == 0] = search.score(near[score == 0], self.batches)
            ask.tell(X, score)
            rows.append(near)
            values.append(score)
        X, found = np.concatenate(rows), np.concatenate(values)
        X = X[np.argsort(-found, kind="stable")]
        X = X[np.sort(np.unique(X, axis=0, return_index=True)[1])][: self.best]
        return X[np.argsort(-search.score(X), kind="stable")]


def candidates(search: Chooser, n: int) -> Rows:
    """`n` different rows that the supernet holds, all of them where there are no more."""
    space = search.space
    try:
        small = space.size <= n
    except Exception:  # too large to count
        small = False
    rng = search.rng()
    if small:
        X: Rows = np.concatenate(list(space.enumerate()))
        X = X[(search.mixture.inside(X) == X).all(axis=1)]
    else:
        drawn = [space.sample(2 * n, rng) for _ in range(10)]
        X = search.mixture.inside(np.concatenate(drawn))
        X = X[np.sort(np.unique(X, axis=0, return_index=True)[1])]
    held = X[search.holds(X)]
    if not len(held):  # a part of the space that few random rows hit
        mask = search.mask.cpu().numpy()
        noise = (rng.random(search.mixture.shape) for _ in range(4 * n))
        rows = [search.mixture.rows(search.mixture.best(one, mask)[None])[0] for one in noise]
        held = np.unique(np.array(rows), axis=0)
        held = held[space.within(held)] if space.within(held).any() else held
    return held[:n]


def _first_cell(mixture: Mixture) -> int:
    """Sites of the first of two cells, by the prefix of their names; all where there is one."""
    heads = [site.name.split("_")[0] for site in mixture.sites]
    return heads.index(heads[-1]) if heads[0] != heads[-1] and mixture.nodes else len(heads)


def _within(search: Chooser, row: Rows, scores: NDArray[np.float64]) -> Rows:
    """`row`, or the row near it that keeps the limits of the space and loses least of log p."""
    space = search.space
    if space.within(row).all():
        return row
    log_p = np.log(np.maximum(scores, 1e-12))

    def value(X: Rows) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (search.mixture.weights(X) * log_p).sum(axis=(1, 2))
        return found

    pool = space.sample(2000, search.rng())
    pool = pool[search.holds(pool)] if search.holds(pool).any() else pool
    best = pool[[int(np.argmax(value(pool)))]]
    for near in _climb(search, best, value):
        best = near
    return best


def _climb(search: Chooser, start: Rows, value: Any) -> Iterator[Rows]:
    """Better and better neighbours within the limits."""
    at = start
    while True:
        near = search.space.neighbors(at[0])
        near = near[search.holds(near) & search.space.within(near)] if len(near) else near
        if not len(near) or value(near).max() <= value(at)[0] + 1e-9:  # sums round
            return
        at = near[[int(np.argmax(value(near)))]]
        yield at


__all__: Sequence[str] = (
    "Chooser", "DrawAndScore", "Evolve", "Magnitude", "ProgressiveRemoval", "SampleAndScore",
    "Selection", "candidates",
)  # fmt: skip
