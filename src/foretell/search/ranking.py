"""`rank`: the best predicted architectures of a whole space, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import DataError, SettingError, SpaceError
from foretell.evidence.base import Evidence
from foretell.evidence.parts.inside import bound, evidence_of
from foretell.graphs import hashing
from foretell.pareto import best, fronts
from foretell.predictors.parts.predicted import predicted
from foretell.spaces.base import Rng, Rows, Space

_DRAWN = 65_536  # rows drawn at once
_BLOCK = 8_192  # rows predicted at once: what a predictor makes of them fits a cache
_RESERVE = 4  # times as many rows are kept where rows that come later decide which of them stay
_LEAST, _MOST = 1_024, 65_536  # rows that are kept so
_RIVALS = 32  # rows of the last front that a new row is compared with
_PARENTS = 32  # rows whose neighbourhood one round of local improvement looks at
_ROUNDS = 8  # of local improvement, at most

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Architectures, best predicted first.

    Shapes: `X` (k, d), `mean` (k,), `std` (k,) or None where the predictor has no uncertainty,
    `costs` (k, m) of the m names in `minimize`. `n_scored` is how many predictions it took,
    `n_paid` for how many rows evidence was not known yet, `evidence_s` what it cost in seconds.
    """

    X: Rows
    mean: Floats
    std: Floats | None
    n_scored: int
    minimize: tuple[str, ...]
    costs: Floats
    n_paid: int = 0
    evidence_s: float = 0.0

    def __len__(self) -> int:
        return len(self.X)


def rank(
    space: Space,
    predictor: Any,
    k: int,
    *,
    exclude: ArrayLike = (),
    rng: Rng = None,
    limit: int | None = 1_000_000,
    minimize: Sequence[str] = (),
    measure: Callable[[Rows], Floats] | None = None,
    screen: Any = None,
    evidence: int | None = None,
    repeats: bool = False,
) -> Ranking:
    """The `k` rows of `space` with the highest prediction, or the best compromises with costs.

    Of rows that compute the same function (`space.canonical`) only the one with the highest
    prediction is ranked, unless `repeats` are wanted.

    Every row is scored when the space has at most `limit`. From a larger one `limit` random rows
    are scored, and then what one change of one decision makes of the best ones, again and again
    while that finds better ones. Memory does not grow with the size of the space. Equal
    predictions are ordered by a hash of their keys: the same in every process, and with no
    preference for one corner of the space.

    With costs to `minimize`, rows are ordered by the non-dominated front of (prediction, -costs),
    and within a front by crowding distance, as NSGA-II selects (`foretell.pareto.best`). Rows come
    in blocks, and what one block drops does not come back: the first fronts are exact while they
    hold fewer than 4 k rows, or 1,024.

    Limits that need a network to be built or measured (`space.within`) are asked only of rows
    that would be among the k, best first.

    A predictor that asks evidence ranks in two stages: `screen`, the same predictor without it,
    ranks as above, and evidence is paid for the best `evidence` rows of that ranking alone, among
    which the predictor then chooses. The better of two rows that the screen tells apart may so be
    lost; `evidence` is how far one trusts the screen.

    Args:
        space: where to look.
        predictor: fitted; anything with `predict(X)`, higher is better.
        k: how many rows; fewer come back when the space has no more.
        exclude: rows (m, d) to leave out, such as those already known, with all that compute the
            same functions, or with `repeats` these rows alone.
        rng: seed or generator of the random rows; not used when every row is scored.
        limit: the number of rows that may be scored one by one; None to score every row of a
            space of any size.
        minimize: names of costs (`space.measure`).
        measure: costs of rows (n, d), shape (n, m), where `space.measure` would take too long.
        screen: fitted, asks nothing that costs; None for `predictor.screen()`, which predictors of
            foretell have.
        evidence: the number of rows whose evidence may be paid, from k; None for 4 k, at least 100.
        repeats: whether a function may come again that is written differently.

    Raises:
        SettingError: a number is out of range, or a predictor asks evidence and has no screen.

    Shapes: see `Ranking`.

    References: Wen et al., Neural Predictor for NAS, ECCV 2020, section 3 (step 3). Differs: the
    local improvement of samples from large spaces is ours.

    >>> import foretell as ft
    >>> class Sum:  # a made-up predictor: more of the later options is better
    ...     def predict(self, X):
    ...         return X.sum(axis=1).astype(float)
    >>> rank(ft.spaces.get("nb201"), Sum(), 2).mean.tolist()
    [24.0, 23.0]
    """
    if k < 1 or (limit is not None and limit < 1):
        raise SettingError("rank", expected="k and limit of at least 1", got=(k, limit))
    if costly := evidence_of(predictor):
        most = payable(k) if evidence is None else evidence
        if most < k:
            raise SettingError("rank, evidence", expected=f"at least k = {k}", got=most)
        first = rank(
            space,
            _screen(predictor) if screen is None else screen,
            most,
            exclude=exclude,
            rng=rng,
            limit=limit,
            minimize=minimize,
            measure=measure,
            repeats=repeats,
        )
        return _paid(space, predictor, k, first, [bound(one, space) for one in costly])
    known = np.asarray(exclude)
    left_out = space.check(known) if known.size else np.zeros((0, space.d), dtype=space._dtype)
    top = _Top(space, predictor, k, left_out, tuple(minimize), measure, repeats)
    rng = as_rng(rng)
    _look(space.loose, top, rng, limit)
    while not top.screen():  # too few of the reserve are within the limits: behind it are more
        _look(space.loose, top, rng, limit)
    return top.ranking()


