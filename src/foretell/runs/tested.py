"""What the winner says of the test rows, written down for the report."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from foretell._files import write_text
from foretell.frame import Frame
from foretell.runs.folder import RunFolder
from foretell.training import scores
from foretell.training.data import Data
from foretell.training.data.pictures import pictures

_CLASSES = 12  # of which examples are shown
_OF_EACH = 6
_WRONG = 24


def write_tested(folder: RunFolder, data: Data, out: NDArray[np.float64]) -> None:
    """`tested.csv`, a line a test row: its name, what it is, and what the winner says of it. Of
    classes also `confusion.csv`; of images `examples.json`, with some of each class and the surest
    mistakes.

    Args:
        folder: of the run.
        data: that it is of.
        out: scores, or standardised targets.

    Shapes: `out` (n, n_outputs), in the order of the test rows.
    """
    rows, labels = data.split["test"], np.array(data.labels, dtype=str)
    y = np.asarray(data.y[rows])
    names = data.names or tuple(f"row {row}" for row in rows)
    columns: dict[str, Any] = {"name": np.array(names, dtype=str)}
    wrong: list[dict[str, Any]] = []
    if data.task == "classification":
        said, chance = out.argmax(axis=1), softmax(out, axis=1).max(axis=1)
        columns |= {"is": labels[y], "said": labels[said], "probability": chance}
        counts = scores.confusion(y, said, len(labels))
        each = {f"said {label}": counts[:, k] for k, label in enumerate(labels)}
        Frame({"class": labels, **each}).write(folder.confusion)
        bad = np.flatnonzero(said != y)
        bad = bad[np.argsort(-chance[bad], kind="stable")][:_WRONG]
        wrong = [
            {"name": names[i], "label": str(labels[y[i]]), "said": str(labels[said[i]]),
             "probability": round(float(chance[i]), 4), "picture": picture}
            for i, picture in zip(bad, pictures(data, rows[bad].tolist()), strict=False)
        ]  # fmt: skip
    elif data.task == "regression":
        true, values = (z * data.target_std + data.target_mean for z in (y, out))
        targets = _targets(data)
        columns |= {f"is {one}": true[:, j] for j, one in enumerate(targets)}
        columns |= {f"said {one}": values[:, j] for j, one in enumerate(targets)}
    else:
        columns |= {f"is {label}": y[:, k].round(6) for k, label in enumerate(labels)}
        columns |= {f"said {label}": expit(out[:, k]).round(6) for k, label in enumerate(labels)}
    Frame(columns).write(folder.tested)
    if data.x.ndim == 4:
        found = {"format": 1, "some": _some(data), "wrong": wrong}
        write_text(folder.examples, json.dumps(found) + "\n")


def _targets(data: Data) -> list[str]:
    """A name for each target."""
    words = [word.strip() for word in str(data.spec.get("target") or "").split(",")]
    n = data.n_outputs
    if len(words) == n and all(words):
        return words
    return ["target"] if n == 1 else [f"target {j}" for j in range(n)]


def _some(data: Data) -> list[dict[str, Any]]:
    """Pictures of the first training rows of the first classes, or of any where there are none."""
    train = data.split["train"]
    if data.task != "classification":
        return [{"label": "", "pictures": pictures(data, train[: 2 * _OF_EACH].tolist())}]
    y = np.asarray(data.y[train])
    first = [train[y == k][:_OF_EACH].tolist() for k in range(min(len(data.labels), _CLASSES))]
    return [
        {"label": label, "pictures": pictures(data, rows)}
        for label, rows in zip(data.labels, first, strict=False)
    ]
