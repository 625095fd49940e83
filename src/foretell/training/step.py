"""One step of training and one look of validation, on buffers that stay where they are.

The loop fills the buffers (which rows, how images are moved, the learning rate) and calls; what is
called reads nothing else, so that on a CUDA device it is recorded once and replayed. On a CPU the
same functions run as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from foretell.errors import SpaceError
from foretell.training import augment, scores, statistics
from foretell.training.data import Data
from foretell.training.data.batches import Split
from foretell.training.recipe import Recipe
from foretell.training.replay import Replay


class Inputs:
    """The batch of a split that comes next: positions in it, or rows where it is on disk.

    Args:
        part: the split.
        n: most rows of a batch.
    """

    def __init__(self, part: Split, n: int) -> None:
        self.part = part
        self.at = torch.zeros(n, dtype=torch.int64, device=part.device)
        self.rows = None if part.held is not None else part.rows_at(torch.zeros(n).long())

    def put(self, at: Tensor) -> None:
        """The next batch has the rows at positions `at`, (n,)."""
        self.at[: len(at)].copy_(at, non_blocking=True)
        if self.rows is not None:
            self.rows[: len(at)].copy_(self.part.rows_at(at.cpu()))

    def batch(self, n: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the first `n` rows that were put."""
        held, at = self.part.held, self.at[:n]
        x = self.rows[:n] if self.rows is not None else held.index_select(0, at)  # type: ignore[union-attr]  # one of them is there
        return self.part.normalised(x), self.part.y.index_select(0, at)


class Steps:
    """Steps of one training.

    Args:
        model: on the device.
        train: the training rows.
        data: what is learnt.
        recipe: how.
        optimiser: of the model's weights.
        sizes: rows of each batch that will come.
        pool: of its recordings.

    Attributes:
        total: sum of the loss over rows since it was last set to 0, ().
    """

    def __init__(
        self,
        model: nn.Module,
        train: Split,
        data: Data,
        recipe: Recipe,
        optimiser: torch.optim.Optimizer,
        sizes: Sequence[int],
        pool: Any = None,
    ) -> None:
        self.model, self.data, self.recipe, self.optimiser = model, data, recipe, optimiser
        device = train.device
        self.total = torch.zeros((), device=device)
        self.largest, self.flip = augment.resolve(recipe.augment, data.input_shape)
        self._inputs = Inputs(train, max(sizes))
        self._moves = torch.zeros(3, max(sizes), 1, dtype=torch.int64, device=device)
        balanced = recipe.balance and data.task == "classification"
        self._each = scores.class_weights(data).to(device) if balanced else None
        changes = callable(getattr(model, "progress", None))  # from epoch to epoch
        self._replays = {
            n: Replay(
                partial(self._step, n), device, records(recipe, device) and not changes, pool=pool
            )
            for n in set(sizes)
        }

    def draw(self, sizes: Sequence[int], rng: torch.Generator) -> list[Tensor]:
        """How the images of an epoch's batches are moved: one tensor each, none without."""
        if not (self.largest or self.flip):
            return []
        moves = torch.cat([augment.draw(n, self.largest, self.flip, rng) for n in sizes], dim=1)
        return list(moves.to(self.total.device).split(list(sizes), dim=1))  # one copy of all

    def put(self, at: Tensor, moves: Tensor | None) -> None:
        """The next step is on the rows at positions `at`, (n,), moved by `moves`, (3, n, 1)."""
        self._inputs.put(at)
        if moves is not None:
            self._moves[:, : len(at)].copy_(moves)

    def __call__(self, n: int, lr: float) -> None:
        """One step on the `n` rows that were put."""
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        self._replays[n]()

    def close(self) -> None:
        """There are no more steps."""
        _close(self._replays)

    def _step(self, n: int) -> None:
        recipe = self.recipe
        x, y = self._inputs.batch(n)
        if self.largest or self.flip:
            x = augment.moved(x, self._moves[:, :n])
        with autocast(recipe, x.device):
            loss = self._loss(self.model(x), y)
            for weight, more in _more_outputs(self.model):
                loss = loss + weight * self._loss(more, y)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimiser.step()
        self.total += loss.detach() * n

    def _loss(self, out: object, y: Tensor) -> Tensor:
        out = checked(out, y, self.data)
        return scores.loss(out, y, self.data, self.recipe.label_smoothing, self._each)


