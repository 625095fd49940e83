"""Sentences follow from the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import foretell as ft
from foretell.report.reading import read
from foretell.report.verdict import gap_noise, next_steps, verdict

MakeRun = Callable[..., Path]


def with_final(folder: Path, mine: float, theirs: float | None) -> Path:
    path = folder / "trials.jsonl"
    lines = path.read_text().splitlines()
    final = json.loads(lines[-1])
    final["metrics"]["test_acc"] = mine
    if theirs is None:
        final["random"] = None
    else:
        # another network than the winner, or the two could not differ
        final["random"] = {"id": 0, "n": 29, "metrics": {"val_acc": 0.5, "test_acc": theirs}}
    path.write_text("\n".join([*lines[:-1], json.dumps(final)]) + "\n")
    return folder


def test_better_than_random_is_said_with_its_size(make_run: MakeRun) -> None:
    text = verdict(read(with_final(make_run(), 0.9, 0.7)))
    assert "Found by training 29 of 15,625 networks" in text
    assert (
        "On the test split it is 20.0 points above the best of 29 random networks (70.0 %)." in text
    )
    assert "the best of the 24 sampled networks" in text


def test_worse_than_random_is_said_as_plainly(make_run: MakeRun) -> None:
    text = verdict(read(with_final(make_run(), 0.6, 0.9)))
    assert "30.0 points below the best of 29 random networks" in text


def test_a_gap_that_the_test_split_cannot_show_is_owned_up_to(make_run: MakeRun) -> None:
    run = read(with_final(make_run(), 0.91, 0.90))
    text = verdict(run)
    noise = gap_noise(run, "test", 0.91, 0.90)
    # far from 0, 1 and few examples it is the interval of textbooks
    assert noise == pytest.approx(1.96 * np.sqrt((0.91 * 0.09 + 0.9 * 0.1) / 270), rel=0.05)
    assert f"less than what 270 examples can tell apart (±{noise * 100:.1f} points)" in text
    assert "level with" in verdict(read(with_final(make_run(), 0.9, 0.9)))


def test_intervals_have_the_width_of_their_own_counts(make_run: MakeRun) -> None:
    """21 of 45: not the width of an accuracy near 95 %; and 45 of 45 is not certain."""
    few = {"sizes": {"train": 210, "val": 45, "test": 45}}
    middle = read(with_final(make_run(data=few), 21 / 45, 20 / 45))
    assert "46.7 % there may be anything from 32.9 % to 60.9 %" in " ".join(next_steps(middle))
    assert gap_noise(middle, "test", 21 / 45, 20 / 45) == pytest.approx(0.2, abs=0.01)
    sure = read(with_final(make_run(data=few), 1.0, 44 / 45))
    low = binomtest(45, 45).proportion_ci(method="wilson").low
    high = binomtest(44, 45).proportion_ci(method="wilson").high
    noise = gap_noise(sure, "test", 1.0, 44 / 45)
    assert noise == pytest.approx(np.hypot(1 - low, high - 44 / 45))
    assert "less than what 45 examples can tell apart" in verdict(sure)


def test_without_random_nothing_is_compared_with_it(make_run: MakeRun) -> None:
    assert "random" not in verdict(read(with_final(make_run(), 0.9, None)))


def test_a_sampled_winner_is_no_credit_to_the_predictor(make_run: MakeRun) -> None:
    failed = {24 + i: "x" for i in range(4)}
    run = read(make_run(failed=failed, n_top=5, value=lambda s, X: 0.9 - 0.1 * (X[:, 0] == 3)))
    assert run.winner is not None
    assert run.winner.phase == "sample"
    assert "The predicted best did not do better than the best of the" in verdict(run)


def test_advice_follows_from_the_run(make_run: MakeRun) -> None:
    def steps(**changes: object) -> str:
        return " ".join(next_steps(read(make_run(**changes))))

    assert "trials failed" in steps(failed=dict.fromkeys(range(12), "x"))
    assert "trials failed" not in steps()
    assert "test split has 270 examples" in steps()
    assert "test split has" not in steps(data={"sizes": {"train": 9, "val": 9, "test": 20_000}})
    # curves that saturate need no more epochs, short ones do
    assert "more epochs" in steps(epochs=5)
    assert "more epochs" not in steps(epochs=60, noise=0.0)


def test_a_winner_of_one_answer_is_told_what_helps(make_run: MakeRun) -> None:
    folder = make_run(value=lambda space, X: np.full(len(X), 0.9), noise=0.0)
    (folder / "confusion.csv").write_text("class,said defect,said ok\ndefect,0,2\nok,0,43\n")
    steps = " ".join(next_steps(read(folder)))
    assert "says 'ok' of every test example. `--metric val_balanced_acc`" in steps
    assert "share the best" not in steps  # which is why
    (folder / "confusion.csv").write_text("class,said defect,said ok\ndefect,1,1\nok,0,43\n")
    assert "--metric" not in " ".join(next_steps(read(folder)))


def test_a_class_of_few_test_examples_is_named(make_run: MakeRun) -> None:
    def steps(defect: int, **changes: object) -> str:
        counts = {"ok": [200, 42, 43], "defect": [10, 3, defect]}
        return " ".join(next_steps(read(make_run(data={"counts": counts} | changes))))

    assert "has 2 examples of 'defect', each of which is 50 points of its recall" in steps(2)
    assert "of 'defect'" not in steps(10)
    assert "of 'defect'" not in steps(2, task="multilabel")


def test_a_weak_predictor_is_called_weak(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "trials.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        if event["event"] == "rank":
            event["cv"]["auto"]["mean"] = 0.12
    path.write_text("\n".join(map(json.dumps, events)) + "\n")
    assert "weakly (Kendall tau 0.12)" in " ".join(next_steps(read(folder)))


def test_ties_in_validation_are_named(make_run: MakeRun) -> None:
    folder = make_run(value=lambda space, X: np.full(len(X), 0.9), noise=0.0)
    steps = " ".join(next_steps(read(folder)))
    assert "34 networks share the best validation accuracy" in steps
    assert "269 examples" in steps
    assert "share the best" not in " ".join(next_steps(read(make_run())))


def test_the_largest_option_is_pointed_out(make_run: MakeRun) -> None:
    space = ft.Space.from_choices({"width": [8, 16, 32], "op": ["a", "b", "c"]}, build=print)
    changes = {"space": space, "ranked": 9, "noise": 0.0}
    changes["costs"] = lambda X: (X.sum(axis=1) + 10, X.sum(axis=1) + 50)
    up = make_run("up", value=lambda s, X: 0.5 + 0.1 * X[:, 0], **changes)
    down = make_run("down", value=lambda s, X: 0.5 - 0.1 * X[:, 0], **changes)
    assert "largest option of width" in " ".join(next_steps(read(up, space)))
    assert "largest option" not in " ".join(next_steps(read(down, space)))
