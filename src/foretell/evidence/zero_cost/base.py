"""What a zero-cost proxy is: a number told by a network that is not trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from foretell.evidence.zero_cost.parts.look import Look


class Proxy(ABC):
    """Base of all proxies: a frozen dataclass of settings, and one number of a `Look`.

    `score` reads what it needs of the look, which is a copy of the network: it may do with the
    weights what it likes. Views that several proxies need (the forward pass, its gradients) are
    made once. What cannot be computed is NaN, or raises a `ForetellError` that says why.
    """

    higher_is_better: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()  # what the shared pass has to keep: see `Look`

    @abstractmethod
    def score(self, look: Look) -> float:
        """The number of one network."""