class Looks:
    """What a network says of the rows of a split.

    Args:
        model: on the device.
        part: the rows.
        data: whose they are.
        recipe: how it is trained.
        again: whether it will be looked at again, which pays for a recording.
        pool: of its recordings.
    """

    def __init__(
        self,
        model: nn.Module,
        part: Split,
        data: Data,
        recipe: Recipe,
        again: bool = False,
        pool: Any = None,
    ) -> None:
        self.model, self.part, self.data, self.recipe = model, part, data, recipe
        size = min(4 * recipe.batch_size, len(part))
        where = part.device if part.held is not None else torch.device("cpu")
        self.batches = torch.arange(len(part), device=where).split(size)
        self.whole = records(recipe, part.device)  # else the last batch is a smaller one
        self._inputs = Inputs(part, size)
        self._out = torch.zeros(size, data.n_outputs, device=part.device)
        self.outputs = torch.zeros(len(part), data.n_outputs, device=part.device)
        self._replays = {
            n: Replay(partial(self._look, n), part.device, again and self.whole, "a look", pool)
            for n in {size if self.whole else len(one) for one in self.batches}
        }

    @torch.no_grad()
    def __call__(self, i: int) -> None:
        """Put what is said of batch `i` of `batches` into `outputs`."""
        at = self.batches[i]
        n = len(self.batches[0]) if self.whole else len(at)
        self._inputs.put(at)  # behind them are rows that were looked at before
        self._replays[n]()
        first = i * len(self.batches[0])
        self.outputs[first : first + len(at)].copy_(self._out[: len(at)])

    def close(self) -> None:
        """There are no more looks."""
        _close(self._replays)

    def _look(self, n: int) -> None:
        x, y = self._inputs.batch(n)
        with autocast(self.recipe, x.device):
            self._out[:n].copy_(checked(self.model(x), y, self.data))


class Settles:
    """Statistics of normalisation layers, estimated on training rows.

    Args:
        model: on the device.
        train: the training rows.
        recipe: how it is trained.
        pool: of its recordings.
    """

    def __init__(self, model: nn.Module, train: Split, recipe: Recipe, pool: Any = None) -> None:
        self.model, self.train, self.recipe, self.pool = model, train, recipe, pool
        self.estimate = statistics.Estimate(model)
        self._inputs: dict[int, Inputs] = {}
        self._replays: dict[int, Replay] = {}

    def batches(self, rows: Tensor) -> list[Tensor]:
        """Rows (n,) of the split as they are looked at; none where nothing is estimated."""
        same = records(self.recipe, self.train.device)
        return batches(rows, self.recipe.batch_size, same) if self.estimate.layers else []

    @torch.no_grad()
    def __call__(self, at: Tensor) -> None:
        """Look at a batch, inside of `estimate`."""
        n = len(at)
        if n not in self._replays:
            same = records(self.recipe, self.train.device)
            self._inputs[n] = Inputs(self.train, n)
            self._replays[n] = Replay(
                partial(self._look, n), self.train.device, same, "a look", self.pool
            )
        self._inputs[n].put(at)
        self._replays[n]()

    def close(self) -> None:
        """There are no more estimates."""
        _close(self._replays)

    def _look(self, n: int) -> None:
        x, _ = self._inputs[n].batch(n)
        with autocast(self.recipe, x.device):
            self.model(x)


def _close(replays: Mapping[int, Replay]) -> None:
    for one in replays.values():
        one.close()


def records(recipe: Recipe, device: torch.device) -> bool:
    """Whether steps on this device are recorded where they can be."""
    return recipe.graph and device.type == "cuda"


def batches(rows: Tensor, size: int, same: bool) -> list[Tensor]:
    """Rows (n,) in batches of at most `size`, of at least 2, as like in size as can be.

    With `same` all have one size, so that one recording serves: begins are spread evenly, and up
    to one row fewer than there are batches comes twice.

    >>> [len(one) for one in batches(torch.arange(10), 4, False)]
    [4, 3, 3]
    >>> [one.tolist() for one in batches(torch.arange(10), 4, True)]
    [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    """
    n = len(rows)
    k = max(1, min(math.ceil(n / size), n // 2))  # no batch of one row
    if not same:
        return list(rows.tensor_split(k))
    whole = math.ceil(n / k)
    return [rows[i * (n - whole) // max(k - 1, 1) :][:whole] for i in range(k)]


def checked(out: object, y: Tensor, data: Data) -> Tensor:
    """The output of a network, which must be (n, n_outputs)."""
    expected = (len(y), data.n_outputs)
    if not isinstance(out, Tensor) or out.shape != expected:
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise SpaceError("output of the network", expected=f"a tensor {expected}", got=got)
    return out


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the recipe and the card have it."""
    on = recipe.amp and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on)


def optimiser_of(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a recipe, with no decay on biases and norms."""
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise SpaceError("the network has no weights to train")
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")  # one kernel call for all weights
    recorded = records(recipe, device)
    rate = torch.tensor(recipe.step_size, device=device) if recorded else recipe.step_size
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            fused=fused,
        )
    return torch.optim.AdamW(
        groups, lr=rate, betas=(recipe.momentum, 0.999), fused=fused, capturable=recorded
    )


def _more_outputs(model: nn.Module) -> list[tuple[float, Tensor]]:
    """Weights and outputs of further heads, of a network that has such."""
    more: Callable[[], list[tuple[float, Tensor]]] | None = getattr(model, "more_outputs", None)
    return more() if callable(more) else []
