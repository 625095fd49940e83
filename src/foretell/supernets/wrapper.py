"""Which supernets are trained for one search, and how what they choose is compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foretell._rng import stream
from foretell.errors import SettingError
from foretell.spaces.base import Rows
from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.method import Method


@dataclass(frozen=True, eq=False)
class Member:
    """One supernet of a search.

    Args:
        name: of its state's file.
        method: its parts.
        parent: whose weights it begins with; None for fresh ones.
        mask: options that it holds, (E, K); None for all.
        share: of the search's epochs.
        chooses: whether it chooses rows.
    """

    name: str
    method: Method
    parent: str | None = None
    mask: NDArray[np.bool_] | None = None
    share: float = 1.0
    chooses: bool = True


class Scorer(Protocol):
    """A search that can score rows."""

    def score(self, X: Rows, batches: int | None = None) -> NDArray[np.float64]:
        """Accuracy with inherited weights."""


@dataclass(frozen=True)
class Wrapper(ABC):
    """From one method to the supernets of a search, in the order of training."""

    @abstractmethod
    def members(self, method: Method, mixture: Mixture, seed: int) -> list[Member]:
        """The supernets."""

    def compare(self, search: Scorer, X: Rows) -> NDArray[np.float64]:
        """How good the chosen rows are, (n,)."""
        return search.score(X)


@dataclass(frozen=True)
class Alone(Wrapper):
    """One supernet."""

    def members(self, method: Method, mixture: Mixture, seed: int) -> list[Member]:
        """It."""
        return [Member("supernet", method)]


@dataclass(frozen=True)
class FewShot(Wrapper):
    """A supernet, then one for each option of a site, which goes on from its weights.

    Args:
        site: its number among the sites of which a row takes one option; None for a random one.
        share: epochs of each child, as a share of the parent's.

    References: Zhao et al., Few-shot NAS, ICML 2021, section 3.
    """

    site: int | None = None
    share: float = 0.5

    def members(self, method: Method, mixture: Mixture, seed: int) -> list[Member]:
        """The parent and its children, which split the space."""
        single = [e for e, site in enumerate(mixture.sites) if site.keep == 1]
        if self.site is not None and not 0 <= self.site < len(single):
            raise SettingError("few-shot, site", expected=f"0 to {len(single) - 1}", got=self.site)
        whole = [e for e in single if len(mixture.sites[e].options) > 1]
        e = int(stream(seed).choice(whole)) if self.site is None else single[self.site]
        out = [Member("parent", method, chooses=False)]
        for k, option in enumerate(mixture.sites[e].options):
            mask = mixture.mask
            mask[e] = False
            mask[e, k] = True
            if mixture.takeable[e, k]:
                name = f"{mixture.sites[e].name}-{option}".replace("/", "-")
                out.append(Member(name, method, "parent", mask, self.share))
        return out


@dataclass(frozen=True)
class Variants(Wrapper):
    """The same search with several weight decays, each from fresh weights.

    Args:
        weight_decay: the decays.

    References: Zela et al., R-DARTS(L2), ICLR 2020, section 5.2. `Differs:` what they choose is
    compared by inherited weights where the paper trains each a little.
    """

    weight_decay: tuple[float, ...] = (3e-4, 9e-4, 27e-4, 81e-4)

    def members(self, method: Method, mixture: Mixture, seed: int) -> list[Member]:
        """One search a decay."""
        return [
            Member(f"decay-{decay:g}", method.but(weight_decay=decay))
            for decay in self.weight_decay
        ]
