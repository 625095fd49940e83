"""Single Path One-Shot."""

from __future__ import annotations

from foretell.supernets.method import Method
from foretell.supernets.recipes.rsws import rsws
from foretell.supernets.selection import Evolve


def spos(n: int = 1000, strategy: str = "regularized-evolution") -> Method:
    """A random row a step; at the end a search that asks inherited weights, within all limits.

    References: Guo et al., ECCV 2020 (from memory). `Differs:` any strategy may search.
    """
    return rsws().but(selection=Evolve(n, strategy), epochs=120, clip=5.0)
