"""A method of search by shared weights: a part of each kind, checked when put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from foretell.errors import SettingError
from foretell.supernets.alpha import AlphaUpdate, First, NoUpdate, Second
from foretell.supernets.distribution import (
    Categorical,
    Concrete,
    Constant,
    Dirichlet,
    Distribution,
    GumbelST,
    Proximal,
    Softmax,
    Uniform,
)
from foretell.supernets.execution import Execution, Full
from foretell.supernets.perturbation import PathDropout, Perturbation
from foretell.supernets.regulariser import KL, Regulariser
from foretell.supernets.schedule import Flatness, Schedule, Stages
from foretell.supernets.selection import Magnitude, ProgressiveRemoval, SampleAndScore, Selection
from foretell.supernets.shrinking import Shrink
from foretell.supernets.source import Shared, Source

_SOFT = "Softmax, Concrete, Dirichlet or Constant"
_HARD = "GumbelST, Categorical, Proximal, Uniform or Controller"


@dataclass(frozen=True)
class Weights:
    """How the shared weights are trained: SGD, a cosine from `lr` to `lr_end`.

    Args:
        epochs: by default.
        batch_size: of both kinds of steps.
        lr: at the first epoch.
        lr_end: at the last epoch.
        momentum: of SGD.
        nesterov: whether it is Nesterov's.
        weight_decay: on all weights that had a gradient in the step.
        clip: longest gradient, 0 for no limit.
        label_smoothing: of the steps of weights alone.
        augment: as in a recipe of training.
        share: of the training rows that weights learn from; alpha and the choice have the others.
            1: weights have all of them, and alpha and the choice the validation split.
    """

    epochs: int = 50
    batch_size: int = 64
    lr: float = 0.025
    lr_end: float = 0.001
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 3e-4
    clip: float = 5.0
    label_smoothing: float = 0.0
    augment: str = "auto"
    share: float = 0.5


@dataclass(frozen=True)
class Method:
    """A search by shared weights, put together of parts.

    Args:
        distribution: what alpha means, and how weights of operations are drawn.
        execution: how operations are run.
        alpha: how alpha learns, and when.
        selection: how an architecture is chosen at the end.
        perturbation: of the weights of operations in steps of the network's weights.
        regularisers: added to alpha's loss, in this order.
        schedule: what changes over the epochs, in this order.
        weights: how the network's weights are trained.
        source: where the weights of operations come from.

    Raises: SettingError for parts that do not fit; the message names what would.

    >>> Method(distribution=GumbelST(), execution=Full(), perturbation=None).distribution.hard
    True
    """

    distribution: Distribution = field(default_factory=Softmax)
    execution: Execution = field(default_factory=Full)
    alpha: AlphaUpdate = field(default_factory=First)
    selection: Selection = field(default_factory=Magnitude)
    perturbation: Perturbation | None = None
    regularisers: tuple[Regulariser, ...] = ()
    schedule: tuple[Schedule, ...] = ()
    weights: Weights = field(default_factory=Weights)
    source: Source = field(default_factory=Shared)

    def __post_init__(self) -> None:
        for bad, expected, hint in _faults(self):
            raise SettingError(bad, expected=expected, hint=hint)

    def but(self, **parts: Any) -> Self:
        """The same with other parts, or other settings of the weights by their names.

        >>> Method().but(epochs=3).weights.epochs
        3
        """
        own = {key: parts.pop(key) for key in list(parts) if key in Method.__dataclass_fields__}
        if parts:
            known = Weights.__dataclass_fields__
            if wrong := [key for key in parts if key not in known]:
                raise SettingError(
                    f"unknown part {wrong[0]!r}",
                    expected=f"one of {', '.join([*Method.__dataclass_fields__, *known])}",
                )
            own["weights"] = replace(own.get("weights", self.weights), **parts)
        return replace(self, **own)


def _faults(m: Method) -> Sequence[tuple[str, str, str]]:
    """What does not fit: what is wrong, what was expected, what to do."""
    d, run, a = m.distribution, m.execution, m.alpha
    name = {part: type(part).__name__ for part in (d, run, a, m.selection, m.perturbation)}
    out = []
    if run.needs_hard and not d.hard:
        out.append((f"{name[run]} with {name[d]}, whose weights are not 1 or 0", _HARD,
                    "take one of them, or run all operations with Full()"))  # fmt: skip
    if run.gates and "gates" not in d.gradient:
        out.append((f"Gates with {name[d]}", "Categorical",
                    "gates learn from the slope at a corner: take Categorical()"))  # fmt: skip
    if m.perturbation is not None and m.perturbation.needs_soft and d.hard:
        out.append((f"{name[m.perturbation]} with {name[d]}, whose weights are 1 or 0", _SOFT,
                    "noise on weights that are 1 or 0 names no architecture"))  # fmt: skip
    if not set(a.needs) & set(d.gradient):
        fits = {
            "path": f"{_SOFT.replace(' or Constant', '')}, GumbelST or Proximal",
            "score": "Categorical or Controller",
            "gates": "Categorical",
            "none": "any",
        }
        out.append((f"{name[a]} with {name[d]}: alpha would get no gradient", fits[a.needs[0]],
                    "take one of them, or NoUpdate() where alpha shall rest"))  # fmt: skip
    if a.needs == ("gates",) and not run.gates:
        out.append((f"{name[a]} with {name[run]}", "Gates",
                    "gates of operations that do not run have no slope: take Gates()"))  # fmt: skip
    unread = isinstance(a, NoUpdate) or not d.learns
    if unread and isinstance(m.selection, Magnitude):
        out.append(("Magnitude where alpha does not learn: there is nothing to read",
                    "SampleAndScore or ProgressiveRemoval",
                    "choose by inherited weights"))  # fmt: skip
    if isinstance(m.selection, ProgressiveRemoval) and run.needs_hard:
        out.append((f"{name[m.selection]} after {name[run]}: all operations never ran together",
                    "Full", "choose by SampleAndScore()"))  # fmt: skip
    if isinstance(a, Second) and a.order == "joint":
        out.append(("Second with order 'joint': one batch is both inside and outside",
                    "alpha-first or weights-first", "take First() for one joint step"))  # fmt: skip
    if isinstance(a, Second) and (run.skip_drop or run.path_drop):
        out.append(("Second with dropout: its passes need the same masks", "none",
                    "take First(), or leave dropout away"))  # fmt: skip
    if a.order == "joint" and (a.data != "train" or m.weights.share != 1.0):
        out.append(("order 'joint' uses all training rows for both", "data='train' and share=1.0",
                    "set both, or take order 'alpha-first'"))  # fmt: skip
    if any(isinstance(r, KL) for r in m.regularisers) and not isinstance(d, Dirichlet):
        out.append((f"KL with {name[d]}", "Dirichlet", "take another regulariser"))
    if run.edge_norm and not isinstance(m.selection, Magnitude | ProgressiveRemoval):
        out.append(("edge normalisation, whose beta nobody reads", "Magnitude",
                    "choose by Magnitude(), which multiplies by it"))  # fmt: skip
    if any(isinstance(s, Shrink) for s in m.schedule) and not run.needs_hard:
        out.append((f"Shrink with {name[run]}: parts of the largest network run one at a time",
                    "Single", "take Uniform() and Single()"))  # fmt: skip
    stages = [s for s in m.schedule if isinstance(s, Stages)]
    back = [s for s in m.schedule if isinstance(s, Flatness)]
    if back and any(stage.fresh for stage in stages):
        out.append(("Flatness with stages that start anew: an earlier epoch is of another network",
                    "stages with fresh=False", "leave one of both away"))  # fmt: skip
    if not 0 < m.weights.share <= 1:
        out.append(("share of the training rows", "above 0, at most 1", "take 0.5"))
    return out


def warnings(m: Method) -> list[str]:
    """What is allowed and known to do badly."""
    found = []
    if (
        isinstance(m.selection, SampleAndScore)
        and not m.execution.needs_hard
        and not isinstance(m.perturbation, PathDropout)
    ):
        found.append(
            "weights that learnt all operations at once score single rows near chance: add "
            "PathDropout(), or take Uniform() and Single()"
        )
    return found


__all__ = [
    "Categorical", "Concrete", "Constant", "Dirichlet", "GumbelST", "Method", "Proximal", "Softmax",
    "Uniform", "Weights", "warnings",
]  # fmt: skip
