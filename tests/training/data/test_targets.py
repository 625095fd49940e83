"""What is to be learnt: said by the user, or guessed aloud."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.errors import DataError, SettingError
from foretell.training.data import load

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 4))
MANY = np.arange(N) // 2
HOT = (RNG.random((N, 3)) < 0.5).astype(int)
HOT[:2] = 1, 0, 1
SHARES = RNG.dirichlet([1, 1, 1], N)


@pytest.mark.parametrize(
    ("y", "guess", "words", "others"),
    [
        (np.array(["a", "b"] * 30), "classification", "", []),
        (np.arange(N) % 5, "classification", "5 different whole numbers", ["regression"]),
        (MANY, "regression", "30 different whole numbers", ["classification"]),
        (MANY + 0.5, "regression", "", []),
        (HOT, "multilabel", "rows of 0 and 1", ["regression"]),
        (np.eye(3)[np.arange(N) % 3], "classification", "a single 1", ["regression", "multilabel"]),
        (SHARES, "classification", "shares of classes", ["regression", "multilabel"]),
        (RNG.normal(size=(N, 2)), "regression", "", []),
    ],
)
def test_the_guess_is_said_with_the_way_to_change_it(y, guess, words, others):
    data = load((X, y))
    assert data.task == guess
    said = " ".join(data.lines()[1:])
    if not others:  # nothing else could be meant
        assert said == ""
        return
    assert words in said
    assert said.split(" (")[0].endswith(guess)
    for other in ("classification", "regression", "multilabel"):
        assert (f"--task {other}" in said) == (other in others)
    for other in others:
        changed = load((X, y), task=other)
        assert changed.task == other
        assert not any("--task" in note for note in changed.lines())


def test_several_labels(csv_file, tmp_path):
    data = load((X, HOT), task="multilabel")
    assert (data.labels, data.n_outputs, data.y.dtype) == (("0", "1", "2"), 3, np.float32)
    assert np.array_equal(data.y, HOT)
    assert "3 labels" in data.lines()[0]
    rows = [
        f"{i},{i * i % 7},{'|'.join(t for t, on in zip('abc', HOT[i], strict=True) if on) or 'd'}"
        for i in range(N)
    ]
    data = load(csv_file("\n".join(["u,v,tags", *rows])), task="multilabel")
    assert data.labels == ("a", "b", "c", "d")
    assert np.array_equal(data.y[:, :3], HOT)
    rows = [f"{i},{a},{b},{c}" for i, (a, b, c) in enumerate(HOT)]
    path = csv_file("\n".join(["u,red,round,big", *rows]))
    data = load(path, target="red,round,big")
    assert (data.task, data.labels) == ("multilabel", ("red", "round", "big"))
    assert load(path, target="red, u").task == "regression"


def test_a_label_that_is_never_trained_on_is_said():
    y = np.zeros((N, 3), int)
    y[::2, 0] = y[::3, 1] = 1
    assert "no training example has the label 2" in " ".join(load((X, y)).lines())


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (np.arange(N) % 2, "multilabel", r"a row of 0 and 1.*got shape \(60,\)"),
        (RNG.normal(size=(N, 2)), "multilabel", "a row of 0 and 1.*got values from"),
        (HOT, "classification", r"sum to 1, got 3.0.*--task multilabel"),
        (RNG.normal(size=(N, 2)), "classification", "one class for each row"),
        (MANY + 0.5, "classification", "a whole number or text"),
        (np.array(["a", "b"] * 30), "regression", "a number, got 'a'"),
    ],
)
def test_a_task_that_targets_do_not_fit(y, task, message):
    with pytest.raises(DataError, match=message):
        load((X, y), task=task)
    with pytest.raises(SettingError, match="'classification' or 'regression' or 'multilabel'"):
        load((X, y), task="labels")
