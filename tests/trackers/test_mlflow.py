"""MLflow's own client finds a parent and one child for each trial."""

from __future__ import annotations

import warnings

import pytest

from foretell.trackers.mlflow import MLflow


def test_read_back(tmp_path, tracked, journal, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient
    folder = tmp_path / "my-run"
    folder.mkdir()

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # between a child and its end
        patch.setattr(MlflowClient, "set_terminated", killed)
        with pytest.raises(KeyboardInterrupt):
            tracked(lambda: MLflow(folder))
    tracked(lambda: MLflow(folder), live_from=2)
    tracked(lambda: MLflow(folder), live_from=len(journal))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name("foretell").experiment_id
        runs = list(client.search_runs([experiment]))
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        children = {int(run.data.tags["foretell.id"]): run for run in runs if run not in parents}
        history = client.get_metric_history(children[0].info.run_id, "val_acc")
    (parent,) = parents
    assert (parent.info.run_name, parent.info.status) == ("my-run", "FINISHED")
    assert parent.data.metrics == {"val_acc": 0.75}
    assert len(runs) == 4
    assert sorted(children) == [0, 1, 2]
    whole, failed, stopped = (children[i] for i in range(3))
    assert whole.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert whole.data.params == {"depth": "1", "op_0": "skip", "rate": "0.2"}
    assert [(one.step, one.value) for one in history] == [(1, 0.25), (3, 0.75)]
    assert whole.data.metrics["test_acc"] == 0.7
    assert whole.data.metrics["latency_ms"] == 2.5
    assert (failed.info.status, failed.data.tags["foretell.error"]) == (
        "FAILED", "RuntimeError: no memory",
    )  # fmt: skip
    assert stopped.data.tags["foretell.stopped"] == "True"
