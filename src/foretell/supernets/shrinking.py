"""Progressive shrinking: a supernet of numbers learns the largest network first, then its parts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from foretell.errors import SettingError
from foretell.nets.supernet.elastic import Elastic
from foretell.nets.supernet.elastic_layers import sort_channels
from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.schedule import Course, Schedule
from foretell.training.data import Data


class Teacher:
    """The largest network as it was when its parts began to learn; it learns no more.

    Args:
        net: whose weights it has from now on; copied.
        largest: the option of each site in it, (E,); -1 where it has that of its pupil.
        weight: of its lesson in the loss.
    """

    def __init__(self, net: Supernet, largest: NDArray[np.int64], weight: float) -> None:
        net.board.z = net.board.z.detach()  # what has a graph cannot be copied
        self.net, self.largest, self.weight = copy.deepcopy(net), largest, weight
        self.net.requires_grad_(False).train()

    def lesson(self, out: Tensor, x: Tensor, z: Tensor, data: Data) -> Tensor:
        """How far outputs (n, n_outputs) for x are from what it says, times its weight.

        Classes: cross entropy to its probabilities; labels: the same for each; numbers: mean
        squared difference. Statistics of normalisation are those of the batch.

        Args:
            out: of the pupil.
            x: the batch.
            z: weights of the pupil's row, (E, K).
            data: whose task it is.
        """
        full = z.detach().clone()
        fixed = torch.from_numpy(np.flatnonzero(self.largest >= 0)).to(z.device)
        option = torch.from_numpy(self.largest).to(z.device)[fixed]
        full[fixed] = functional.one_hot(option, z.shape[1]).to(z.dtype)
        with torch.no_grad():
            self.net.board.show(full)
            said: Tensor = self.net(x)
        if data.task == "classification":
            loss = functional.cross_entropy(out, said.softmax(1))
        elif data.task == "multilabel":
            loss = functional.binary_cross_entropy_with_logits(out, said.sigmoid())
        else:
            loss = functional.mse_loss(out, said)
        return self.weight * loss

    def tensors(self) -> dict[str, Tensor]:
        """Its weights, by name; not copied."""
        return {f"teacher/{name}": value for name, value in self.net.named_parameters()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Have the weights of `tensors`."""
        for name, value in self.tensors().items():
            value.data.copy_(tensors[name])


class Phase(NamedTuple):
    """A part of a search: which options are allowed, and how it learns.

    `kind` is what has just become free, "" for the largest network; `share` of the epochs, `rate`
    times that of the weights, `paths` rows a step.
    """

    kind: str
    mask: NDArray[np.bool_]
    share: float
    rate: float
    paths: int


class Shrinking(Course, Protocol):
    """What of a search progressive shrinking sees and sets."""

    whole: Tensor  # options of this supernet, (E, K)
    cycle: tuple[int, int, float] | None  # where the rate's cosine began, its epochs, its factor
    paths: int
    teacher: Teacher | None

    def refresh(self) -> None:
        """A fresh optimiser of the weights."""


