"""`report.html` of a study of two budgets: who wins where."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from foretell._version import __version__
from foretell.report.display import COLOURS, Display, chart
from foretell.report.html import Html, h
from foretell.report.page import shell
from foretell.report.parts import figures, settings_table, sortable, table, tile
from foretell.report.studies import head, title, written
from foretell.report.units import plural, short
from foretell.studies.budgets import FAMILIES, BudgetStudy

_COLOURS = {
    "model": "kind-0",
    "curve": "kind-1",
    "zero-cost": "kind-2",
    "weight-sharing": "kind-3",
    "hybrid": "kind-4",
}


def write(study: BudgetStudy) -> Path:
    """Write `report.html` into the folder of the study and return its path."""
    return written(study.out, render(study))


def render(study: BudgetStudy) -> str:
    """The whole page."""
    families = [one for one in FAMILIES if any(study.family(m) == one for m in study.names)]
    sections = [
        ("grid", "Who wins where", figures([grid(study)])),
        ("families", "Every family alone", figures([grid(study, one) for one in families])),
        ("omni", "OMNI beside its parts", _omni(study)),
        ("methods", "All cells", _cells(study)),
        ("protocol", "How it was measured", settings_table(study.settings)),
    ]
    return shell(title(study.settings), _header(study), sections, __version__)


def grid(study: BudgetStudy, family: str | None = None) -> Display:
    """The best method of each cell and its tau: initialisation upwards, query to the right.

    Args:
        study: of two budgets.
        family: whose methods take part; None for all of them.
    """
    names = [m for m in study.names if family is None or study.family(m) == family]
    won = {(n, e): study.winner(n, e, names) for n in study.sizes for e in study.epochs}
    won = {cell: pair for cell, pair in won.items() if pair[0]}
    taus = [tau for _, tau in won.values()] or [0.0]
    low, high = min(taus), max(taus)
    caption = (
        f"Method with the highest Kendall tau, and its tau, mean of "
        f"{plural(len({r.seed for r in study.records}), 'seed')}; the colour is its family. A "
        "method that needs less than a cell allows takes part in it."
    )

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        for (n, e), (m, tau) in won.items():
            x, y = study.epochs.index(e), study.sizes.index(n)
            strength = 0.2 + 0.5 * float(np.clip((tau - low) / max(high - low, 1e-9), 0, 1))
            hue = COLOURS[_COLOURS[study.family(m)]]
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=hue, alpha=strength, lw=0))
            words = "\n".join([*textwrap.wrap(short(m, 24), 10), f"{tau:.2f}"])
            ax.text(x + 0.5, y + 0.5, words, ha="center", va="center", fontsize=9)
        ax.set_xlim(0, len(study.epochs))
        ax.set_ylim(0, len(study.sizes))
        ax.set_xticks(np.arange(len(study.epochs)) + 0.5, [_query(study, e) for e in study.epochs])
        ax.set_yticks(np.arange(len(study.sizes)) + 0.5, [_init(study, n) for n in study.sizes])
        ax.grid(visible=False)
        ax.set_xlabel("epochs of each network that is asked for, and seconds")
        ax.set_title("networks trained before, and seconds")

    name = "budgets" + ("" if family is None else f"-{family}")
    numbers: dict[str, Any] = {
        "n_train": [n for n, _ in won],
        "epochs": [e for _, e in won],
        "method": [m for m, _ in won.values()],
        "kendall": [tau for _, tau in won.values()],
    }
    title = "All families" if family is None else f"Family {family}"
    return Display(
        name,
        title,
        caption,
        numbers,
        lambda: chart(
            name,
            f"Heat map. {caption}",
            draw,
            width=120 + 88 * len(study.epochs),
            height=90 + 52 * len(study.sizes),
        ),
    )


def _init(study: BudgetStudy, n: int) -> str:
    costs = [r.init_s for r in study.records if r.n_train == n and r.init_s is not None]
    return f"{n}\n{np.median(costs):.3g} s" if n and costs else str(n)


def _query(study: BudgetStudy, e: int) -> str:
    costs = [r.query_s for r in study.records if r.epochs == e and r.query_s is not None]
    return f"{e}\n{np.median(costs):.2g} s" if costs else str(e)


def _header(study: BudgetStudy) -> Html:
    share = study.omni_share()
    tiles = [
        tile("methods", str(len(study.names)), "of every family that the table has"),
        tile("cells", str(len(study.sizes) * len(study.epochs)), "of the grid"),
        tile("OMNI", "n/a" if np.isnan(share) else f"{share:.0%}", "cells at or above its parts"),
    ]
    settings = study.settings
    known = [
        ("Target", settings.get("column")),
        ("Rows", settings.get("split")),
        ("Test rows", settings.get("n_test")),
    ]
    return head("two budgets", settings, tiles, known)


def _omni(study: BudgetStudy) -> Html | None:
    rows = [
        h(
            "tr",
            h("td", f"{n} networks, {e} epochs"),
            sortable(tau, f"{tau:.3f}"),
            h("td", part),
            sortable(best, f"{best:.3f}"),
        )
        for n, e, tau, part, best in study.omni()
    ]
    return table(["Cell", "OMNI", "Best part", "its tau"], rows) if rows else None


def _cells(study: BudgetStudy) -> Html:
    rows = []
    for one in study.summary_rows():
        numbers = ("n_train", "epochs", "kendall", "init_s", "query_s", "fit_s", "update_s")
        cells = [sortable(float(one[c]), f"{one[c]:.3g}") for c in numbers]
        rows.append(h("tr", h("td", one["method"]), h("td", one["family"]), cells))
    heads = ["Method", "Family", "n", "epochs", "tau", "init s", "query s", "fit s", "update s"]
    return table(heads, rows, tall=True)
