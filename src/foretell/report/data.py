"""What the networks learnt from: classes and counts, columns, what was decided or left out."""

from __future__ import annotations

from typing import Any

from foretell.report.html import Html, h, join
from foretell.report.parts import table
from foretell.report.reading import Run
from foretell.report.units import plural

_SPLITS = ("train", "val", "test")


def data(run: Run) -> Html | None:
    """The user's data as it was read."""
    about = run.record.data.about
    counts: dict[str, list[int]] = about.get("counts") or {}
    columns: list[dict[str, Any]] = about.get("columns") or []
    notes: list[str] = about.get("notes") or []
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
        rows = [
            h("tr", h("th", one["name"], scope="row"), h("td", one["as"]), h("td", one["note"]))
            for one in columns
        ]
        words = f"{plural(len(columns), 'column')} and what they were taken for"
        parts += [h("h3", words), table(("column", "taken as", "note"), rows, tall=True)]
    return join(parts) if parts else None
