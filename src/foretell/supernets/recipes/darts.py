"""DARTS, of first and second order."""

from __future__ import annotations

from foretell.supernets.alpha import First, Second
from foretell.supernets.method import Method


def darts(lr: float = 3e-4, weight_decay: float = 1e-3) -> Method:
    """Softmax over operations, its gradient at the weights as they are.

    References: Liu et al., DARTS, ICLR 2019 (first order).
    """
    return Method(alpha=First(lr=lr, weight_decay=weight_decay))


def darts_2nd(exact: bool = False) -> Method:
    """Softmax over operations, its gradient one step of the weights ahead.

    References: Liu et al., DARTS, ICLR 2019 (second order).
    """
    return Method(alpha=Second(exact=exact))
