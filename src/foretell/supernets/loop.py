"""The one loop: a supernet, what is learnt about the architecture, and their steps.

Five random streams of the seed that are never shared: the order of data, the draws of alpha's
steps, the draws of the weights' steps, perturbation (dropout too), selection. So a part that is
added changes no draw of the others. Deterministic on a CPU for a seed and a number of threads;
what changes is in `tensors` and `facts`, from which a search goes on to the same bits.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn

from foretell._rng import derive, stream
from foretell.errors import DataError, SettingError
from foretell.nets.devices import pick_device
from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.base import Rows, Space
from foretell.supernets import hessian
from foretell.supernets.alpha import AlphaUpdate, Batch
from foretell.supernets.costs import counted, fitted
from foretell.supernets.distribution import Architecture, Draw
from foretell.supernets.method import Method
from foretell.supernets.perturbation import meeting
from foretell.training import augment, checkpoint, scores
from foretell.training.data import Data
from foretell.training.data.batches import Split
from foretell.training.loop import DivergedError

STREAMS = ("order", "alpha", "weights", "perturbation", "selection")
Record = dict[str, Any]
OnEpoch = Callable[[Record], None]
Pulse = Callable[[], None]
EVERY_S = 1.0  # seconds between two writes of the state, at least


class Run:
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
        self.space, self.method, self.data, self.seed = space, method, data, seed
        self.distribution, self.execution = method.distribution, method.execution
        self.mixture = space.mixture()
        self.epochs, self.path, self.measure, self.look = epochs, path, measure, look
        self.device = pick_device(device)
        learn, choose = _halves(data, method.weights.share)
        self.learn = Split(learn, "train", self.device)
        self.choose = Split(choose, "val", self.device)
        self.fresh = Split(data, "val", self.device)
        self.rngs = {name: torch.Generator().manual_seed(derive(seed, name)) for name in STREAMS}
        self.alpha_rng = self.rngs["alpha"]
        self.stage, self.stage_start, self.stage_epochs = 0, 0, epochs
        self.divisor = method.execution.divisor
        self.depth: int | None = None
        self.tau, self.alpha_on, self.decay_factor, self.size = 1.0, True, 1.0, 0.0
        self.skip_drop: float | None = None
        self.stopped: int | None = None
        self.eigenvalues: list[tuple[int, float]] = []
        self.history: list[Record] = []
        self.progress: dict[str, Any] = {}
        self.epoch = 0
        self.steps = 0
        self.spent_s = 0.0
        self._saved = time.perf_counter()
        self._keep = False
        self._kept: dict[int, dict[str, Tensor]] = {}
        self._tables: dict[str, Tensor] = {}
        self._batches: dict[str, Batch] = {}
        self._alpha_order: Iterator[Batch] | None = None
        first = torch.from_numpy(self.mixture.mask if mask is None else self.mixture.mask & mask)
        self.mask = first.to(self.device)
        self.net = self._build(0)
        self.arch = self._begin_arch(0)
        if parent is not None:
            self.net.load_state_dict(parent.net.state_dict())
            self.arch.load_state_dict(parent.arch.state_dict())
        self._optimisers()

    # -- the network --------------------------------------------------------------------------

    def _build(self, stage: int) -> Supernet:
        space = self.space
        if self.depth is not None:
            space = _deeper(space, self.depth)
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

    def _optimisers(self) -> None:
        w = self.method.weights
        self.optimiser: torch.optim.Optimizer = torch.optim.SGD(
            self.net.parameters(), lr=w.lr, momentum=w.momentum, nesterov=w.nesterov,
            weight_decay=w.weight_decay,
        )  # fmt: skip
        self.alpha_optimiser = self.method.alpha.optimiser(self.arch)

    def rebuild(self, stage: int, *, fresh: bool, divisor: int | None, depth: int | None) -> None:
        """Go on with another network: deeper, or with more of the channels.

        Args:
            stage: its number.
            fresh: start weights and alpha anew; else widen what is there.
            divisor: of the channels; None to leave it.
            depth: cells; None to leave it.
        """
        self.stage = stage
        old, changed = self.net, (divisor, depth) != (None, None)
        momentum = {n: self.optimiser.state.get(p, {}) for n, p in old.named_parameters()}
        self.divisor = self.divisor if divisor is None else divisor
        self.depth = self.depth if depth is None else depth
        if fresh:
            self.net = self._build(stage)
            self.arch = self._begin_arch(stage)
            self._optimisers()
        elif changed:
            self.net = self._build(stage)
            places = widen(old, self.net, stream(self.seed, "widen", stage))
            w = self.optimiser.param_groups[0]
            self.optimiser = torch.optim.SGD(
                self.net.parameters(), lr=w["lr"], momentum=w["momentum"],
                nesterov=w["nesterov"], weight_decay=w["weight_decay"],
            )  # fmt: skip
            for name, p in self.net.named_parameters():
                memory = momentum.get(name, {}).get("momentum_buffer")
                if memory is not None:
                    self.optimiser.state[p]["momentum_buffer"] = places[name](memory)
            pruned = ~self.mask
            with torch.no_grad():
                self.arch.alpha[pruned] = 0.0

    # -- what parts ask -----------------------------------------------------------------------

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
        for part in self.method.regularisers:
            loss = part(loss, z, self.arch, self.mask, self.distribution, self.cost)
        return loss

    def cost(self, name: str) -> Tensor:
        """Of each option at each site, (E, K)."""
        if name not in self._tables:
            if name in ("params", "flops"):
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
        """A fresh batch of the choosing rows, which are walked through in random order."""
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
        if beta is None:
            return None
        alive = self.mask.any(1)
        scale = torch.zeros_like(beta)
        for sites in meeting(self.mixture):
            on = [e for e in sites if bool(alive[e])]
            if on:
                index = torch.tensor(on, device=beta.device)
                scale = scale.index_put((index,), beta[index].softmax(0))
        return scale

    def _show(self, z: Tensor, *, alpha: bool) -> None:
        self.net.board.scale = self._scale()
        self.execution.show(self.net, z, self.mask, alpha=alpha)

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
            for part in self.method.schedule:
                part.end(self, self.epoch)
            self._return()
            self.epoch += 1
            self.spent_s += time.perf_counter() - start
            record["seconds"] = self.spent_s
            self.save(now=self.epoch == self.epochs)
            if on_epoch is not None:
                on_epoch(record)

    def _begin(self, epoch: int) -> None:
        self.tau, self.alpha_on = 1.0, self.alpha_optimiser is not None
        self.stage_start, self.stage_epochs, self.skip_drop = 0, self.epochs, None
        for part in self.method.schedule:
            part.start(self, epoch)
        share = epoch / max(1, self.epochs - 1)
        perturbation = self.method.perturbation
        self.size = 0.0 if perturbation is None else perturbation.size(share)
        inside = epoch - self.stage_start
        board, run = self.net.board, self.execution
        rate = run.skip_drop if self.skip_drop is None else self.skip_drop
        board.skip_drop = _skip_drop(rate, inside, self.stage_epochs)
        board.path_drop = run.path_drop * share

    def _rate(self, epoch: int, epochs: int) -> float:
        w = self.method.weights
        share = (1 + math.cos(math.pi * epoch / max(1, epochs))) / 2
        return w.lr_end + (w.lr - w.lr_end) * share

    def _pass(self, epoch: int, epochs: int, pulse: Pulse | None = None) -> Record:
        """One epoch of steps."""
        w, update = self.method.weights, self.method.alpha
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(epoch, epochs)
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
        with torch.no_grad():
            z = self.distribution.draw(
                self.arch, self.mask, self.mixture, self.tau, self.rngs["weights"]
            ).z
        perturbation = self.method.perturbation
        if perturbation is not None:
            z = perturbation(
                z, self.mask, self.mixture, self.size,
                lambda other: self._attack(other), self.rngs["perturbation"],
            )  # fmt: skip
        self._show(z, alpha=False)
        smoothing = self.method.weights.label_smoothing
        self.optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            board = self.net.board
            board.scale = None if board.scale is None else board.scale.detach()
        loss = scores.loss(self.net(x), y, self.data, smoothing)
        loss.backward()
        self._clip_and_step()
        return float(loss.detach())

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
        count = self.progress.get("tuned", 0)
        try:
            self.optimiser = torch.optim.SGD(
                self.net.parameters(), lr=w.lr / 10, momentum=w.momentum, nesterov=w.nesterov,
                weight_decay=w.weight_decay,
            )  # fmt: skip
            for epoch in range(epochs):
                self._begin(self.epochs - 1)
                self._pass(epoch, epochs)
        finally:
            self.method = kept
        self.progress["tuned"] = count + epochs

    # -- what it has reached ------------------------------------------------------------------

    def _look(self, epoch: int) -> Record:
        """What is recorded after an epoch; no stream moves."""
        with torch.no_grad():
            z = self.distribution.mean(self.arch, self.mask, self.mixture)
        values = self.scores()
        best = torch.from_numpy(self.mixture.best(values, self.mask.cpu().numpy())).to(self.device)
        skip = torch.from_numpy(self.mixture.options("skip_connect")).to(self.device)
        found: Record = {
            "weights": z.double().cpu().numpy().round(6).tolist(),
            "skip_weight": float((z * skip).sum() / max(1, len(z))),
            "skip_share": float((best * skip).sum() / best.sum().clamp(min=1)),
            "weighted": int((best.cpu().numpy() * self.weighted()).sum()),
            "sites": len(best),
            "arch": self._named(best),
            "val_discrete": self.accuracy(best, self.look),
        }
        if not self.execution.needs_hard:
            found["val_mixture"] = self.accuracy(z, self.look)
        due = max([part.measures for part in self.method.schedule] + [0]) or self.measure
        last = epoch + 1 == self.epochs
        if due and self.alpha_on and (epoch % due == 0 or last) and not self.execution.needs_hard:
            found["eigenvalue"] = value = self.eigenvalue()
            self.eigenvalues.append((epoch, value))
        return found

    def weighted(self) -> NDArray[np.bool_]:
        """Which options have weights to learn, (E, K)."""
        found = np.zeros(self.mixture.shape, dtype=bool)
        for mixed in self.net.mixed():
            for k, name in enumerate(mixed.keys):
                if name in mixed.ops:
                    found[mixed.site, k] |= any(True for _ in mixed.ops[name].parameters())
        return found

    def _named(self, best: Tensor) -> str:
        try:
            rows = self.mixture.rows(best[None].cpu().numpy())
            return self.space.to_str(rows)[0]
        except Exception:
            return ""

    def eigenvalue(self) -> float:
        """The largest of d2L_va/dalpha2 at the mean weights, on the first choosing rows."""
        at = torch.arange(min(len(self.choose), 4 * self.method.weights.batch_size))
        batch = self.choose.batch(at)
        mode, self.net.training = self.net.training, True
        drops = self.net.board.skip_drop, self.net.board.path_drop
        self.net.board.skip_drop = self.net.board.path_drop = 0.0

        def f(alpha: Tensor) -> Tensor:
            at: Any = SimpleNamespace(alpha=alpha, beta=self.arch.beta)
            return self.loss(self.distribution.mean(at, self.mask, self.mixture), batch)

        value = hessian.largest(f, self.arch.alpha.detach())
        self.net.training = mode
        self.net.board.skip_drop, self.net.board.path_drop = drops
        return value

    @torch.no_grad()
    def accuracy(self, z: Tensor, batches: int | None = None) -> float:
        """Of a mixture on the choosing rows; for numbers minus the loss."""
        right, n = 0.0, 0
        self.net.eval()
        self.net.board.scale = self._scale()
        self.net.board.show(z)
        for at in self._chunks(batches):
            x, y = self.choose.batch(at)
            out = self.net(x)
            if self.data.task == "classification":
                right += float((out.argmax(1) == y).double().sum())
            else:
                right -= float(scores.loss(out, y, self.data)) * len(at)
            n += len(at)
        return right / max(n, 1)

    @torch.no_grad()
    def loss_of(self, z: Tensor, batches: int | None = None) -> float:
        """Loss of a mixture on the choosing rows."""
        total, n = 0.0, 0
        self.net.eval()
        self.net.board.scale = self._scale()
        self.net.board.show(z)
        for at in self._chunks(batches):
            x, y = self.choose.batch(at)
            total += float(scores.loss(self.net(x), y, self.data)) * len(at)
            n += len(at)
        return total / max(n, 1)

    def _chunks(self, batches: int | None) -> list[Tensor]:
        size = max(256, self.method.weights.batch_size)
        n = len(self.choose)
        each = torch.arange(n).tensor_split(max(1, min(math.ceil(n / size), n // 2)))
        return list(each) if batches is None else list(each)[:batches]

    def score(self, X: Rows, batches: int | None = None) -> NDArray[np.float64]:
        """Accuracy of rows with inherited weights and statistics of the batch, (n,)."""
        weights = torch.from_numpy(self.mixture.weights(X)).to(self.device)
        return np.array([self.accuracy(z, batches) for z in weights])

    def holds(self, X: Rows) -> NDArray[np.bool_]:
        """Which rows are made of options that are there."""
        out: NDArray[np.bool_] = ~((self.mixture.weights(X) > 0) & ~self.mask.cpu().numpy()).any(
            axis=(1, 2)
        )
        return out

    def rng(self) -> np.random.Generator:
        """The stream of selection: a new generator each time, in order."""
        seed = torch.randint(2**31, (1,), generator=self.rngs["selection"])
        return np.random.default_rng(int(seed))

    # -- going back, going on -----------------------------------------------------------------

    def keep_epochs(self) -> None:
        """Keep states of epochs in memory from now on."""
        if not self._keep or self.epoch not in self._kept:
            self._keep = True
            self._kept[self.epoch] = {k: v.clone() for k, v in self._model().items()}
            for old in [e for e in self._kept if e < self.epoch - 14]:
                del self._kept[old]

    def go_back(self, epoch: int) -> None:
        """Weights and alpha as they were after an epoch."""
        kept = self._kept.get(epoch + 1)
        if kept is None:
            return
        for name, value in self._model().items():
            value.data.copy_(kept[name])

    def _return(self) -> None:
        if self.stopped is not None:
            self.go_back(self.stopped)

    def _model(self) -> dict[str, Tensor]:
        net = {f"net/{k}": v for k, v in checkpoint.named_tensors(self.net).items()}
        return net | {f"arch/{k}": v for k, v in checkpoint.named_tensors(self.arch).items()}

    def tensors(self) -> dict[str, Tensor]:
        """All that changes: networks, optimisers, generators."""
        out = {name: _copy(value) for name, value in self._model().items()}
        for word, optimiser in (("w", self.optimiser), ("a", self.alpha_optimiser)):
            if optimiser is not None:
                for i, p in enumerate(_params(optimiser)):
                    for key, value in optimiser.state.get(p, {}).items():
                        if isinstance(value, Tensor):
                            out[f"{word}/{i}/{key}"] = _copy(value)
        out |= {f"rng/{name}": rng.get_state() for name, rng in self.rngs.items()}
        out["mask"] = _copy(self.mask)
        for epoch, kept in self._kept.items():
            out |= {f"kept/{epoch}/{name}": _copy(value) for name, value in kept.items()}
        return out

    def facts(self) -> dict[str, Any]:
        """All else that changes, JSON-able."""
        baseline = getattr(self.arch, "baseline", None)
        return {
            "epoch": self.epoch, "steps": self.steps, "stage": self.stage,
            "divisor": self.divisor, "depth": self.depth, "decay": self.decay_factor,
            "stopped": self.stopped, "eigenvalues": self.eigenvalues, "history": self.history,
            "progress": self.progress, "spent_s": self.spent_s, "baseline": baseline,
        }  # fmt: skip

    def identity(self) -> str:
        """Whose state it is: a file of another search is not read."""
        return json.dumps(
            {
                "format": 1, "torch": str(torch.__version__), "space": self.space.name,
                "method": repr(self.method), "data": self.data.digest, "seed": self.seed,
                "epochs": self.epochs, "mask": self.mixture.mask.shape,
            }
        )  # fmt: skip

    def save(self, *, now: bool = True) -> None:
        """Write the state, if it is time or `now`."""
        if self.path is None or (not now and time.perf_counter() - self._saved < EVERY_S):
            return
        header = {"of": self.identity(), "facts": json.dumps(self.facts())}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write(self.path, self.tensors(), header)
        self._saved = time.perf_counter()

    def load(self) -> bool:
        """Go on from the file, if it is there and of this search."""
        if self.path is None or not self.path.exists():
            return False
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("of") != self.identity():
                    return False
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no iterator
            facts = json.loads(header["facts"])
        except Exception:  # torn or foreign: start anew
            return False
        self.restore(tensors, facts)
        return True

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Put everything where it was."""
        if (facts["divisor"], facts["depth"]) != (self.divisor, self.depth):
            self.divisor, self.depth = facts["divisor"], facts["depth"]
            self.net = self._build(facts["stage"])
            self._optimisers()
        for name, value in self._model().items():
            value.data.copy_(tensors[name])
        for word, optimiser in (("w", self.optimiser), ("a", self.alpha_optimiser)):
            if optimiser is not None:
                _remember(optimiser, tensors, word)
        for name, rng in self.rngs.items():
            rng.set_state(tensors[f"rng/{name}"])
        self.mask = tensors["mask"].to(self.device)
        for name, value in tensors.items():
            if name.startswith("kept/"):
                _, epoch, key = name.split("/", 2)
                self._kept.setdefault(int(epoch), {})[key] = value
        self.epoch, self.steps, self.stage = facts["epoch"], facts["steps"], facts["stage"]
        self.decay_factor, self.stopped = facts["decay"], facts["stopped"]
        self.eigenvalues = [(e, v) for e, v in facts["eigenvalues"]]
        self.history, self.progress = facts["history"], facts["progress"]
        self.spent_s = facts["spent_s"]
        if facts["baseline"] is not None:
            self.arch.baseline = facts["baseline"]


