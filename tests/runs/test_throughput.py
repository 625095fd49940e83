"""How fast networks trained: what the journal says, added up once."""

from __future__ import annotations

import json

import numpy as np
import pytest

import foretell as ft
from foretell.evaluators.trainer import Trainer
from foretell.report.bars import trainings
from foretell.report.reading import read
from foretell.runs import events
from foretell.runs.throughput import throughput
from foretell.training.data import load
from foretell.training.recipe import Recipe
from foretell.training.usage import PARTS, Usage
from foretell.typed import Reader


def trial(i, usage, **more):
    return events.Trial(i, 0, "", 3.0, {}, {}, usage=usage, **more)


ONE = Usage("cuda", 1000, 2.0, {"setup": 1.0, "train": 3.0, "validate": 1.0})
TWO = Usage("cuda", 500, 0.5, {"setup": 1.0, "train": 1.5, "save": 0.5})


def test_each_second_and_each_row_counts_once():
    """A network that halving has ended says again what its last rung had said."""
    rung = events.Rung(1, 0, "", 3.0, {}, {}, usage=TWO)
    ended = trial(1, TWO, stopped=True)
    calls = [
        events.Session(9.0, {"train_s": 4.0, "ask_s": 3.0}),
        events.Session(2.0, {"verdict_s": 1.0}),
    ]
    found = throughput([trial(0, ONE), rung, ended, trial(2, None)], calls)
    assert (found.rows, found.clock_s, found.busy_s, found.seconds) == (1500, 5.0, 2.5, 8.0)
    assert (found.per_s, found.each_per_s, found.busy) == (300.0, 187.5, 0.5)
    assert found.shares == {"setup": 0.25, "train": 4.5 / 8, "validate": 0.125, "save": 0.0625}
    assert found.words("images") == [
        "300 images a second; the card at work 50 % of 5.0 s",
        "a training: 188 images a second; setting up 25 %, steps 56 %, validation 12 %, "
        "checkpoints 6 %",
    ]


def test_journals_from_before_say_nothing():
    assert throughput([trial(0, None)], []) is None
    assert "usage" not in trial(0, None).written()
    old = events.record_of({**trial(0, None).written()}, Reader("trials.jsonl"))
    assert old.usage is None


def test_a_journal_gives_back_what_was_written():
    line = json.loads(json.dumps(trial(0, ONE).written()))
    again = events.record_of(line, Reader("trials.jsonl"))
    assert vars(again.usage) == vars(ONE)
    assert vars(again.result.usage) == vars(ONE)


def test_the_parts_of_a_training_are_all_of_it(tmp_path):
    """Nothing lasts that no part has; rows are those of the epochs of this attempt."""
    data = load("digits")
    trainer = Trainer(ft.spaces.get("tabular"), data, Recipe(epochs=3), state_every_s=0.0)
    x = trainer.space.sample(1, rng=0)[0]
    state = tmp_path / "s.safetensors"
    half = trainer.evaluate(x, 0, epochs=2, state=state)
    rest = trainer.evaluate(x, 0, state=state, weights=tmp_path / "w.safetensors")
    for result, epochs in ((half, 2), (rest, 1)):
        usage = result.usage
        assert usage.device == "cpu"
        assert usage.rows == epochs * data.sizes[0]
        assert set(usage.parts) == set(PARTS)
        assert usage.busy_s > 0
    assert sum(half.usage.parts.values()) == pytest.approx(half.seconds, rel=0.05)
    assert sum(rest.usage.parts.values()) < rest.seconds  # which are those of both attempts


def test_run_and_report_say_it(tmp_path):
    nas = ft.NAS(
        space="tabular", n_train=3, top_k=1, epochs=2, workers=0, compare_random=False,
        strategy="random", out=tmp_path / "run",
    ).fit("digits")  # fmt: skip
    said = nas.summary_["throughput"]
    n = load("digits").sizes[0]
    trained = nas.summary_["trials"]
    assert said["rows"] == trained * 2 * n
    assert said["rows_per_s"] > 0
    assert sum(said["shares"].values()) == pytest.approx(1.0)
    run = read(tmp_path / "run")
    assert run.throughput.to_dict() == {k: v for k, v in said.items() if k != "words"}
    shown = trainings(run)
    assert np.isclose(np.sum(shown.frame()["share"]), 1.0)
    assert said["words"][0] in shown.caption
    assert said["words"][0] in (tmp_path / "run" / "report.html").read_text()
