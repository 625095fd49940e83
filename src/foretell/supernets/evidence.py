"""Accuracy with shared weights as evidence."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from foretell import supernets
from foretell.evidence.base import Evidence, Paid
from foretell.spaces.base import Rows, Space
from foretell.supernets.recipes import recipe
from foretell.supernets.search import SupernetSearch
from foretell.training.data import Data, load


class SharedWeights(Evidence):
    """What a row does with the weights of a supernet that is trained once, when first asked.

    The supernet's states are in the ledger's folder: another process, or a later one, goes on from
    them. `init_s` is what its training has cost; each row costs its evaluation alone.

    Args:
        method: a name of `foretell.supernets.names()`: "rsws" trains random rows, "one-shot" all
            at once with dropped paths, "few-shot" one supernet for each option of a site.
        data: what is learnt; a `Data`, or what `load` takes.
        epochs: of the supernet; None: those of the method.
        seed: of the supernet.
        batches: of the choosing rows; None for all.
        device: where; it changes no answer but for rounding.
        space: the space whose rows it sees; None to have the one of its predictor.

    References: White et al., How Powerful are Performance Predictors in NAS?, NeurIPS 2021
    (OneShot and RSWS); Bender et al., ICML 2018; Li & Talwalkar, UAI 2019.

    >>> import foretell as ft
    >>> from foretell.supernets.evidence import SharedWeights
    >>> space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(1, 8, 8))
    >>> shared = SharedWeights("rsws", "digits", epochs=1, space=space)
    >>> shared.transform([[3, 3, 3, 3, 3, 3]]).shape, shared.init_s > 0
    ((1, 1), True)
    """

    version = "1"
    features = ("accuracy",)
    block = 16
    free = ("device",)

    def __init__(
        self,
        method: str = "rsws",
        data: Any = "digits",
        epochs: int | None = None,
        seed: int = 0,
        batches: int | None = None,
        device: str = "cpu",
        space: Space | None = None,
    ) -> None:
        self.method, self.data, self.epochs, self.seed = method, data, epochs, seed
        self.batches, self.device, self.space = batches, device, space

    def _settings(self) -> dict[str, Any]:
        return {k: v for k, v in super()._settings().items() if k != "data"}

    def depends_on(self) -> Any:
        """The examples, and the parts of the method."""
        return [self._data.digest, repr(recipe(self.method))]

    @property
    def _data(self) -> Data:
        kept = self.__dict__.get("_loaded")
        if kept is None or kept[0] is not self.data:
            self._loaded = kept = (self.data, load(self.data, seed=0))
        found: Data = kept[1]
        return found

    @property
    def init_s(self) -> float:
        """Seconds that the training of the supernet has taken; trains it if need be."""
        return sum(run.spent_s for _, run in self.supernet.runs_)

    @property
    def supernet(self) -> SupernetSearch:
        """The trained supernet."""
        kept = self.__dict__.get("_trained")
        if kept is None or kept[0] != self.book:
            folder = self.ledger.made().folder
            search = supernets.get(
                self.method, space=self._space, epochs=self.epochs, random_state=self.seed,
                device=self.device, look=1,
                folder=None if folder is None else folder / "supernets" / self.book,
            )  # fmt: skip
            self._trained = kept = (self.book, search.train(self._data))
        net: SupernetSearch = kept[1]
        return net

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_trained"}

    def compute(self, X: Rows) -> Paid:
        """Accuracy (n,) of rows (n, d), and the seconds of the evaluation alone."""
        net = self.supernet
        start = time.perf_counter()
        values = net.score(X, self.batches)
        return Paid(values, np.full(len(X), (time.perf_counter() - start) / len(X)))
