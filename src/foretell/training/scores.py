"""How well outputs fit targets: the loss that is trained, and the metrics that are reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional

from foretell.errors import SettingError
from foretell.training.data import Data

OBJECTIVE = {"classification": "acc", "regression": "r2", "multilabel": "map"}  # by default
KINDS = {
    "classification": ("acc", "balanced_acc", "f1", "auroc"),
    "regression": ("r2", "rmse"),
    "multilabel": ("map", "f1", "exact"),
}  # what each task reports beside the loss
MOST_CLASSES = 20  # with more, there is no auroc: it costs a sort for each class
Labels = NDArray[np.int64]
Scores = NDArray[np.floating[Any]]


def objective(name: str | None, data: Data) -> str:
    """A validation metric that data of this task has, by its full name; None for the task's own.

    Raises:
        SettingError: there is no such metric.

    >>> from foretell.training.data import load
    >>> objective("f1", load("digits")), objective(None, load("digits"))
    ('val_f1', 'val_acc')
    """
    if name is None:
        return f"val_{OBJECTIVE[data.task]}"
    known = [k for k in KINDS[data.task] if k != "auroc" or data.n_outputs <= MOST_CLASSES]
    known = [kind for kind in known if kind != "rmse"]  # higher is better
    if name.removeprefix("val_") not in known:
        expected = ", ".join(f"val_{kind}" for kind in known)
        raise SettingError("metric", expected=f"one of {expected}", got=repr(name))
    return f"val_{name.removeprefix('val_')}"


def class_weights(data: Data) -> Tensor:
    """n / (K n_k) of the training rows, so that all classes count alike; shape (K,)."""
    counts = np.bincount(data.y[data.split["train"]], minlength=data.n_outputs)
    return torch.tensor(counts.sum() / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32)


def majority(data: Data) -> tuple[str, dict[str, float]] | None:
    """The most frequent class in training, and the metrics of always saying it, for val and test;
    None where there are no classes."""
    if data.task != "classification":
        return None
    rows = data.split
    most = int(np.bincount(data.y[rows["train"]], minlength=data.n_outputs).argmax())
    found: dict[str, float] = {}
    for part in ("val", "test"):
        y = torch.from_numpy(np.asarray(data.y[rows[part]]))
        out = torch.zeros(len(y), data.n_outputs)
        out[:, most] = 1.0
        found |= {f"{part}_{kind}": value for kind, value in metrics(out, y, data).items()}
    return data.labels[most], found


def loss(
    out: Tensor, y: Tensor, data: Data, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Cross entropy of classes, mean binary cross entropy of labels, else mean squared error.

    Args:
        out: (n, n_outputs).
        y: (n,) class numbers, or (n, n_outputs).
        data: whose task it is.
        smoothing: share of the target that is spread evenly over the classes, or over yes and no.
        weights: of the classes, (K,); None for equal ones.
    """
    if data.task == "classification":
        if weights is None:
            return functional.cross_entropy(out, y, label_smoothing=smoothing)
        # by the row's class; torch's own `weight` weighs the smoothed share of rare classes up too
        each = functional.cross_entropy(out, y, label_smoothing=smoothing, reduction="none")
        return (each * weights[y]).sum() / weights[y].sum()
    if data.task == "multilabel":
        target = y * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(out, target)
    return functional.mse_loss(out, y)


def metrics(out: Tensor, y: Tensor, data: Data) -> dict[str, float]:
    """Metrics of the task by name, `KINDS`, on the rows of a split.

    Classes: "acc"; "balanced_acc", the mean recall of the classes that are there; "f1", the mean
    over the classes that are there or predicted; "auroc", the mean over the classes of the chance
    that a row of the class scores higher than another row. Labels: "map", the mean over the labels
    of average precision; "f1", their mean at probability 1/2; "exact", the share of rows without a
    mistake. Regression: "r2", the mean over the targets; "rmse", over all, in their own unit.

    Shapes: `out` (n, n_outputs); `y` (n,) class numbers, or (n, n_outputs).
    """
    if data.task == "regression":
        residual = (out - y).double()
        spread = (y - y.mean(0)).double().square().sum(0)
        r2 = torch.where(spread > 0, 1 - residual.square().sum(0) / spread, 0.0)
        unit = torch.from_numpy(data.target_std).to(out.device)
        return {"r2": float(r2.mean()), "rmse": float((residual * unit).square().mean().sqrt())}
    if data.task == "multilabel":
        truth = (y >= 0.5).cpu().numpy()
        scores = out.double().cpu().numpy()
        said = scores >= 0
        return {
            "map": average_precision(truth, scores),
            "f1": _f1(_counts(truth, said)),
            "exact": float((truth == said).all(axis=1).mean()),
        }
    right = out.argmax(1)
    found = {"acc": float((right == y).double().mean())}
    table = confusion(y.cpu().numpy(), right.cpu().numpy(), data.n_outputs)
    found["balanced_acc"] = float(np.mean(recalls(table)[table.sum(axis=1) > 0]))
    hits = table.diagonal()
    found["f1"] = _f1((hits, table.sum(axis=0) - hits, table.sum(axis=1) - hits))
    if data.n_outputs <= MOST_CLASSES:
        truth = np.arange(data.n_outputs) == y.cpu().numpy()[:, None]
        found["auroc"] = auroc(truth, out.double().softmax(1).cpu().numpy())
    return found


def confusion(y: Labels, said: Labels, n: int) -> Labels:
    """How many rows of each class (first) were said to be of each (second), shape (n, n).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(y * n + said, minlength=n * n).reshape(n, n)


def recalls(table: Labels) -> Scores:
    """The share of each class that was found, NaN where it has no rows; shape (n,)."""
    total = table.sum(axis=1)
    return np.where(total > 0, table.diagonal() / np.maximum(total, 1), np.nan)


def auroc(truth: NDArray[np.bool_], scores: Scores) -> float:
    """Mean over the columns of P(score of a true row > score of a false one), ties by half.

    Columns that are all true or all false do not count; .5 where no other is there.

    Shapes: both (n, columns).
    """
    yes = truth.sum(axis=0)
    no = len(truth) - yes
    known = (yes > 0) & (no > 0)
    if not known.any():
        return 0.5
    ranks = rankdata(scores[:, known], axis=0)
    above = (ranks * truth[:, known]).sum(axis=0) - yes[known] * (yes[known] + 1) / 2
    return float(np.mean(above / (yes[known] * no[known])))


def average_precision(truth: NDArray[np.bool_], scores: Scores) -> float:
    """Mean over the columns of sum_k (R_k - R_{k-1}) P_k, over thresholds k from the highest score.

    Columns without a true row do not count; 0 where no other is there.

    Shapes: both (n, columns).
    """
    found = []
    for j in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, j], kind="stable")
        hits, ranked = np.cumsum(truth[order, j]), scores[order, j]
        last = np.append(ranked[1:] != ranked[:-1], True)  # of each group of equal scores
        recall, precision = hits / hits[-1], hits / np.arange(1, len(hits) + 1)
        found.append(float(np.sum(np.diff(recall[last], prepend=0.0) * precision[last])))
    return float(np.mean(found)) if found else 0.0


def _counts(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> Sequence[Labels]:
    return (truth & said).sum(0), (~truth & said).sum(0), (truth & ~said).sum(0)


def _f1(counts: Sequence[Labels]) -> float:
    """Mean of 2 TP / (2 TP + FP + FN) over the columns that are there or said."""
    hits, extra, missed = counts
    total = 2 * hits + extra + missed
    return float(np.mean(2 * hits[total > 0] / total[total > 0])) if (total > 0).any() else 0.0
