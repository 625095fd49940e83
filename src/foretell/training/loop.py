"""The training loop, top to bottom: data to the device, epochs of steps, validation, what is kept.

Deterministic on a CPU for a given seed and number of threads. All randomness is in three
generators of the seed: weights (and dropout), the order of rows, augmentation. With a `State`
training may be broken off anywhere and goes on from an epoch's end, to the same bits.

What validation sees are the weights with statistics of normalisation layers that belong to them
(`statistics`); training itself goes on with its own running averages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from foretell._rng import derive
from foretell.errors import ForetellError
from foretell.training import scores, statistics
from foretell.training.checkpoint import Curve, Moving, State
from foretell.training.data import Data
from foretell.training.data.batches import Split, balanced, resident
from foretell.training.lead import Lead
from foretell.training.recipe import Recipe
from foretell.training.replay import beside, index_of, pool_of
from foretell.training.step import Looks, Settles, Steps, batches, optimiser_of, records
from foretell.training.usage import Parts, Usage

OnEpoch = Callable[[int, dict[str, float]], None]
T = TypeVar("T")


class DivergedError(ForetellError, ArithmeticError):
    """The loss is no longer a number."""


class Fit(NamedTuple):
    """One training: validation metrics of the epoch whose weights are kept (from 0), and curves.

    `ended` is False where `until` broke it off; `usage` is of this call.
    """

    metrics: dict[str, float]
    curve: Curve
    epoch: int
    ended: bool = True
    usage: Usage = Usage()


def fit(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    *,
    on_step: Callable[[], None] | None = None,
    state: State | None = None,
    until: int | None = None,
) -> Fit:
    """Train `model` in place on the train split, judged by the val split; test is not read.

    Args:
        model: from (batch, *data.input_shape) to (batch, data.n_outputs).
        data: what to learn.
        recipe: how.
        seed: of the order of rows and of augmentation. Weights and dropout follow torch's own
            generator, which the caller seeds.
        device: where.
        on_epoch: called with the epoch, from 0, and its metrics; not for epochs in `state`.
        on_step: called before every batch.
        state: where to go on from, and what to write after epochs.
        until: stop after this many epochs of the whole training, at least 1, and keep the state;
            the schedule stays that of all epochs. None: train to the end.

    Raises:
        DivergedError: the training or validation loss is NaN or infinite.
        SpaceError: the model's output has another shape.
    """
    steps = training(
        model, data, recipe, seed, device, on_epoch, on_step=on_step, state=state, until=until
    )
    with beside(device):
        return exhausted(steps)


def training(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    *,
    on_step: Callable[[], None] | None = None,
    state: State | None = None,
    until: int | None = None,
    parts: Parts | None = None,
) -> Generator[bool, None, Fit]:
    """What `fit` does, a little at a time: between two times others may use the card.

    `parts` is what counts the seconds, where that has begun before. Yields False while it only
    waits for the card.
    """
    parts, lead = parts or Parts(), Lead(device)
    train, val = resident(data, "train", device), resident(data, "val", device)
    prepare(model, data, device)
    optimiser = optimiser_of(model, recipe, device)
    by_class = recipe.sampler == "balanced" and data.task == "classification"
    draws = _Draws(seed, device, train.y.cpu() if by_class else None)
    moving = Moving(model, optimiser, draws.generators)
    curve: Curve = {}
    weights: dict[str, Tensor] = {}
    if state is not None:
        curve, weights = state.load(moving)
    n, same, pool = len(train), records(recipe, device), pool_of(device)
    sizes = [len(one) for one in batches(torch.arange(n), recipe.batch_size, same)]
    n_steps = recipe.epochs * len(sizes)
    steps = Steps(model, train, data, recipe, optimiser, sizes, pool)
    settle = Settles(model, train, recipe, pool)
    looks = Looks(model, val, data, recipe, again=True, pool=pool)
    last = min(recipe.epochs, until or recipe.epochs)
    again = torch.randperm(n, generator=torch.Generator().manual_seed(derive(seed, "again")))
    measured: statistics.Statistics = {}
    seen = 0

    def settled(epoch: int) -> Generator[bool, None, None]:
        least = statistics.plan(n, recipe.epochs, last=epoch + 1 == recipe.epochs)
        if same:  # whole batches, so that one recording serves
            least = min(n, math.ceil(least / sizes[0]) * sizes[0])
        with settle.estimate:
            for at in settle.batches(again[:least]):
                with lead:
                    settle(at)
                yield from lead.turns()

    try:
        for epoch in range(len(curve.get("val_loss", ())), last):
            if _ended(curve, recipe):
                break
            parts.to("data")
            model.train()
            if callable(progress := getattr(model, "progress", None)):
                progress(epoch / recipe.epochs)
            steps.total.zero_()
            moves, rows = steps.draw(sizes, draws.shifts), draws.rows(n)
            if train.held is not None:
                rows = rows.to(device)
            for i, at in enumerate(batches(rows, recipe.batch_size, same)):
                if on_step is not None:
                    on_step()
                parts.to("data")
                steps.put(at, moves[i] if moves else None)
                parts.to("train")
                with lead:
                    steps(len(at), recipe.lr_at(epoch * len(sizes) + i, n_steps))
                yield from lead.turns()
            seen += sum(sizes)
            yield from _waiting(lead, on_step)

            parts.to("validate")
            with statistics.aside(model):
                yield from settled(epoch)
                model.eval()
                for i in range(len(looks.batches)):
                    with lead:
                        looks(i)
                    yield from lead.turns()
                yield from _waiting(lead, on_step)
                row = _row(float(steps.total) / sum(sizes), looks, data, epoch)
                if recipe.keep == "best" and row["val_loss"] < min(
                    curve.get("val_loss", ()), default=math.inf
                ):
                    weights = {key: value.clone() for key, value in model.state_dict().items()}
                measured = statistics.read(model)
            for key, value in row.items():
                curve.setdefault(key, []).append(value)
            parts.to("save")
            if state is not None:
                on = not _ended(curve, recipe)  # somebody will go on from here
                state.save(moving, curve, weights, now=on and epoch + 1 == last)
            if on_epoch is not None:
                on_epoch(epoch, row)

        curve = {key: values[:last] for key, values in curve.items()}  # the state may be further on
        ended = _ended(curve, recipe)
        epoch = _best(curve) if recipe.keep == "best" else len(curve["val_loss"]) - 1
        if ended and weights:
            model.load_state_dict(weights)
        elif ended and measured:
            statistics.put(model, measured)
        elif ended:  # all epochs were in `state`
            yield from settled(epoch)
    finally:
        for one in (steps, settle, looks):
            one.close()
    metrics = {key: values[epoch] for key, values in curve.items() if key.startswith("val_")}
    usage = Usage(device.type, seen, lead.busy_s, parts.seconds())
    return Fit(metrics, curve, epoch, ended, usage)


def _waiting(lead: Lead, on_step: Callable[[], None] | None) -> Generator[bool, None, None]:
    """Until the card has done all that it was given."""
    for done in lead.turns(0):
        if not done:
            if on_step is not None:
                on_step()
            yield False


def exhausted(steps: Generator[object, None, T]) -> T:
    """What a generator gives at its end."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            found: T = stop.value
            return found