@dataclass(frozen=True)
class Shrink(Schedule):
    """First the largest network learns; then smaller options become free, a kind after the other.

    Sites whose options are numbers are of the kind that their name begins with. Each phase frees
    one more option of all sites of its kind, the largest of those that are left; those of the
    first kind all at once. Each begins with a fresh optimiser, and its rate falls from `rates`
    times that of the weights. Before channels inside of blocks become free they are sorted by
    importance. In all phases but the first the loss has a lesson of the largest network.

    Args:
        kinds: words that names of sites begin with, in this order.
        full: share of the epochs in which the largest network learns.
        early: epochs of a phase that another of its kind follows, relative to the last one.
        rates: of the kinds.
        paths: rows whose gradients are added in a step, of the kinds.
        distil: weight of the lesson, 0 for none.

    References: Cai et al., Once-for-All, ICLR 2020, section 3.3 and appendix B; epochs, rates and
    rows a step have the proportions of its released code.
    """

    kinds: tuple[str, ...] = ("kernel", "depth", "expand", "channels", "width")
    full: float = 0.3
    early: float = 0.2
    rates: tuple[float, ...] = (1.0, 0.25, 0.25, 0.25, 0.25)
    paths: tuple[int, ...] = (1, 2, 4, 4, 4)
    distil: float = 1.0

    def __post_init__(self) -> None:
        if not len(self.kinds) == len(self.rates) == len(self.paths):
            raise SettingError(
                "kinds, rates and paths of progressive shrinking", expected="one of each for each",
                got=f"{len(self.kinds)}, {len(self.rates)}, {len(self.paths)}",
            )  # fmt: skip

    def sizes(self, mixture: Mixture) -> dict[int, NDArray[np.int64]]:
        """For each site of a kind its options, the largest first."""
        found = {}
        for e, site in enumerate(mixture.sites):
            if self._kind(site.name) and all(_number(option) for option in site.options):
                values = np.array([float(option) for option in site.options])
                found[e] = np.argsort(-values, kind="stable")
        return found

    def _kind(self, name: str) -> str:
        return next((kind for kind in self.kinds if name.split("_")[0] == kind), "")

    def phases(self, mixture: Mixture, whole: NDArray[np.bool_]) -> list[Phase]:
        """All phases, the largest network first.

        Args:
            mixture: of the space.
            whole: options that the supernet has, (E, K).

        Raises: SettingError where no site has numbers of these kinds.
        """
        order = {
            e: [k for k in options if whole[e, k]] for e, options in self.sizes(mixture).items()
        }
        mask = whole.copy()
        for e, options in order.items():
            mask[e] = False
            mask[e, options[0]] = True
        out = [Phase("", mask.copy(), self.full, 1.0, 1)]
        steps = []
        for n, kind in enumerate(self.kinds):
            sites = [e for e in order if self._kind(mixture.sites[e].name) == kind]
            most = max((len(order[e]) for e in sites), default=1)
            for free in range(2, most + 1) if n else ([most] if most > 1 else []):
                for e in sites:
                    mask[e, order[e][:free]] = True
                share = 1.0 if free == most else self.early
                steps.append(Phase(kind, mask.copy(), share, self.rates[n], self.paths[n]))
        if not steps:
            raise SettingError(
                "progressive shrinking", expected=f"decisions {', '.join(self.kinds)} of numbers",
                hint="take a space such as mobile or ofa-mbv3, or name your decisions in `kinds`",
            )  # fmt: skip
        total = sum(phase.share for phase in steps)
        return out + [p._replace(share=(1 - self.full) * p.share / total) for p in steps]

    def start(self, course: Course, epoch: int) -> None:
        """Go to the phase of the epoch."""
        search: Shrinking = course  # type: ignore[assignment]  # a Run has what both ask
        phases = self.phases(search.mixture, search.whole.cpu().numpy())
        ends = np.cumsum([0.0, *(phase.share for phase in phases)])
        bounds = [int(float(end) * search.epochs) for end in ends[:-1]] + [search.epochs]
        at = max(i for i, (a, b) in enumerate(pairwise(bounds)) if a <= epoch and a < b)
        phase = phases[at]
        if epoch == bounds[at] and search.stage < at:
            if search.stage == 0 and bounds[1] and self.distil:
                search.teacher = self.teach(search)
            if any(one.kind == "expand" for one in phases[search.stage + 1 : at + 1]):
                self._sort(search.net, phases[at - 1].mask)
            search.stage = at
            search.refresh()
        search.mask = torch.from_numpy(phase.mask).to(search.mask.device)
        search.paths = phase.paths
        search.cycle = (bounds[at], bounds[at + 1] - bounds[at], phase.rate)
        search.stage_start, search.stage_epochs = search.cycle[:2]

    def teach(self, search: Shrinking) -> Teacher:
        """The largest network as it is."""
        largest = np.full(len(search.mixture.sites), -1)
        first = self.phases(search.mixture, search.whole.cpu().numpy())[0].mask
        for e in self.sizes(search.mixture):
            largest[e] = int(first[e].argmax())
        return Teacher(search.net, largest, self.distil)

    @staticmethod
    def _sort(net: nn.Module, before: NDArray[np.bool_]) -> None:
        """Channels in order, on their side of the sizes that have learnt before."""

        def learnt(size: Elastic) -> list[int]:
            options = [np.flatnonzero(before[e]) for e in size.sites]
            return sorted({int(n) for n in size.values[np.ix_(*options)].ravel()})

        sort_channels(net, learnt)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
