"""Which networks' weights stay."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.evaluators.base import Result
from foretell.runs.folder import RunFolder
from foretell.runs.kept import Kept
from foretell.runs.trial import Trial


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir(parents=True)
    return folder


def ended(folder, kept, one, phase, value, **more):
    trial = Trial(one, phase, np.zeros(1, dtype=np.int8), "a", 0, **more)
    folder.checkpoint(one).touch()
    kept.ended(trial.ended(Result({"val_acc": value}), "val_acc"))
    kept.written(one)
    kept.prune()


def there(folder):
    return sorted(path.name for path in folder.checkpoints.iterdir())


def test_the_best_of_the_search_and_of_random_search_stay(folder):
    kept = Kept(folder)
    for one, (phase, value) in enumerate(
        [("sample", 0.5), ("sample", 0.7), ("top", 0.6), ("top", 0.9), ("random", 0.4)]
    ):
        ended(folder, kept, one, phase, value)
    assert kept.best().id == 3
    # 1 is the best of what random search has with the sampled ones, 4 that of its own
    assert there(folder) == sorted(folder.checkpoint(i).name for i in (1, 3, 4))


def test_what_failed_or_was_stopped_cannot_win(folder):
    kept = Kept(folder)
    ended(folder, kept, 0, "sample", 0.9, stopped=True)
    ended(folder, kept, 1, "sample", float("nan"))
    assert kept.best() is None
    assert there(folder) == []


def test_what_a_killed_call_has_left(folder):
    for path in (folder.checkpoint(0), folder.state(1), folder.state(2)):
        path.touch()
    folder.checkpoint(3).with_suffix(".safetensors.ab12.part").touch()
    kept = Kept(folder)
    kept.tidy({0, 1})
    assert there(folder) == sorted(p.name for p in (folder.checkpoint(0), folder.state(2)))
    kept.prune()
    assert there(folder) == [folder.state(2).name]
