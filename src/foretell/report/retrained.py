"""Is it really better? The winner and the hand-made network, trained again with other seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Canvas

from foretell.metrics import welch
from foretell.report.display import COLOURS, Display, chart
from foretell.report.marks import in_unit
from foretell.report.reading import Floats, Run
from foretell.report.units import plural, short, words
from foretell.runs.trial import Trial


@dataclass(frozen=True)
class Retrained:
    """The trainings behind the verdict; those that failed are left out.

    Args:
        asked: trainings of each network.
        winner: of the network that the run chose.
        rival: of the hand-made one; empty when the space has none within the limits.
        name: of the hand-made one, "" without one.
        same: whether the hand-made one is the winner itself.
    """

    asked: int
    winner: tuple[Trial, ...]
    rival: tuple[Trial, ...]
    name: str
    same: bool

    @classmethod
    def of(cls, run: Run) -> Retrained | None:
        """From the end of the run; None where nothing was trained again."""
        found = run.final.verdict if run.final else None
        if found is None:
            return None
        by_id = {trial.id: trial for trial in run.again if trial.ok}
        winner, rival = (
            tuple(by_id[i] for i in ids if i in by_id)
            for ids in (found.winner, found.baseline_trials)
        )
        name = found.baseline.name if found.baseline else ""
        same = bool(name) and found.winner == found.baseline_trials
        return cls(found.replicates, winner, rival, name, same)

    @property
    def compares(self) -> bool:
        """Whether there are two networks with a result each."""
        return bool(self.winner and self.rival) and not self.same


def values(trials: tuple[Trial, ...], metric: str) -> Floats:
    """A metric of some trials, where they have it."""
    found = np.array([trial.metrics.get(metric, np.nan) for trial in trials], dtype=np.float64)
    return found[np.isfinite(found)]


def _before(x: Floats) -> Floats:
    """How many equal values come before each, (n,)."""
    before: Floats = np.tril(x[:, None] == x, -1).sum(axis=1).astype(np.float64)
    return before


def gain(run: Run, found: Retrained) -> tuple[float, float, float]:
    """Mean test metric of the winner less that of the rival, and its 95 % interval by Welch."""
    test = run.metric.on("test")
    mine, theirs = values(found.winner, test), values(found.rival, test)
    if not found.compares or not len(mine) or not len(theirs):
        return (float("nan"),) * 3
    return welch(mine, theirs, metric=test)


def noise(run: Run, found: Retrained | None) -> float:
    """Standard deviation of the searched metric over trainings of one network, pooled over both.

    NaN without two trainings of a network.
    """
    if found is None:
        return float("nan")
    sides = [values(found.winner, run.metric.name)]
    sides += [] if found.same else [values(found.rival, run.metric.name)]
    freedom = sum(max(len(side) - 1, 0) for side in sides)
    squares = sum(float(np.sum((side - side.mean()) ** 2)) for side in sides if len(side))
    return float(np.sqrt(squares / freedom)) if freedom else float("nan")


def said(run: Run, found: Retrained) -> str:
    """The verdict in one or two sentences."""
    test = run.metric.on("test")
    mine = values(found.winner, test)
    if not len(mine):
        return "It could not be trained again: every training failed."
    on_average = " on average" if len(mine) > 1 else ""
    again = (
        f"Trained again with {plural(len(mine), 'other seed')} it has "
        f"{run.metric.show(float(mine.mean()))} {words(test)}{on_average}"
    )
    if found.same:
        return f"{again}; it is the hand-made network itself ({found.name})."
    difference, low, high = gain(run, found)
    if not np.isfinite(difference):
        return f"{again}."
    theirs = values(found.rival, test)
    text = f"{again}, {found.name} {run.metric.show(theirs.mean())}"
    signed = run.metric.signed
    if not np.isfinite(low):
        return f"{text}: a gain of {signed(difference)}, but one training says nothing of noise."
    between = f"95 % interval {signed(low)} to {signed(high)}"
    if low > 0:
        means = "which is more than the noise of training"
    elif high < 0:
        means = "a loss beyond the noise of training"
    else:
        means = "no more than the noise of training"
    return f"{text}: a gain of {signed(difference)} ({between}), {means}."


def luck(run: Run, found: Retrained) -> str:
    """What the search's own value owed to being the largest of many."""
    again = values(found.winner, run.metric.name)
    if run.winner is None or not len(again):
        return ""
    fall = run.winner.value - float(again.mean())
    spread = noise(run, found)
    usual = f" (standard deviation of one training {run.metric.gap(spread)})" if spread > 0 else ""
    text = (
        f"The search saw {run.metric.show(run.winner.value)} {run.metric.label}; trained again it "
        f"has {run.metric.show(float(again.mean()))} on average{usual}."
    )
    if fall > 0:
        text += (
            f" The {run.metric.gap(fall)} between them are luck: the best of many is also the "
            "luckiest of many."
        )
    return text


def retrained(run: Run) -> Display | None:
    """The test metric of each training, a line a network."""
    found = Retrained.of(run)
    if found is None:
        return None
    test = run.metric.on("test")
    sides = [("winner", "the winner", found.winner)]
    if found.name and not found.same:
        sides.append(("random", found.name, found.rival))
    table = [
        (name, role, i, trial.id, trial.metrics.get(test, np.nan), trial.value)
        for role, name, trials in sides
        for i, trial in enumerate(trials, start=1)
    ]
    if not table:
        return None
    names, roles, numbers, ids, tested, searched = (
        list(column) for column in zip(*table, strict=True)
    )
    caption = (
        f"Each mark is one training with a seed of its own, measured on the test split; the bar is "
        f"the mean. {said(run, found)}"
    )

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        tips = {}
        for at, (role, _, trials) in enumerate(sides):
            x = values(trials, test)
            if not len(x):
                continue
            gid = f"again-{role}"
            ax.plot(
                x,
                at + 0.13 * _before(x),  # equal ones beside each other
                "o",
                markersize=9,
                color=COLOURS[role],
                markeredgecolor=COLOURS["card"],
                markeredgewidth=0.8,
                clip_on=False,
                gid=gid,
            )
            ax.plot([x.mean()] * 2, [at - 0.24, at + 0.24], color=COLOURS["ink"], lw=2, zorder=2)
            ax.text(x.mean(), at - 0.3, run.metric.show(x.mean()), ha="center", va="bottom")
            tips[gid] = [f"#{t.id}: {run.metric.show(t.metrics.get(test, np.nan))}" for t in trials]
        ax.set_yticks(range(len(sides)), [short(name, 22) for _, name, _ in sides])
        ax.tick_params(axis="y", colors=COLOURS["ink"])
        ax.set_ylim(len(sides) - 0.4, -0.7)
        ax.margins(x=0.12)
        in_unit(ax, run.metric, words(test), "x", ticks=4)
        ax.grid(visible=False, axis="y")
        return tips

    return Display(
        "again",
        "Trained again",
        caption,
        {
            "network": names,
            "role": roles,
            "training": numbers,
            "id": ids,
            test: tested,
            run.metric.name: searched,
        },
        lambda: chart("again", f"Dot plot. {caption}", draw, height=90 + 70 * len(sides)),
    )
