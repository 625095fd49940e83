"""GHN."""

from __future__ import annotations

from foretell.supernets.method import Method
from foretell.supernets.recipes.rsws import rsws
from foretell.supernets.source import HyperNetwork


def ghn(hidden: int = 32, rounds: int = 5, n: int = 1000) -> Method:
    """Weights that a network writes for each graph: that network alone is trained.

    References: Zhang, Ren & Urtasun, ICLR 2019 (from memory). `Differs:` SGD as for other methods.
    """
    return rsws(n).but(source=HyperNetwork(hidden, rounds), lr=0.01, epochs=100)
