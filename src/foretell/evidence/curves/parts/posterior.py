"""Extrapolation by a posterior of curves: what `lce` and `lce-m` share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import stream
from foretell.errors import DataError, SettingError
from foretell.evidence.curves.base import CurveMethod, Curves, Floats
from foretell.evidence.curves.base import sign as sign_of
from foretell.evidence.curves.parts.families import FAMILIES
from foretell.evidence.curves.parts.scales import Scale

_WRONG = 0.1  # by how much of what a curve has risen its families may be wrong, up to the horizon
_BLOCK = 128  # curves that are sampled at once
_FEWEST = 10  # curves to calibrate on: nine in ten of them are some


class Extrapolation(CurveMethod):
    """Base of methods that sample mixtures of parametric curves through the values seen.

    The scale is that of `parts.scales`; of what a chain visits, the second half counts. No family
    is true: schedules bend curves, so draws are spread by a tenth of what the curve has risen,
    times log(horizon / t) / log(horizon). How wide they have to be where a schedule bends all
    curves alike is told by whole curves of the same kind: see `calibrate`.

    Attributes:
        wider_: epochs seen -> factor of the deviations, where `calibrate` has found one.
    """

    least = 3
    has_std = True
    families: Sequence[str]
    chains: int
    steps: int
    random_state: int

    @abstractmethod
    def _ends(self, scores: Floats, horizon: int, rng: np.random.Generator) -> Floats:
        """Draws of the value at the horizon of scores (n, t) seen, noise included, (n, draws)."""

    def calibrate(self, curves: Curves, epochs: int, y: ArrayLike | None = None) -> Self:
        """Make 90 % intervals after `epochs` epochs as wide as whole curves ask for.

        Draws d become m + q (d - m), with m their mean and q the ceil(.9 (n + 1))-th smallest, of n
        curves, of |y - m| in units of the half of the interval on that side. Of curves like these,
        nine in ten are inside then (split conformal prediction); means stay.

        Args:
            curves: of trainings that were not stopped, (n, e), at least 10.
            epochs: how many of them are seen.
            y: values at the horizon, (n,), losses negated; None for the last ones of the curve.

        Raises:
            DataError: fewer curves, or `y` has another shape.

        References: Papadopoulos et al., Inductive Confidence Machines for Regression, ECML 2002.
        """
        name, values = self._read(curves)
        whole = sign_of(name) * values
        target = whole[:, -1] if y is None else np.asarray(y, dtype=np.float64)
        if target.shape != (len(whole),) or len(whole) < _FEWEST:
            raise DataError(
                "curves and targets to calibrate on",
                expected=f"at least {_FEWEST}, and as many targets",
                got=f"{len(whole)} and shape {target.shape}",
            )
        self.wider_ = {k: q for k, q in getattr(self, "wider_", {}).items() if k != epochs}
        draws = self._draws(whole[:, :epochs], self.horizon or whole.shape[1])
        low, high = np.quantile(draws, [0.05, 0.95], axis=1)
        off = target - draws.mean(axis=1)
        half = np.where(off > 0, high - draws.mean(axis=1), draws.mean(axis=1) - low)
        ratio = np.sort(np.abs(off) / np.maximum(half, 1e-12))
        self.wider_[epochs] = float(ratio[min(math.ceil(0.9 * (len(off) + 1)), len(off)) - 1])
        return self

    def samples(self, curves: Curves, epochs: int | None = None) -> Floats:
        """Draws of the value at the horizon, noise included, (n, draws); losses are negated.

        Args:
            curves: name -> (n, e).
            epochs: how many of them it sees; None for all.
        """
        name, values = self._read(curves)
        begun = sign_of(name) * values[:, : epochs or values.shape[1]]
        return self._draws(begun, max(self.horizon or values.shape[1], begun.shape[1]))

    def interval(
        self, curves: Curves, epochs: int | None = None, level: float = 0.9
    ) -> NDArray[np.float64]:
        """Central intervals of the value at the horizon, (n, 2); losses are negated."""
        tails = [(1 - level) / 2, (1 + level) / 2]
        found: Floats = np.quantile(self.samples(curves, epochs), tails, axis=1).T
        return found

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, Floats]:
        draws = self._draws(seen, horizon)
        return draws.mean(axis=1), draws.std(axis=1)

    def _draws(self, seen: Floats, horizon: int) -> Floats:
        unknown = sorted(set(self.families) - set(FAMILIES))
        if unknown or not self.families:
            raise SettingError(
                "families", expected=f"some of {', '.join(FAMILIES)}", got=unknown or "none"
            )
        found = []
        for start in range(0, len(seen), _BLOCK):
            block = seen[start : start + _BLOCK]
            scale = Scale.of(block)
            rng = stream(self.random_state, "curve", seen.shape[1], horizon)
            scores = scale.score(block)
            draws = self._ends(scores, horizon, rng)
            left = np.log(horizon / seen.shape[1]) / np.log(max(horizon, 2))
            wrong = _WRONG * left * np.ptp(scores, axis=1, keepdims=True)
            found.append(scale.value(draws + wrong * rng.standard_normal(draws.shape[1])))
        ends = np.concatenate(found)
        mean = ends.mean(axis=1, keepdims=True)
        wider = getattr(self, "wider_", {}).get(seen.shape[1])
        return ends if wider is None else mean + wider * (ends - mean)
