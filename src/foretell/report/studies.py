"""What the pages of all studies share: the file, the head, and means in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foretell._files import write_text
from foretell.metrics import mean_interval
from foretell.report.html import Html, h, join
from foretell.report.parts import facts
from foretell.report.units import MISSING


def written(out: Path, text: str) -> Path:
    """Write `report.html` into the folder of a study and return its path.

    The file needs nothing from outside, and equal studies give equal bytes.
    """
    path = out / "report.html"
    write_text(path, text)
    return path


def title(settings: Mapping[str, Any]) -> str:
    """The name of the page: table and column."""
    return f"{settings.get('table', '')} · {settings.get('column', '')}"


def head(
    what: str,
    settings: Mapping[str, Any],
    tiles: Sequence[Html],
    known: Iterable[tuple[str, Any]],
    verdict: str | None = None,
    notes: Sequence[str] = (),
) -> Html:
    """What stands above the sections.

    Args:
        what: it is a study of.
        settings: of the study.
        tiles: its sizes.
        known: names and facts, beside table and space.
        verdict: a sentence or two.
        notes: a line each.
    """
    source = "Data" if settings.get("evaluator") else "Table"  # what was trained, or what knows it
    where = [(source, settings.get("table")), ("Space", settings.get("space"))]
    return join(
        [
            h("p", "foretell", h("span", f" study of {what}"), class_="brand"),
            h("h1", title(settings)),
            None if verdict is None else h("p", verdict, class_="verdict"),
            h("div", tiles, class_="tiles"),
            facts([*where, *known]),
            [h("p", note, class_="note") for note in notes],
        ]
    )


def said(values: Sequence[float], digits: Callable[[float], int]) -> str:
    """Mean and half of its 95 % interval; a dash where nothing is known.

    Args:
        values: one a seed.
        digits: how many are told of such a mean.
    """
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return MISSING
    mean, half = mean_interval(known)
    places = digits(abs(mean))
    return f"{mean:.{places}f}" + (f" ± {half:.{places}f}" if np.isfinite(half) else "")


def better(direction: object) -> str:
    """Which values are good, in words."""
    return "higher is better" if direction == "max" else "lower is better"
