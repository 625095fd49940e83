"""What changes over the epochs of a search."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.distribution import Architecture


class Course(Protocol):
    """What of a search a schedule sees and sets."""

    net: Supernet
    arch: Architecture
    mask: Tensor
    mixture: Mixture
    epochs: int
    stage: int
    stage_start: int  # epoch at which the stage began
    stage_epochs: int
    tau: float
    alpha_on: bool
    skip_drop: float | None
    decay_factor: float
    stopped: int | None  # the epoch whose architecture counts, once that is decided
    eigenvalues: list[tuple[int, float]]  # (epoch, value), since the stage began

    def scores(self) -> np.ndarray:
        """Mean weights, (E, K)."""

    def rebuild(self, stage: int, *, fresh: bool, divisor: int | None, depth: int | None) -> None:
        """Go on with another network."""

    def go_back(self, epoch: int) -> None:
        """Weights and alpha of an earlier epoch."""

    def keep_epochs(self) -> None:
        """Keep the last epochs' states, so that `go_back` can have one."""


@dataclass(frozen=True)
class Schedule(ABC):  # noqa: B024  # each hook may be left out
    """Hooks before and after an epoch; several are applied in their order."""

    def start(self, course: Course, epoch: int) -> None:  # noqa: B027  # as above
        """Before an epoch, counted from 0."""

    def end(self, course: Course, epoch: int) -> None:  # noqa: B027  # as above
        """After it."""

    @property
    def measures(self) -> int:
        """Epochs between two eigenvalues that it needs; 0 for none."""
        return 0


