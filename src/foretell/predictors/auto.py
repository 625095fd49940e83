"""The predictor that chooses: candidates compared by cross-validation, blended by rank."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.base import clone

from foretell import _catalog
from foretell._rng import derive
from foretell.encodings.size import Size
from foretell.errors import ForetellError, SettingError
from foretell.metrics import kendall
from foretell.predictors._targets import Scale
from foretell.predictors.base import Floats, Predictor
from foretell.spaces.base import Rows, Space

BASELINE = "n-params"
CANDIDATES = ("gp", "gcn", "xgb", "rf")  # what `auto` compares, in this order
_SMOOTH, _MANY = ("gp", "gcn"), 50  # with fewer results only these: trees average too few rows
_FEWEST = 10  # results below which nothing can be compared
_FEW = ("gp", BASELINE)  # what is averaged then
_PULL = 10.0  # of weights to equal ones: 20 results choose little, 400 nearly all
_LEAST = 0.05  # a lighter member is left out of the blend


class Auto(Predictor):
    """Fits several predictors, weighs them by cross-validation, and says what it chose.

    1. Each candidate predicts every training row from `folds` fits that have not seen it, and is
       scored by Kendall's tau of these predictions.
    2. Predictions s_m become comparable on the scale of the ranks t of the targets, and are blended
       as sum_m w_m s_m, with weights that explain the unseen rows, pulled to u, equal weights of
       all but `n-params`: min over w >= 0 of |t - sum_m w_m s_m|^2 + (100 / n) |w - u|^2, then
       divided by their sum; members under 5 percent are left out.
    3. The blend's own tau is honest: the weights for each fold come from the other folds.
    4. Where that tau is below the one of `n-params` by more than two standard errors of the
       difference (jackknife), the size of the network ranks; by more than one, the average of
       both. Fits on fewer rows make the blend look worse than it is, the size of the network not;
       so less than one changes nothing, and `note_` says that `n-params` was not clearly beaten.

    With fewer than 10 results nothing can be compared; then `gp` and `n-params` are averaged.

    The standard deviation is that of the mixture of the members, scaled or widened by a constant
    so that on the training rows, predicted unseen, its mean square is the mean squared error.

    Args:
        space: the space whose rows it sees.
        candidates: names of the catalog; None for those of gp, gcn, xgb and rf that are installed
            (gp and gcn alone with fewer than 50 results, where trees average too few rows). Sizes
            are added to the features of those that take an encoding, where the space can tell them.
            `n-params` is always compared. `mlp` and `ngb` are left out by default: they take longer
            than the others together and added nothing on NAS-Bench-201.
        folds: of the cross-validation, at least 2; twice as many with fewer than 50 results.
        max_rows: cross-validate on at most so many rows, drawn at random; members see all rows.
        budget_s: start no further candidate when this many seconds of wall clock have passed;
            None for no limit. With a limit, results depend on the machine.
        random_state: non-negative seed, or None for fresh entropy.

    Attributes:
        chosen_: names of the members, heaviest first, as "gp + xgb".
        weights_: name -> weight of each member; they sum to 1.
        cv_scores_: name -> (Kendall tau, its jackknife standard error), candidates and "auto".
        oof_: out-of-fold prediction of each row by what was chosen, (n,); NaN for rows that the
            comparison left out. Only set when predictors were compared.
        note_: one sentence on what was chosen and why.

    References: Breiman 1996, Stacked regressions (non-negative weights); Caruana et al. 2004,
    Ensemble selection from libraries of models.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(40, rng=0)
    >>> model = Auto(space, candidates=("gp", "rf"), random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> sorted(model.cv_scores_)
    ['auto', 'gp', 'n-params', 'rf']
    >>> model.cv_scores_["auto"][0] > 0.5
    True
    """

    has_std = True

    def __init__(
        self,
        space: Space,
        candidates: tuple[str, ...] | None = None,
        folds: int = 5,
        max_rows: int = 1000,
        budget_s: float | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.candidates = candidates
        self.folds = folds
        self.max_rows = max_rows
        self.budget_s = budget_s
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if self.folds < 2:
            raise SettingError("folds", expected="at least 2", got=self.folds)
        remarks: list[str] = []
        self.scale_ = Scale.of(y, "rank")
        self.cv_scores_: dict[str, tuple[float, float]] = {}
        candidates = self._candidates(len(y), remarks)
        if len(y) < _FEWEST:
            names = [name for name in _FEW if name in candidates] or list(candidates)
            self.weights_ = {name: 1.0 / len(names) for name in names}
            remarks.insert(0, f"{len(y)} results are too few to compare predictors: {_and(names)}")
            self.widen_, self.shrink_ = 0.0, 1.0
        else:
            self._compare(X, y, candidates, rng, remarks)
        self.chosen_ = " + ".join(self.weights_)
        self.note_ = "; ".join(remarks)
        self.members_ = {name: candidates[name].fit(X, y) for name in self.weights_}

    def _candidates(self, n: int, remarks: list[str]) -> dict[str, Predictor]:
        """The unfitted candidates by name, the baseline first if the space can tell sizes."""
        sizes = _sizes_known(self.space, remarks)
        names = self.candidates
        if names is None:
            wanted = CANDIDATES if n >= _MANY else _SMOOTH
            known = [row for row in _catalog.PREDICTORS if row.name in wanted]
            present = {row.name for row in known if all(find_spec(p) for p in row.packages)}
            names = tuple(name for name in wanted if name in present)
        found: dict[str, Predictor] = {}
        for name in (BASELINE, *names) if sizes else names:
            one = _catalog.get(
                "predictor", name, space=self.space, random_state=derive(self.random_state, name)
            )
            found[name] = _with_size(one) if sizes else one
        if not found:
            raise SettingError("candidates", expected="at least one predictor", got="none")
        return found

    def _compare(
        self,
        X: Rows,
        y: Floats,
        candidates: dict[str, Predictor],
        rng: np.random.Generator,
        remarks: list[str],
    ) -> None:
        self.oof_ = np.full(len(y), np.nan)
        rows = rng.permutation(len(y))[: self.max_rows]  # in random order, so folds are random
        X, y = X[rows], y[rows]
        fold = np.arange(len(y)) % (self.folds if len(y) >= _MANY else min(2 * self.folds, len(y)))
        scores = self.scale_.score(y)
        seen: dict[str, _Unseen] = {}
        start = time.monotonic()
        for name, one in candidates.items():
            if not seen or self.budget_s is None or time.monotonic() - start < self.budget_s:
                # the baseline learns no order, so a fit for each fold would only blur its own
                folds = np.zeros_like(fold) if name == BASELINE else fold
                seen[name] = _predict_unseen(one, X, y, folds, self.scale_)
                self.cv_scores_[name] = kendall_error(y, seen[name].score)
        blended = np.zeros(len(y))  # each fold by the weights of the others
        for k in range(fold.max() + 1):
            others = {name: one.score[fold != k] for name, one in seen.items()}
            chosen = _weigh(others, scores[fold != k])
            blended[fold == k] = sum(w * seen[name].score[fold == k] for name, w in chosen.items())
        self.cv_scores_["auto"] = kendall_error(y, blended)
        self.weights_ = _weigh({name: one.score for name, one in seen.items()}, scores)
        if BASELINE in seen:
            size, tau = self.cv_scores_[BASELINE][0], self.cv_scores_["auto"][0]
            doubt = _jackknife(_agreement(y, seen[BASELINE].score) - _agreement(y, blended))
            if size - tau > 2 * doubt:
                self.weights_ = {BASELINE: 1.0}
            elif size - tau > doubt:
                self.weights_ = _average(self.weights_, {BASELINE: 1.0})
        remarks.insert(0, self._verdict())
        late = [name for name in candidates if name not in seen]
        if late:
            remarks.append(f"no time was left for {_and(late)} (budget_s={self.budget_s:g})")
        mean, variance = _mix(self.weights_, seen)
        error = float(np.mean((scores - mean) ** 2))
        level = float(np.mean(variance))
        self.widen_ = max(error - level, 0.0)
        self.shrink_ = min(error / level, 1.0) if level > 0 else 1.0

    def _verdict(self) -> str:
        tau, error = self.cv_scores_["auto"]
        who = _and(list(self.weights_))
        blend = who if len(self.weights_) == 1 else f"a blend of {who}"
        if BASELINE not in self.cv_scores_:
            return f"{blend}: cross-validated tau {tau:.2f} ± {error:.2f}"
        size = self.cv_scores_[BASELINE][0]
        if tau > size:
            against = f"against {size:.2f} of the number of parameters"
            return f"{blend}: cross-validated tau {tau:.2f} ± {error:.2f} {against}"
        if self.weights_ == {BASELINE: 1.0}:
            return f"no candidate beats the number of parameters (tau {size:.2f}): ranking by it"
        return (
            f"no candidate clearly beats the number of parameters (tau {size:.2f}, the blend's "
            f"{tau:.2f} ± {error:.2f}): ranking by {blend}"
        )

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        seen = {name: _Unseen(*_scores(one, X, self.scale_)) for name, one in self.members_.items()}
        mean, variance = _mix(self.weights_, seen)
        std = np.sqrt(self.shrink_ * variance + self.widen_)
        return self.scale_.value(mean), self.scale_.spread(mean, std)


class _Unseen(NamedTuple):
    """Scores (n,) and their variances (n,), of rows that the fit has not seen."""

    score: Floats
    variance: Floats


def _scores(model: Predictor, X: Rows, scale: Scale) -> tuple[Floats, Floats]:
    """Predictions on the scale of ranks, and their variance: 0 where the method has none."""
    if not model.has_std:
        return scale.score(model.predict(X)), np.zeros(len(X))
    mean, std = model.predict(X, return_std=True)
    return scale.score(mean), ((scale.score(mean + std) - scale.score(mean - std)) / 2) ** 2


def _predict_unseen(
    model: Predictor, X: Rows, y: Floats, fold: NDArray[np.intp], scale: Scale
) -> _Unseen:
    """What fits without the row's fold say of each row; a single fold is predicted by itself."""
    score, variance = np.zeros(len(y)), np.zeros(len(y))
    for k in range(fold.max() + 1):
        out = fold == k
        rest = out if out.all() else ~out
        fitted = clone(model).fit(X[rest], y[rest])
        score[out], variance[out] = _scores(fitted, X[out], scale)
    return _Unseen(score, variance)


def _mix(weights: dict[str, float], seen: dict[str, _Unseen]) -> tuple[Floats, Floats]:
    """Mean and variance of the mixture sum_m w_m N(score_m, variance_m)."""
    w = np.array(list(weights.values()))[:, None]
    mean = np.stack([seen[name].score for name in weights])
    own = np.stack([seen[name].variance for name in weights])
    centre = (w * mean).sum(axis=0)
    return centre, (w * (own + (mean - centre) ** 2)).sum(axis=0)


def _weigh(scores: dict[str, Floats], y: Floats) -> dict[str, float]:
    """Weights of a blend of scores (n,) for targets y (n,), heaviest first; they sum to 1."""
    Z, m = np.stack(list(scores.values()), axis=1), len(scores)
    start = np.array([float(name != BASELINE) for name in scores])
    start /= max(start.sum(), 1.0)
    pull = _PULL / np.sqrt(len(y))
    found, _ = nnls(np.concatenate([Z, pull * np.eye(m)]), np.concatenate([y, pull * start]))
    share = found / found.sum() if found.any() else np.full(m, 1.0 / m)
    kept = {
        name: float(w)
        for w, name in sorted(zip(share, scores, strict=True), reverse=True)
        if w >= _LEAST or w == share.max()
    }
    total = sum(kept.values())
    return {name: w / total for name, w in kept.items()}


def _average(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The mean of two sets of weights, heaviest first."""
    mean = {k: (one.get(k, 0.0) + other.get(k, 0.0)) / 2 for k in {**one, **other}}
    return dict(sorted(mean.items(), key=lambda item: -item[1]))


def kendall_error(y: Floats, score: Floats) -> tuple[float, float]:
    """Kendall's tau-b and its jackknife standard error.

    The error is sqrt((n - 1) / n sum_i (t_i - mean(t))^2), t_i being the mean agreement of the
    pairs without row i.
    """
    return kendall(y, score), _jackknife(_agreement(y, score))


def _agreement(y: Floats, score: Floats) -> NDArray[np.float64]:
    """1, -1 or 0 for each pair (n, n): ordered alike, the other way round, or tied."""
    pairs: NDArray[np.float64] = np.sign(y[:, None] - y) * np.sign(score[:, None] - score)
    return pairs


def _jackknife(pairs: NDArray[np.float64]) -> float:
    """Standard error of the mean of a symmetric matrix of pairs (n, n), rows left out in turn."""
    n = len(pairs)
    without = (pairs.sum() - 2 * pairs.sum(axis=1)) / ((n - 1) * (n - 2))
    return float(np.sqrt((n - 1) * without.var()))


def _sizes_known(space: Space, remarks: list[str]) -> bool:
    """Whether parameters and flops can be had, tried on one row; if not, a remark says why."""
    try:
        Size(space).encode(space.sample(1, rng=0))
    except ForetellError as error:
        remarks.append(f"sizes are unknown ({str(error)[:200]})")
        return False
    return True


def _with_size(model: Predictor) -> Predictor:
    """The predictor, with size among its features if it takes an encoding."""
    encoding = model.get_params(deep=False).get("encoding")
    if encoding is None:
        return model
    parts = encoding if isinstance(encoding, tuple) else (encoding,)
    model.set_params(encoding=(*parts, "size"))
    return model


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
