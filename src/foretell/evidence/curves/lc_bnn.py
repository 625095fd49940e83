"""A Bayesian neural network whose last layer is made of curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from foretell._rng import derive
from foretell.evidence.curves.base import CurveMethod, Floats
from foretell.evidence.curves.parts.scales import Scale
from foretell.evidence.curves.parts.summary import summary

if TYPE_CHECKING:
    from torch import Tensor

_BASES, _TIMES = 4, 12
_OUT = 2 * _BASES + 2  # weights and rates of the bases, an offset, log sigma


class LcBNN(CurveMethod):
    """Networks, sampled from their posterior, that turn the start of a curve into its rest.

    After t epochs a network reads the start (`parts.summary`) and says weights w, rates r, an
    offset o and a noise sigma of

        y(x) = y_t + o + sum_k w_k b_k(x / t; r_k) + N(0, sigma^2),

    with bases b that rise from 0 at x = t to 1: a power, an exponential, a logarithm and Hill's
    function. Its weights are sampled by stochastic gradient Hamiltonian Monte Carlo
    (`foretell.training.sghmc`) on the rest of the whole curves; each t has networks of its own.

    Args:
        hidden: units of both hidden layers.
        burn_in: steps before the first sample.
        samples: networks of each chain.
        every: steps between them.
        chains: independent ones.
        metric: the curve that is read; None for "val_acc", or "val_loss".
        random_state: non-negative seed.

    References: Klein et al., Learning Curve Prediction with Bayesian Neural Networks, ICLR 2017,
    sections 3 and 4. Differs: the network reads the start of the curve instead of the
    configuration, and bases rise from the last value that was seen.

    >>> x = np.arange(1, 11)
    >>> curves = {"val_acc": [c - 0.5 * c / x for c in np.linspace(0.5, 0.9, 20)]}
    >>> bool(np.ptp(LcBNN(burn_in=300).fit(curves).predict(curves, epochs=4)) > 0.2)
    True
    """

    learns = True
    has_std = True

    def __init__(
        self,
        hidden: int = 32,
        burn_in: int = 800,
        samples: int = 10,
        every: int = 30,
        chains: int = 2,
        metric: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.burn_in = burn_in
        self.samples = samples
        self.every = every
        self.chains = chains
        self.metric = metric
        self.random_state = random_state

    def _learn(self, whole: Floats, y: Floats) -> None:
        self.whole_, self.ends_ = whole, y
        self.networks_: dict[int, tuple[Any, Floats, Floats]] = {}

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, Floats]:
        import torch

        t = seen.shape[1]
        if t not in self.networks_:
            self.networks_[t] = self._sampled(t)
        states, centre, weight = self.networks_[t]
        scale = Scale.of(seen)
        scores = scale.score(seen)
        F = torch.from_numpy((summary(scores, horizon) - centre) * weight)
        ratio = torch.tensor([horizon / t], dtype=torch.float64)
        with torch.no_grad():
            mean, sigma = _outputs(states, F, ratio, self.hidden)  # (networks, n, 1)
        said = scores[:, -1] + mean[..., 0].numpy()
        spread = np.sqrt(said.var(axis=0) + (sigma.numpy() ** 2).mean(axis=0))
        return scale.value(said.mean(axis=0)), spread * scale.width

    def _sampled(self, t: int) -> tuple[Any, Floats, Floats]:
        import torch

        from foretell.training.sghmc import sghmc

        epochs = self.whole_.shape[1]
        begun = self.whole_[:, : min(t, epochs)]
        scale = Scale.of(begun)
        scores = scale.score(begun)
        features = summary(scores, epochs)
        spread = features.std(axis=0)
        centre = features.mean(axis=0)
        weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
        F = torch.from_numpy((features - centre) * weight)
        times = np.unique(np.linspace(min(t + 1, epochs), epochs, _TIMES).round().astype(int))
        rest = scale.score(self.whole_[:, times - 1]) - scores[:, -1:]
        rest[:, -1] = scale.score(self.ends_) - scores[:, -1]  # what is asked for
        Y = torch.from_numpy(rest)
        ratio = torch.from_numpy(times / t)
        n_weights = _sizes(F.shape[1], self.hidden)[-1]
        generator = torch.Generator().manual_seed(derive(self.random_state, "lc-bnn", t))
        start = 0.2 * torch.randn(self.chains, n_weights, generator=generator, dtype=torch.float64)

        def potential(states: Tensor) -> Tensor:
            mean, sigma = _outputs(states, F, ratio, self.hidden)
            errors = ((Y - mean) / sigma[..., None]) ** 2 / 2 + torch.log(sigma)[..., None]
            # the values of a curve are one observation, more or less: their errors go together
            return errors.mean(-1).sum() * 2 + (states**2).sum() / 2

        found = sghmc(
            potential, start, burn_in=self.burn_in, samples=self.samples, every=self.every,
            rate=0.02, friction=0.1, generator=generator,
        )  # fmt: skip
        return torch.cat(list(found)), centre, weight


def _sizes(n_in: int, hidden: int) -> tuple[int, int, int]:
    """Where the weights of each layer end."""
    first = (n_in + 1) * hidden
    second = first + (hidden + 1) * hidden
    return first, second, second + (hidden + 1) * _OUT


def _outputs(states: Tensor, F: Tensor, ratio: Tensor, hidden: int) -> tuple[Tensor, Tensor]:
    """Rise (m, n, t) over the last value at x / t, (t,), and sigma (m, n), of m networks."""
    import torch

    first, second, end = _sizes(F.shape[1], hidden)
    m, h = len(states), F.expand(len(states), *F.shape)
    for low, high, size in ((0, first, hidden), (first, second, hidden), (second, end, _OUT)):
        W = states[:, low:high].reshape(m, -1, size)
        fan = (W.shape[1] - 1) ** 0.5
        h = torch.baddbmm(W[:, -1:], h, W[:, :-1] / fan)
        h = torch.tanh(h) if high != end else h
    w, r = 0.2 * h[..., :_BASES], torch.exp(h[..., _BASES : 2 * _BASES].clamp(-4, 4))[..., None]
    u = ratio - 1.0
    bases = torch.stack(
        [
            1 - ratio ** -r[..., 0, :],
            1 - torch.exp(-r[..., 1, :] * u),
            torch.log(ratio) / (r[..., 2, :] + torch.log(ratio)),
            u / (r[..., 3, :] + u),
        ],
        dim=-2,
    )
    rise = 0.1 * h[..., -2:-1] + (w[..., None] * bases).sum(-2)
    return rise, torch.exp(-3.0 + h[..., -1]).clamp(1e-3, 1.0)
