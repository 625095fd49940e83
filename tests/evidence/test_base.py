"""Evidence: asked once, by whoever asks first."""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from counted_evidence import NB201, Counted, asked, rows
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline, make_union

import foretell as ft
from foretell import _catalog
from foretell.errors import DataError, SettingError
from foretell.evidence import Paid, ledger
from foretell.evidence.parts.beside import mutants

X = rows(40)
Y = (X == 3).sum(axis=1).astype(float)


@pytest.fixture
def counted(tmp_path):
    with ledger(tmp_path / "evidence"):
        yield Counted(NB201, file=tmp_path / "asked")


def test_answers_are_kept(counted):
    first = counted.transform(X)
    assert first.dtype == np.float32
    assert np.array_equal(first[:, 0], Y)
    assert np.array_equal(counted.transform(X[::-1]), first[::-1])
    assert counted.transform(X[:0]).shape == (0, 1)
    assert len(asked(counted.file)) == 40
    assert counted.known(X).all()
    assert not counted.known(rows(80)).all()
    assert counted.values(X).dtype == np.float64


def test_clones_copies_and_other_objects_share_them(counted):
    counted.transform(X)
    for one in (clone(counted), copy.deepcopy(counted), Counted(NB201, file=counted.file)):
        assert np.array_equal(one.transform(X), counted.transform(X))
    same = ft.spaces.get("nb201")
    assert Counted(same, file=counted.file).known(X).all()
    assert len(asked(counted.file)) == 40


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_cross_validation_asks_each_row_once(counted, n_jobs):
    """Before there was a ledger: 40 times in each fold, by another clone."""
    model = make_pipeline(make_union(counted, ft.encodings.get("one-hot", NB201)), Ridge())
    scores = cross_val_score(model, X, Y, cv=5, n_jobs=n_jobs)
    search = RandomizedSearchCV(
        model, {"ridge__alpha": [0.1, 1.0, 10.0]}, n_iter=3, cv=3, random_state=0, n_jobs=n_jobs
    ).fit(X, Y)
    assert scores.min() > 0.9
    assert len(search.predict(X)) == 40
    assert sorted(asked(counted.file)) == sorted(map(str, NB201.row_key(X)))
    assert counted.known(X).all()  # the user's own object knows what its clones were told


def test_without_an_open_ledger_workers_share_that_of_the_session(tmp_path):
    counted = Counted(NB201, file=tmp_path / "asked")
    cross_val_score(make_pipeline(counted, Ridge()), X, Y, cv=5, n_jobs=2)
    counted.transform(X)
    assert len(asked(counted.file)) == 40


@pytest.mark.parametrize(
    "other",
    [
        Counted(NB201, scale=2.0),
        Counted(ft.spaces.get("nb201").with_io((1, 8, 8), 2)),
        type("Counted", (Counted,), {"compute": lambda self, X: (X == 2).sum(axis=1)})(NB201),
        type("Counted", (Counted,), {"depends_on": lambda self: np.ones(3)})(NB201),
        type("Counted", (Counted,), {"isomorphic": True})(NB201),
        type("Counted", (Counted,), {"version": "2"})(NB201),
    ],
)
def test_what_answers_otherwise_has_another_book(other):
    assert other.book != Counted(NB201).book


def test_what_changes_no_answer_has_the_same_book():
    assert Counted(NB201, file="elsewhere", seconds=3.0).book == Counted(NB201).book


def test_spaces_of_the_same_name_do_not_share(counted):
    """Two of one's own, alike but for what they build; one made again is the same."""
    for build in (lambda d, i, o: None, lambda d, i, o: d, lambda d, i, o: d):
        space = ft.Space.from_choices({"a": [0, 1], "b": [0, 1, 2, 3]}, build)
        Counted(space, file=counted.file).transform([[1, 3], [0, 3]])
    assert len(asked(counted.file)) == 4


def test_isomorphic_rows_share_where_the_evidence_says_so(counted):
    same = NB201.sample(2000, rng=0)
    functions, written = (len(np.unique(key(same))) for key in (NB201.canonical, NB201.row_key))
    assert functions < written
    settings = {"isomorphic": True, "block": 256, "compute": lambda self, X: X.sum(axis=1)}
    alike = type("Alike", (Counted,), settings)(NB201)
    alike.transform(same)
    assert [one.answers for one in alike.ledger.spent] == [functions]


def test_failures_are_nan_with_a_reason(counted):
    nothing = np.zeros((1, 6), dtype=int)
    both = np.concatenate([X[:2], nothing])
    for _ in range(2):
        assert np.isnan(counted.transform(both)[:, 0]).tolist() == [False, False, True]
    assert counted.failures(both) == ["", "", "ValueError: nothing is connected"]
    assert math.isnan(counted.transform(nothing)[0, 0])
    assert [one.failed for one in counted.ledger.spent] == [1]


def test_evidence_that_never_answers_is_no_evidence(counted):
    kind = type("Broken", (Counted,), {"compute": lambda self, X: X.no_such_thing})
    broken = kind(NB201, file=counted.file)
    with pytest.raises(DataError, match=r"Broken has no answer to any of 40 rows.*no_such_thing"):
        broken.transform(X)


def test_only_the_broken_row_of_a_block_fails(counted):
    def compute(self, X):
        if (X == 0).all(axis=1).any():
            raise ValueError("nothing")
        return X.sum(axis=1)

    blocks = type("Blocks", (Counted,), {"block": 16, "compute": compute})
    some = np.concatenate([X[:10], np.zeros((1, 6), dtype=int), X[10:20]])
    got = blocks(NB201).transform(some)[:, 0]
    assert np.isnan(got).tolist() == [False] * 10 + [True] + [False] * 10


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_no_answer(counted, bad):
    def compute(self, X):
        return np.where(X.sum(axis=1) % 2, bad, 1.0)

    odd = type("Odd", (Counted,), {"compute": compute})(NB201)
    got = odd.transform(X)[:, 0]
    assert np.isnan(got).tolist() == (X.sum(axis=1) % 2 == 1).tolist()
    assert {one[:10] for one in odd.failures(X)} == {"", "not finite"}


