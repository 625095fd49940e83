"""Extrapolation by a posterior of curves: what `lce` and `lce-m` share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foretell._rng import stream
from foretell.errors import SettingError
from foretell.evidence.curves.base import CurveMethod, Curves, Floats
from foretell.evidence.curves.base import sign as sign_of
from foretell.evidence.curves.parts.families import FAMILIES, Mixture
from foretell.evidence.curves.parts.scales import Scale

_BLOCK = 128  # curves that are sampled at once
_BANK = 400  # draws of the prior, of which chains start
_SOFTEST = 0.03  # deviation by which they are weighed


class Extrapolation(CurveMethod):
    """Base of methods that sample mixtures of parametric curves through the values seen.

    The scale is that of `parts.scales`; of what a chain visits, the second half counts.
    """

    least = 3
    has_std = True
    families: Sequence[str]
    chains: int
    steps: int
    random_state: int

    @abstractmethod
    def _sampled(
        self, model: Mixture, x: Floats, scores: Floats, start: Floats, rng: np.random.Generator
    ) -> Floats:
        """Numbers of mixtures through scores (n, t) at epochs x (t,), (steps, n, chains, size)."""

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
        model = Mixture(self.families, max(horizon, 2))
        blocks = [seen[i : i + _BLOCK] for i in range(0, len(seen), _BLOCK)]
        return np.concatenate([self._block(model, block, horizon) for block in blocks])

    def _block(self, model: Mixture, seen: Floats, horizon: int) -> Floats:
        rng = stream(self.random_state, "curve", seen.shape[1], horizon)
        x, scale = np.arange(1.0, seen.shape[1] + 1), Scale.of(seen)
        scores = scale.score(seen)
        bank = rng.standard_normal((_BANK, model.size))
        error = ((model.curves(bank, x)[0] - scores[:, None]) ** 2).sum(axis=2)  # (n, bank)
        weight = np.exp(-(error - error.min(axis=1, keepdims=True)) / (2 * _SOFTEST**2))
        share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
        spots = (np.arange(self.chains) + rng.random()) / self.chains
        at = (share[:, None] < spots[:, None]).sum(axis=2).clip(max=_BANK - 1)
        states = self._sampled(model, x, scores, bank[at], rng)
        states = states[len(states) // 2 :]
        end, sigma = model.curves(states, np.array([float(horizon)]))
        noise = rng.standard_normal((len(states), 1, self.chains))
        draws = (end[..., 0] + sigma * noise).transpose(1, 0, 2).reshape(len(seen), -1)
        return scale.value(draws)


def log_likelihood(model: Mixture, x: Floats, scores: Floats, z: Floats) -> Floats:
    """log N(scores; f(x), sigma^2) of scores (m, t) and numbers z (m, c, size), (m, c)."""
    f, sigma = model.curves(z, x)
    squares = ((f - scores[:, None]) ** 2).sum(axis=-1)
    found = -squares / (2 * sigma**2) - len(x) * np.log(sigma)
    return np.where(np.isfinite(found), found, -np.inf)
