"""Neural Predictor: train some at random, learn to foretell the rest, train the best foretold."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell import predictors
from foretell.errors import SettingError
from foretell.evidence import evidence_of, without_evidence
from foretell.search.history import History
from foretell.search.ranking import payable, rank
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.costs import foretold_costs
from foretell.strategies.parts.fresh import cost_names, fresh
from foretell.strategies.parts.guided import check_warm, opening

_RANKED = 1000  # rows of a ranking; more than are proposed, so that it can be looked at


@dataclass(frozen=True)
class NeuralPredictor(Strategy):
    """N random rows, a predictor fitted on them, then the rows with the highest prediction.

    With a budget of N + K networks: (1) N = `n_train` random rows are evaluated, (2) the predictor
    is fitted on every finished result, (3) it predicts the whole space, or very many rows of one
    that is too large (`foretell.search.ranking.rank`), (4) the best predicted ones that are not
    known yet are evaluated. With `batch=None` the K rows come from one ranking, as in the paper;
    with a number, steps 2 to 4 repeat after every `batch` results. The answer is the row with the
    best measured validation value.

    With costs to `minimize` the best rows are the best compromises: the order of step 4 is that of
    NSGA-II on (prediction, -costs), which spreads the K rows over the predicted front. Costs that
    a network has to be built or measured for are foretold as well, from those of the results.

    Where a predictor asks evidence, step 3 has two stages: it predicts the whole space without it,
    and evidence is paid for the best of these alone, among which it then chooses.

    While fewer than two results are finished (all failed, or still out) rows are random.

    Args:
        n_train: N, the number of random rows at the start, 2 or more. A small N ranks badly, a
            large one leaves few K to make up for the errors at the top of the ranking.
        predictor: a catalog name, or an unfitted regressor on rows (it is cloned); or a tuple of
            them, which share the rows of each round equally, so that what one of them is blind to
            does not cost a whole round.
        predictor_settings: arguments of predictors given by name.
        batch: results between two fits; None for one round.
        explore: how likely each row after the first N is a random one rather than the best
            predicted, 0 to 1.
        limit: rows of a large space that are predicted; None for all of any space.
        minimize: names of costs (`space.measure`) to trade against the value.
        evidence: rows whose evidence may be paid in each ranking; None for 4 times as many as are
            proposed, at least 100.
        warm: encodings or evidence by whose consensus the first N are the best of ten times as
            many random rows; None for random rows.
        repeats: whether a function may come again that is written differently.

    References: Wen et al., Neural Predictor for Neural Architecture Search, ECCV 2020. Differs:
    rounds (`batch`), `explore`, `warm` and several predictors are options here; the paper has one
    of each and no random rows after the first N.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), NeuralPredictor(n_train=20, batch=10))
    >>> search.round_size
    20
    >>> search.tell(X := search.ask(20), range(20))
    >>> search.round_size
    10
    """

    n_train: int = 30
    predictor: Any = "auto"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = None
    explore: float = 0.0
    limit: int | None = 1_000_000
    minimize: tuple[str, ...] = ()
    evidence: int | None = None
    warm: Any = None
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, value, good, expected in (
            ("n_train", self.n_train, self.n_train >= 2, "at least 2"),
            ("batch", self.batch, self.batch is None or self.batch >= 1, "at least 1, or None"),
            ("explore", self.explore, 0 <= self.explore <= 1, "0 to 1"),
            ("limit", self.limit, self.limit is None or self.limit >= 1, "at least 1, or None"),
            ("predictor", self.predictor, self.predictor != (), "a predictor"),
            ("evidence", self.evidence, (self.evidence or 1) >= 1, "at least 1, or None"),
        ):
            if not good:
                raise SettingError(f"neural-predictor, {name}", expected=expected, got=value)
        cost_names("neural-predictor", self.minimize)
        check_warm("neural-predictor", self.warm)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until N are known or out, then the best predicted ones.

        With them come the first predictor that had a turn, and its best 1,000 rows.
        """
        known, n_known = history.ok.latest, len(history.latest)
        n_first = min(n, max(self.n_train - n_known, 0)) if len(known) >= 2 else n
        n_random = n_first + (int(rng.binomial(n - n_first, self.explore)) if self.explore else 0)
        committee = self.predictor if isinstance(self.predictor, tuple) else (self.predictor,)
        turn = n_known % len(committee)  # so that single asks go round as well
        X = opening(space, history, n_first, rng, self.warm, repeats=self.repeats)
        draw, out = functools.partial(space.sample, rng=rng), history.with_pending(X)
        X = np.concatenate([X, fresh(space, out, n_random - n_first, draw, rng, self.repeats)])
        first: Proposal | None = None
        for i in range(min(len(committee), n - n_random)):
            share = (n - n_random - i - 1) // len(committee) + 1
            member = committee[(turn + i) % len(committee)]
            one = self._best(member, space, history.with_pending(X), share, rng)
            first, X = first or one, np.concatenate([X, one.X])
        return Proposal(X) if first is None else first._replace(X=X)

    def _best(
        self, predictor: Any, space: Space, history: History, n: int, rng: np.random.Generator
    ) -> Proposal:
        """The `n` best predicted rows that are not in `history`."""
        model = predictors.unfitted(
            predictor, space, int(rng.integers(2**31)), self.predictor_settings
        )
        start = time.perf_counter()
        known = history.ok.latest
        model.fit(known.X, known.y)
        fitted = time.perf_counter()
        k = max(n, _RANKED) if space.loose is space else n  # each row may cost a measurement
        paid, screen = None, None
        if evidence_of(model):
            k = paid = max(n, self.evidence or payable(n))  # a ranking of all that was paid
            screen = without_evidence(model).fit(known.X, known.y)
        ranking = rank(
            space,
            model,
            k,
            exclude=history.X,
            repeats=self.repeats,
            rng=rng,
            limit=self.limit,
            minimize=self.minimize,
            measure=foretold_costs(space, self.minimize, known.X, "neural-predictor"),
            screen=screen,
            evidence=paid,
        )
        seconds = (fitted - start, time.perf_counter() - fitted)
        X = ranking.X[:n]
        out, draw = history.with_pending(X), functools.partial(space.sample, rng=rng)
        more = fresh(space, out, n - len(X), draw, rng, self.repeats)
        return Proposal(np.concatenate([X, more]), None, model, ranking, *seconds)

    def round_size(self, history: History) -> int | None:
        """The rest of the N random rows, then `batch`."""
        done = len(history.told.latest)
        return self.n_train - done if done < self.n_train else self.batch
