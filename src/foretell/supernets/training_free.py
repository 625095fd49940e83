"""Pruning a supernet that is not trained, by what its gradients and its ReLUs say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foretell._rng import derive
from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.base import Rows
from foretell.supernets.selection import Chooser, Selection

_WORST = 1e5  # a condition number where the kernel is singular


@dataclass(frozen=True)
class TrainingFreePrune(Selection):
    """In rounds, on every site the option leaves whose removal is best for kappa and regions.

    For each option: how much its removal changes the condition number kappa of the neural tangent
    kernel (down is good), and the number of linear regions (up is good). Options are ranked by
    both over all sites; the sum of ranks decides. At the end, in nodes with more sites than a row
    has, sites leave likewise.

    Args:
        batch: examples of the kernel.
        repeats: initialisations that are averaged.
        drop: options that leave a site in a round.
        inputs: random inputs of the regions.
        side: their height and width.

    References: Chen, Gong & Wang, TE-NAS, ICLR 2021, algorithm 1.
    """

    batch: int = 16
    repeats: int = 3
    drop: int = 1
    inputs: int = 256
    side: int = 3

    def select(self, search: Chooser) -> Rows:
        """One row."""
        mixture = search.mixture
        takeable = torch.from_numpy(mixture.takeable).to(search.mask.device)
        search.mask = search.mask & takeable
        keep = torch.tensor([site.keep for site in mixture.sites], device=search.mask.device)
        while bool((search.mask.sum(1) > keep).any()):
            trials = [
                (e, k)
                for e, k in torch.nonzero(search.mask).tolist()
                if int(search.mask[e].sum()) > int(keep[e])
            ]
            ranks = self._ranks(search, [_without(search.mask, e, k) for e, k in trials])
            mask = search.mask.clone()
            for e in {e for e, _ in trials}:
                mine = [i for i, (site, _) in enumerate(trials) if site == e]
                room = int(mask[e].sum()) - int(keep[e])
                for i in sorted(mine, key=lambda i: float(ranks[i]))[: min(self.drop, room)]:
                    mask[e, trials[i][1]] = False
            search.mask = mask
            search.save()
        for node in mixture.nodes:
            while len(sites := [e for e in node.sites if bool(search.mask[e].any())]) > node.keep:
                ranks = self._ranks(search, [_without(search.mask, e, None) for e in sites])
                search.mask = _without(search.mask, sites[int(np.argmin(ranks))], None)
        best = mixture.best(search.mask.double().cpu().numpy(), search.mask.cpu().numpy())
        return mixture.rows(best[None])

    def _ranks(self, search: Chooser, masks: list[Tensor]) -> NDArray[np.int64]:
        """Sums of ranks, the smallest is best removed."""
        before = self._measure(search, search.mask)
        after = np.array([self._measure(search, mask) for mask in masks])
        change = (after - before) / np.maximum(np.abs(before), 1e-12)
        change = np.array([[float(f"{v:.3g}") for v in row] for row in change])
        kappa = np.argsort(np.argsort(change[:, 0], kind="stable"), kind="stable")
        regions = np.argsort(np.argsort(-change[:, 1], kind="stable"), kind="stable")
        return np.asarray(kappa + regions)

    def _measure(self, search: Chooser, mask: Tensor) -> NDArray[np.float64]:
        run: Any = search
        x, _ = run.choose.batch(torch.arange(min(self.batch, len(run.choose))))
        z = mask / mask.sum(1, keepdim=True).clamp(min=1)
        found = []
        for i in range(self.repeats):
            seed = derive(search.seed, "training-free", i)
            found.append((
                condition(_made(run, x.shape[1:], seed, "fan_out", z), x),
                regions(_made(run, (x.shape[1], self.side, self.side), seed, "fan_in", z),
                        self.inputs, seed),
            ))  # fmt: skip
        mean: NDArray[np.float64] = np.array(found).mean(axis=0)
        return mean


def condition(net: nn.Module, x: Tensor) -> float:
    """lambda_max / lambda_min of the kernel of the gradients of each example's summed outputs.

    >>> condition(nn.Linear(2, 3, bias=False), torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    4.0
    """
    K = kernel(net, x)
    values = torch.linalg.eigvalsh(K.double())
    low, high = float(values[0]), float(values[-1])
    return high / low if low > 1e-12 * max(high, 1e-300) else _WORST


def kernel(net: nn.Module, x: Tensor) -> Tensor:
    """The neural tangent kernel of weights, (n, n)."""
    net.train()
    params = [p for p in net.parameters() if p.ndim > 1 and p.requires_grad]
    sums = net(x).sum(1)
    rows = []
    for i in range(len(x)):
        slopes = torch.autograd.grad(
            sums[i], params, retain_graph=i + 1 < len(x), allow_unused=True
        )
        rows.append(torch.cat([g.flatten() for g in slopes if g is not None]))
    J = torch.stack(rows)
    return J @ J.T


@torch.no_grad()
def regions(net: nn.Module, inputs: Tensor | int, seed: int = 0) -> int:
    """How many different sign patterns of all ReLUs inputs have: linear regions that are met.

    Args:
        net: with ReLU modules; `shape` where `inputs` is a number.
        inputs: a batch, or how many to draw.
        seed: of the draw.
    """
    if isinstance(inputs, int):
        rng = torch.Generator().manual_seed(seed)
        inputs = torch.randn(inputs, *getattr(net, "shape", ()), generator=rng)
    signs: list[Tensor] = []

    def see(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        signs.append((args[0] > 0).flatten(1))

    hooks = [m.register_forward_hook(see) for m in net.modules() if isinstance(m, nn.ReLU)]
    try:
        net.train()(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    patterns = torch.cat(signs, dim=1).to(torch.uint8).cpu().numpy()
    packed = np.packbits(patterns, axis=1)
    return len(np.unique(packed.view(np.dtype((np.void, packed.shape[1]))).ravel()))


def _made(run: Any, shape: Any, seed: int, mode: Any, z: Tensor) -> Supernet:
    """A fresh supernet of that input, which shows z."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = run.space.supernet(tuple(shape), run.data.n_outputs)
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, mode=mode, nonlinearity="relu")
    net.shape = tuple(shape)
    net.board.show(z)
    made: Supernet = net
    return made


def _without(mask: Tensor, e: int, k: int | None) -> Tensor:
    out = mask.clone()
    out[e, slice(None) if k is None else k] = False
    return out
