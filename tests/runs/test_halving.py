from __future__ import annotations

import pytest

from foretell.errors import SettingError
from foretell.runs.halving import Halving
from foretell.strategies.asha import ASHA
from foretell.strategies.random import Random
from foretell.strategies.successive_halving import SuccessiveHalving


@pytest.mark.parametrize(
    "setting",
    [{"eta": 1}, {"eta": 2.5}, {"min_epochs": 0}, {"kind": "hyperband"}, {"rungs": 3}, "both"],
)
def test_wrong_settings_are_refused(setting):
    with pytest.raises(SettingError, match="halving"):
        Halving.of(setting)


def test_settings_may_be_short():
    assert Halving.of(None) is None
    assert Halving.of("asha") == Halving(kind="asha")
    assert Halving.of({"eta": 4}) == Halving(eta=4)


def test_the_option_is_a_strategy_over_the_runs_own():
    sync = Halving(eta=4, min_epochs=2).over(Random())
    assert sync == SuccessiveHalving(Random(), 4, 2)
    assert Halving(kind="asha").over(Random()) == ASHA(Random())
    with pytest.raises(SettingError, match="a strategy that trains every row to the end"):
        Halving().over(sync)
