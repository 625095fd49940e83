"""What the networks learnt from: classes and counts, columns, what was decided or left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.errors import RunError
from foretell.frame import columns_of
from foretell.report.html import Html, h, join
from foretell.report.parts import table
from foretell.report.reading import Run
from foretell.report.units import MISSING, plural

_MOST_SHOWN = 20  # columns of the confusion matrix
_SPLITS = ("train", "val", "test")


def _counts(run: Run) -> tuple[list[str], NDArray[np.int64]] | None:
    """Labels, and confusion.csv: how many test rows of each class are said to be of each.

    Raises: ValueError where it is damaged.
    """
    path = run.folder / "confusion.csv"
    if not path.exists():
        return None
    try:
        cells = columns_of(path)
        labels = cells.pop("class")
        counts = np.array([list(map(int, column)) for column in cells.values()]).T
    except (KeyError, RunError, OverflowError) as error:
        raise ValueError(error) from error
    if counts.shape != (len(labels), len(labels)) or counts.min(initial=0) < 0:
        raise ValueError(counts.shape)
    return labels, counts


def one_answer(run: Run) -> str:
    """A sentence on a winner that says the same of everything; "" if it does not."""
    try:
        found = _counts(run)
    except ValueError:
        return ""
    if found is None or len(found[0]) < 2:
        return ""
    labels, counts = found
    said = np.flatnonzero(counts.sum(axis=0))
    return f"It says {labels[said[0]]!r} of every test example." if len(said) == 1 else ""


def confusion(run: Run) -> Html | None:
    """What the winner says of the test rows of each class, and how many of each it finds."""
    try:
        found = _counts(run)
    except ValueError as error:
        return h("p", f"confusion.csv is damaged: {error}", class_="note")
    if found is None:
        return None
    labels, counts = found
    total = counts.sum(axis=1)
    recall = [f"{100 * hit / n:.1f} %" if n else MISSING
              for hit, n in zip(counts.diagonal(), total, strict=True)]  # fmt: skip
    said = counts.sum(axis=0)
    train = {name: sum(n[:1]) for name, n in run.record.data.counts.items()}
    most = max(train, key=train.__getitem__) if set(train) == set(labels) else ""
    words = [h("p", "Rows are what test examples are, columns what the best network says of them.")]
    if most:
        always = total[labels.index(most)] / max(1, total.sum())
        words.append(
            h("p", f"Always saying {most} would be right in {100 * always:.1f} % of the test.")
        )
    shown = range(min(len(labels), _MOST_SHOWN))
    rows = [
        h(
            "tr",
            h("th", labels[i], scope="row"),
            h("td", f"{total[i]:,}", class_="number"),
            h("td", recall[i], class_="number"),
            [h("td", f"{counts[i, j]:,}", class_="number") for j in shown],
        )
        for i in range(len(labels))
    ]
    rows.append(
        h(
            "tr",
            h("th", "said", scope="row"),
            h("td", f"{total.sum():,}", class_="number"),
            h("td", ""),
            [h("td", f"{said[j]:,}", class_="number") for j in shown],
        )
    )
    heads = ("class", "examples", "recall", *(f"as {labels[j]}" for j in shown))
    return join([*words, table(heads, rows, tall=True)])


def data(run: Run) -> Html | None:
    """The user's data as it was read."""
    known = run.record.data
    counts, columns, notes = known.counts, known.columns or (), known.notes
    parts: list[Html] = []
    if notes:
        parts.append(h("ul", [h("li", note) for note in notes]))
    if counts:
        rows = [
            h("tr", h("th", name, scope="row"), [h("td", f"{n:,}", class_="number") for n in each])
            for name, each in counts.items()
        ]
        what = ("label", "labels") if run.record.data.task == "multilabel" else ("class", "classes")
        words = f"{plural(len(counts), *what)}, rows of each split"
        parts += [h("h3", words), table((what[0], *_SPLITS), rows, tall=True)]
    if columns:
        shown = {"name": "column", "as": "taken as", "note": "note"}
        if not any(one.get("note") for one in columns):
            del shown["note"]
        rows = [h("tr", [h("td", one.get(key, "")) for key in shown]) for one in columns]
        words = f"{plural(len(columns), 'column')} and what they were taken for"
        parts += [h("h3", words), table(shown.values(), rows, tall=True)]
    return join(parts) if parts else None
