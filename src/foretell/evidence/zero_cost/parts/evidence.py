"""Zero-cost scores as evidence."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from foretell._rng import derive
from foretell.evidence.base import Evidence, Paid
from foretell.evidence.zero_cost.parts.batch import Batch, batch, noise
from foretell.evidence.zero_cost.parts.scoring import resolve, score
from foretell.nets.devices import pick_device
from foretell.spaces.base import Rows, Space


class ZeroCost(Evidence):
    """Scores of the networks of rows at initialisation, from one shared pass each.

    Each row is built for the data and gets initial weights of one seed. What has no score, and what
    cannot be built, is NaN.

    Args:
        proxies: a name of the catalog, or several.
        data: what `foretell.proxies.batch` takes; None for noise in the shape of the space.
        batch: examples that are looked at.
        seed: of weights, of noise, and of what proxies draw.
        space: the space whose rows it sees; None to have the one of the predictor that uses it.
        device: where networks are, "auto" for a card where there is one; it changes no answer but
            for rounding.

    References: Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021; White et al.,
    How Powerful are Performance Predictors in NAS?, NeurIPS 2021 (scores as features).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(3, 8, 8))
    >>> sizes = ZeroCost(("n-params", "n-layers"), batch=4, space=space)
    >>> sizes.transform([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]]).tolist()
    [[4894.0, 8.0], [23374.0, 26.0]]
    """

    version = "1"
    free = ("device",)

    def __init__(
        self,
        proxies: str | tuple[str, ...] = "consensus",
        data: Any = None,
        batch: int = 64,
        seed: int = 0,
        space: Space | None = None,
        device: str = "cpu",
    ) -> None:
        self.proxies = proxies
        self.data = data
        self.batch = batch
        self.seed = seed
        self.space = space
        self.device = device

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]  # known when made
        """The names of the proxies."""
        return (self.proxies,) if isinstance(self.proxies, str) else tuple(self.proxies)

    def _settings(self) -> dict[str, Any]:
        return {k: v for k, v in super()._settings().items() if k != "data"}

    def depends_on(self) -> Any:
        """The examples themselves."""
        return self.examples.digest

    @property
    def examples(self) -> Batch:
        """What it looks at."""
        if self.data is None:
            return noise(self._space.input_shape, self._space.n_outputs, self.batch, self.seed)
        kept = self.__dict__.get("_examples")
        if kept is None or kept[0] != (id(self.data), self.batch, self.seed):
            kept = (
                (id(self.data), self.batch, self.seed),
                batch(self.data, self.batch, self.seed),
            )
            self._examples = kept
        found: Batch = kept[1]
        return found

    def compute(self, X: Rows) -> Paid:
        """Scores (n, f) of rows (n, d)."""
        examples, space, wanted = self.examples, self._space, resolve(self.features)
        shape = tuple(examples.inputs.shape[1:])
        n_outputs = examples.n_outputs or _outputs(examples, space)
        device = pick_device(self.device)
        moved = Batch(examples.inputs.to(device), examples.targets.to(device))
        found, seconds, reasons = [], [], []
        for x in X:
            start = time.perf_counter()
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(derive(self.seed, "weights"))
                net = space.build(x, shape, n_outputs).to(device)
            scores = score(wanted, net, moved, seed=self.seed)
            found.append([scores[name] for name in wanted])
            seconds.append(time.perf_counter() - start)
            reasons.append("; ".join(f"{name}: {why}" for name, why in scores.reasons.items()))
        return Paid(np.array(found), np.array(seconds), reasons)


def _outputs(examples: Batch, space: Space) -> int:
    if examples.targets.is_floating_point():
        return int(examples.targets[0].numel())
    return max(space.n_outputs, int(examples.targets.max()) + 1)
