"""The one loop: a supernet, what is learnt about the architecture, and their steps.

Five random streams of the seed that are never shared: the order of data, the draws of alpha's
steps, the draws of the weights' steps, perturbation (dropout too), selection. So a part that is
added changes no draw of the others. Deterministic on a CPU for a seed and a number of threads;
what changes is in `tensors` and `facts`, from which a search goes on to the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foretell._rng import derive, stream
from foretell.spaces.base import Space
from foretell.supernets import records
from foretell.supernets.alpha import AlphaUpdate
from foretell.supernets.bench import Workbench
from foretell.supernets.execution import skip_drop
from foretell.supernets.method import Method
from foretell.supernets.perturbation import Step
from foretell.supernets.records import Record
from foretell.supernets.shrinking import Shrink, Teacher
from foretell.supernets.stages import pass_on, widen
from foretell.supernets.state import Kept, Moving, State, copied
from foretell.training import augment, scores
from foretell.training.data import Data
from foretell.training.loop import DivergedError

FACTS = (  # all that changes beside tensors
    *("epoch", "steps", "stage", "divisor", "depth", "stopped", "eigenvalues"),
    *("history", "progress", "spent_s"),
)
OnEpoch = Callable[[Record], None]
Pulse = Callable[[], None]


class Run(Workbench):
    """One supernet in training: a `Method` on a space and data, a seed.

    Args:
        space: whose supernet it is; fitted to the data already.
        method: the parts.
        data: what to learn.
        seed: of everything random.
        epochs: of the search; selection comes on top.
        device: where.
        mask: options that this supernet has, (E, K) of bool; None for all.
        parent: a finished run whose weights and alpha this one begins with.
        path: the file of the state; None to keep none.
        measure: epochs between two measurements of curvature; 0 for none.
        look: batches of the choosing rows for the records of an epoch; None for all.
    """

    def __init__(
        self,
        space: Space,
        method: Method,
        data: Data,
        seed: int,
        *,
        epochs: int,
        device: str = "auto",
        mask: NDArray[np.bool_] | None = None,
        parent: Run | None = None,
        path: Path | None = None,
        measure: int = 0,
        look: int | None = None,
    ) -> None:
        self.epochs, self.measure, self.look = epochs, measure, look
        super().__init__(space, method, data, seed, device, mask)
        self.stage, self.stage_start, self.stage_epochs = 0, 0, epochs
        self.tau, self.alpha_on, self.decay_factor, self.size = 1.0, True, 1.0, 0.0
        self.skip_drop: float | None = None
        self.stopped: int | None = None
        self.eigenvalues: list[tuple[int, float]] = []
        self.history: list[Record] = []
        self.cycle: tuple[int, int, float] | None = None
        self.paths = 1  # rows a step
        self.teacher: Teacher | None = None
        self.epoch = 0
        self.steps = 0
        self.spent_s = 0.0
        self._kept = Kept()
        self._state = State(path, self._identity())
        if parent is not None:
            self.net.load_state_dict(parent.net.state_dict())
            self.arch.load_state_dict(parent.arch.state_dict())
        self._optimisers()

    def _optimisers(self) -> None:
        self.optimiser = self._sgd()
        self.alpha_optimiser = self.method.alpha.optimiser(self.arch)

    def refresh(self) -> None:
        """A fresh optimiser of the weights."""
        self.optimiser = self._sgd()

    def _sgd(self) -> torch.optim.Optimizer:
        w = self.method.weights
        return torch.optim.SGD(
            self.net.parameters(), lr=w.lr, momentum=w.momentum, nesterov=w.nesterov,
            weight_decay=w.weight_decay,
        )  # fmt: skip

    def rebuild(self, stage: int, *, fresh: bool, divisor: int | None, depth: int | None) -> None:
        """Go on with another network: deeper, or with more of the channels.

        Args:
            stage: its number.
            fresh: start weights and alpha anew; else widen what is there.
            divisor: of the channels; None to leave it.
            depth: cells; None to leave it.
        """
        self.stage = stage
        old, memory, changed = self.net, self.optimiser, (divisor, depth) != (None, None)
        self.divisor = self.divisor if divisor is None else divisor
        self.depth = self.depth if depth is None else depth
        if fresh:
            self.net = self._build(stage)
            self.arch = self._begin_arch(stage)
            self._optimisers()
        elif changed:
            self.net = self._build(stage)
            grow = widen(old, self.net, stream(self.seed, "widen", stage))
            self.optimiser = self._sgd()
            pass_on(memory, old, self.optimiser, self.net, grow)
            with torch.no_grad():
                self.arch.alpha[~self.mask] = 0.0

    # -- training -----------------------------------------------------------------------------

    def train(self, on_epoch: OnEpoch | None = None, pulse: Pulse | None = None) -> None:
        """All epochs that are left.

        Raises: DivergedError where the loss is no longer a number.
        """
        while self.epoch < self.epochs and self.stopped is None:
            start = time.perf_counter()
            self._begin(self.epoch)
            record = self._pass(self.epoch, self.epochs, pulse)
            record |= self._look(self.epoch)
            self.history.append(record)
            self._end(self.epoch)
            self.epoch += 1
            self.spent_s += time.perf_counter() - start
            record["seconds"] = self.spent_s
            self.save(now=self.epoch == self.epochs)
            if on_epoch is not None:
                on_epoch(record)

    def _begin(self, epoch: int) -> None:
        self.tau, self.alpha_on = 1.0, self.alpha_optimiser is not None
        self.stage_start, self.stage_epochs, self.skip_drop = 0, self.epochs, None
        self.cycle, self.paths = None, 1
        for part in self.method.schedule:
            part.start(self, epoch)
        share = epoch / max(1, self.epochs - 1)
        perturbation = self.method.perturbation
        self.size = 0.0 if perturbation is None else perturbation.size(share)
        inside = epoch - self.stage_start
        board, run = self.net.board, self.execution
        rate = run.skip_drop if self.skip_drop is None else self.skip_drop
        board.skip_drop = skip_drop(rate, inside, self.stage_epochs)
        board.path_drop = run.path_drop * share

    def _end(self, epoch: int) -> None:
        for part in self.method.schedule:
            part.end(self, epoch)
        if self.stopped is not None:
            self.go_back(self.stopped)

    def _rate(self, epoch: int, epochs: int) -> float:
        w = self.method.weights
        share = (1 + math.cos(math.pi * epoch / max(1, epochs))) / 2
        return w.lr_end + (w.lr - w.lr_end) * share

    def _pass(self, epoch: int, epochs: int, pulse: Pulse | None = None) -> Record:
        """One epoch of steps."""
        w, update = self.method.weights, self.method.alpha
        first, length, factor = self.cycle or (0, epochs, 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = factor * self._rate(epoch - first, length)
            group["weight_decay"] = w.weight_decay * self.decay_factor
        self.net.train()
        n = len(self.learn)
        parts = max(1, min(math.ceil(n / w.batch_size), n // 2))
        largest, flip = augment.resolve(w.augment, self.data.input_shape)
        total = alpha_total = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "torch", epoch))
            for at in torch.randperm(n, generator=self.rngs["order"]).tensor_split(parts):
                if pulse is not None:
                    pulse()
                x, y = self.learn.batch(at)
                if largest or flip:
                    x = augment.shift_and_flip(x, largest, flip, self.rngs["order"])
                self._batches = {"train": (x, y)}
                loss, alpha_loss = self._step(update)
                total += loss * len(at)
                alpha_total += alpha_loss * len(at)
                self.steps += 1
            if update.order == "after-epoch" and self.alpha_on:
                for _ in range(getattr(update, "steps", 1)):
                    alpha_total = n * self._alpha_step(update)
        if not math.isfinite(total):
            raise DivergedError(f"the training loss is not a number in epoch {epoch + 1}")
        return {"epoch": epoch, "train_loss": total / n, "alpha_loss": alpha_total / n}

    def _step(self, update: AlphaUpdate) -> tuple[float, float]:
        due = self.alpha_on and self.steps % update.every == 0
        if update.order == "joint" and self.alpha_on:
            return (
                self._alpha_step(update, [p for p in self.net.parameters() if p.requires_grad]),
            ) * 2
        alpha_loss = 0.0
        if due and update.order == "alpha-first":
            alpha_loss = self._alpha_step(update)
        loss = self._weight_step()
        if due and update.order == "weights-first":
            alpha_loss = self._alpha_step(update)
        return loss, alpha_loss

    def _alpha_step(self, update: AlphaUpdate, weights: list[nn.Parameter] | None = None) -> float:
        assert self.alpha_optimiser is not None
        self.alpha_optimiser.zero_grad(set_to_none=True)
        if weights:
            self.optimiser.zero_grad(set_to_none=True)
        loss = update.gradients(self, weights or ())
        if update.clip:
            nn.utils.clip_grad_norm_(self.arch.parameters(), update.clip)
        self.alpha_optimiser.step()
        with torch.no_grad():
            self.distribution.constrain(self.arch)
        update.after(self)
        if weights:
            self._clip_and_step()
        return loss

    def _weight_step(self) -> float:
        x, y = self._batches["train"]
        smoothing = self.method.weights.label_smoothing
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for _ in range(self.paths):
            z = self._drawn()
            self._show(z, alpha=False)
            board = self.net.board
            board.scale = None if board.scale is None else board.scale.detach()
            out = self.net(x)
            loss = scores.loss(out, y, self.data, smoothing)
            total = total + loss.detach() / self.paths
            if self.teacher is not None:
                loss = loss + self.teacher.lesson(out, x, z, self.data)
            loss.backward()
        self._clip_and_step()
        return float(total)

    def _drawn(self) -> Tensor:
        """Weights for a step of the network, perturbed."""
        with torch.no_grad():
            z = self.distribution.draw(
                self.arch, self.mask, self.mixture, self.tau, self.rngs["weights"]
            ).z
        perturbation = self.method.perturbation
        if perturbation is None:
            return z
        mask, rng = self.mask, self.rngs["perturbation"]
        return perturbation(z, Step(mask, self.mixture, self.size, self._attack, rng))

    def _attack(self, z: Tensor) -> Tensor:
        return self.loss(z, self._batches["train"])

    def _clip_and_step(self) -> None:
        if self.method.weights.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.method.weights.clip)
        self.optimiser.step()

    def tune(self, epochs: int) -> None:
        """Train on by the same steps, from a fresh optimiser at a tenth of the rate."""
        w = self.method.weights
        kept, self.method = (
            self.method,
            self.method.but(lr=w.lr / 10, lr_end=min(w.lr_end, w.lr / 10)),
        )
        try:
            self.refresh()
            for epoch in range(epochs):
                self._begin(self.epochs - 1)
                self.cycle = None
                self._pass(epoch, epochs)
        finally:
            self.method = kept

    def _look(self, epoch: int) -> Record:
        """What is recorded after an epoch; no stream moves."""
        found = records.record(self, self.look)
        due = max([part.measures for part in self.method.schedule] + [0]) or self.measure
        last = epoch + 1 == self.epochs
        if due and self.alpha_on and (epoch % due == 0 or last) and "val_mixture" in found:
            found["eigenvalue"] = value = records.eigenvalue(self)
            self.eigenvalues.append((epoch, value))
        return found

    # -- going back, going on -----------------------------------------------------------------

    def keep_epochs(self) -> None:
        """Keep states of epochs in memory from now on."""
        self._kept.keep(self.epoch, self._moving().model())

    def go_back(self, epoch: int) -> None:
        """Weights and alpha as they were after an epoch."""
        self._kept.go_back(epoch, self._moving().model())

    def _moving(self) -> Moving:
        return Moving(self.net, self.arch, self.optimiser, self.alpha_optimiser, self.rngs)

    def tensors(self) -> dict[str, Tensor]:
        """All that changes: networks, optimisers, generators."""
        more = {"mask": self.mask} | ({} if self.teacher is None else self.teacher.tensors())
        copies = {name: copied(value) for name, value in more.items()}
        return self._moving().tensors() | copies | self._kept.tensors()

    def facts(self) -> dict[str, Any]:
        """All else that changes, JSON-able."""
        found = {name: getattr(self, name) for name in FACTS}
        baseline = getattr(self.arch, "baseline", None)
        return found | {"decay": self.decay_factor, "baseline": baseline}

    def _identity(self) -> dict[str, Any]:
        return {
            "space": self.space.name, "method": repr(self.method), "data": self.data.digest,
            "seed": self.seed, "epochs": self.epochs, "mask": self.mixture.mask.shape,
        }  # fmt: skip

    def save(self, *, now: bool = True) -> None:
        """Write the state, if it is time or `now`."""
        if now or self._state.due():
            self._state.save(self.tensors(), self.facts())

    def load(self) -> bool:
        """Go on from the file, if it is there and of this search."""
        found = self._state.load()
        if found is not None:
            self.restore(*found)
        return found is not None

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Put everything where it was."""
        other = (facts["divisor"], facts["depth"]) != (self.divisor, self.depth)
        for name in FACTS:
            setattr(self, name, facts[name])
        self.eigenvalues = [(e, v) for e, v in facts["eigenvalues"]]
        self.decay_factor = facts["decay"]
        if other:
            self.net = self._build(self.stage)
            self._optimisers()
        self._moving().restore(tensors)
        if any(name.startswith("teacher/") for name in tensors):
            part = next(one for one in self.method.schedule if isinstance(one, Shrink))
            self.teacher = part.teach(self)
            self.teacher.restore(tensors)
        self._kept.restore(tensors)
        self.mask = tensors["mask"].to(self.device)
        if facts["baseline"] is not None:
            self.arch.baseline = facts["baseline"]
