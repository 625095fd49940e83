"""A run, seen elsewhere: trackers that follow it, and samplers for other people's studies.

`watch` is all that a run needs of this room. Every tracker is one file; the packages behind them
are extras, imported only when a tracker is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foretell._catalog import Row
from foretell.errors import SettingError
from foretell.integrations._watcher import Watcher

__all__ = ["LOGS", "Watcher", "watch"]

LOGS = (
    Row("csv", "foretell.integrations.csv:CSV", "trials.csv and curves.csv in the folder"),
    Row(
        "tensorboard",
        "foretell.integrations.tensorboard:TensorBoard",
        "curves and hyperparameters, one TensorBoard run a network",
        extra="tensorboard",
        packages=("tensorboard",),
    ),
    Row(
        "mlflow",
        "foretell.integrations.mlflow:MLflow",
        "a parent run with one child a network, in mlflow.db or at MLFLOW_TRACKING_URI",
        extra="mlflow",
        packages=("mlflow", "sqlalchemy", "alembic"),
    ),
    Row(
        "wandb",
        "foretell.integrations.wandb:WandB",
        "one run a network in a group, offline unless WANDB_MODE says otherwise",
        extra="wandb",
        packages=("wandb",),
    ),
)
_OPTUNA = Row(
    "--optuna",
    "foretell.integrations.optuna_mirror:OptunaMirror",
    "every trial in an Optuna study",
    extra="optuna",
    packages=("optuna",),
)


def watch(names: Sequence[str], folder: Path, optuna_url: str | None = None) -> list[Watcher]:
    """The trackers of those names, ready to `begin`; each once.

    Args:
        names: some of csv, tensorboard, mlflow, wandb.
        folder: of the run; what is kept locally goes there, and its name is the run's.
        optuna_url: storage of an Optuna mirror (`sqlite:///x.db`, or the path of a journal file);
            None for none.

    Raises:
        SettingError: a name is unknown, or the storage cannot be opened.
        MissingExtraError: a package is not installed.

    >>> [type(watcher).__name__ for watcher in watch(["csv"], Path("runs/x"))]
    ['CSV']
    """
    rows = {row.name: row for row in LOGS}
    for name in names:
        if name not in rows:
            raise SettingError(f"unknown log {name!r}", expected="some of " + ", ".join(rows))
    watchers: list[Watcher] = [rows[name].load()(folder) for name in dict.fromkeys(names)]
    if optuna_url is not None:
        watchers.append(_OPTUNA.load()(folder, optuna_url))
    return watchers
