"""Extrapolation of a learning curve by monotone mixtures of four families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError
from foretell.evidence.curves.base import Floats
from foretell.evidence.curves.parts.families import FOUR, Mixture
from foretell.evidence.curves.parts.posterior import Extrapolation
from foretell.evidence.curves.parts.samplers import stretch

_BANK = 2_000  # draws of the prior, of which walkers start


class LCEM(Extrapolation):
    """As `lce`, but of mixtures that only rise (`parts.families.Mixture`), by walkers.

    Args:
        families: names of families, of eleven.
        chains: walkers, an even number above that of the parameters.
        steps: of each walker, of which the second half counts.
        metric: the curve that is read; None for "val_acc", or "val_loss".
        horizon: the epoch whose value is predicted; None for the length of the curves given.
        random_state: non-negative seed; all curves share its numbers.

    References: Klein et al., Learning Curve Prediction with Bayesian Neural Networks, ICLR 2017
    (their version of Domhan et al.); White et al., NeurIPS 2021. Differs: proper priors, and 120
    steps of walkers that start where the prior and the values agree instead of 800 around one
    point.

    >>> x = np.arange(1, 41)
    >>> curves = {"val_acc": [0.8 - 0.5 * x**-0.7, 0.6 - 0.4 * x**-0.7]}
    >>> LCEM(steps=60).predict(curves, epochs=15).round(1).tolist()
    [0.8, 0.6]
    """

    def __init__(
        self,
        families: Sequence[str] = FOUR,
        chains: int = 40,
        steps: int = 120,
        metric: str | None = None,
        horizon: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.families = families
        self.chains = chains
        self.steps = steps
        self.metric = metric
        self.horizon = horizon
        self.random_state = random_state

    def _ends(self, scores: Floats, horizon: int, rng: np.random.Generator) -> Floats:
        n, t = scores.shape
        x, model = np.arange(1.0, t + 1), Mixture(self.families, max(horizon, 2))
        if self.chains % 2 or self.chains <= model.size:
            raise SettingError(
                "LCEM, chains", expected=f"an even number above {model.size}", got=self.chains
            )

        def log_density(z: Floats, rows: NDArray[np.intp]) -> Floats:
            f, sigma = model.curves(z, x)
            squares = ((f - scores[rows][:, None]) ** 2).sum(axis=-1)
            found = -squares / (2 * sigma**2) - t * np.log(sigma) - (z**2).sum(axis=-1) / 2
            return np.where(np.isfinite(found), found, -np.inf)

        # walkers begin at the best of many draws for each curve
        bank = rng.standard_normal((_BANK, model.size))
        error = ((model.curves(bank, x)[0] - scores[:, None]) ** 2).sum(axis=2)
        best = np.argpartition(error, self.chains, axis=1)[:, : self.chains]
        states = stretch(log_density, bank[best], self.steps, rng)[self.steps // 2 :]
        end, sigma = model.curves(states, np.array([float(horizon)]))
        draws = end[..., 0] + sigma * rng.standard_normal((len(states), 1, self.chains))
        return draws.transpose(1, 0, 2).reshape(n, -1)
