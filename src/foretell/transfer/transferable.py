"""A predictor that knows other spaces, and learns from a few results of this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError

from foretell._rng import derive
from foretell.encodings.measures import Measures
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.gp import GP
from foretell.predictors.parts.features import FEATURES, FLOWS
from foretell.predictors.parts.targets import deviation
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.reason import reason
from foretell.transfer.foretold import Foretold
from foretell.transfer.parts.numbers import numbers
from foretell.transfer.parts.prior import Prior, shipped


class Transferable(Predictor):
    """Foretells networks of any space: a prior from other spaces, tuned on results of this one.

    The prior s(x) reads numbers of the computational graph, the same in every space, and is learnt
    on tables of other spaces (`foretell/transfer/prior.md`). With results of this space a Gaussian
    process has the mean of the two kernels of `gp`, s and these numbers beside what the first
    counts, and of a third on s and these numbers alone. Each has a length scale for each of its
    encodings: the marginal likelihood gives the prior as much weight as the results bear out, so
    that a prior that is wrong here is switched off.

    The shipped prior has seen NAS-Bench-101, 201, TransNAS-Bench-101 and others: on these tables a
    comparison is fair with a prior of the other spaces alone.

    Without any result `Transferable.pretrained()` ranks by s: rows of a space, or any modules.

    Args:
        space: whose rows it sees; None for modules alone.
        prior: another one than the shipped one, by `foretell.transfer.parts.learning.learn`.
        random_state: non-negative seed, or None for fresh entropy.

    Attributes:
        agreement_: correlation of the prior's scores and the results.
        why_: why no graph of the space could be drawn, "" where they could; without graphs it is
            the Gaussian process on rows alone.

    References: Han et al., A General-Purpose Transferable Predictor for Neural Architecture Search,
    SDM 2023. `Differs:` the core is numbers of the graph, which foretold spaces that were held out
    better than a graph network; that one is `foretell.transfer.parts.encoder`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> zero_shot = Transferable.pretrained(space)
    >>> worst, best = zero_shot.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]])
    >>> bool(best > worst)
    True
    """

    has_std = True
    model_: GP | None

    def __init__(
        self,
        space: Space | None = None,
        prior: Prior | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space  # type: ignore[assignment]  # without one it sees modules alone
        self.prior = prior
        self.random_state = random_state

    @classmethod
    def pretrained(cls, space: Space | None = None, prior: Prior | None = None) -> Transferable:
        """One that has seen no result of the space: it ranks by what other spaces say."""
        model = cls(space, prior)
        model.model_, model.line_, model.why_ = None, (0.0, 1.0), ""
        model.n_features_in_ = 0 if space is None else space.d
        model.learnt_from_ = None
        return model

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        foretold = Foretold(self.space, self.prior)
        seed = derive(int(rng.integers(2**31)), "gp")
        self.why_ = ""
        try:
            scores = foretold.encode(X)[:, 0].astype(np.float64)
        except Exception as error:  # a user's build may raise anything
            self.why_ = reason(error)
            self.model_ = GP(self.space, random_state=seed).fit(X, y)
            self.agreement_, self.line_ = 0.0, (float(y.mean()), 0.0)
            self.residual_ = float(deviation(y - y.mean()))
            return
        spread = scores.std()
        known = spread > 1e-9 and y.std() > 0
        self.agreement_ = float(np.corrcoef(scores, y)[0, 1]) if known else 0.0
        slope = max(self.agreement_, 0.01) * y.std() / spread if known else 0.0
        self.line_ = float(y.mean() - slope * scores.mean()), float(slope)
        self.residual_ = float(deviation(y - self.line_[0] - slope * scores))
        told = foretold, Measures(self.space)
        encoding = (*FEATURES, *told), FLOWS, told
        self.model_ = GP(self.space, encoding=encoding, random_state=seed).fit(X, y)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        if self.model_ is not None:
            mean, std = self.model_.predict(X, return_std=True)
            return mean, std
        mean, spread = (self.prior or shipped()).score(Measures(self.space).encode(X))
        return mean, np.hypot(spread, 1.0)  # a source's scores are standard

    @overload
    def predict(
        self,
        X: Any,
        return_std: Literal[False] = False,
        *,
        input_shape: Sequence[int] | None = None,
    ) -> Floats: ...
    @overload
    def predict(
        self, X: Any, return_std: Literal[True], *, input_shape: Sequence[int] | None = None
    ) -> tuple[Floats, Floats]: ...
    def predict(
        self,
        X: ArrayLike | Sequence[Any],
        return_std: bool = False,
        *,
        input_shape: Sequence[int] | None = None,
    ) -> Floats | tuple[Floats, Floats]:
        """Predictions for rows of the space, or for modules with `input_shape`, (n,).

        Modules are told by the prior alone: its score, after `fit` on the line through the
        results. Scores of `pretrained()` order networks of one task; 0 is the middle network of
        the sources, 1 a standard deviation better.

        Args:
            X: rows (n, d), or a list of `nn.Module`.
            return_std: also the deviations.
            input_shape: of one example, without the batch, for modules.

        Raises:
            DataError: a module cannot be traced.
        """
        if input_shape is None:
            if self.space is None:
                raise SettingError(
                    "Transferable without a space",
                    expected="modules and their input_shape",
                    hint="predict([module], input_shape=(3, 32, 32)), or Transferable(space)",
                )
            return super().predict(X, return_std=True) if return_std else super().predict(X)
        if not hasattr(self, "line_"):
            raise NotFittedError("call fit, or take Transferable.pretrained()")
        scores, spread = (self.prior or shipped()).score(numbers(X, input_shape))
        offset, slope = self.line_
        mean = offset + slope * scores
        if not return_std:
            return mean
        rest = 1.0 if self.model_ is None else self.residual_
        return mean, np.hypot(slope * spread, rest)
