"""The option of a run that stops networks early: which strategy of several fidelities, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from foretell.errors import SettingError
from foretell.search.strategy import Strategy
from foretell.strategies.asha import ASHA
from foretell.strategies.parts.brackets import Fidelities
from foretell.strategies.successive_halving import SuccessiveHalving

Kind = Literal["sync", "asha"]


@dataclass(frozen=True)
class Halving:
    """Networks of a strategy that start badly are not trained to the end.

    Args:
        eta: one in `eta` goes on, 2 or more.
        min_epochs: the first rung, 1 or more.
        kind: "sync" for `SuccessiveHalving`, "asha" for `ASHA`, over the run's strategy.

    >>> from foretell.strategies.random import Random
    >>> Halving(kind="asha").over(Random())
    ASHA(sampler=Random(...), eta=3, min_epochs=1, ...)
    """

    eta: int = 3
    min_epochs: int = 1
    kind: Kind = "sync"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise SettingError("halving", expected="sync or asha", got=repr(self.kind))
        self.over(None)  # which checks the numbers

    @classmethod
    def of(cls, setting: Self | str | Mapping[str, Any] | None) -> Self | None:
        """From what a user says: "sync", "asha", settings by name, or None."""
        if setting is None or isinstance(setting, cls):
            return setting
        if isinstance(setting, str):
            setting = {"kind": setting}
        given: Any = setting  # its values are checked when it is made
        try:
            return cls(**given)
        except TypeError:
            raise SettingError(
                "halving", expected="'sync', 'asha', or eta, min_epochs and kind", got=setting
            ) from None

    def over(self, strategy: Strategy | None) -> Fidelities:
        """The strategy that trains networks of this one as far as they are worth it."""
        kind = SuccessiveHalving if self.kind == "sync" else ASHA
        return kind(strategy, self.eta, self.min_epochs)
