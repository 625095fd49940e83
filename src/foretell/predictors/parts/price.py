"""Which evidence is worth its price: seconds of each row, against what it explains."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from foretell.encodings import Encoding
from foretell.evidence import Evidence
from foretell.predictors.base import Floats
from foretell.predictors.gp import GP
from foretell.predictors.parts.features import FEATURES
from foretell.spaces.base import Rows, Space

FEWEST = 10  # results from which it is measured whether evidence explains them
_ROWS = 200  # most rows that are asked for it


def worth_it(
    space: Space,
    X: Rows,
    y: Floats,
    evidence: Sequence[Evidence],
    init_s: float | None,
    query_s: float | None,
    random_state: int | None,
    remarks: list[str],
) -> tuple[Evidence, ...]:
    """Evidence that two budgets can pay for, and that tells more than it costs.

    A price is the mean seconds of a row, by the ledger; what was never asked is asked for one row.
    One after the other, that evidence is taken that raises the log evidence of `gp` most, as long
    as it does so by more than ln(n) / 2 for each of its features (Bayesian information criterion)
    and what is left of both budgets pays for it: for a query its price, to begin with its price for
    each training row that it has not been asked for. Below 10 results nothing can be measured, and
    what is cheapest goes first.

    Args:
        space: of the rows.
        X: rows with results, (n, d).
        y: the results, (n,).
        evidence: to choose from.
        init_s: seconds for the training rows; None for no limit.
        query_s: seconds for a row that is predicted; None for no limit.
        random_state: of `gp`.
        remarks: gets a line on what is taken and why.
    """
    known = [_placed(one, space) for one in evidence]
    probe = X if len(X) else space.sample(1, rng=0)
    prices = [_price(one, probe) for one in known]
    left = [math.inf if limit is None else limit for limit in (init_s, query_s)]
    taken: list[int] = []
    told = dict.fromkeys(range(len(known)), "")
    rows, rate = np.arange(min(len(y), _ROWS)), math.log(max(len(y), 2)) / 2
    before = _loss(space, X[rows], y[rows], (), random_state) if len(y) >= FEWEST else math.nan
    while True:
        able = []
        for i in set(told) - set(taken):
            first = prices[i] * float((~known[i].known(X)).sum()) if len(X) else 0.0
            if prices[i] > left[1] or first > left[0]:
                why = f"{prices[i]:.2g} s a row, and {max(left[1], 0):.2g} s are left for one"
                if prices[i] <= left[1]:
                    why = f"{first:.2g} s to begin with, of {max(left[0], 0):.2g} s"
                told[i] = f"costs {why}"
            else:
                able.append((i, first))
        if not able:
            break
        if math.isnan(before):
            best, first = min(able, key=lambda one: (prices[one[0]], one[0]))
            after = math.nan
        else:
            using = [known[i] for i in taken]
            losses = {
                i: _loss(space, X[rows], y[rows], (*using, known[i]), random_state) for i, _ in able
            }
            gains = {i: before - loss - rate * len(known[i].features) for i, loss in losses.items()}
            best, first = max(able, key=lambda one: (gains[one[0]], -one[0]))
            told |= dict.fromkeys(
                (i for i, gain in gains.items() if gain <= 0), "tells nothing new"
            )
            if gains[best] <= 0:
                break
            after = losses[best]
        taken.append(best)
        left, before = [left[0] - first, left[1] - prices[best]], after
        told[best] = f"is worth {prices[best]:.2g} s a row"
    remarks += [f"{_name(known[i])} {why}" for i, why in told.items() if why]
    return tuple(evidence[i] for i in taken)


def _placed(one: Evidence, space: Space) -> Evidence:
    if one.space is not None:
        return one
    found = one.__sklearn_clone__()
    found.set_params(space=space)
    return found


def _price(one: Evidence, X: Rows) -> float:
    if math.isnan(one.cost_s):
        one.values(X[:1])
    return 0.0 if math.isnan(one.cost_s) else one.cost_s


def _loss(
    space: Space, X: Rows, y: Floats, more: tuple[Encoding, ...], random_state: int | None
) -> float:
    encoding: tuple[str | Encoding, ...] = (*FEATURES, *more)
    model = GP(space, encoding, max_rows=_ROWS, random_state=random_state)
    return float(model.fit(X, y).loss_)


def _name(one: Evidence) -> str:
    return "+".join(one.features)
