"""MeCo: the least eigenvalues of correlations between channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from foretell.errors import SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import MAPS, Look
from foretell.evidence.zero_cost.parts.matrices import correlation


@dataclass(frozen=True)
class MeCo(Proxy):
    """s = sum over modules of the least eigenvalue of the correlations between their channels.

    Correlations are those over the pixels of the first example.

    References: Jiang et al., MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum
    Eigenvalue of Correlation, NeurIPS 2023, equation 11. `Differs:` an example of the batch, where
    the public code takes noise of 64 x 64 pixels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({MAPS})

    def score(self, look: Look) -> float:
        """The sum over modules whose outputs have channels and pixels."""
        maps = [one for one in look.seen.maps if min(one.shape) > 1]
        if not maps:
            raise SpaceError("no module of the network has an output of channels and pixels")
        alike: dict[torch.Size, list[Tensor]] = {}
        for one in maps:
            alike.setdefault(one.shape, []).append(one)
        least = (torch.linalg.eigvalsh(correlation(torch.stack(m))) for m in alike.values())
        return float(sum(v[:, 0].double().sum() for v in least))
