"""The predictor that chooses: candidates compared by cross-validation, blended by rank."""

from __future__ import annotations

import math
import time
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from foretell._rng import derive
from foretell.errors import SettingError
from foretell.evidence import Evidence, evidence_of
from foretell.evidence.parts.beside import mutants
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.blend import (
    BASELINE,
    PRIOR,
    Unseen,
    agreement,
    average,
    jackknife,
    kendall_error,
    mix,
    prior_share,
    weigh,
)
from foretell.predictors.parts.calibration import unaware, widening
from foretell.predictors.parts.candidates import FEWEST, SCORES, candidates_of, installed
from foretell.predictors.parts.price import worth_it
from foretell.predictors.parts.targets import Scale
from foretell.predictors.parts.unseen import on_ranks, predict_unseen
from foretell.predictors.parts.untold import Untold
from foretell.spaces.base import Rows, Space

_FOLDS, _FEWER, _MANY = 5, 3, 100  # with many results fits take long, and lack little in a fold
_UNCOMPARED = "gp"  # what is beside these and the prior then


class Auto(Predictor):
    """Fits several predictors, weighs them by cross-validation, and says what it chose.

    1. Each candidate predicts every training row from `folds` fits that have not seen it, or, where
       its members leave rows out, from one fit by the members that have not; and is scored by
       Kendall's tau of these predictions. One that after two folds or more is below
       the best so far by more than three standard errors of the difference (jackknife, on the rows
       predicted so far) is dropped.
    2. Predictions s_m become comparable on the scale of the ranks t of the targets. Those of
       candidates that are not clearly worse than the best, in the same sense, are blended as
       sum_m w_m s_m, with weights that explain the unseen rows, pulled to u, in proportion to
       (mean (t - s_m)^2)^-3 on them, 0 for `n-params`: min over w >= 0 of
       |t - sum_m w_m s_m|^2 + (10^4 / n) |w - u|^2, then divided by their sum; members under 5
       percent (or half an equal share) are left out.
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
            information criterion). By the same rule, from 50 results on, others than `gp`, which
            has both, read what signals have passed (`flow`, `edges`) instead of what is counted.
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
        init_s: seconds that evidence on the rows with results may cost, see `parts.price`: what is
            not worth its price is left out. None for no limit.
        query_s: seconds that evidence on a row to be predicted may cost. With neither, all of the
            evidence that is given is used.
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
    >>> model = Auto(space, ("gp", "bayes-lin"), random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> sorted(model.cv_scores_)
    ['auto', 'bayes-lin', 'gp', 'n-params', 'prior']
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
        init_s: float | None = None,
        query_s: float | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.candidates = candidates
        self.folds = folds
        self.max_rows = max_rows
        self.budget_s = budget_s
        self.evidence = evidence
        self.init_s = init_s
        self.query_s = query_s
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if self.folds is not None and self.folds < 2:
            raise SettingError("folds", expected="at least 2", got=self.folds)
        if not evidence_of(self.evidence) and self.evidence not in (None, ()):
            raise SettingError(
                "auto, evidence", expected="an Evidence, or several", got=repr(self.evidence)
            )
        remarks: list[str] = []
        self.cv_scores_: dict[str, tuple[float, float]] = {}
        self.dropped_: tuple[str, ...] = ()
        self.untold_, self.evidence_ = None, tuple[Evidence, ...]()
        given = evidence_of(self.evidence)
        if given and (self.init_s, self.query_s) != (None, None):
            seed = derive(self.random_state, "price")
            limits = self.init_s, self.query_s
            given = list(worth_it(self.space, X, y, given, *limits, seed, remarks))
        if not len(y):
            asked = None if self.evidence is None else tuple(given)
            self.untold_ = Untold(self.space, asked)
            self.evidence_ = self.untold_.evidence
            self.chosen_ = self.untold_.name
            self.note_ = "; ".join([self.untold_.note, *remarks])
            self.weights_, self.members_ = {self.chosen_: 1.0}, dict[str, Predictor]()
            return
        self.scale_ = Scale.of(y, "rank")
        names = self.candidates
        if names is None:
            names = installed(len(y), self.budget_s is not None, self.space)
        compared = candidates_of(self.space, X, y, names, given, self.random_state, remarks)
        self.fitted_: dict[str, Predictor] = {}
        if len(y) < FEWEST:
            lead = prior_share(len(y))
            fitted = _UNCOMPARED if _UNCOMPARED in compared else next(iter(compared))
            first = [PRIOR, *([SCORES] if SCORES in compared else [])]
            self.weights_ = {**dict.fromkeys(first, lead / len(first)), fitted: 1.0 - lead}
            known = _and(list(compared[PRIOR].fit(X, y).known_))
            few = f"{len(y)} results are too few to compare predictors: ranking by what is known"
            remarks.insert(0, f"{few} before training ({known}), with {1 - lead:.0%} of {fitted}")
            seen = None
        else:
            seen = self._compare(X, y, compared, rng, remarks)
        self.chosen_ = " + ".join(self.weights_)
        self.note_ = "; ".join(remarks)
        self.members_ = {
            name: self.fitted_[name] if name in self.fitted_ else compared[name].fit(X, y)
            for name in self.weights_
        }
        del self.fitted_
        self.shrink_, self.widen_ = (1.0, 0.0) if seen is None else self._calibrated(X, *seen, rng)

    def screen(self) -> Self | None:
        """See `Predictor.screen`; before any result is known it ranks by size."""
        if getattr(self, "untold_", None) is None:
            return super().screen()
        if not self.evidence_:
            return None
        none = np.zeros((0, self.space.d), dtype=np.int64), np.zeros(0)
        cheap: Self = clone(self).set_params(evidence=()).fit(*none)
        return cheap

    def _compare(
        self,
        X: Rows,
        y: Floats,
        candidates: dict[str, Predictor],
        rng: np.random.Generator,
        remarks: list[str],
    ) -> tuple[Floats, Unseen]:
        """Weights of the members; rows' targets, and what fits without them say of each."""
        self.oof_ = np.full(len(y), np.nan)
        rows = rng.permutation(len(y))[: self.max_rows]  # in random order, so folds are random
        X, y = X[rows], y[rows]
        folds = self.folds or (_FOLDS if len(y) < _MANY else _FEWER)
        fold = np.arange(len(y)) % min(folds, len(y))
        scores = self.scale_.score(y)
        seen, late = self._unseen(X, y, candidates, fold, len(self.oof_) / len(y))
        blended, doubted = np.zeros(len(y)), np.zeros(len(y))
        for k in range(fold.max() + 1):  # each fold by the weights of the others
            out = fold == k
            chosen = weigh({name: one.score[~out] for name, one in seen.items()}, scores[~out])
            own = {name: Unseen(seen[name].score[out], seen[name].variance[out]) for name in chosen}
            blended[out], doubted[out] = mix(chosen, own)
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
        if self.weights_.get(BASELINE, 0.0) >= 0.5:  # it has been put in their place
            blended, doubted = mix(self.weights_, seen)
        self.oof_[rows] = self.scale_.value(blended)
        if len(y) == len(self.oof_):
            self.fitted_ = {name: one.model for name, one in seen.items() if one.model is not None}
        return y, Unseen(blended, doubted)

    def _calibrated(
        self, X: Rows, y: Floats, seen: Unseen, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Factor and addition of variances (`parts.calibration`).

        A fit on fewer rows is less sure of itself than the last one: its variances count as shares
        of their mean, which is what the members say of rows beside the known ones.
        """
        with mutants(self.space, X, rng) as near:
            last, fewer = float(self._mixed(near)[1].mean()), float(seen.variance.mean())
        variance = seen.variance * (last / fewer) if fewer > 0 else seen.variance
        return widening(y, seen.score, variance, unaware(self.scale_, y))

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
            got = predict_unseen(
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
        mean, variance = self._mixed(X)
        std = np.sqrt(self.shrink_ * variance + self.widen_)
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _mixed(self, X: Rows) -> tuple[Floats, Floats]:
        """Score and variance of the members' mixture."""
        seen = {name: Unseen(*on_ranks(one, X, self.scale_)) for name, one in self.members_.items()}
        return mix(self.weights_, seen)

    def _mean(self, X: Rows) -> Floats:
        if self.untold_ is not None:
            return self.untold_.predict(X)
        scores = [self.scale_.score(one.predict(X)) for one in self.members_.values()]
        weights = np.array(list(self.weights_.values()))[:, None]
        return self.scale_.value((weights * np.stack(scores)).sum(axis=0))


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
