"""One bar a thing: predictors and their rank correlation, phases and their seconds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

from foretell.report.display import COLOURS, Display, chart
from foretell.report.reading import Run, number, section
from foretell.report.units import seconds, short


def baselines(run: Run) -> Display | None:
    """Cross-validated Kendall tau of the predictor and of what any predictor has to beat."""
    cv = section(run.rank, "cv")
    found = [(name, section(cv, name)) for name in cv]
    rows = [(str(name), number(one.get("mean")), number(one.get("std"))) for name, one in found]
    rows = sorted((row for row in rows if np.isfinite(row[1])), key=lambda row: (row[1], row[0]))
    if not rows:
        return None
    names, mean, std = [r[0] for r in rows], np.array([r[1] for r in rows]), [r[2] for r in rows]
    used = {str(run.rank.get(key)) for key in ("predictor", "chosen")}
    caption = (
        "Kendall tau between prediction and measurement, cross-validated on the sampled networks: "
        "mean, and standard deviation over the folds. 1 orders every pair rightly, 0 is guessing."
    )

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        at = np.arange(len(names))
        spread = np.nan_to_num(np.array(std))
        colours = [COLOURS["top"] if name in used else COLOURS["random"] for name in names]
        ax.barh(at, mean, height=0.62, color=colours)
        ax.errorbar(mean, at, xerr=spread, fmt="none", ecolor=COLOURS["ink"], elinewidth=1.2)
        for i, (value, wide) in enumerate(zip(mean, spread, strict=True)):
            ax.text(max(value + wide, 0) + 0.02, i, f"{value:.2f}", va="center")
        ax.set_yticks(at, [short(name) for name in names])
        ax.tick_params(axis="y", colors=COLOURS["ink"])
        low, high = float((mean - spread).min()), float((mean + spread).max())
        ax.set_xlim(min(0.0, low), max(1.0, high + 0.15))
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("Kendall tau")

    return Display(
        "baselines",
        "Is the predictor better than counting?",
        caption,
        {"predictor": names, "kendall_mean": mean, "kendall_std": std},
        lambda: chart(
            "baselines", f"Bar chart. {caption}", draw, height=max(160, 60 + 34 * len(names))
        ),
    )


def spent_on(run: Run, what: str) -> float:
    """Seconds of "fit_s" or "predict_s" over all rounds."""
    return float(np.nansum([number(event.get(what)) for event in run.ranks]))


def time_spent(run: Run) -> Display | None:
    """Seconds by phase."""
    trained = {
        phase: float(np.nansum([t.seconds for t in run.trials if t.phase == phase]))
        for phase in ("sample", "top", "random")
    }
    parts = {
        "train the sampled": trained["sample"],
        "fit the predictor": spent_on(run, "fit_s"),
        "score the space": spent_on(run, "predict_s"),
        "train the predicted best": trained["top"],
        "train random networks": trained["random"],
    }
    parts = {name: value for name, value in parts.items() if value > 0}
    if not parts:
        return None
    names, spent = list(parts), np.array(list(parts.values()))
    caption = (
        "Training times are added over the workers: with several workers, the clock on the wall "
        "shows less."
    )
    roles = {"train the sampled": "sample", "train the predicted best": "top"}

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        at = np.arange(len(names))[::-1]
        ax.barh(at, spent, height=0.62, color=[COLOURS[roles.get(n, "random")] for n in names])
        for i, value in zip(at, spent, strict=True):
            ax.text(value + 0.02 * spent.max(), i, seconds(value), va="center")
        ax.set_yticks(at, names)
        ax.tick_params(axis="y", colors=COLOURS["ink"])
        ax.set_xlim(0, 1.35 * spent.max())
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds(value)))
        ax.grid(visible=False, axis="y")

    return Display(
        "time",
        "Where the time went",
        caption,
        {"phase": names, "seconds": spent},
        lambda: chart("time", f"Bar chart. {caption}", draw, height=60 + 34 * len(names)),
    )
