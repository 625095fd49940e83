"""The training loop, top to bottom: data to the device, epochs of steps, validation, what is kept.

Deterministic on a CPU for a given seed and number of threads. All randomness is in three
generators of the seed: weights (and dropout), the order of rows, augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretell._rng import derive
from foretell.errors import ForetellError, SpaceError
from foretell.training import augment
from foretell.training.batches import Split
from foretell.training.data import Data
from foretell.training.recipe import Recipe

OnEpoch = Callable[[int, dict[str, float]], None]


class DivergedError(ForetellError, ArithmeticError):
    """The loss is no longer a number."""


class Fit(NamedTuple):
    """One training: validation metrics of the epoch whose weights are kept (from 0), and curves."""

    metrics: dict[str, float]
    curve: dict[str, list[float]]
    epoch: int


def fit(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch | None = None,
) -> Fit:
    """Train `model` in place on the train split, judged by the val split; test is not read.

    Args:
        model: from (batch, *data.input_shape) to (batch, data.n_outputs).
        data: what to learn.
        recipe: how.
        seed: of the order of rows and of augmentation. Weights and dropout follow torch's own
            generator, which the caller seeds.
        device: where.
        on_epoch: called with the epoch, from 0, and its metrics.

    Raises:
        DivergedError: the training or validation loss is NaN or infinite.
        SpaceError: the model's output has another shape.
    """
    train, val = Split(data, "train", device), Split(data, "val", device)
    prepare(model, data, device)
    optimiser = _optimiser(model, recipe, device)
    order = torch.Generator().manual_seed(derive(seed, "order"))
    shifts = torch.Generator().manual_seed(derive(seed, "augment"))
    largest, flip = augment.resolve(recipe.augment, data.input_shape)
    n = len(train)
    n_batches = max(1, min(math.ceil(n / recipe.batch_size), n // 2))  # no batch of one row
    n_steps, step = recipe.epochs * n_batches, 0
    curve: dict[str, list[float]] = {}
    kept, metrics, best, waited = -1, {}, math.inf, 0
    weights: dict[str, Tensor] = {}

    for epoch in range(recipe.epochs):
        model.train()
        total = torch.zeros((), device=device)
        for at in torch.randperm(n, generator=order).tensor_split(n_batches):
            x, y = train.batch(at)
            if largest or flip:
                x = augment.shift_and_flip(x, largest, flip, shifts)
            with _autocast(recipe, device):
                out = model(x)
                loss = _loss(_checked(out, y, data), y, data, recipe.label_smoothing)
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr_at(step, n_steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.clip:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            total += loss.detach() * len(at)
            step += 1

        row = {"train_loss": float(total) / n}
        row |= {f"val_{key}": value for key, value in evaluate(model, val, data, recipe).items()}
        for key, value in row.items():
            curve.setdefault(key, []).append(value)
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
            which = "training" if not math.isfinite(row["train_loss"]) else "validation"
            raise DivergedError(f"the {which} loss is not a number in epoch {epoch + 1}")
        waited = 0 if row["val_loss"] < best else waited + 1
        if recipe.keep == "last" or row["val_loss"] < best:
            kept, metrics = epoch, {k: v for k, v in row.items() if k.startswith("val_")}
            if recipe.keep == "best":
                weights = {key: value.clone() for key, value in model.state_dict().items()}
        best = min(best, row["val_loss"])
        if on_epoch is not None:
            on_epoch(epoch, row)
        if recipe.early_stop and waited >= recipe.early_stop:
            break
    if weights:
        model.load_state_dict(weights)
    return Fit(metrics, curve, kept)


def prepare(model: nn.Module, data: Data, device: torch.device) -> None:
    """Move `model` to the device; images run channels last, on CPUs some 1.3 times faster."""
    model.to(device)
    if len(data.input_shape) == 3:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.no_grad()
def evaluate(model: nn.Module, part: Split, data: Data, recipe: Recipe) -> dict[str, float]:
    """Metrics of a split: "acc" and "loss" (cross entropy), or "r2", "rmse" and "loss".

    R^2 is the mean over the targets; rmse is over all of them, in their own unit; the loss of a
    regression is the mean squared error of standardised targets.
    """
    model.eval()
    outs, ys = [], []
    for at in torch.split(torch.arange(len(part)), 4 * recipe.batch_size):
        x, y = part.batch(at)
        with _autocast(recipe, part.device):
            outs.append(_checked(model(x), y, data).float())
        ys.append(y)
    out, y = torch.cat(outs), torch.cat(ys)
    loss = float(_loss(out, y, data))
    if data.task == "classification":
        return {"acc": float((out.argmax(1) == y).double().mean()), "loss": loss}
    residual = (out - y).double()
    spread = (y - y.mean(0)).double().square().sum(0)
    r2 = torch.where(spread > 0, 1 - residual.square().sum(0) / spread, 0.0)
    unit = torch.from_numpy(data.target_std).to(out.device)
    rmse = (residual * unit).square().mean().sqrt()
    return {"r2": float(r2.mean()), "rmse": float(rmse), "loss": loss}


def _loss(out: Tensor, y: Tensor, data: Data, smoothing: float = 0.0) -> Tensor:
    if data.task == "classification":
        return functional.cross_entropy(out, y, label_smoothing=smoothing)
    return functional.mse_loss(out, y)


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
