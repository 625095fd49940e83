"""How one network is trained: frozen settings, checked when made."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args, get_type_hints

import numpy as np

from foretell.errors import SettingError

Optimiser = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "linear", "constant"]
Augment = Literal["auto", "none", "crop", "flip", "crop+flip"]
Keep = Literal["best", "last"]
Sampler = Literal["shuffle", "balanced"]

DEFAULT_LR: dict[str, float] = {"sgd": 0.1, "adamw": 3e-3}


@dataclass(frozen=True)
class Recipe:
    """Settings of one training; the same for all networks of a search, so that they compare.

    With keep="last" no epoch is chosen by validation, so a network's metrics are not the luckiest
    of its epochs; with a schedule that falls to 0 nothing is lost. keep="best" is for early
    stopping and constant rates, and its validation metrics are a little too good: it chose by
    them.

    >>> Recipe(epochs=5).step_size
    0.1
    >>> Recipe.from_dict({"epoch": 5})
    Traceback (most recent call last):
    ...
    foretell.errors.SettingError: unknown recipe setting 'epoch': ... Next: did you mean 'epochs'?
    """

    epochs: int = 10  # passes over the training rows
    batch_size: int = 64  # training rows in one step, at least 2 (batch normalisation)
    optimiser: Optimiser = "sgd"  # SGD with Nesterov momentum, or AdamW
    lr: float | None = None  # highest learning rate; None: 0.1 for sgd, 0.003 for adamw
    weight_decay: float = 5e-4  # on weights of two or more dimensions; none on biases and norms
    momentum: float = 0.9  # of sgd; beta1 of adamw
    schedule: Schedule = "cosine"  # how the rate falls to 0 after the warm-up; constant: not
    warmup: float = 0.15  # share of all steps in which the rate rises linearly from 0
    augment: Augment = "auto"  # random shifts ("crop") and mirroring ("flip") of images
    label_smoothing: float = 0.1  # share of the target spread over all classes
    balance: bool | None = None  # whether all classes count alike in the loss, however rare
    sampler: Sampler = "shuffle"  # balanced: rows of each class equally often, rare ones again
    clip: float = 2.0  # longest gradient (2-norm over all weights); 0: no limit
    early_stop: int = 0  # epochs without a better validation loss before stopping; 0: never
    keep: Keep = "last"  # whose weights count: the last epoch's, or the best validation loss's
    device: str = "auto"  # "cpu", "cuda", "cuda:1", ...; auto: cuda where there is one
    amp: bool = True  # bfloat16 autocast on CUDA devices that have it; never on CPU
    graph: bool = True  # on CUDA devices: record a step once and replay it, where that can be done
    threads: int = 1  # CPU threads of one training

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            if isinstance(value := getattr(self, one.name), np.generic):
                object.__setattr__(self, one.name, value.item())
        for name, (low, high) in _RANGES.items():
            _number(name, getattr(self, name), low, high)
        for name, hint in get_type_hints(type(self)).items():
            options = get_args(hint)
            value = getattr(self, name)
            if options and isinstance(options[0], str) and value not in options:
                raise SettingError(
                    f"recipe setting {name!r}", expected=f"one of {', '.join(options)}", got=value
                )
            if hint == bool | None and not (value is None or isinstance(value, bool)):
                raise SettingError(f"recipe setting {name!r}", expected="true or false", got=value)
            if hint is bool and not isinstance(value, bool):
                raise SettingError(f"recipe setting {name!r}", expected="true or false", got=value)
        if self.balance and self.sampler == "balanced":
            raise SettingError(
                "recipe settings 'balance' and 'sampler'",
                expected="one of them: both at once count rare classes twice",
                got="balance=true and sampler=balanced",
            )
        if not isinstance(self.device, str) or not self.device:
            raise SettingError("recipe setting 'device'", expected="'auto', 'cpu', 'cuda', ...")

    @property
    def step_size(self) -> float:
        """The highest learning rate."""
        return DEFAULT_LR[self.optimiser] if self.lr is None else self.lr

    def lr_at(self, step: int, n_steps: int) -> float:
        """Learning rate of a step, counted from 0, of `n_steps`.

        With w = warmup * n_steps: lr (step + 1) / w in the warm-up, then with t from 0 to 1 over
        the rest lr (1 + cos(pi t)) / 2, or lr (1 - t), or lr.

        >>> r = Recipe(lr=1.0, warmup=0.2)
        >>> [round(r.lr_at(i, 10), 3) for i in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.038]
        """
        rise = round(self.warmup * n_steps)
        if step < rise:
            return self.step_size * (step + 1) / rise
        t = (step - rise) / max(1, n_steps - rise)
        fall = {"cosine": (1 + math.cos(math.pi * t)) / 2, "linear": 1 - t, "constant": 1.0}
        return self.step_size * fall[self.schedule]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """A recipe from names and values; all other settings at their defaults.

        Raises:
            SettingError: an unknown name (with the nearest known one) or a value out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
                raise SettingError(
                    f"unknown recipe setting {name!r}",
                    expected="one of " + ", ".join(known),
                    hint=f"did you mean {near[0]!r}?" if near else None,
                )
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """All settings, JSON-able; `from_dict` gives them back."""
        return dataclasses.asdict(self)


_RANGES: dict[str, tuple[float, float]] = {  # whole numbers where both ends are int
    "epochs": (1, 100_000),
    "batch_size": (2, 1_000_000),
    "lr": (0.0, 1e3),
    "weight_decay": (0.0, 1e3),
    "momentum": (0.0, 0.9999),
    "warmup": (0.0, 1.0),
    "label_smoothing": (0.0, 0.99),
    "clip": (0.0, 1e9),
    "early_stop": (0, 100_000),
    "threads": (1, 1024),
}


def _number(name: str, value: object, low: float, high: float) -> None:
    if name == "lr" and value is None:
        return
    kind = int if isinstance(low, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        whole = "a whole number" if kind is int else "a number"
        raise SettingError(
            f"recipe setting {name!r}", expected=f"{whole} from {low} to {high}", got=repr(value)
        )
