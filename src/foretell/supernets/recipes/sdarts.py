"""SDARTS on any method with soft weights, and with perturbation-based selection."""

from __future__ import annotations

from foretell.supernets.method import Method
from foretell.supernets.perturbation import Adversarial, UniformNoise
from foretell.supernets.recipes import parts_of
from foretell.supernets.selection import ProgressiveRemoval


def sdarts_rs(method: str = "darts", last: float = 0.3) -> Method:
    """Noise on the weights of operations in steps of the network's weights.

    References: Chen & Hsieh, SDARTS, ICML 2020; on "pc-darts" and "p-darts" too.
    """
    return parts_of(method).but(perturbation=UniformNoise(last=last))


def sdarts_adv(method: str = "darts", last: float = 0.3, steps: int = 7) -> Method:
    """The worst weights of operations nearby in steps of the network's weights.

    References: Chen & Hsieh, SDARTS, ICML 2020; on "pc-darts" and "p-darts" too.
    """
    return parts_of(method).but(perturbation=Adversarial(last=last, steps=steps))


def sdarts_adv_pt(method: str = "darts", tune: int = 5) -> Method:
    """`sdarts-adv`, then site after site the operation whose removal costs most.

    References: Wang et al., DARTS+PT, ICLR 2021, table 1.
    """
    return sdarts_adv(method).but(selection=ProgressiveRemoval(tune))
