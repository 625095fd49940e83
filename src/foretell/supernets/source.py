"""Where the weights of operations come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from foretell.nets.supernet.hyper import HyperSupernet
from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.parts.mixture import Mixture


@dataclass(frozen=True)
class Source(ABC):
    """From a supernet to one whose weights come from elsewhere."""

    @abstractmethod
    def wrap(self, net: Supernet, mixture: Mixture) -> Supernet:
        """The supernet that is trained."""


@dataclass(frozen=True)
class Shared(Source):
    """Each operation of each cell has its own."""

    def wrap(self, net: Supernet, mixture: Mixture) -> Supernet:
        """As it is."""
        return net


@dataclass(frozen=True)
class HyperNetwork(Source):
    """A network on the graph of the row writes them.

    Args:
        hidden: numbers of a vertex.
        rounds: of messages, forward and back.

    References: Zhang, Ren & Urtasun, ICLR 2019.
    """

    hidden: int = 32
    rounds: int = 5

    def wrap(self, net: Supernet, mixture: Mixture) -> Supernet:
        """Operations without weights of their own."""
        return HyperSupernet(net, mixture.links(), self.hidden, self.rounds)