class _Draws:
    """What is random in a training: the order of rows and shifts, and all that a state keeps."""

    def __init__(self, seed: int, device: torch.device, classes: Tensor | None) -> None:
        self.classes = classes  # of rows that are drawn in balance
        self.order = torch.Generator().manual_seed(derive(seed, "order"))
        self.shifts = torch.Generator().manual_seed(derive(seed, "augment"))
        self.generators = {
            "order": self.order, "augment": self.shifts, "torch": torch.default_generator,
        }  # fmt: skip
        if device.type == "cuda":
            self.generators["cuda"] = torch.cuda.default_generators[index_of(device)]

    def rows(self, n: int) -> Tensor:
        """The rows of an epoch, in their order."""
        if self.classes is not None:
            return balanced(self.classes, self.order)
        return torch.randperm(n, generator=self.order)


def _row(train_loss: float, looks: Looks, data: Data, epoch: int) -> dict[str, float]:
    """The metrics of an epoch.

    Raises: DivergedError where a loss is not a number.
    """
    judged = {f"val_{key}": value for key, value in _judged(looks, data).items()}
    for which, loss in (("training", train_loss), ("validation", judged["val_loss"])):
        if not math.isfinite(loss):
            raise DivergedError(f"the {which} loss is not a number in epoch {epoch + 1}")
    return {"train_loss": train_loss, **judged}


def _judged(looks: Looks, data: Data) -> dict[str, float]:
    out, y = looks.outputs, looks.part.y
    return {**scores.metrics(out, y, data), "loss": float(scores.loss(out, y, data))}


def _best(curve: Curve) -> int:
    return curve["val_loss"].index(min(curve["val_loss"]))


def _ended(curve: Curve, recipe: Recipe) -> bool:
    n = len(curve.get("val_loss", ()))
    waited = n - 1 - _best(curve) if n else 0
    return n >= recipe.epochs or 0 < recipe.early_stop <= waited


def prepare(model: nn.Module, data: Data, device: torch.device) -> None:
    """Move `model` to the device; images run channels last, on CPUs some 1.3 times faster."""
    model.to(device)
    if len(data.input_shape) == 3:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types lack it


@torch.no_grad()
def evaluate(model: nn.Module, part: Split, data: Data, recipe: Recipe) -> dict[str, float]:
    """Metrics of a split, those of `scores.metrics` and "loss"."""
    return _judged(_looked(model, part, data, recipe), data)


@torch.no_grad()
def outputs(model: nn.Module, part: Split, data: Data, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """What a network says of the rows of a split, (n, n_outputs), and their targets."""
    return _looked(model, part, data, recipe).outputs, part.y


def _looked(model: nn.Module, part: Split, data: Data, recipe: Recipe) -> Looks:
    model.eval()
    looks = Looks(model, part, data, recipe)
    for i in range(len(looks.batches)):
        looks(i)
    looks.close()
    return looks
