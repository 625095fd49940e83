"""GA-NAS: what the generator is rewarded for, and that it learns it."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.ga_nas import GANAS, better_than

SPACE = ft.spaces.get("nb201")


class Judge:
    """Scores are how many options are 3."""

    def predict(self, X):
        return (X == 3).sum(axis=1).astype(float)


class Comparing(Judge):
    """Says of pairs how likely the first is better."""

    def compare(self, A, B):
        return 1 / (1 + np.exp(self.predict(B) - self.predict(A)))


def test_the_reward_is_the_chance_to_be_better_than_the_truth():
    truth = np.array([[3, 3, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0]])
    X = np.array([[3, 3, 3, 0, 0, 0], [3, 3, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert better_than(Judge(), X, truth).tolist() == [1.0, 0.75, 0.0]
    p = 1 / (1 + np.exp(-np.array([[1, 2], [0, 1], [-2, -1]])))
    np.testing.assert_allclose(better_than(Comparing(), X, truth), p.mean(axis=1))


def test_the_generator_learns_to_fool_the_judge():
    truth = np.array([[3, 3, 3, 0, 0, 0]])
    made = {
        steps: GANAS(steps=steps)
        ._generator(SPACE, Comparing(), truth, stream(0))
        .sample(200, stream(1))
        for steps in (1, 40)
    }
    before, after = (Judge().predict(rows).mean() for rows in made.values())
    assert before < 1.6  # 6 / 5 by chance
    assert after > before + 2


def test_rows_come_from_the_generator_and_settings_are_checked():
    X = SPACE.sample(40, rng=0)
    history = History.of(SPACE, X, (X == 3).sum(axis=1))
    got = GANAS(predictor="gp", steps=30).propose(SPACE, history, 10, stream(0)).X
    assert (got == 3).mean() > (X == 3).mean() + 0.2
    with pytest.raises(SettingError, match="ga-nas, steps"):
        GANAS(steps=0)