def payable(k: int) -> int:
    """The number of rows whose evidence is paid for k of them, unless one says otherwise."""
    return max(4 * k, 100)


def _screen(predictor: Any) -> Any:
    screen = predictor.screen() if hasattr(predictor, "screen") else None
    if screen is None:
        raise SettingError(
            f"{type(predictor).__name__} asks evidence, which would be paid for the whole space",
            expected="a `screen`: the same without evidence, fitted on the same results",
            hint="foretell.predictors.OnFeatures(space, regressor, encoding=...) has one of its "
            "own; for a Pipeline, rank(..., screen=without_evidence(pipeline).fit(X, y)) of "
            "foretell.evidence",
        )
    return screen


def _paid(
    space: Space, predictor: Any, k: int, first: Ranking, costly: Sequence[Evidence]
) -> Ranking:
    """The best of what the screen has chosen, now that evidence is asked."""
    unknown = [~one.known(first.X) for one in costly]
    mean, std = predicted(predictor, first.X)
    spent = sum(
        float(one.spent(first.X)[new].sum()) for one, new in zip(costly, unknown, strict=True)
    )
    F = np.column_stack([mean, -first.costs])
    F = np.where(np.isnan(F).any(axis=1, keepdims=True), -np.inf, F)
    order = np.argsort(hashing.mix(space.row_key(first.X)))  # the order of equals
    order = order[best(F[order], k)]
    return Ranking(
        first.X[order],
        mean[order],
        None if std is None else std[order],
        first.n_scored + len(mean),
        first.minimize,
        first.costs[order],
        int(np.any(unknown, axis=0).sum()),
        spent,
    )


def _look(space: Space, top: _Top, rng: np.random.Generator, limit: int | None) -> None:
    """Show `top` every row of `space`, or `limit` random ones and the surroundings of the best."""
    if limit is None or _counts_up_to(space, limit):
        for rows in space.enumerate():
            top.add(rows)
        return
    for start in range(0, limit, _DRAWN):
        top.add(space.sample(min(_DRAWN, limit - start), rng))
    looked_at = np.zeros(0, dtype=np.uint64)
    for _ in range(_ROUNDS):
        top.settle()
        parents = top.X[~np.isin(top.keys, looked_at)][:_PARENTS]
        if not len(parents):
            break
        looked_at = np.concatenate([looked_at, top.key(parents)])
        top.add(np.concatenate([space.neighbors(x) for x in parents]))


def _counts_up_to(space: Space, limit: int) -> bool:
    """Whether the space is known to have at most `limit` rows."""
    try:
        return space.size <= limit
    except SpaceError:  # too large to count
        return False


