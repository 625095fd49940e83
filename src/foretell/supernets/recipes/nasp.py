"""NASP."""

from __future__ import annotations

from foretell.supernets.distribution import Proximal
from foretell.supernets.execution import Single
from foretell.supernets.method import Method


def nasp() -> Method:
    """One operation an edge by projection; all of them only where alpha learns.

    References: Yao et al., NASP, AAAI 2020.
    """
    return Method(distribution=Proximal(), execution=Single(all_for_alpha=True))
