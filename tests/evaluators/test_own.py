"""`ft.evaluator`: what a function may take, say and raise."""

from __future__ import annotations

import cloudpickle
import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.evaluators.base import Job
from foretell.evaluators.workers import Workers

SPACE = ft.spaces.get("nb201")
(ROW,) = SPACE.sample(1, rng=0)


def test_a_function_gets_what_it_has_parameters_for():
    seen = []

    def fn(x, seed, epochs=None):
        seen.append((x.tolist(), seed, epochs))
        return {"val_loss": 0.5, "test_loss": 0.6}

    one = ft.evaluator(fn, SPACE, "val_loss", "min", epochs=9)
    assert (one.objective, one.direction, one.epochs) == ("val_loss", "min", 9)
    result = one.evaluate(ROW, 3, epochs=2)
    assert result.metrics == {"val_loss": 0.5, "test_loss": 0.6}
    assert (result.seed, result.epochs) == (3, 2)
    assert result.seconds > 0
    assert one.evaluate(ROW).epochs == 9
    assert seen == [(ROW.tolist(), 3, 2), (ROW.tolist(), 0, 9)]


def test_everything_is_passed_to_whoever_takes_anything(tmp_path):
    seen = {}
    one = ft.evaluator(lambda x, **rest: seen.update(rest) or 1.0, SPACE)
    one.evaluate(ROW, 7, state=tmp_path)
    assert seen == {"seed": 7, "epochs": None, "state": tmp_path, "weights": None, "on_epoch": None}


def test_a_result_is_believed():
    said = ft.Result({"val": 1.0}, {"val": [0.5, 1.0]}, seconds=42.0)
    result = ft.evaluator(lambda x: said, SPACE).evaluate(ROW, 5)
    assert (result.seconds, result.epochs, result.seed) == (42.0, 2, 5)


def test_in_other_processes():
    one = ft.evaluator(lambda x: float(x.sum()), SPACE)
    X = SPACE.sample(5, rng=1)
    jobs = [Job(i, x, 0) for i, x in enumerate(X)]
    with Workers(one, workers=2) as workers:
        got = {job.id: result.metrics["val"] for job, result in workers.run(jobs)}
    assert got == {i: float(x.sum()) for i, x in enumerate(X)}
    assert cloudpickle.loads(cloudpickle.dumps(one)).evaluate(X[0]).ok


def test_wrong_functions_and_settings():
    with pytest.raises(DataError, match="expected a number, a dict of metrics, or a Result"):
        ft.evaluator(lambda x: "good", SPACE).evaluate(ROW)
    for given in ((3, SPACE), (print, "nb201")):
        with pytest.raises(SettingError, match="a function and a Space"):
            ft.evaluator(*given)
    with pytest.raises(SettingError, match="direction"):
        ft.evaluator(print, SPACE, direction="up")
    with pytest.raises(SettingError, match="a validation metric"):
        ft.evaluator(print, SPACE, "test_acc")
    assert np.isnan(ft.evaluator(lambda x: np.nan, SPACE).evaluate(ROW).metrics["val"])
