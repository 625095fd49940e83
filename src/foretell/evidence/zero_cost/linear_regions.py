"""Linear regions between examples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foretell.errors import DataError, SettingError, SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look
from foretell.evidence.zero_cost.parts.watch import Watch


@dataclass(frozen=True)
class LinearRegions(Proxy):
    """The number of linear regions on the way from an example to the next.

    A unit of an activation that changes its sign between neighbouring points of the way is a border
    that is crossed: s = 1 + sum over points and units of [sign changes], mean of the ways. What
    crosses a border and back between two points is not seen.

    Args:
        ways: pairs of examples.
        points: of each way, both ends included.

    References: Hanin & Rolnick, Complexity of Linear Regions in Deep Networks, ICML 2019; Chen et
    al., TE-NAS, ICLR 2021. `Differs:` TE-NAS counts the different patterns of random inputs, which
    for networks of usual width are as many as inputs; normalisation by the batch of all points.
    """

    ways: int = 4
    points: int = 8

    def score(self, look: Look) -> float:
        """Of the first examples of the batch."""
        if self.ways < 1 or self.points < 2:
            raise SettingError("linear-regions", expected="ways from 1, points from 2", got=self)
        x = look.inputs
        if not x.is_floating_point() or len(x) < 2:
            raise DataError("linear-regions", expected="2 examples of numbers", got=tuple(x.shape))
        ways = min(self.ways, len(x) - 1)
        t = torch.linspace(0, 1, self.points, dtype=x.dtype, device=x.device)
        t = t.view(1, -1, *(1,) * (x.ndim - 1))
        a, b = x[:ways, None], x[1 : ways + 1, None]
        on_the_way = ((1 - t) * a + t * b).flatten(0, 1)
        crossed: list[Tensor] = []

        def count(z: Tensor) -> None:
            if z.shape[:1] == on_the_way.shape[:1]:
                signs = (z.detach() > 0).reshape(ways, self.points, -1)
                crossed.append((signs[:, 1:] != signs[:, :-1]).sum())

        with torch.no_grad():
            look.run(on_the_way, watch=Watch(on_activation=count))
        if not crossed:
            raise SpaceError("the network has no ReLU, nor anything like it")
        return 1.0 + float(sum(crossed)) / ways