def test_several_features_and_their_shape(counted):
    def compute(self, X):
        return np.stack([X.sum(axis=1), X.max(axis=1)], axis=1)

    two = type("Two", (Counted,), {"features": ("sum", "most"), "compute": compute})(NB201)
    assert np.array_equal(two.transform(X), np.stack([X.sum(axis=1), X.max(axis=1)], axis=1))
    assert two.transform(X[:0]).shape == (0, 2)
    one = type("One", (Counted,), {"compute": compute})(NB201)
    with pytest.raises(DataError, match=r"`compute` of evidence One: expected shape \(1, 1\)"):
        one.transform(X)


def test_large_values_fit_single_precision(counted):
    large = type("Large", (Counted,), {"compute": lambda self, X: 1e300 * X[:, :1]})(NB201)
    assert np.isfinite(large.transform(X)).all()
    assert large.values(X).max() == 4e300


def test_seconds_are_counted(counted):
    assert math.isnan(counted.cost_s)
    counted.set_params(seconds=0.02).transform(X[:5])
    spent = counted.spent(X)
    assert (spent[:5] >= 0.02).all()
    assert not spent[5:].any()
    assert counted.cost_s == pytest.approx(spent[:5].mean())
    assert counted.ledger.seconds == pytest.approx(spent.sum())
    told = type("Told", (Counted,), {"compute": lambda self, X: Paid(X[:, 0], 100.0)})(NB201)
    told.transform(X[:3])
    assert told.cost_s == 100.0
    assert counted.ledger.seconds == pytest.approx(300 + spent.sum())
    (first, _) = counted.ledger.spent
    assert first.about["evidence"] == "Told"
    assert first.about["space"] == "nb201"


def test_the_file_says_what_it_is_about(counted):
    counted.set_params(scale=2.0).transform(X[:1])
    (file,) = counted.ledger.folder.glob("*.jsonl")
    assert file.name.startswith("counted-")
    about = json.loads(file.read_text().splitlines()[0])["about"]
    assert about["settings"] == {"scale": 2.0}
    assert about["features"] == ["value"]


def test_no_space_and_wrong_rows_are_refused_in_words(counted):
    with pytest.raises(SettingError, match="evidence Counted has no space"):
        Counted(file=counted.file).transform(X)
    with pytest.raises(ft.ForetellError, match="nb201"):
        counted.transform(np.full((1, 6), 99))


@pytest.mark.parametrize("name", ["gp", "bayes-lin", "rf", "xgb", "ngb", "mlp", "dngo", "auto"])
def test_a_fit_pays_for_its_rows_alone(counted, name):
    """Also what measures deviations beside the known rows, and what is asked of them later."""
    settings = {"evidence": counted} if name == "auto" else {"encoding": ("one-hot", counted)}
    row = next(row for row in _catalog.KINDS["predictor"] if row.name == name)
    quick = {k: v for k, v in row.quick.items() if k != "encoding"}
    model = ft.predictors.get(name, space=NB201, random_state=0, **quick, **settings)
    ft.predictors.predicted(model.fit(X, Y), X[::3])
    assert sorted(asked(counted.file)) == sorted(map(str, NB201.row_key(X)))
    ft.predictors.predicted(model, rows(43)[-3:])  # new rows are asked as ever
    assert len(asked(counted.file)) == 43


def test_mutants_have_the_answers_of_their_parents(counted):
    answers = dict(zip(NB201.row_key(X).tolist(), counted.values(X)[:, 0], strict=True))
    with mutants(NB201, X, np.random.default_rng(0), 200) as near:
        told = counted.values(near)[:, 0]
        assert np.isin(told, list(answers.values())).all()
        assert not np.array_equal(told, (near == 3).sum(axis=1))
    assert len(asked(counted.file)) == 40
    new = near[~counted.known(near)][:1]
    assert counted.values(new)[0, 0] == (new == 3).sum()


AUTO = """
import pathlib, sys, time
from sklearn.model_selection import cross_val_score
import foretell as ft
from counted_evidence import NB201, Counted, asked, rows
from foretell.evidence import ledger

folder, hang = pathlib.Path(sys.argv[1]), int(sys.argv[2])

class Score(Counted):
    version = "1"
    def compute(self, X):
        if len(asked(self.file)) == hang:
            (folder / "half-way").touch()
            time.sleep(1000)
        return super().compute(X)

X = rows(40)
y = (X == 3).sum(axis=1).astype(float)
with ledger(folder / "evidence") as kept:
    model = ft.predictors.get(
        "auto",
        space=NB201,
        evidence=Score(file=folder / "asked"),
        candidates=("gp", "bayes-lin"),
        random_state=0,
    )
    print(cross_val_score(model, X, y, cv=5).min(), kept.spent[0].answers)
"""


def test_auto_in_five_folds_and_two_processes_of_which_the_first_is_killed(tmp_path):
    """40 rows: 40 evaluations in all."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", AUTO, str(tmp_path)]
    with subprocess.Popen([*command, "17"], env=env) as first:
        while not (tmp_path / "half-way").exists():
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
    assert len(asked(tmp_path / "asked")) == 17
    second = subprocess.run([*command, "-1"], env=env, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    r2, answers = second.stdout.split()
    assert float(r2) > 0.5
    assert answers == "40"
    assert sorted(asked(tmp_path / "asked")) == sorted(map(str, NB201.row_key(X)))
