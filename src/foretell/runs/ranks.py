"""What the predictor said, written down before the networks it speaks of are trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold

from foretell import _catalog, predictors
from foretell._rng import derive
from foretell.frame import Frame
from foretell.metrics import kendall
from foretell.runs.bounds import within
from foretell.runs.events import Rank, Score
from foretell.runs.folder import RunFolder
from foretell.search.history import History
from foretell.search.ranking import Ranking
from foretell.spaces.base import Rows, Space
from foretell.strategies import Proposal, Strategy

Floats = NDArray[np.float64]

_RANKING = {
    "arch": str, "predicted": float, "std": float, "measured": float,
    "params": float, "flops": float, "rank": int,
}  # fmt: skip
_PREDICTIONS = {"arch": str, "id": int, "phase": str, "predicted": float, "measured": float}
_FOLDS = 5
_COUNTED = 100  # rows whose costs are worth building networks for


def cross_validate(model: Any, space: Space, known: History, seed: int) -> tuple[Floats, Floats]:
    """Predictions of each result by a model that has not seen it, and the tau of each fold.

    Shapes: returns (n,) and (folds,); both empty for fewer than 4 results.
    """
    X, y = known.X, known.y
    folds = _folds(y, seed)
    if not folds:
        return np.zeros(0), np.zeros(0)
    out, taus = np.zeros(len(y)), []
    for train, test in folds:
        out[test] = clone(model).fit(X[train], y[train]).predict(X[test])
        taus.append(_tau(y[test], out[test]))
    return out, np.array(taus)


def _tau(y: Floats, said: Floats) -> float:
    """Kendall's tau over what something is said of."""
    there = np.isfinite(said)
    return kendall(y[there], said[there])


def _name(model: Any) -> str:
    """What the catalog calls a predictor, else its class in small letters.

    >>> from foretell import predictors, spaces
    >>> _name(predictors.get("n-params", spaces.get("nb201"))), _name(object())
    ('n-params', 'object')
    """
    kind = type(model)
    target = f"{kind.__module__}:{kind.__qualname__}"
    found = (row.name for row in _catalog.KINDS["predictor"] if row.target == target)
    return next(found, kind.__name__.lower())


def _folds(y: Floats, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Training and test places of each fold; none for fewer than 4 results."""
    folds = min(_FOLDS, len(y) // 2)
    if folds < 2:
        return []
    return list(KFold(folds, shuffle=True, random_state=derive(seed, "cv")).split(y))


def scores(
    proposal: Proposal, space: Space, known: History, seed: int, strategy: Strategy
) -> tuple[Rank, Floats]:
    """The `rank` event of a proposal, and the out-of-fold prediction of each known result.

    A predictor that has compared candidates itself (`cv_scores_`, `oof_`) is believed; any other
    one is cross-validated here beside the baselines.
    """
    model = proposal.model
    name = getattr(model, "chosen_", "") or _name(model)
    cv = {str(key): found for key, found in getattr(model, "cv_scores_", {}).items()}
    oof = getattr(model, "oof_", None)
    if oof is None:
        oof, taus = cross_validate(model, space, known, seed)
    else:
        taus = np.array([_tau(known.y[test], oof[test]) for _, test in _folds(known.y, seed)])
    if not cv and len(taus):
        cv[name] = taus.mean(), taus.std()
        for baseline in ("n-params", "mean") if space.closed_form_costs else ("mean",):
            if baseline in predictors.names() and baseline not in cv:
                _, taus = cross_validate(predictors.get(baseline, space=space), space, known, seed)
                cv[baseline] = taus.mean(), taus.std()
    assert proposal.ranking is not None  # the caller has looked
    predictor = getattr(strategy, "predictor", "") or ""  # None: the strategy brings its own
    event = Rank(
        chosen=name,
        note=str(getattr(model, "note_", "")),
        cv={key: Score(float(mean), float(std)) for key, (mean, std) in cv.items()},
        n_known=len(known),
        n_scored=proposal.ranking.n_scored,
        fit_s=proposal.fit_s,
        predict_s=proposal.predict_s,
        predictor=predictor if isinstance(predictor, str) else type(predictor).__name__,
    )
    return event, oof


def costs(space: Space, X: Rows) -> tuple[Floats, Floats]:
    """Parameters and flops of each row, NaN where a network cannot be built."""
    out = np.full((2, len(X)), np.nan)
    try:
        if len(X):
            out[:] = np.stack(space.costs(X))
    except Exception:  # a user's build may raise anything; its trial will say so
        for i in range(len(X)):
            try:
                out[:, i] = np.stack(space.costs(X[i : i + 1]))[:, 0]
            except Exception:  # as above
                continue
    return out[0], out[1]


def foretold(
    proposal: Proposal, known: History, oof: Floats, metric: str
) -> tuple[Ranking, Floats]:
    """The ranking of a proposal and out-of-fold predictions, as values that the metric can have."""
    ranking = proposal.ranking
    assert ranking is not None  # the caller has looked
    mean, std = within(metric, known.y, ranking.mean, ranking.std)
    return replace(ranking, mean=mean, std=std), within(metric, known.y, oof)[0]


def ranking_frame(space: Space, ranking: Ranking) -> Frame:
    """`ranking.csv`, before any of it is measured."""
    n = len(ranking)
    params, flops = np.full(n, np.nan), np.full(n, np.nan)
    counted = n if space.closed_form_costs else min(n, _COUNTED)
    params[:counted], flops[:counted] = costs(space, ranking.X[:counted])
    return Frame(
        {
            "arch": space.to_str(ranking.X),
            "predicted": ranking.mean,
            "std": np.full(n, np.nan) if ranking.std is None else ranking.std,
            "measured": np.full(n, np.nan),
            "params": params,
            "flops": flops,
            "rank": np.arange(1, n + 1),
        }
    )


def measured_frame(arch: list[str], value: Floats, params: Floats, flops: Floats) -> Frame:
    """A ranking by what was measured, for strategies that predict nothing."""
    order = np.argsort(-np.where(np.isnan(value), -np.inf, value), kind="stable")
    none = np.full(len(order), np.nan)
    names = np.array(arch, dtype=str)[order]
    columns = (names, none, none, value[order], params[order], flops[order])
    return Frame(dict(zip(_RANKING, (*columns, np.arange(1, len(order) + 1)), strict=True)))


def read_ranking(folder: RunFolder) -> Frame:
    """`ranking.csv`."""
    return Frame.read(folder.ranking, _RANKING)


def read_predictions(folder: RunFolder) -> Frame:
    """`predictions.csv`, empty when there is none yet."""
    if not folder.predictions.exists():
        return Frame({name: np.array([], dtype=kind) for name, kind in _PREDICTIONS.items()})
    return Frame.read(folder.predictions, _PREDICTIONS)


def with_measured(frame: Frame, measured: dict[str, float]) -> Frame:
    """The frame with what was measured since, by `arch`."""
    columns = {name: frame[name] for name in frame.columns}
    columns["measured"] = np.array([measured.get(arch, np.nan) for arch in frame["arch"].tolist()])
    return Frame(columns)
