"""MLflow: a parent run with one child for each network."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from foretell.trackers.base import Watcher
from foretell.trackers.parts.events import Event, decisions, finite, numbers, points
from foretell.trackers.parts.events import facts as facts_of

_RUN, _ID, _PARENT = "foretell.run", "foretell.id", "mlflow.parentRunId"
_BATCH = 500  # entries of one request; the server takes 1,000


class MLflow(Watcher):
    """The run as a parent run of MLflow, each trial as its child: decisions as parameters, curves
    as metrics with their epochs, the rest as tags.

    The store is that of MLFLOW_TRACKING_URI if it is set, else `mlflow.db` in the folder; the
    experiment is that of MLFLOW_EXPERIMENT_NAME, else "foretell". A child without an end was torn
    by a crash: it is deleted and logged anew.
    """

    def _known(self, settings: dict[str, Any]) -> set[int]:
        from mlflow import MlflowClient
        from mlflow.entities import ViewType

        with _quiet():
            uri = os.environ.get("MLFLOW_TRACKING_URI")
            own = f"sqlite:///{self.folder / 'mlflow.db'}"
            self._client: Any = MlflowClient(tracking_uri=uri or own)
            wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "foretell"
            experiment = self._client.get_experiment_by_name(wanted)
            files = None if uri else (self.folder / "mlartifacts").as_uri()
            self._experiment = (
                experiment.experiment_id
                if experiment
                else self._client.create_experiment(wanted, artifact_location=files)
            )
            mine, token = [], None
            while token != "":
                page = self._client.search_runs(
                    [self._experiment], f"tags.`{_RUN}` = '{self.key}'", ViewType.ACTIVE_ONLY,
                    page_token=token,
                )  # fmt: skip
                mine += list(page)
                token = page.token or ""
            children = [run for run in mine if _PARENT in run.data.tags]
            parents = [run.info.run_id for run in mine if _PARENT not in run.data.tags]
            self._parent = parents[0] if parents else self._new(self.name, {})
            self._client.update_run(self._parent, status="RUNNING")
            torn = [run for run in children if run.info.end_time is None]
            for run in torn:
                self._client.delete_run(run.info.run_id)
        return {int(run.data.tags[_ID]) for run in children if run not in torn}

    def _new(self, name: str, tags: dict[str, str]) -> str:
        run = self._client.create_run(
            self._experiment, tags={_RUN: self.key, **tags}, run_name=name
        )
        return str(run.info.run_id)

    def _add(self, event: Event) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        last = max((epoch for _, epoch, _ in points(event)), default=0)
        scalars = points(event) + [(name, last, v) for name, v in finite(numbers(event)).items()]
        metrics = [Metric(name, value, now, epoch) for name, epoch, value in scalars]
        params = [Param(k, str(v)) for k, v in decisions(self.space, event["x"]).items()]
        facts = {k: str(v) for k, v in facts_of(event).items() if k not in numbers(event)}
        tags = [RunTag(f"foretell.{name}", value) for name, value in facts.items()]
        with _quiet():
            run = self._new(f"{event['id']:05d}", {_PARENT: self._parent})
            for i in range(0, len(metrics), _BATCH):
                self._client.log_batch(run, metrics=metrics[i : i + _BATCH])
            self._client.log_batch(run, params=params, tags=tags)
            self._client.set_terminated(run, "FAILED" if event["error"] else "FINISHED")

    def end(self, summary: dict[str, Any]) -> None:
        """Close the parent run, with the metrics of the winner."""
        with _quiet():
            for name, value in finite(summary.get("metrics") or {}).items():
                self._client.log_metric(self._parent, name, value)
            self._client.set_tag(self._parent, "foretell.arch", str(summary.get("arch", "")))
            self._client.set_terminated(self._parent, "FINISHED")


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow's stores warn of their own code and log the making of each table."""
    loud = [logging.getLogger(name) for name in ("mlflow", "mlflow.store.db.utils", "alembic")]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)