class _Top:
    """The best rows of all added so far.

    `F` (n, 1 + m) is what they are compared by: the prediction and minus each cost, -inf
    throughout where one of them is not known.
    """

    def __init__(
        self,
        space: Space,
        predictor: Any,
        k: int,
        exclude: Rows,
        minimize: tuple[str, ...],
        measure: Callable[[Rows], Floats] | None,
        repeats: bool,
    ) -> None:
        self.space, self.predictor, self.k = space, predictor, k
        self.written = repeats or type(space).canonical is Space.canonical  # each row is itself
        self.key = space.row_key if self.written else space.canonical
        self.exclude = self.key(exclude)
        self.minimize = minimize
        self.measure = measure or (lambda rows: space.measure(rows, minimize))
        self.all_within = space.loose is space
        exact = self.all_within and not minimize
        self.room = k if exact else max(_RESERVE * k, _LEAST)
        self.dropped = False  # whether a row had to go for want of room
        self.n_scored = 0
        self.X: Rows = np.zeros((0, space.d), dtype=space._dtype)
        self.keys = np.zeros(0, dtype=np.uint64)
        self.F = np.zeros((0, 1 + len(minimize)))
        self.asked = np.zeros(0, dtype=bool)  # whether a row is known to be within the limits
        self.rivals = self.F
        self.new: list[tuple[Rows, Floats]] = []  # not compared with the kept ones yet

    def add(self, rows: Rows) -> None:
        """Score the rows, and keep the best."""
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            F = self._score(block)
            self.n_scored += len(block)
            keep = np.arange(len(block))
            for rival in self.rivals:
                mine = F[keep]
                keep = keep[(mine > rival).any(axis=1) | (mine == rival).all(axis=1)]
            if len(keep):
                self.new.append((block[keep], F[keep]))
                if sum(len(X) for X, _ in self.new) >= min(self.room, _BLOCK):
                    self.settle()

    def _score(self, rows: Rows) -> Floats:
        mean = np.asarray(self.predictor.predict(rows), dtype=np.float64)
        if not self.minimize:
            return np.where(np.isnan(mean), -np.inf, mean)[:, None]
        F = np.column_stack([mean, -self.measure(rows)])
        return np.where(np.isnan(F).any(axis=1, keepdims=True), -np.inf, F)

    def settle(self) -> None:
        """Compare the new rows with the kept ones, and drop what there is no room for."""
        if not self.new:
            return
        rows, F = (np.concatenate(parts) for parts in zip(*self.new, strict=True))
        self.new = []
        if not self.written:  # the best predicted spelling of a function stands for it
            order = np.lexsort((self._written_order(rows), -F[:, 0]))
            rows, F = rows[order], F[order]
        keys, first = np.unique(self.key(rows), return_index=True)
        new = ~np.isin(keys, self.exclude)
        if self.written:
            new &= ~np.isin(keys, self.keys)
        else:
            new &= self._standing(keys, rows[first], F[first, 0])
        first, keys = first[new], keys[new]
        self.X, self.F = np.concatenate([self.X, rows[first]]), np.concatenate([self.F, F[first]])
        self.keys = np.concatenate([self.keys, keys])
        self.asked = np.concatenate([self.asked, np.full(len(keys), self.all_within)])
        self._take(np.argsort(hashing.mix(self.keys)))  # the order of equals
        self.dropped |= len(self.X) > self.room
        self._take(best(self.F, self.room))
        if len(self.X) == self.room:
            front = fronts(self.F)
            last = np.unique(self.F[front == front.max()], axis=0)
            self.rivals = last[:: -(-len(last) // _RIVALS)]

    def _written_order(self, rows: Rows) -> NDArray[np.uint64]:
        """The order of spellings that are foretold the same."""
        return hashing.mix(self.space.row_key(rows))

    def _standing(self, keys: NDArray[np.uint64], rows: Rows, mean: Floats) -> NDArray[np.bool_]:
        """Which of these rows, sorted by the key of their function, come before the kept ones.

        A kept row that comes behind another spelling of its function goes.
        """
        stays = np.ones(len(keys), dtype=bool)
        if not len(keys) or not len(self.keys):
            return stays
        at = np.minimum(np.searchsorted(keys, self.keys), len(keys) - 1)
        kept = np.flatnonzero(keys[at] == self.keys)
        new = at[kept]
        before = mean[new] > self.F[kept, 0]
        equal = mean[new] == self.F[kept, 0]
        before |= equal & (self._written_order(rows[new]) < self._written_order(self.X[kept]))
        stays[new[~before]] = False
        self._take(np.delete(np.arange(len(self.X)), kept[before]))
        return stays

    def screen(self) -> bool:
        """Drop rows until the best `k` are within the limits; False where too few are left."""
        self.settle()
        while True:
            chosen = best(self.F, self.k)
            chosen = chosen[~self.asked[chosen]]
            if not len(chosen):
                break
            self.asked[chosen] = self.space.within(self.X[chosen])
            over = chosen[~self.asked[chosen]]
            self.exclude = np.concatenate([self.exclude, self.keys[over]])
            self._take(np.delete(np.arange(len(self.X)), over))
        if len(self.X) < self.k and self.dropped:
            self.room, self.dropped = min(_RESERVE * self.room, max(_MOST, self.k)), False
            self.rivals = self.rivals[:0]
            return False
        self._take(best(self.F, self.k))
        return True

    def _take(self, index: NDArray[np.int64]) -> None:
        self.X, self.keys, self.F = self.X[index], self.keys[index], self.F[index]
        self.asked = self.asked[index]

    def ranking(self) -> Ranking:
        """What is left.

        Raises: DataError where no prediction is a number.
        """
        if self.n_scored and len(self.F) and np.isneginf(self.F).all() and not self.minimize:
            raise DataError(
                "no row has a prediction that is a number",
                hint="the predictor has diverged: try other settings",
            )
        F = np.where(np.isneginf(self.F), np.nan, self.F)
        std = predicted(self.predictor, self.X)[1]
        return Ranking(self.X, F[:, 0], std, self.n_scored, self.minimize, -F[:, 1:])
