"""AZ-NAS: four views of what goes from block to block."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from foretell.errors import SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.aggregate import Aggregate
from foretell.evidence.zero_cost.parts.look import BLOCKS, Look, gradient
from foretell.evidence.zero_cost.parts.ranks import Ranks, log_rank

_K = 1e-8


def _entropies(look: Look) -> list[float]:
    """Of the shares p of the eigenvalues of each feature map's covariance: -sum p log p."""
    found = []
    for map_ in _features(look):
        f = map_.detach().movedim(1, -1).reshape(-1, map_.shape[1]).double()
        f = f - f.mean(dim=0)
        v = torch.linalg.eigvalsh(f.T @ f / len(f)).clamp_min(0)
        p = v / v.sum()
        found.append(-float((p * (p + _K).log()).sum()))
    return found


def _features(look: Look) -> list[Tensor]:
    if len(look.seen.blocks) < 2:
        raise SpaceError(
            "the network has no blocks in a row",
            hint="put them into a `torch.nn.Sequential` or `ModuleList`",
        )
    return look.seen.blocks


@dataclass(frozen=True)
class Expressivity(Proxy):
    """How isotropic the features are: the sum over blocks of the entropy of their covariance.

    Features are those before the first block and after each; blocks are the children of the
    network's longest sequence or list of modules. With p the shares of the eigenvalues of the
    covariance of channels over examples and pixels: e_l = -sum p log p, s = sum_l e_l.

    References: Lee & Ham, AZ-NAS, CVPR 2024, equations 1 to 3. `Differs:` of the weights and inputs
    that are given, where the public code draws both.
    """

    needs: ClassVar[frozenset[str]] = frozenset({BLOCKS})

    def score(self, look: Look) -> float:
        """The sum over blocks."""
        return sum(_entropies(look))


@dataclass(frozen=True)
class Progressivity(Proxy):
    """How much the expressivity grows from block to block: s = min_l e_l - e_(l-1).

    References: Lee & Ham, AZ-NAS, CVPR 2024, equation 4.
    """

    needs: ClassVar[frozenset[str]] = frozenset({BLOCKS})

    def score(self, look: Look) -> float:
        """The least growth."""
        e = _entropies(look)
        return min(b - a for a, b in itertools.pairwise(e))


@dataclass(frozen=True)
class Trainability(Proxy):
    """How well gradients pass the blocks: s = mean_l 2 - c_l - 1 / (c_l + 1e-6).

    c_l is the spectral norm of a block's Jacobian as it is estimated by sending random signs r
    back through it: the largest singular value of mean (J^T r) r^T over examples and pixels. A
    block that hands everything on unchanged makes the score -inf in the public code; here it
    lowers the mean of the others by 1.

    References: Lee & Ham, AZ-NAS, CVPR 2024, equations 5 to 8. `Differs:` as said.
    """

    needs: ClassVar[frozenset[str]] = frozenset({BLOCKS})

    def score(self, look: Look) -> float:
        """The mean over blocks."""
        features = _features(look)
        most = max(map_.numel() for map_ in features)
        drawn = torch.randint(0, 2, (most,), generator=look.generator("az-nas"), dtype=torch.int8)
        found, same = [], 0
        for before, after in itertools.pairwise(features):
            if before is look.seen.inputs or not (after.requires_grad and before.requires_grad):
                continue
            r = drawn[: after.numel()].view(after.shape).to(after) * 2 - 1
            (back,) = gradient(after, [before], along=r)
            if back.shape == r.shape and torch.equal(back, r):
                same += 1
                continue
            c = _norm(back, r)
            found.append(2 - c - 1 / (c + 1e-6))
        if not found and not same:
            raise SpaceError("no gradient reaches any block")
        return sum(found) / max(len(found), 1) - same


def _norm(back: Tensor, r: Tensor) -> float:
    """Largest singular value of the mean of back r^T, pixels of a strided block put together."""
    if back.ndim == 4 and r.ndim == 4 and back.shape[2:] != r.shape[2:]:
        stride = max(math.ceil(a / b) for a, b in zip(back.shape[2:], r.shape[2:], strict=True))
        h, w = (stride * size for size in r.shape[2:])
        grown = functional.pad(back, (0, w - back.shape[3], 0, h - back.shape[2]))
        back = functional.pixel_unshuffle(grown, stride)
    if back.shape[2:] != r.shape[2:]:  # from maps to features
        back = back.flatten(1)
        r = r.flatten(1)
    rows = [one.movedim(1, -1).reshape(-1, one.shape[1]) for one in (back, r)]
    return float(torch.linalg.matrix_norm(rows[0].T @ rows[1] / len(rows[1]), ord=2))


@dataclass(frozen=True)
class AZNAS(Aggregate):
    """Expressivity, progressivity, trainability and complexity, put together by rank.

    s = sum_k log(rank_k / n) of the four among n networks; ranks count from the worst.

    References: Lee & Ham, AZ-NAS: Assembling Zero-Cost Proxies, CVPR 2024, equation 10.
    """

    ranks: ClassVar[Ranks] = (
        log_rank("az-expressivity")
        + log_rank("az-progressivity")
        + log_rank("az-trainability")
        + log_rank("n-flops")
    )
