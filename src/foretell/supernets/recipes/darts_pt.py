"""DARTS with perturbation-based selection."""

from __future__ import annotations

from foretell.supernets.alpha import NoUpdate
from foretell.supernets.distribution import Constant
from foretell.supernets.method import Method
from foretell.supernets.recipes.darts import darts
from foretell.supernets.selection import ProgressiveRemoval


def darts_pt(tune: int = 5) -> Method:
    """DARTS, then site after site the operation whose removal costs most.

    References: Wang et al., DARTS+PT, ICLR 2021.
    """
    return darts().but(selection=ProgressiveRemoval(tune))


def darts_pt_fixed_alpha(tune: int = 5) -> Method:
    """The same where operations have equal weights all along.

    References: Wang et al., DARTS+PT, ICLR 2021, section 5.2.
    """
    return darts_pt(tune).but(distribution=Constant(), alpha=NoUpdate())
