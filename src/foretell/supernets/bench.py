"""A supernet with what is learnt about the architecture, on data: all that its parts ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foretell._rng import derive
from foretell.nets.devices import pick_device
from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.base import Rows, Space
from foretell.supernets import nodes
from foretell.supernets.alpha import Batch
from foretell.supernets.costs import counted, fitted
from foretell.supernets.distribution import Architecture, Draw
from foretell.supernets.jury import Jury, halves
from foretell.supernets.method import Method
from foretell.supernets.regulariser import Drawn
from foretell.supernets.stages import deeper
from foretell.training import scores
from foretell.training.data import Data
from foretell.training.data.batches import Split

STREAMS = ("order", "alpha", "weights", "perturbation", "selection")


class Workbench(ABC):
    """Draws, losses, costs and scores of a supernet as it is; how it learns is another file's.

    Args:
        space: whose supernet it is; fitted to the data already.
        method: the parts.
        data: what to learn.
        seed: of everything random.
        device: where.
        mask: options that this supernet has, (E, K) of bool; None for all.
    """

    def __init__(
        self,
        space: Space,
        method: Method,
        data: Data,
        seed: int,
        device: str = "auto",
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        self.space, self.method, self.data, self.seed = space, method, data, seed
        self.distribution, self.execution = method.distribution, method.execution
        self.mixture = space.mixture()
        self.device = pick_device(device)
        learn, choose = halves(data, method.weights.share)
        self.learn = Split(learn, "train", self.device)
        self.choose = Split(choose, "val", self.device)
        self.fresh = Split(data, "val", self.device)
        self.jury = Jury(self.choose, data, method.weights.batch_size)
        self.rngs = {name: torch.Generator().manual_seed(derive(seed, name)) for name in STREAMS}
        self.alpha_rng = self.rngs["alpha"]
        self.divisor = method.execution.divisor
        self.depth: int | None = None
        self.tau = 1.0
        self.progress: dict[str, Any] = {}
        self._tables: dict[str, Tensor] = {}
        self._batches: dict[str, Batch] = {}
        first = torch.from_numpy(self.mixture.mask if mask is None else self.mixture.mask & mask)
        self.mask = self.whole = first.to(self.device)
        self.net = self._build(0)
        self.arch = self._begin_arch(0)

    def _build(self, stage: int) -> Supernet:
        space = self.space
        if self.depth is not None:
            space = deeper(space, self.depth)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "net", stage))
            net: Supernet = space.supernet(
                self.data.input_shape, self.data.n_outputs, divisor=self.divisor
            )
            net = self.method.source.wrap(net, self.mixture)
        net.board.rng = self.rngs["perturbation"]
        return net.to(self.device)

    def _begin_arch(self, stage: int) -> Architecture:
        rng = torch.Generator().manual_seed(derive(self.seed, "begin", stage))
        with torch.random.fork_rng(devices=[]):  # modules of torch draw weights of their own
            arch = self.distribution.start(self.mixture, rng, self.execution.edge_norm)
        return arch.to(self.device)

    def draw(self) -> Draw:
        """Weights by the stream of alpha's steps."""
        return self.distribution.draw(self.arch, self.mask, self.mixture, self.tau, self.alpha_rng)

    def loss(self, z: Tensor, batch: Batch, *, alpha: bool = True) -> Tensor:
        """Of a batch at weights z."""
        self._show(z, alpha=alpha)
        return scores.loss(self.net(batch[0]), batch[1], self.data)

    def objective(self, z: Tensor, batch: Batch) -> Tensor:
        """The loss with what is added for alpha."""
        loss = self.loss(z, batch)
        at = Drawn(z, self.arch, self.mask, self.distribution, self.cost)
        for part in self.method.regularisers:
            loss = part(loss, at)
        return loss

    def cost(self, name: str) -> Tensor:
        """Of each option at each site, (E, K)."""
        if name not in self._tables:
            if name in ("params", "flops") and self.net.plain:
                found = counted(self.net, self.data.input_shape)
                self._tables |= dict(zip(("params", "flops"), found, strict=True))
            else:
                self._tables[name] = fitted(self.space, self.mixture, name, self.seed)
        return self._tables[name]

    @torch.no_grad()
    def reward(self, z: Tensor, batch: Batch) -> float:
        """Accuracy on a batch; for numbers minus the loss."""
        self._show(z, alpha=False)
        out = self.net(batch[0])
        if self.data.task == "classification":
            return float((out.argmax(1) == batch[1]).double().mean())
        return -float(scores.loss(out, batch[1], self.data))

    def batch(self, part: str) -> Batch:
        """The current batch of a part; that of alpha is drawn when it is first asked for."""
        if part not in self._batches:
            self._batches[part] = self.next_batch()
        return self._batches[part]

    def next_batch(self) -> Batch:
        """A fresh batch of the choosing rows, drawn with replacement."""
        at = torch.randint(
            len(self.choose), (min(self.method.weights.batch_size, len(self.choose)),),
            generator=self.alpha_rng,
        )  # fmt: skip
        return self.choose.batch(at)

    def scores(self) -> NDArray[np.float64]:
        """Mean weights (E, K), times the share of their site in its node."""
        with torch.no_grad():
            z = self.distribution.mean(self.arch, self.mask, self.mixture)
            scale = self._scale()
            if scale is not None:
                z = z * scale[:, None]
        out: NDArray[np.float64] = z.double().cpu().numpy()
        return out

    def _scale(self) -> Tensor | None:
        beta = self.arch.beta
        return None if beta is None else nodes.scale(beta, self.mask, self.mixture)

    def _show(self, z: Tensor, *, alpha: bool) -> None:
        self.net.board.scale = self._scale()
        self.execution.show(self.net, z, self.mask, alpha=alpha)

    def accuracy(self, z: Tensor, batches: int | None = None) -> float:
        """Of a mixture on the choosing rows; for numbers minus the loss."""
        self.net.board.scale = self._scale()
        return self.jury.accuracy(self.net, z, batches)

    def loss_of(self, z: Tensor, batches: int | None = None) -> float:
        """Loss of a mixture on the choosing rows."""
        self.net.board.scale = self._scale()
        return self.jury.loss(self.net, z, batches)

    def score(self, X: Rows, batches: int | None = None) -> NDArray[np.float64]:
        """Accuracy of rows with inherited weights and statistics of the batch, (n,)."""
        weights = torch.from_numpy(self.mixture.weights(X)).to(self.device)
        return np.array([self.accuracy(z, batches) for z in weights])

    def holds(self, X: Rows) -> NDArray[np.bool_]:
        """Which rows are made of options that are there."""
        X = np.asarray(X)
        out: NDArray[np.bool_] = (self.mixture.inside(X) == X).all(axis=1)
        taken = self.mixture.weights(X[out]) > 0
        out[out] = ~(taken & ~self.mask.cpu().numpy()).any(axis=(1, 2))
        return out

    def rng(self) -> np.random.Generator:
        """The stream of selection: a new generator each time, in order."""
        seed = torch.randint(2**31, (1,), generator=self.rngs["selection"])
        return np.random.default_rng(int(seed))

    @abstractmethod
    def tune(self, epochs: int) -> None:
        """Train on, with alpha, from a fresh optimiser."""
