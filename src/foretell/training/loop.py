"""The training loop, top to bottom: data to the device, epochs of steps, validation, what is kept.

Deterministic on a CPU for a given seed and number of threads. All randomness is in three
generators of the seed: weights (and dropout), the order of rows, augmentation. With a `State`
training may be broken off anywhere and goes on from an epoch's end, to the same bits.

What validation sees are the weights with statistics of normalisation layers that belong to them
(`statistics`); training itself goes on with its own running averages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foretell._rng import derive
from foretell.errors import ForetellError, SpaceError
from foretell.training import augment, scores, statistics
from foretell.training.checkpoint import Curve, Moving, State
from foretell.training.data import Data
from foretell.training.data.batches import Split, balanced
from foretell.training.recipe import Recipe

OnEpoch = Callable[[int, dict[str, float]], None]


class DivergedError(ForetellError, ArithmeticError):
    """The loss is no longer a number."""


class Fit(NamedTuple):
    """One training: validation metrics of the epoch whose weights are kept (from 0), and curves.

    `ended` is False where `until` broke it off.
    """

    metrics: dict[str, float]
    curve: Curve
    epoch: int
    ended: bool = True


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
    train, val = Split(data, "train", device), Split(data, "val", device)
    prepare(model, data, device)
    optimiser = _optimiser(model, recipe, device)
    of_classes = data.task == "classification"
    each = scores.class_weights(data).to(device) if recipe.balance and of_classes else None
    classes = train.y.cpu() if recipe.sampler == "balanced" and of_classes else None
    order = torch.Generator().manual_seed(derive(seed, "order"))
    shifts = torch.Generator().manual_seed(derive(seed, "augment"))
    largest, flip = augment.resolve(recipe.augment, data.input_shape)
    n = len(train)
    n_batches = _n_batches(n, recipe)
    n_steps = recipe.epochs * n_batches
    generators = {"order": order, "augment": shifts, "torch": torch.default_generator}
    if device.type == "cuda":
        at_device = torch.cuda.current_device() if device.index is None else device.index
        generators["cuda"] = torch.cuda.default_generators[at_device]
    moving = Moving(model, optimiser, generators)
    curve: Curve = {}
    weights: dict[str, Tensor] = {}
    if state is not None:
        curve, weights = state.load(moving)
    last = min(recipe.epochs, until or recipe.epochs)
    again = torch.randperm(n, generator=torch.Generator().manual_seed(derive(seed, "again")))
    measured: statistics.Statistics = {}

    def settle(epoch: int) -> None:
        rows = again[: statistics.plan(n, recipe.epochs, last=epoch + 1 == recipe.epochs)]
        parts = rows.tensor_split(_n_batches(len(rows), recipe))
        with _autocast(recipe, device):
            statistics.estimate(model, (train.batch(at)[0] for at in parts))

    for epoch in range(len(curve.get("val_loss", ())), last):
        if _ended(curve, recipe):
            break
        model.train()
        if callable(progress := getattr(model, "progress", None)):
            progress(epoch / recipe.epochs)
        total = torch.zeros((), device=device)
        rows = torch.randperm(n, generator=order) if classes is None else balanced(classes, order)
        for i, at in enumerate(rows.tensor_split(n_batches)):
            if on_step is not None:
                on_step()
            x, y = train.batch(at)
            if largest or flip:
                x = augment.shift_and_flip(x, largest, flip, shifts)
            with _autocast(recipe, device):
                out = model(x)
                loss = scores.loss(_checked(out, y, data), y, data, recipe.label_smoothing, each)
                for weight, more in _more_outputs(model):
                    more = _checked(more, y, data)
                    loss = loss + weight * scores.loss(more, y, data, recipe.label_smoothing, each)
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr_at(epoch * n_batches + i, n_steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if recipe.clip:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            total += loss.detach() * len(at)

        row = {"train_loss": float(total) / n}
        with statistics.aside(model):
            settle(epoch)
            found = evaluate(model, val, data, recipe)
            if recipe.keep == "best" and found["loss"] < min(
                curve.get("val_loss", ()), default=math.inf
            ):
                weights = {key: value.clone() for key, value in model.state_dict().items()}
            measured = statistics.read(model)
        row |= {f"val_{key}": value for key, value in found.items()}
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
            which = "training" if not math.isfinite(row["train_loss"]) else "validation"
            raise DivergedError(f"the {which} loss is not a number in epoch {epoch + 1}")
        for key, value in row.items():
            curve.setdefault(key, []).append(value)
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
        settle(epoch)
    metrics = {key: values[epoch] for key, values in curve.items() if key.startswith("val_")}
    return Fit(metrics, curve, epoch, ended)


def _more_outputs(model: nn.Module) -> list[tuple[float, Tensor]]:
    """Weights and outputs of further heads, of a network that has such."""
    more = getattr(model, "more_outputs", None)
    return more() if callable(more) else []


def _n_batches(n: int, recipe: Recipe) -> int:
    return max(1, min(math.ceil(n / recipe.batch_size), n // 2))  # no batch of one row


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
    out, y = outputs(model, part, data, recipe)
    found = scores.metrics(out, y, data)
    return {**found, "loss": float(scores.loss(out, y, data))}


@torch.no_grad()
def outputs(model: nn.Module, part: Split, data: Data, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """What a network says of the rows of a split, (n, n_outputs), and their targets."""
    model.eval()
    outs, ys = [], []
    for at in torch.split(torch.arange(len(part)), 4 * recipe.batch_size):
        x, y = part.batch(at)
        with _autocast(recipe, part.device):
            outs.append(_checked(model(x), y, data).float())
        ys.append(y)
    return torch.cat(outs), torch.cat(ys)


def _checked(out: object, y: Tensor, data: Data) -> Tensor:
    expected = (len(y), data.n_outputs)
    if not isinstance(out, Tensor) or out.shape != expected:
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise SpaceError("output of the network", expected=f"a tensor {expected}", got=got)
    return out


def _optimiser(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise SpaceError("the network has no weights to train")
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")  # one kernel call for all weights
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=recipe.step_size,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            fused=fused,
        )
    return torch.optim.AdamW(
        groups, lr=recipe.step_size, betas=(recipe.momentum, 0.999), fused=fused
    )


def _autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    on = recipe.amp and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on)