def widen(
    old: nn.Module, new: nn.Module, rng: np.random.Generator
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Give a wider network the weights of a narrower one: new channels copy random old ones.

    All that share a number of channels copy alike, so that a channel and those that read it stay
    together. Networks of the same names.

    Returns: for each parameter how a tensor of its old shape becomes one of its new shape.

    References: Chen et al., Net2Net, ICLR 2016, section 2.2; Chen et al., DrNAS, ICLR 2021.
    `Differs:` from Net2Net the copies are not divided by their number, as in DrNAS: batch
    normalisation follows, and the function changes a little.
    """
    picks: dict[tuple[int, int], Tensor] = {}

    def pick(a: int, b: int) -> Tensor:
        if (a, b) not in picks:
            more = rng.integers(0, a, size=b - a)
            picks[a, b] = torch.from_numpy(np.concatenate([np.arange(a), more]))
        return picks[a, b]

    def grown(like: torch.Size) -> Callable[[Tensor], Tensor]:
        def grow(value: Tensor) -> Tensor:
            for dim, (a, b) in enumerate(zip(value.shape, like, strict=True)):
                if a < b:
                    value = value.index_select(dim, pick(a, b).to(value.device))
            return value.clone()

        return grow

    before = checkpoint.named_tensors(old)
    out = {}
    with torch.no_grad():
        for name, value in checkpoint.named_tensors(new).items():
            out[name] = grown(value.shape)
            value.copy_(out[name](before[name]))
    return out


def _halves(data: Data, share: float) -> tuple[Data, Data]:
    """The data whose training split the weights have, and whose validation split chooses."""
    if share >= 1:
        return data, data
    n = data.sizes[0]
    first = max(2, round(share * n))
    if n - first < 2:
        raise DataError(
            "too few training rows for two halves", expected="4 or more", got=n,
            hint="take share=1.0, which chooses by the validation split",
        )  # fmt: skip
    cut = dataclasses.replace(data, sizes=(first, n - first, len(data.index) - n))
    return cut, cut


def _deeper(space: Space, cells: int) -> Space:
    if "n_cells" not in {**space.settings, "n_cells": getattr(space, "n_cells", None)}:
        raise SettingError("stages with depth", expected="a space with `n_cells`", got=space.name)
    other: Space = type(space)(**{**space.settings, "n_cells": cells})
    return other.with_io(space.input_shape, space.n_outputs)


def _skip_drop(rate: float, epoch: int, epochs: int) -> float:
    """P-DARTS: falls linearly in the first 10 of 25 epochs, then by powers from the rate again.

    >>> [round(_skip_drop(0.4, t, 25), 4) for t in (0, 1, 9, 10, 11)]
    [0.384, 0.368, 0.24, 0.4, 0.3275]
    """
    warm = round(0.4 * epochs)
    if epoch < warm:
        return rate * (epochs - epoch - 1) / epochs
    return rate * math.exp(-0.2 * (epoch - warm) * 25 / epochs)


def _params(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def _remember(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], word: str) -> None:
    for i, p in enumerate(_params(optimiser)):
        memory = {
            name.split("/", 2)[2]: value
            for name, value in tensors.items()
            if name.startswith(f"{word}/{i}/")
        }
        if memory:
            optimiser.state[p] = {
                key: value.clone() if key == "step" else value.to(p.device).clone()
                for key, value in memory.items()
            }


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
