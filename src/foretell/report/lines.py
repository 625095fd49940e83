"""Values over the epochs of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from foretell.report.display import COLOURS, PHASES, Display, chart
from foretell.report.marks import in_unit, legend, limit
from foretell.report.reading import Floats, Run
from foretell.report.units import plural, words
from foretell.runs.trial import Trial

_DRAWN = 8  # learning curves in colour
_BEHIND = 60  # learning curves in grey
_ROSE = 0.02  # share by which a loss has risen


def curves(run: Run) -> Display | None:
    """The searched metric over the epochs, the best networks in colour."""
    name = run.metric.name
    trials = [t for t in run.ok if len(_epochs(t, name)[0]) > 1]
    early = [t for t in run.stopped if len(_epochs(t, name)[0]) > 0][:_BEHIND]
    if not trials:
        return None
    best = run.winner.id if run.winner else -1
    trials.sort(key=lambda trial: (trial.id != best, -trial.value))
    shown, behind = trials[:_DRAWN], trials[_DRAWN : _DRAWN + _BEHIND]
    caption = (
        f"The {plural(len(shown), 'network')} of highest {run.metric.label}; the winner is the "
        "thick line"
        + (f", {plural(len(behind), 'other')} in grey." if behind else ".")
        + (f" Crosses mark where {plural(len(early), 'network')} stopped early." if early else "")
    )

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        for trial in reversed(behind):
            epochs, values = _epochs(trial, name)
            ax.plot(epochs, values, color=COLOURS["grid"], lw=1)
        for trial in early:
            epochs, values = _epochs(trial, name)
            ax.plot(epochs, values, color=COLOURS["grid"], lw=1)
        if early:
            ends = [(_epochs(t, name)[0][-1], _epochs(t, name)[1][-1]) for t in early]
            at, last = np.array(ends).T
            ax.plot(at, last, "x", color=COLOURS["random"], ms=5, gid="stopped", zorder=2)
        for trial in reversed(shown):
            won = trial.id == best
            epochs, values = _epochs(trial, name)
            ax.plot(
                epochs,
                values,
                color=COLOURS.get("winner" if won else trial.phase, COLOURS["ink"]),
                lw=3 if won else 1.4,
                zorder=4 if won else 3,
                gid=f"curve-{trial.id}",
            )
        for role, label in (*PHASES.items(), ("winner", "winner")):
            if any(role == ("winner" if t.id == best else t.phase) for t in shown):
                ax.plot([], [], color=COLOURS[role], lw=2.5, label=label)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        limit(ax, np.concatenate([_epochs(t, name)[1] for t in shown]))
        in_unit(ax, run.metric, run.metric.label)
        ax.set_xlabel("epoch")
        legend(canvas)

    table = [
        (t.id, t.phase, t.stopped, e, v)
        for t in (*shown, *early)
        for e, v in zip(*_epochs(t, name), strict=True)
    ]
    ids, phases, ended, epochs, values = (list(column) for column in zip(*table, strict=True))
    return Display(
        "curves",
        "Learning curves",
        caption,
        {
            "id": ids,
            "phase": phases,
            "stopped": ended,
            "epoch": [int(e) for e in epochs],
            name: values,
        },
        lambda: chart("curves", f"Line plot. {caption}", draw),
    )


def stops(run: Run) -> str:
    """How many networks successive halving stopped at which epoch, and what ended the search."""
    said = []
    if run.stopped:
        epochs = [trial.epochs for trial in run.stopped]
        counts = [f"{epochs.count(e)} after {plural(e, 'epoch')}" for e in sorted(set(epochs))]
        searched = sum(trial.phase != "random" for trial in run.trials)
        saved = len(run.stopped) * max(t.epochs for t in run.trials) - sum(epochs)
        said.append(
            f"Successive halving stopped {len(run.stopped)} of {plural(searched, 'network')} early:"
            f" {', '.join(counts)}. That saved {plural(saved, 'epoch')}; they cannot win."
        )
    if run.stopped_by:
        said.append(f"A budget ended the search: {run.stopped_by}.")
    return " ".join(said)


def losses(run: Run) -> Display | None:
    """Training and validation loss of the winner over its epochs."""
    trial = run.winner
    if trial is None:
        return None
    names = sorted(name for name in trial.curve if name.endswith("_loss"))
    parts = {name: np.array(trial.curve[name], dtype=np.float64) for name in names}
    parts = {name: values for name, values in parts.items() if np.isfinite(values).sum() > 1}
    if not parts:
        return None
    length = max(map(len, parts.values()))
    table = {
        name: np.pad(values, (0, length - len(values)), constant_values=np.nan)
        for name, values in parts.items()
    }
    caption = _said_of(table)

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        looks = {"train_loss": ("muted", (0, (4, 2))), "val_loss": ("winner", "-")}
        for name, values in table.items():
            role, style = looks.get(name, ("ink", ":"))
            look: dict[str, Any] = {"color": COLOURS[role], "ls": style, "lw": 2}
            ax.plot(np.arange(1, length + 1), values, label=words(name), gid=name, **look)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel("epoch")
        ax.set_title("loss")
        legend(canvas)

    return Display(
        "losses",
        "The winner's losses",
        caption,
        {"epoch": np.arange(1, length + 1), **table},
        lambda: chart("losses", f"Line plot of the winner's losses. {caption}", draw),
    )


def _said_of(table: Mapping[str, Floats]) -> str:
    """What the losses of a training show, as far as they can."""
    val, train = (table.get(name, np.zeros(0)) for name in ("val_loss", "train_loss"))
    if np.isfinite(val).sum() < 3:
        return "Too few epochs to tell whether more of them would help."
    best, last = int(np.nanargmin(val)), int(np.flatnonzero(np.isfinite(val))[-1])
    rose = (val[last] - val[best]) / max(abs(val[best]), 1e-12)
    falls = len(train) > last and train[last] < train[best]
    if best < last and rose > _ROSE and falls:
        return (
            f"Validation loss was lowest in epoch {best + 1} and rose by {100 * rose:.0f} % from "
            "there, while training loss fell on: overfitting. Fewer epochs, more augmentation or "
            "more data help."
        )
    if best == last:
        return "Validation loss was lowest in the last epoch: no overfitting, more epochs may help."
    return f"Validation loss was lowest in epoch {best + 1} and has hardly changed since."


def _epochs(trial: Trial, name: str) -> tuple[Floats, Floats]:
    """Epochs, from 1, and their values where there is one."""
    values = np.array(trial.curve.get(name, []), dtype=np.float64)
    known = np.isfinite(values)
    return (np.flatnonzero(known) + 1).astype(np.float64), values[known]
