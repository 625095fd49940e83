"""The predictor that chooses: candidates compared by cross-validation, blended by rank."""

from __future__ import annotations

import math
import time
from importlib.util import find_spec
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from foretell import _catalog
from foretell._rng import derive
from foretell.encodings import Encoding
from foretell.encodings.numbers import plan
from foretell.encodings.size import Size
from foretell.errors import ForetellError, SettingError
from foretell.evidence import Evidence, evidence_of
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.gp import GP
from foretell.predictors.parts.blend import (
    BASELINE,
    PRIOR,
    Unseen,
    agreement,
    average,
    clearly_worse,
    jackknife,
    kendall_error,
    mix,
    prior_share,
    weigh,
)
from foretell.predictors.parts.calibration import widening
from foretell.predictors.parts.features import FEATURES
from foretell.predictors.parts.predicted import predicted
from foretell.predictors.parts.prior import Prior
from foretell.predictors.parts.targets import Scale
from foretell.predictors.parts.untold import ByScores, Untold, scores_among
from foretell.spaces.base import Rows, Space

_FOLDS, _FEWER, _MANY = 5, 3, 100  # with many results fits take long, and lack little in a fold
_FEWEST = 10  # results below which nothing can be compared
_SCORES = "zero-cost"  # what scores of untrained networks say by themselves
_UNCOMPARED = "gp"  # what is beside these and the prior then
_FEW = 50  # results below which what is known before training takes part,
_FEW_GUESSED = 20  # and where sizes are a guess by numbers, which the candidates know as well
_ROWS = 400  # most rows that are asked whether sizes say something


