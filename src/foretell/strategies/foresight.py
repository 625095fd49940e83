"""Foresight: learn after every result, and ask for one row at a time, as workers become free."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from foretell import predictors
from foretell.errors import SettingError
from foretell.evidence import evidence_of, without_evidence
from foretell.graphs import hashing
from foretell.pareto import best, nondominated
from foretell.search.history import Floats, History
from foretell.search.ranking import Ranking, payable, rank
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.candidates import Candidates, around, drawn, everything
from foretell.strategies.parts.costs import foretold_costs
from foretell.strategies.parts.fresh import cost_names, fresh
from foretell.strategies.parts.outlook import Committee, Foreteller, Outlook, Regressor

_RANKED = 1_000  # rows of a ranking; more than are proposed, so that it can be looked at
_BUILT = 16  # best rows that are built at once to see whether they are within the limits
_AUGMENTED = 0.05  # weight of the sum beside the worst share


@dataclass(frozen=True)
class Foresight(Strategy):
    """Random rows, then whichever promises most, by what all results so far have taught.

    Once `n_train` rows are known or out, each further one is, of all candidates,

        argmax_x  m(x) + c s(x),    c = explore[k mod len(explore)] for the k-th row,

    with mean m and deviation s of a predictor that is fitted on all results: of a committee of
    Gaussian processes (`foretell.strategies.parts.outlook`), which takes the rows that are still
    out for as good as expected, so that several rows at once differ. So most rows are near the best
    or tell much about it, and how many is a setting. No two rows compute the same function.

    Candidates are all functions of a space of up to 32,768 rows. Of a larger one they are 2,048
    random rows, the neighbours of the best known ones, mutants of their mutants, and three times
    the neighbours of the best expected ones.

    It is asynchronous: it asks whenever a worker is free, and no result waits for another.

    With costs to `minimize`, each row is the best compromise of (m + c s, -costs) for weights that
    are drawn anew, so that the rows spread over the expected front.

    Args:
        n_train: random rows at the beginning, 2 or more.
        explore: c of one row after the other, 0 or more: 0 takes the best expected row, more of it
            prefers rows of which little is known.
        predictor: None for the committee; else a catalog name, or an unfitted regressor on rows;
            one without an uncertainty takes the best expected row always.
        predictor_settings: arguments of a predictor given by name.
        batch: rows between two fits; for searches in rounds, such as under successive halving.
        minimize: names of costs (`space.measure`) to trade against the value.
        repeats: whether a function may come again that is written differently.

    References: Differs: foretell's own. GP-UCB is Srinivas et al., ICML 2010, its batches Desautels
    et al., JMLR 2014; ranks in the place of values, two scales of them, features of graphs and the
    alternation of c are ours (`perf/bench_foresight.py`).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> search = ft.Search(space, Foresight(n_train=10), seed=0)
    >>> for _ in range(30):
    ...     X = search.ask(1)
    ...     search.tell(X, (X == 3).sum(axis=1) - (X == 4).sum(axis=1))
    >>> search.best_value
    6.0
    """

    asynchronous: ClassVar[bool] = True

    n_train: int = 15
    explore: Sequence[float] = (0.0, 1.0, 2.0)
    predictor: Any = None
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 1
    minimize: tuple[str, ...] = ()
    repeats: bool = False

    def __post_init__(self) -> None:
        explore = np.asarray(self.explore)
        good = explore.ndim == 1 and len(explore) > 0 and explore.dtype.kind in "fiu"
        for name, value, fine, expected in (
            ("n_train", self.n_train, self.n_train >= 2, "at least 2"),
            ("batch", self.batch, self.batch >= 1, "at least 1"),
            ("explore", self.explore, good and bool((explore >= 0).all()), "numbers from 0"),
        ):
            if not fine:
                raise SettingError(f"foresight, {name}", expected=expected, got=value)
        cost_names("foresight", self.minimize)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until `n_train` are known or out, then those of the best outlook.

        With them come the predictor, and its best 1,000 rows.
        """
        known, n_known = history.ok.latest, len(history.latest)
        n_random = min(n, max(self.n_train - n_known, 0)) if len(known) >= 2 else n
        draw = partial(space.sample, rng=rng)
        X = fresh(space, history, n_random, draw, rng, self.repeats)
        if n_random == n:
            return Proposal(X)
        found = self._best(space, history.with_pending(X), known, n - n_random, rng)
        return found._replace(X=np.concatenate([X, found.X]))

    def _best(
        self, space: Space, history: History, known: History, n: int, rng: np.random.Generator
    ) -> Proposal:
        """The `n` rows of the best outlook that compute nothing that is in `history`."""
        start = time.perf_counter()
        measure = foretold_costs(space, self.minimize, known.X, "foresight")
        pool = everything(space.loose, self.repeats)
        whole = pool is not None
        if pool is None:
            pool = drawn(space.loose, history.pending.X, rng, self.repeats)
        ranking: Ranking | None = None
        if self.predictor is None:
            shown: Any = Committee(pool.standard, known.X, known.y)
            model: Foreteller = shown
        else:
            seed = int(rng.integers(2**31))
            shown = predictors.unfitted(self.predictor, space, seed, self.predictor_settings)
            model = Regressor(shown.fit(known.X, known.y))
        fitted = time.perf_counter()
        if evidence_of(shown):  # paid for the best of those that are foretold without it
            ranking = self._paid(space, shown, history, known, n, measure, rng)
            pool = Candidates.of(space, ranking.X, self.repeats)
        elif not whole:
            order = np.argsort(-known.y, kind="stable")
            pool = around(pool, known.X[order], model.mean, rng)
        choice = _Choice(space, pool, history, self.minimize, measure)
        outlook = model.outlook(pool)
        ranking = ranking or choice.ranking(outlook, model, n)
        levels = [self.explore[(len(history) + i) % len(self.explore)] for i in range(n)]
        X = choice.rows(outlook, levels, rng)
        out = history.with_pending(X)
        draw = partial(space.sample, rng=rng)
        more = fresh(space, out, n - len(X), draw, rng, self.repeats)
        seconds = (fitted - start, time.perf_counter() - fitted)
        return Proposal(np.concatenate([X, more]), None, shown, ranking, *seconds)

    def _paid(
        self,
        space: Space,
        model: Any,
        history: History,
        known: History,
        n: int,
        measure: Callable[[Rows], Floats] | None,
        rng: np.random.Generator,
    ) -> Ranking:
        screen = without_evidence(model).fit(known.X, known.y)
        return rank(
            space,
            model,
            payable(n),
            exclude=history.X,
            rng=rng,
            minimize=self.minimize,
            measure=measure,
            screen=screen,
            evidence=payable(n),
            repeats=self.repeats,
        )

    def round_size(self, history: History) -> int:
        """The rest of the random rows, then `batch`."""
        return max(self.n_train - len(history.latest), self.batch)