@dataclass(frozen=True)
class Temperature(Schedule):
    """tau from `first` to `last`, linear or by powers, from the first to the last epoch."""

    first: float = 10.0
    last: float = 0.1
    kind: Literal["linear", "power"] = "linear"

    def start(self, course: Course, epoch: int) -> None:
        """Set tau."""
        course.tau = self.at(epoch, course.epochs)

    def at(self, epoch: int, epochs: int) -> float:
        """Of an epoch.

        >>> [round(Temperature().at(e, 250), 2) for e in (0, 124, 249)]
        [10.0, 5.07, 0.1]
        """
        share = epoch / max(1, epochs - 1)
        if self.kind == "power":
            return float(self.first * (self.last / self.first) ** share)
        return self.first + (self.last - self.first) * share


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Alpha rests for the first part of each stage, or of the search.

    Args:
        share: of the epochs of a stage.
    """

    share: float = 0.3

    def start(self, course: Course, epoch: int) -> None:
        """Turn alpha off or on."""
        course.alpha_on &= epoch - course.stage_start >= round(self.share * course.stage_epochs)


@dataclass(frozen=True)
class Stage:
    """One stage: how many options a site keeps, 1/divisor of the channels, cells.

    Args:
        keep: options of each site, a number, or below 1 a share of them; None or 1.0 for all.
        divisor: of the channels that go through options; None for that of the execution.
        depth: cells; None for those of the space.
        skip_drop: rate at which identities lose values; None for that of the execution.
    """

    keep: float | None = None
    divisor: int | None = None
    depth: int | None = None
    skip_drop: float | None = None


@dataclass(frozen=True)
class Stages(Schedule):
    """Equal parts of the epochs, between which options are dropped and the network changes.

    The weakest options by mean weight are dropped. With `fresh` the next network and its alpha
    start anew; else they go on: kept options keep their alpha, widened ones copy channels.

    Args:
        stages: one after the other.
        fresh: whether weights and alpha start anew.

    References: Chen et al., P-DARTS, ICCV 2019, section 3.2 (fresh); Chen et al., DrNAS, ICLR 2021,
    section 3.4 (inherited).
    """

    stages: tuple[Stage, ...] = (Stage(), Stage(keep=3))
    fresh: bool = False

    def start(self, course: Course, epoch: int) -> None:
        """Go to the next stage when its time has come."""
        bounds = [round(i * course.epochs / len(self.stages)) for i in range(len(self.stages) + 1)]
        at = max(i for i in range(len(self.stages)) if bounds[i] <= epoch)
        course.stage_start, course.stage_epochs = bounds[at], bounds[at + 1] - bounds[at]
        course.skip_drop = self.stages[at].skip_drop
        if epoch == bounds[at] and course.stage < at:
            stage = self.stages[at]
            if stage.keep is not None:
                k = course.mixture.shape[1]
                whole = isinstance(stage.keep, int)
                prune(course, int(stage.keep) if whole else max(1, round(stage.keep * k)))
            course.rebuild(at, fresh=self.fresh, divisor=stage.divisor, depth=stage.depth)
            course.eigenvalues.clear()


@dataclass(frozen=True)
class Freeze(Schedule):
    """A site whose best option leads by `gap` in probability has it alone from then on.

    Where rows take several options of a site, the weakest of these leads the next one.

    References: Hu et al., DSNAS, CVPR 2020, section 4.1 (early fix).
    """

    gap: float = 0.3

    def end(self, course: Course, epoch: int) -> None:
        """Look at each site."""
        scores, mask = course.scores(), course.mask.clone()
        for e, (row, site) in enumerate(zip(scores, course.mixture.sites, strict=True)):
            order = np.argsort(-row, kind="stable")
            best, rest = order[: site.keep], order[site.keep :]
            if len(rest) and row[best[-1]] - row[rest[0]] >= self.gap:
                mask[e, rest.tolist()] = False
        course.mask = mask


@dataclass(frozen=True)
class Flatness(Schedule):
    """Watches the largest eigenvalue of d2L_va/dalpha2, smoothed, and stops when it has risen.

    The mean of `window` measurements, one every second epoch, belongs to the epoch of their
    middle. When it is `factor` times that of `lag` measurements before, and that one's epoch is at
    least `earliest`, the search returns to that earlier epoch.

    Args:
        factor: of the rise.
        window: measurements that are averaged.
        lag: measurements between the two means.
        earliest: the first epoch that may be returned to.
        every: epochs between two measurements.
        react: 0 to end there (DARTS-ES); else go on from there with this times as much weight
            decay (DARTS-ADA).
        most: times, for `react`.

    References: Zela et al., ICLR 2020, sections 4.3 and 5; the numbers are those of its code.
    """

    factor: float = 1.3
    window: int = 5
    lag: int = 4
    earliest: int = 10
    every: int = 2
    react: float = 0.0
    most: float = 100.0

    @property
    def measures(self) -> int:
        """Every second epoch."""
        return self.every

    def start(self, course: Course, epoch: int) -> None:
        """Keep states to return to."""
        course.keep_epochs()

    def end(self, course: Course, epoch: int) -> None:
        """Stop or react, when it has risen."""
        back = self.returns([e for e, _ in course.eigenvalues], [v for _, v in course.eigenvalues])
        if back is None:
            return
        if not self.react:
            course.stopped = back
            return
        if course.decay_factor < self.most:
            course.decay_factor = min(self.most, course.decay_factor * self.react)
            course.go_back(back)
            course.eigenvalues[:] = [one for one in course.eigenvalues if one[0] <= back]

    def returns(self, epochs: list[int], values: list[float]) -> int | None:
        """The epoch to return to, or None while there is no reason.

        >>> Flatness().returns(list(range(0, 24, 2)), [1.1 ** (e / 2) for e in range(0, 24, 2)])
        10
        """
        n = len(values)
        if n < 3 + self.lag:
            return None
        now = self._mean(values, n)
        then = self._mean(values, n - self.lag)
        middle = n - self.lag - 1 - self.window // 2
        if middle < 0 or epochs[middle] < self.earliest or now <= self.factor * then:
            return None
        return epochs[middle]

    def _mean(self, values: list[float], n: int) -> float:
        return float(np.mean(values[max(0, n - self.window) : n]))


def prune(course: Course, keep: int) -> None:
    """Leave each site its `keep` strongest options, or as many as a row takes of it."""
    scores = np.where(course.mask.cpu().numpy(), course.scores(), -np.inf)
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    most = np.array([[max(keep, site.keep)] for site in course.mixture.sites])
    course.mask = course.mask & torch.from_numpy(rank < most).to(course.mask.device)
