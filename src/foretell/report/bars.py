"""One bar a thing: predictors and their rank correlation, phases and their seconds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Canvas

from foretell.report.display import COLOURS, Display, chart
from foretell.report.reading import Run, number
from foretell.report.units import plural, seconds, short
from foretell.runs.throughput import noun_of


def baselines(run: Run) -> Display | None:
    """Cross-validated Kendall tau of the predictor and of what any predictor has to beat."""
    cv = run.rank.cv
    rows = [(name, number(one.mean), number(one.std)) for name, one in cv.items()]
    rows = sorted((row for row in rows if np.isfinite(row[1])), key=lambda row: (row[1], row[0]))
    if not rows:
        return None
    names, mean, std = [r[0] for r in rows], np.array([r[1] for r in rows]), [r[2] for r in rows]
    used = set(run.rank.names)
    compared = "auto" in cv  # candidates in one go, over all pairs; any other fold by fold
    spread_of = "its jackknife error" if compared else "standard deviation over the folds"
    caption = (
        "Kendall tau between prediction and measurement, cross-validated on the sampled networks, "
        f"and {spread_of}. 1 orders every pair rightly, 0 is guessing."
    )

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        at = np.arange(len(names))
        spread = np.nan_to_num(np.array(std))
        colours = [COLOURS["top"] if name in used else COLOURS["random"] for name in names]
        ax.barh(at, mean, height=0.62, color=colours)
        left, right = np.maximum(mean - spread, -1.0), np.minimum(mean + spread, 1.0)  # as tau is
        ax.hlines(at[spread > 0], left[spread > 0], right[spread > 0], COLOURS["ink"], lw=1.2)
        for i, (value, end) in enumerate(zip(mean, right, strict=True)):
            ax.text(max(end, 0) + 0.02, i, f"{value:.2f}", va="center")
        ax.set_yticks(at, [short(name) for name in names])
        ax.tick_params(axis="y", colors=COLOURS["ink"])
        ax.set_xlim(min(0.0, float(left.min())), max(1.0, float(right.max()) + 0.15))
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


def fit_s(run: Run) -> float:
    """Seconds of fitting predictors, over all rounds."""
    return sum(one.fit_s or 0.0 for one in run.ranks)


def predict_s(run: Run) -> float:
    """Seconds of predicting, over all rounds."""
    return sum(one.predict_s or 0.0 for one in run.ranks)


def time_parts(run: Run) -> dict[str, float]:
    """Seconds of a worker by what they went into, without what took none.

    Waiting is what the workers had (the time on the clock times their number, over the calls of the
    command that came to their end) less all else; without such a record it is left out.
    """
    trained = {
        phase: float(np.nansum([t.seconds for t in (*run.trials, *run.again) if t.phase == phase]))
        for phase in ("sample", "top", "random", "verdict")
    }
    parts = {
        "train the sampled": trained["sample"],
        "train the predicted best": trained["top"],
        "train random networks": trained["random"],
        "train again for the verdict": trained["verdict"],
        "fit the predictor": fit_s(run),
        "score the space": predict_s(run),
    }
    had = sum(number(one.wall_s) * max(one.workers, 1) for one in run.sessions)
    parts["workers waiting"] = had - sum(parts.values()) if run.sessions else 0.0
    return {name: value for name, value in parts.items() if value > 0}


_ROLES = {
    "train the sampled": "sample",
    "train the predicted best": "top",
    "train random networks": "random",
    "train again for the verdict": "winner",
    "fit the predictor": "kind-0",
    "score the space": "kind-1",
    "workers waiting": "grid",
}


def time_spent(run: Run) -> Display | None:
    """Shares of the time, as one bar."""
    parts = time_parts(run)
    if not parts:
        return None
    caption = (
        "Times are added over the workers: with several of them, the clock on the wall shows less. "
        f"{_on_the_clock(run)}"
    ).strip()
    return _shares("time", "Where the time went", caption, parts, _ROLES)


_PARTS = {
    "train": ("steps", "top"),
    "validate": ("validation", "sample"),
    "data": ("data", "kind-0"),
    "save": ("checkpoints", "kind-1"),
    "setup": ("setting up", "grid"),
}


def trainings(run: Run) -> Display | None:
    """Shares of the time of trainings, and how many rows a second went through them."""
    fast = run.throughput
    if fast is None or not fast.parts:
        return None
    said = fast.words(noun_of(run.record.data.input_shape or ()))
    caption = (
        "Seconds of all trainings, added. Validation is statistics of normalisation layers, looks "
        f"and metrics; setting up is building, checking and recording. {'; '.join(said)}."
    )
    parts = {words: fast.parts[name] for name, (words, _) in _PARTS.items() if name in fast.parts}
    return _shares("trainings", "Inside of a training", caption, parts, dict(_PARTS.values()))


def _shares(
    key: str, title: str, caption: str, parts: Mapping[str, float], roles: Mapping[str, str]
) -> Display:
    """Parts of some seconds, as one bar and their numbers."""
    names, spent = list(parts), np.array(list(parts.values()))
    share = spent / spent.sum()

    def draw(canvas: Canvas) -> None:
        bar, words = canvas.subplots(2, 1, height_ratios=[1, 0.62 * len(names)])
        start = np.cumsum(share) - share
        for name, left, wide in zip(names, start, share, strict=True):
            bar.barh(0, wide, left=left, height=1.0, color=COLOURS[roles[name]], lw=0)
        bar.set_xlim(0, 1)
        words.set_xlim(0, 1)
        words.set_ylim(len(names) - 0.5, -0.5)
        for i, name in enumerate(names):
            words.barh(i, 0.035, height=0.6, color=COLOURS[roles[name]], lw=0)
            words.text(0.06, i, name, va="center")
            words.text(0.84, i, seconds(float(spent[i])), va="center", ha="right")
            words.text(1.0, i, f"{100 * share[i]:.1f} %", va="center", ha="right")
        for ax in (bar, words):
            ax.set_axis_off()

    return Display(
        key,
        title,
        caption,
        {"phase": names, "seconds": spent, "share": share},
        lambda: chart(key, f"Stacked bar. {caption}", draw, height=70 + 26 * len(names)),
    )


def _on_the_clock(run: Run) -> str:
    """The phases as the clock on the wall saw them, over all calls of the command."""
    wall = sum(one.wall_s or 0.0 for one in run.sessions)
    if not wall > 0:
        return ""
    said = {"ask_s": "choosing", "train_s": "training", "verdict_s": "training again"}
    phases = [
        (words, sum(one.phases.get(key, 0.0) for one in run.sessions))
        for key, words in said.items()
    ]
    listed = ", ".join(f"{words} {seconds(value)}" for words, value in phases if value > 0)
    calls = plural(len(run.sessions), "call")
    return f"On the clock {calls} of the command took {seconds(wall)}: {listed}."