class _Choice:
    """Which candidates to take: new functions within the limits, by outlook and costs.

    Args:
        space: of the rows.
        pool: candidates.
        history: what is known or out.
        minimize: names of costs.
        measure: costs of rows where `space.measure` would take too long.
    """

    def __init__(
        self,
        space: Space,
        pool: Candidates,
        history: History,
        minimize: tuple[str, ...],
        measure: Callable[[Rows], Floats] | None,
    ) -> None:
        self.space, self.pool, self.minimize = space, pool, minimize
        self.out = pool.places(pool.key(history.pending.X))
        self.free = ~np.isin(pool.keys, pool.key(history.X))
        self.costs = np.zeros((len(pool), 0))
        if minimize:
            costs = (measure or (lambda rows: space.measure(rows, minimize)))(pool.X)
            self.costs = np.where(np.isnan(costs), np.inf, costs)
        self.all_within = space.loose is space

    def rows(self, outlook: Outlook, levels: Sequence[float], rng: np.random.Generator) -> Rows:
        """One row for each level of exploration; fewer where there are no more."""
        for j in self.out[self.out >= 0]:
            outlook.take(int(j))
        chosen: list[int] = []
        for c in levels:
            one = self._one(outlook.mean + c * outlook.std, rng)
            if one is None:
                break
            chosen.append(one)
            self.free[one] = False
            outlook.take(one)
        rows: Rows = self.pool.X[chosen]
        return rows

    def _one(self, score: Floats, rng: np.random.Generator) -> int | None:
        if self.minimize:
            score = self._compromise(score, rng)
        while self.free.any():
            score = np.where(self.free, score, -np.inf)
            if self.all_within:
                return int(np.argmax(score))
            few = np.argsort(-score, kind="stable")[:_BUILT]
            few = few[self.free[few]]
            inside = self.space.within(self.pool.X[few])
            self.free[few[~inside]] = False
            if inside.any():
                return int(few[np.argmax(inside)])
        return None

    def _compromise(self, score: Floats, rng: np.random.Generator) -> Floats:
        """One number from score and costs: the worst of all shares of what is possible, weighted.

        Weights are uniform over all that sum to 1, so that one row after the other spreads over
        the front.

        References: Knowles, ParEGO, IEEE TEC 2006, equation 2, with normalised objectives.
        """
        F = np.column_stack([score, -self.costs])
        F = np.where(np.isfinite(F).all(axis=1, keepdims=True), F, -np.inf)
        front = F[nondominated(F)]
        low, high = front.min(axis=0), front.max(axis=0)
        if not np.isfinite(low).all():
            return score
        share = (F - high) / np.where(high > low, high - low, 1.0)
        weighted = rng.dirichlet(np.ones(F.shape[1])) * share
        found: Floats = weighted.min(axis=1) + _AUGMENTED * weighted.sum(axis=1)
        return found

    def ranking(self, outlook: Outlook, model: Foreteller, n: int) -> Ranking:
        """The best expected new candidates, before any of them is taken."""
        free = np.flatnonzero(self.free)
        free = free[np.argsort(hashing.mix(self.pool.keys[free]))]  # the order of equals
        F = np.column_stack([outlook.mean, -self.costs])[free]
        order = free[best(F, _RANKED if self.all_within else max(n, _BUILT))]
        if not self.all_within:
            order = order[self.space.within(self.pool.X[order])]
        mean, std = model.value(outlook.mean[order], outlook.std[order])
        costs = self.costs[order]
        return Ranking(self.pool.X[order], mean, std, len(self.pool), self.minimize, costs)
