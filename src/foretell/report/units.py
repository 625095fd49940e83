"""How numbers are said: the metric that was searched, counts, seconds, commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from foretell._console import duration, number

MISSING = "–"  # noqa: RUF001  # an en dash is what typography puts for "nothing"

_LABELS = {
    "acc": "accuracy",
    "balanced_acc": "balanced accuracy",
    "f1": "F1",
    "auroc": "AUROC",
    "map": "mean average precision",
    "exact": "share without a mistake",
    "r2": "R²",
    "rmse": "root mean square error",
    "loss": "loss",
}
_SPLITS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Metric:
    """A metric as it is shown: a fraction in percent, anything else as it is."""

    name: str  # of the journal: "val_acc", "val_r2"
    digits: int = 1

    @classmethod
    def of(cls, name: str, sizes: Mapping[str, int]) -> Self:
        """With as many digits as the number of examples behind it can tell apart."""
        examples = sizes.get(name.partition("_")[0], 0)
        if name.endswith("_acc"):
            return cls(name, 1 if 0 < examples < 5000 else 2)
        return cls(name, 3)

    @property
    def kind(self) -> str:
        """The metric without its split: "acc", "r2"."""
        return self.name.partition("_")[2]

    @property
    def scale(self) -> float:
        """What a value is multiplied by to be shown."""
        return 100.0 if self.kind.endswith("acc") else 1.0

    @property
    def unit(self) -> str:
        """Shown behind a value."""
        return " %" if self.kind.endswith("acc") else ""

    @property
    def label(self) -> str:
        """The words for an axis."""
        return words(self.name)

    def axis(self, words: str) -> str:
        """The words for an axis, with the unit.

        >>> Metric("val_acc").axis("predicted"), Metric("val_r2", 3).axis("predicted")
        ('predicted, %', 'predicted')
        """
        return f"{words},{self.unit}" if self.unit else words

    def on(self, split: str) -> str:
        """The same metric of another split: "test_acc"."""
        return f"{split}_{self.kind}"

    def show(self, value: float) -> str:
        """A value with its unit.

        >>> Metric("val_acc").show(0.9712), Metric("val_r2", 3).show(0.5)
        ('97.1 %', '0.500')
        """
        return f"{value * self.scale:.{self.digits}f}{self.unit}" if np.isfinite(value) else MISSING

    def gap(self, value: float) -> str:
        """A difference of two values, without its sign.

        >>> Metric("val_acc").gap(-0.012)
        '1.2 points'
        """
        text = f"{abs(value) * self.scale:.{self.digits}f}"
        return f"{text} points" if self.kind.endswith("acc") else text

    def signed(self, value: float) -> str:
        """A difference of two values, with its sign.

        >>> Metric("val_acc").signed(-0.012), Metric("val_r2", 3).signed(0.5)
        ('-1.2 points', '+0.500')
        """
        text = self.gap(value)
        return text if float(text.split()[0]) == 0 else f"{'-' if value < 0 else '+'}{text}"


def words(name: str) -> str:
    """A metric's name in words.

    >>> words("val_acc"), words("test_r2"), words("speed")
    ('validation accuracy', 'test R²', 'speed')
    """
    split, _, kind = name.partition("_")
    if split in _SPLITS and kind:
        return f"{_SPLITS[split]} {_LABELS.get(kind, kind)}"
    return name


def count(value: float) -> str:
    """A count in short form, or a dash.

    >>> count(12_345), count(float("nan")) == MISSING
    ('12.3k', True)
    """
    return number(value) if np.isfinite(value) else MISSING


def tick(value: float) -> str:
    """A count as an axis says it.

    >>> tick(100_000), tick(1_500_000)
    ('100k', '1.5M')
    """
    text = count(value)
    unit = text[-1:] if text[-1:].isalpha() else ""
    body = text.removesuffix(unit)
    return (body.rstrip("0").rstrip(".") if "." in body else body) + unit


def seconds(value: float) -> str:
    """Seconds in words, or a dash.

    >>> seconds(30.0), seconds(1.24)
    ('30 s', '1.2 s')
    """
    return duration(value).replace(".0 s", " s") if np.isfinite(value) else MISSING


def plural(n: int, one: str, many: str = "") -> str:
    """A number and its noun.

    >>> plural(1, "network"), plural(2, "network"), plural(1200, "class", "classes")
    ('1 network', '2 networks', '1,200 classes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def short(text: str, limit: int = 28) -> str:
    """Text that fits a label.

    >>> short("a" * 40, 6)
    'aaaaa…'
    """
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
