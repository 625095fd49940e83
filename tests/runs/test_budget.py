from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import SettingError
from foretell.runs.budget import Budget, Spent

NOTHING = {"epochs": 0, "train_s": 0.0, "wall_s": 0.0}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, Budget()),
        ("", Budget()),
        ("trials=50", Budget(trials=50)),
        ("trials=50, epochs=300,train=2h,wall=1.5m", Budget(50, 300, 7200.0, 90.0)),
        ("train=90s,wall=1d", Budget(train_s=90.0, wall_s=86400.0)),
        ("train=1h30m,wall=1d 2h 5min", Budget(train_s=5400.0, wall_s=93900.0)),
        ({"trials": 3, "wall_s": 60}, Budget(trials=3, wall_s=60)),
        (Budget(trials=2), Budget(trials=2)),
    ],
)
def test_what_is_said_is_understood(said, meant):
    assert Budget.of(said) == meant


@pytest.mark.parametrize(
    "said",
    [
        *(
            "trials",
            "trials=",
            "trials=x",
            "trials=-3",
            "trials=0",
            "trials=2.5",
            "wall=5y",
            "wall=1h30",
            "wall=30m1h",
        ),
        *("train=0", "hours=3", {"trials": True}, {"wall_s": float("nan")}, 5, "trials=inf"),
    ],
)
def test_anything_else_is_refused_in_one_line(said):
    with pytest.raises(SettingError, match="budget") as caught:
        Budget.of(said)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_budget_or_refused(text):
    with contextlib.suppress(SettingError):
        assert isinstance(Budget.of(text), Budget)


def test_numbers_of_numpy_are_numbers():
    assert Budget(trials=np.int64(3), wall_s=np.float32(2)) == Budget(trials=3, wall_s=2.0)


@pytest.mark.parametrize(("name", "unit"), [("epochs", 30), ("train_s", 60.0), ("wall_s", 90.0)])
def test_each_budget_ends_the_search_by_itself(name, unit):
    budget = Budget(**{name: unit})
    assert budget.used_up(**NOTHING) == ""
    assert budget.used_up(**{**NOTHING, name: unit - 1}) == ""
    assert "budget of" in budget.used_up(**{**NOTHING, name: unit})
    assert Budget().used_up(**{**NOTHING, name: 1e9}) == ""


def test_what_is_spent_counts_earlier_calls_and_what_is_running(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("foretell.runs.budget.time.monotonic", lambda: now[0])
    spent = Spent(before=5.0, phases=("ask_s", "train_s"))
    assert spent.over(Budget(wall_s=5.1)) == ""
    with spent.phase("train_s"):
        now[0] += 3
        assert "wall clock" in spent.over(Budget(wall_s=8.0)), "the phase has not ended"
    with spent.phase("verdict_s"):
        now[0] += 50
    assert spent.clock == {"train_s": 3.0, "verdict_s": 50.0}
    assert spent.over(Budget(wall_s=8.1)) == "", "a verdict is no search"


def test_a_network_in_work_counts_with_the_epochs_it_was_given():
    spent = Spent(0.0, ())
    spent.begins(0, 3)
    assert "epochs" in spent.over(Budget(epochs=3))
    spent.took(0, 2, 1.5)
    spent.begins(0, 9)  # on to the next rung: the seconds so far stay
    assert "training" in spent.over(Budget(train_s=1.5))
    spent.begins(1, 9)
    assert spent.over(Budget(epochs=19)) == ""
    assert "epochs" in spent.over(Budget(epochs=18))