class Auto(Predictor):
    """Fits several predictors, weighs them by cross-validation, and says what it chose.

    1. Each candidate predicts every training row from `folds` fits that have not seen it, or, where
       its members leave rows out, from one fit by the members that have not; and is scored by
       Kendall's tau of these predictions. One that after two folds or more is below
       the best so far by more than three standard errors of the difference (jackknife, on the rows
       predicted so far) is dropped.
    2. Predictions s_m become comparable on the scale of the ranks t of the targets. Those of
       candidates that are not clearly worse than the best, in the same sense, are blended as
       sum_m w_m s_m, with weights that explain the unseen rows, pulled to u, equal weights of all
       but `n-params`: min over w >= 0 of |t - sum_m w_m s_m|^2 + (10^4 / n) |w - u|^2, then
       divided by their sum; members under 5 percent (or half an equal share) are left out.
    3. The blend's own tau is honest: the weights for each fold come from the other folds.
    4. Where that tau is below the one of `n-params` by more than three standard errors of the
       difference, the size of the network ranks; by more than two, the average of both. Fits on
       fewer rows make the blend look worse than it is, the size of the network not; so less than
       that changes nothing, and `note_` says that `n-params` was not clearly beaten.

    With few results prior knowledge leads: below 50, or 20 where sizes can only be guessed, what is
    known before training (sizes, numbers, depth, evidence; `parts.prior`) is a member whose share
    of u has the odds 24 / n, times e for each standard error by which it is ahead of what is
    fitted, or divided by e for each by which it is behind. Below 10 nothing can be compared, and it
    has 24 / (24 + n) of a blend with `gp`. With none at all (`fit` of no rows) the proxy
    `consensus` of untrained networks ranks, on no scale of any target; without evidence, as a
    screen, their flops do.

    The standard deviation is that of the mixture of the members, scaled or widened by a constant
    so that intervals of 90 percent hold nine tenths of the training rows, predicted unseen.

    Args:
        space: the space whose rows it sees.
        candidates: names of the catalog. None without `budget_s` for gp, gp-wl, from 20 results on
            bayes-lin, from 30 gates, from 50 xgb, without those that read the graph view where the
            space has numbers; and None with it for these, and then all others of the catalog that
            are no baseline, those first that promised most in a second. What is not installed is
            left out. Where the space can tell sizes, or has numbers, `n-params` is always compared,
            and sizes are added to the features of those that take an encoding if they say
            something: if the log evidence of `gp` rises by more than ln(n) / 2 with them (Bayesian
            information criterion).
        folds: of the cross-validation, at least 2; None for 5, or 3 with 100 results and more.
        max_rows: cross-validate on at most so many rows, drawn at random; members see all rows.
        budget_s: seconds of wall clock for the comparison and the fits of the members after it,
            for which as much is kept back as the fits of the folds let expect. A candidate that
            would outlast the rest is given up after the fold that shows it. None for no limit.
            Where it binds, results depend on the machine; else, and without it, on `random_state`
            alone.
        evidence: an `Evidence` or several (`foretell.evidence`): their answers are features of
            each candidate that takes an encoding. Zero-cost scores among them are a candidate by
            themselves, "zero-cost", and rank before any result is known. None for `consensus`
            then, and nothing later; () for nothing.
        random_state: non-negative seed, or None for fresh entropy.

    Attributes:
        chosen_: names of the members, heaviest first, as "gp + xgb".
        weights_: name -> weight of each member; they sum to 1.
        cv_scores_: name -> (Kendall tau, its jackknife standard error), candidates and "auto".
        oof_: out-of-fold prediction of each row by what was chosen, (n,); NaN for rows that the
            comparison left out. Only set when predictors were compared.
        dropped_: names of candidates that were clearly worse before their last fold.
        note_: one sentence on what was chosen and why.

    References: Breiman 1996, Stacked regressions (non-negative weights); Caruana et al. 2004,
    Ensemble selection from libraries of models; Schwarz 1978, Estimating the dimension of a model.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(40, rng=0)
    >>> model = Auto(space, candidates=("gp", "rf"), random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> sorted(model.cv_scores_)
    ['auto', 'gp', 'n-params', 'prior', 'rf']
    >>> model.cv_scores_["auto"][0] > 0.5
    True
    """

    has_std = True
    fewest = 0

    def __init__(
        self,
        space: Space,
        candidates: tuple[str, ...] | None = None,
        folds: int | None = None,
        max_rows: int = 1000,
        budget_s: float | None = None,
        evidence: Evidence | tuple[Evidence, ...] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.candidates = candidates
        self.folds = folds
        self.max_rows = max_rows
        self.budget_s = budget_s
        self.evidence = evidence
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if self.folds is not None and self.folds < 2:
            raise SettingError("folds", expected="at least 2", got=self.folds)
        remarks: list[str] = []
        self.cv_scores_: dict[str, tuple[float, float]] = {}
        self.dropped_: tuple[str, ...] = ()
        self.untold_, self.evidence_ = None, tuple[Evidence, ...]()
        if not len(y):
            asked = None if self.evidence is None else tuple(evidence_of(self.evidence))
            self.untold_ = Untold(self.space, asked)
            self.evidence_ = self.untold_.evidence
            self.chosen_, self.note_ = self.untold_.name, self.untold_.note
            self.weights_, self.members_ = {self.chosen_: 1.0}, dict[str, Predictor]()
            return
        self.scale_ = Scale.of(y, "rank")
        candidates = self._candidates(X, y, remarks)
        self.fitted_: dict[str, Predictor] = {}
        if len(y) < _FEWEST:
            lead = prior_share(len(y))
            fitted = _UNCOMPARED if _UNCOMPARED in candidates else next(iter(candidates))
            first = [PRIOR, *([_SCORES] if _SCORES in candidates else [])]
            self.weights_ = {**dict.fromkeys(first, lead / len(first)), fitted: 1.0 - lead}
            known = _and(list(candidates[PRIOR].fit(X, y).known_))
            few = f"{len(y)} results are too few to compare predictors: ranking by what is known"
            remarks.insert(0, f"{few} before training ({known}), with {1 - lead:.0%} of {fitted}")
            self.widen_, self.shrink_ = 0.0, 1.0
        else:
            self._compare(X, y, candidates, rng, remarks)
        self.chosen_ = " + ".join(self.weights_)
        self.note_ = "; ".join(remarks)
        self.members_ = {
            name: self.fitted_[name] if name in self.fitted_ else candidates[name].fit(X, y)
            for name in self.weights_
        }
        del self.fitted_

    def screen(self) -> Self | None:
        """See `Predictor.screen`; before any result is known it ranks by size."""
        if getattr(self, "untold_", None) is None:
            return super().screen()
        if not self.evidence_:
            return None
        none = np.zeros((0, self.space.d), dtype=np.int64), np.zeros(0)
        cheap: Self = clone(self).set_params(evidence=()).fit(*none)
        return cheap

    def _candidates(self, X: Rows, y: Floats, remarks: list[str]) -> dict[str, Predictor]:
        """The unfitted candidates by name, the baseline first if the space can tell sizes."""
        sizes = _sizes_known(self.space, remarks)
        base = sizes or bool(plan(self.space).names)
        beside = sizes and (len(y) < _FEWEST or self._sizes_say(X, y))
        names = self.candidates
        if names is None:
            names = _installed(len(y), self.budget_s is not None, self.space)
        found: dict[str, Predictor] = {}
        for name in (BASELINE, *names) if base else names:
            one = _catalog.get(
                "predictor", name, space=self.space, random_state=derive(self.random_state, name)
            )
            found[name] = _with(one, (*(("size",) if beside else ()), *evidence_of(self.evidence)))
        if scores := scores_among(evidence_of(self.evidence)):
            found[_SCORES] = ByScores(self.space, scores)
        if len(y) < (_FEW if sizes else _FEW_GUESSED):
            found[PRIOR] = Prior(self.space, evidence=tuple(evidence_of(self.evidence)))
        if not found:
            raise SettingError("candidates", expected="at least one predictor", got="none")
        return found

    def _sizes_say(self, X: Rows, y: Floats) -> bool:
        """Whether sizes are worth their length scale, by the Bayesian information criterion.

        Where they say nothing, chance is an order that fits the rows, and misleads everywhere.
        """
        seed = derive(self.random_state, "sizes")  # the same rows for both, where there are many
        without, beside = (
            GP(self.space, encoding=encoding, max_rows=_ROWS, random_state=seed).fit(X, y).loss_
            for encoding in (FEATURES, (*FEATURES, "size"))
        )
        return bool(without - beside > 0.5 * math.log(min(len(y), _ROWS)))

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
        folds = self.folds or (_FOLDS if len(y) < _MANY else _FEWER)
        fold = np.arange(len(y)) % min(folds, len(y))
        scores = self.scale_.score(y)
        seen, late = self._unseen(X, y, candidates, fold, len(self.oof_) / len(y))
        blended = np.zeros(len(y))  # each fold by the weights of the others
        for k in range(fold.max() + 1):
            others = {name: one.score[fold != k] for name, one in seen.items()}
            chosen = weigh(others, scores[fold != k])
            blended[fold == k] = sum(w * seen[name].score[fold == k] for name, w in chosen.items())
        self.cv_scores_["auto"] = kendall_error(y, blended)
        self.weights_ = weigh({name: one.score for name, one in seen.items()}, scores)
        if BASELINE in seen:
            size, tau = self.cv_scores_[BASELINE][0], self.cv_scores_["auto"][0]
            doubt = jackknife(agreement(y, seen[BASELINE].score) - agreement(y, blended))
            if size - tau > 3 * doubt:
                self.weights_ = {BASELINE: 1.0}
            elif size - tau > 2 * doubt:
                self.weights_ = average(self.weights_, {BASELINE: 1.0})
        remarks.insert(0, self._verdict())
        if self.dropped_:
            remarks.append(f"clearly worse after some folds: {_and(list(self.dropped_))}")
        if late:
            remarks.append(f"no time was left for {_and(late)} (budget_s={self.budget_s:g})")
        mean, variance = mix(self.weights_, seen)
        self.shrink_, self.widen_ = widening(y, mean, variance, self.scale_)
        if len(y) == len(self.oof_):
            self.fitted_ = {name: one.model for name, one in seen.items() if one.model is not None}

    def _unseen(
        self,
        X: Rows,
        y: Floats,
        candidates: dict[str, Predictor],
        fold: NDArray[np.intp],
        times: float,
    ) -> tuple[dict[str, Unseen], list[str]]:
        """What those that stay say of rows they have not seen, and who was left no time.

        Members are fitted on so many `times` the rows; the time for it is kept back.
        """
        seen: dict[str, Unseen] = {}
        late: list[str] = []
        best: str | None = None
        end = math.inf if self.budget_s is None else time.monotonic() + self.budget_s
        for name, one in candidates.items():
            # the baseline learns no order, so a fit for each fold would only blur its own
            folds = np.zeros_like(fold) if name == BASELINE else fold
            lead = None if best is None else seen[best].score
            got = _predict_unseen(
                one, X, y, folds, self.scale_, lead, end if seen else math.inf, times
            )
            if got == "late":
                late.append(name)
            elif got == "worse":
                self.dropped_ += (name,)
            else:
                seen[name] = got
                end -= got.fit_s
                self.cv_scores_[name] = kendall_error(y, got.score)
                ahead = best is None or self.cv_scores_[name] > self.cv_scores_[best]
                best = name if name not in (BASELINE, PRIOR) and ahead else best
        return seen, late

    def _verdict(self) -> str:
        tau, error = self.cv_scores_["auto"]
        who = _and(list(self.weights_))
        if PRIOR in self.weights_:
            share = self.weights_[PRIOR]
            rest = [name for name in self.weights_ if name != PRIOR]
            known = f"what is known before training ({share:.0%})"
            who = _and([known, *rest]) if share >= 0.5 else _and([*rest, known])
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
        if self.untold_ is not None:
            return self.untold_.predict(X), np.ones(len(X))
        seen = {name: Unseen(*_scores(one, X, self.scale_)) for name, one in self.members_.items()}
        mean, variance = mix(self.weights_, seen)
        std = np.sqrt(self.shrink_ * variance + self.widen_)
        return self.scale_.value(mean), self.scale_.spread(mean, std)


def _scores(model: Predictor, X: Rows, scale: Scale) -> tuple[Floats, Floats]:
    """Predictions on the scale of ranks, and their variance: 0 where the method has none."""
    mean, std = predicted(model, X)
    if std is None:
        return scale.score(mean), np.zeros(len(X))
    return scale.score(mean), ((scale.score(mean + std) - scale.score(mean - std)) / 2) ** 2


def _predict_unseen(
    model: Predictor,
    X: Rows,
    y: Floats,
    fold: NDArray[np.intp],
    scale: Scale,
    best: Floats | None,
    end: float = math.inf,
    times: float = 1.0,
) -> Unseen | Literal["worse", "late"]:
    """What fits without the row's fold say of each row; a single fold is predicted by itself.

    Given up when it is clearly worse than `best`, or would not be done by `end`, with a last fit
    on so many `times` the rows.
    """
    score, variance = np.zeros(len(y)), np.zeros(len(y))
    start, n_folds = time.monotonic(), int(fold.max()) + 1
    if model.leaves_out:  # one fit is enough
        fitted = clone(model).fit(X, y)
        if fitted.unseen_ is not None:
            low, mean, high = (
                scale.score(fitted.unseen_[0] + sign * fitted.unseen_[1]) for sign in (-1, 0, 1)
            )
            return Unseen(mean, ((high - low) / 2) ** 2, 0.0, fitted)
    last = times / (1 - 1 / max(n_folds, 2))  # rows of the last fit, in those of a fold's fit
    for k in range(n_folds):
        now, known = time.monotonic(), fold < k
        if now + (now - start) / max(k, 1) * (n_folds - k + last) >= end:
            return "late"
        if best is not None and k >= 2 and clearly_worse(y[known], score[known], best[known]):
            return "worse"
        out = fold == k
        rest = out if out.all() else ~out
        fitted = clone(model).fit(X[rest], y[rest])
        score[out], variance[out] = _scores(fitted, X[out], scale)
    return Unseen(score, variance, (time.monotonic() - start) / n_folds * last)


def _installed(n: int, more: bool, space: Space) -> tuple[str, ...]:
    """Names whose packages can be imported: those for `n` results, with `more` all in that order.

    Few results mislead products, networks and trees. Of a space with numbers the graph view says
    less than they do.
    """
    chain = bool(plan(space).names)
    return tuple(
        row.name
        for row in _catalog.KINDS["predictor"]
        if (more or (row.auto_from is not None and row.auto_from <= n))
        and not (row.name == "auto" or "baseline" in row.tags)
        and not (chain and not more and "graph" in row.needs)
        and all(find_spec(package) for package in row.packages)
    )


def _sizes_known(space: Space, remarks: list[str]) -> bool:
    """Whether parameters and flops can be had, tried on one row; if not, a remark says why."""
    try:
        Size(space).encode(space.sample(1, rng=0))
    except ForetellError as error:
        instead = ": the product of its numbers stands for them" if plan(space).names else ""
        remarks.append(f"sizes are unknown ({str(error)[:200]}){instead}")
        return False
    return True


def _with(model: Predictor, more: tuple[str | Encoding, ...]) -> Predictor:
    """The predictor, with these among its encodings if it takes some."""
    encoding = model.get_params(deep=False).get("encoding")
    if encoding is None or not more:
        return model
    parts = encoding if isinstance(encoding, tuple) else (encoding,)
    model.set_params(encoding=(*parts, *more))
    return model


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
