"""The model of BOHB: rows that are likely among the good ones and unlikely among the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import Floats, History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh


@dataclass(frozen=True)
class KDE(Strategy):
    """Of `candidates` rows drawn near good ones, that with the highest ratio of two densities.

    The results with the most epochs that are enough are split into the best `good` of them and the
    others, d + 1 or more each. A density of rows with n members, by a kernel for options without
    an order, is

        p(x) = (1/n) sum_i prod_j k_j(x_j, x_ij),   k_j = 1 - h_j where equal, else h_j / (c_j - 1),

    with c_j options and the bandwidth h_j = 1.06 s_j n^(-1 / (4 + d)), s_j^2 the variance of the
    taken options (half the chance that two members differ). Candidates are good rows each decision
    of which is drawn anew with probability h_j. A share `random` of rows is random, and all are
    while too little is known. Alone it is a search; as the sampler of `hyperband` it is BOHB.

    Args:
        good: share of the results that are good, between 0 and 1.
        candidates: rows drawn for one that is proposed, 1 or more.
        random: share of random rows, 0 to 1.
        least: smallest bandwidth, above 0.
        batch: results between two models, 1 or more.
        repeats: whether a function may come again that is written differently.

    References: Falkner et al., BOHB: Robust and Efficient Hyperparameter Optimization at Scale,
    ICML 2018, section 4.1 and algorithm 2; Aitchison & Aitken, Biometrika 1976. Differs: the spread
    s_j is that of options without an order, not of their numbers, and no bandwidth is above that of
    a uniform kernel.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), KDE(), seed=0)
    >>> X = search.ask(30)
    >>> search.tell(X, (X == 3).sum(axis=1))
    >>> bool((search.ask(30) == 3).mean() > (X == 3).mean())
    True
    """

    all_epochs: ClassVar[bool] = True

    good: float = 0.15
    candidates: int = 64
    random: float = 1 / 3
    least: float = 1e-3
    batch: int = 1
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, is_good, expected in (
            ("good", 0 < self.good < 1, "between 0 and 1"),
            ("candidates", self.candidates >= 1, "at least 1"),
            ("random", 0 <= self.random <= 1, "0 to 1"),
            ("least", self.least > 0, "above 0"),
            ("batch", self.batch >= 1, "at least 1"),
        ):
            if not is_good:
                raise SettingError(f"kde, {name}", expected=expected, got=getattr(self, name))

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Some random rows, and those that the densities prefer."""
        split = self.split(history, space.d + 1)
        n_random = n if split is None else int(rng.binomial(n, self.random))
        X = fresh(space, history, n_random, lambda k: space.sample(k, rng), rng, self.repeats)
        if split is None:
            return Proposal(X)
        good, bad = split
        width, other = self.bandwidth(space, good), self.bandwidth(space, bad)

        def draw(k: int) -> Rows:
            size = (k, self.candidates, space.d)
            anew = rng.integers(0, space.n_options, size=size)
            near = good[rng.integers(len(good), size=size[:2])]
            rows = np.where(rng.random(size) < width, anew, near).reshape(-1, space.d)
            rows = space.canonical_form(rows.astype(space._dtype))
            outside = ~space.contains(rows)
            rows[outside] = space.sample(int(outside.sum()), rng)
            ratio = log_density(space, good, width, rows) - log_density(space, bad, other, rows)
            best = ratio.reshape(size[:2]).argmax(axis=1)
            return np.asarray(rows.reshape(size)[np.arange(k), best])

        known = history.with_pending(X)
        rest = fresh(space, known, n - n_random, draw, rng, self.repeats)
        return Proposal(np.concatenate([X, rest]))

    def split(self, history: History, least: int) -> tuple[Rows, Rows] | None:
        """Good rows and others, of the most epochs with enough results; None where none has."""
        known = history.ok
        for epochs in np.unique(known.epochs)[::-1]:
            there = known[known.epochs == epochs].latest
            n_good = max(least, int(self.good * len(there)))
            if len(there) - n_good >= least:
                order = np.argsort(-there.y, kind="stable")
                return there.X[order[:n_good]], there.X[order[n_good:]]
        return None

    def bandwidth(self, space: Space, members: Rows) -> Floats:
        """h of each decision, (d,)."""
        n, options = len(members), np.arange(space.n_options.max())
        share = (members[:, :, None] == options).mean(axis=0)
        spread = np.sqrt((1 - np.square(share).sum(axis=1)) / 2)
        h = 1.06 * spread * n ** (-1 / (4 + space.d))
        return np.asarray(np.clip(h, self.least, 1 - 1 / np.maximum(space.n_options, 2)))

    def round_size(self, history: History) -> int:
        """A batch."""
        return self.batch


def log_density(space: Space, members: Rows, h: Floats, X: Rows) -> Floats:
    """log p(x) of rows (m, d) under the density of members (n, d) with bandwidths (d,)."""
    same, differ = np.log1p(-h), np.log(h / np.maximum(space.n_options - 1, 1))
    logs = np.full((len(X), len(members)), same.sum())
    for j in range(space.d):
        logs += (differ - same)[j] * (X[:, j, None] != members[:, j])
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).mean(axis=1)))
