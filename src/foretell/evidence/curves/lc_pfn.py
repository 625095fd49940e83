"""A network that was fitted on the prior of learning curves, and extrapolates at once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foretell.evidence.curves.base import CurveMethod, Floats
from foretell.evidence.curves.parts.scales import Scale
from foretell.evidence.curves.parts.summary import summary

WEIGHTS = Path(__file__).with_name("lc_pfn.npz")


class LcPFN(CurveMethod):
    """The posterior of `lce` by one pass of a network that has seen drawn curves.

    Curves are drawn from the prior of `lce` (mixtures of eleven families, with noise), horizons
    from 8 to 200 epochs, starts of any length; the network reads the start (`parts.summary`) and
    says mean and deviation of the value at the horizon, in the scale of `parts.scales`. It was
    trained by `perf/train_lc_pfn.py` on drawn curves alone; its weights come with the package.

    Args:
        metric: the curve that is read; None for "val_acc", or "val_loss".
        horizon: the epoch whose value is predicted; None for the length of the curves given.

    References: Adriaensen et al., Efficient Bayesian Learning Curve Extrapolation using
    Prior-Data Fitted Networks, NeurIPS 2023; Rakotoarison et al., ifBO, ICML 2024. Differs: three
    dense layers on a summary of the start, and a normal answer, instead of a transformer on its
    points with a histogram.

    >>> x = np.arange(1, 41)
    >>> curves = {"val_acc": [0.8 - 0.5 * x**-0.7, 0.6 - 0.4 * x**-0.7]}
    >>> LcPFN().predict(curves, epochs=15).round(1).tolist()
    [0.8, 0.6]
    """

    has_std = True

    def __init__(self, metric: str | None = None, horizon: int | None = None) -> None:
        self.metric = metric
        self.horizon = horizon

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, Floats]:
        scale = Scale.of(seen)
        mean, std = answer(_weights(), scale.score(seen), horizon)
        return scale.value(mean), std * scale.width


def answer(weights: Mapping[str, Floats], scores: Floats, horizon: int) -> tuple[Floats, Floats]:
    """Mean and deviation (n,) at the horizon, of scores (n, t) seen."""
    h = (summary(scores, horizon) - weights["centre"]) * weights["scale"]
    layers = sum(name.startswith("W") for name in weights)
    for k in range(layers):
        h = h @ weights[f"W{k}"] + weights[f"b{k}"]
        if k < layers - 1:
            h = np.tanh(h)
    width = np.exp(np.clip(h[:, 1] - 3.0, -7.0, 0.0))
    return scores[:, -1] + 0.2 * h[:, 0], width


@functools.cache
def _weights() -> Mapping[str, Floats]:
    with np.load(WEIGHTS, allow_pickle=False) as file:
        return {name: file[name].astype(np.float64) for name in file.files}
