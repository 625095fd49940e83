"""R-DARTS and what stops or reacts when the place becomes sharp."""

from __future__ import annotations

from foretell.supernets.execution import Full
from foretell.supernets.method import Method
from foretell.supernets.recipes.darts import darts, darts_2nd
from foretell.supernets.schedule import Flatness
from foretell.supernets.wrapper import Variants, Wrapper


def r_darts(
    decays: tuple[float, ...] = (3e-4, 9e-4, 27e-4, 81e-4), path_drop: float = 0.0
) -> tuple[Method, Wrapper]:
    """DARTS with several weight decays, or with `path_drop`; the best of what they choose.

    References: Zela et al., ICLR 2020, section 5.2. `Differs:` first order.
    """
    return darts().but(execution=Full(path_drop=path_drop)), Variants(decays)


def darts_es(order: int = 2) -> Method:
    """DARTS that ends where the largest eigenvalue of the loss in alpha has risen.

    References: Zela et al., ICLR 2020, section 4.3.
    """
    return (darts_2nd() if order == 2 else darts()).but(schedule=(Flatness(),))


def darts_ada(order: int = 2, factor: float = 10.0) -> Method:
    """DARTS that goes back there, and on with more weight decay.

    References: Zela et al., ICLR 2020, section 5.3.
    """
    return darts_es(order).but(schedule=(Flatness(react=factor),))
