"""Where a run is followed."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
    Row("csv", "foretell.trackers.csv:CSV", "trials.csv and curves.csv in the folder"),
    Row(
        "tensorboard",
        "foretell.trackers.tensorboard:TensorBoard",
        "curves and hyperparameters, one TensorBoard run a network",
        extra="tensorboard",
        packages=("tensorboard",),
    ),
    Row(
        "mlflow",
        "foretell.trackers.mlflow:MLflow",
        "a parent run with one child a network, in mlflow.db or at MLFLOW_TRACKING_URI",
        extra="mlflow",
        packages=("mlflow", "sqlalchemy", "alembic"),
    ),
    Row(
        "wandb",
        "foretell.trackers.wandb:WandB",
        "one run a network in a group, offline unless WANDB_MODE says otherwise",
        extra="wandb",
        packages=("wandb",),
    ),
    Row(
        "optuna",
        "foretell.trackers.optuna:OptunaMirror",
        "every trial in an Optuna study, live: --optuna URL",
        extra="optuna",
        packages=("optuna",),
    ),
)
