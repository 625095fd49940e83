"""The one loop: what a search does follows from its settings, whoever evaluates, and how many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import foretell as ft
from foretell.errors import SettingError
from foretell.evaluators.simulated import Simulated
from foretell.evaluators.workers import Workers
from foretell.search.loop import Loop, Unwritten
from foretell.search.strategy import Proposal, Strategy
from foretell.strategies.asha import ASHA
from foretell.strategies.successive_halving import SuccessiveHalving

SPACE = ft.spaces.get("nb201")
EPOCHS = 9


def train(x, seed, epochs):
    """A made-up training that grows with its epochs, and whose seconds differ."""
    rate = 0.3 + 0.1 * float((np.asarray(x) == 3).sum())
    curve = [1 - np.exp(-rate * e) for e in range(1, epochs + 1)]
    seconds = epochs * (1 + int(np.asarray(x) @ [1, 2, 3, 5, 7, 11]) % 7)
    return ft.Result(
        {"val_acc": curve[-1], "test_acc": 99.0},
        {"val_acc": curve, "test_acc": [99.0] * epochs},
        seconds=seconds,
    )


TRAINER = ft.evaluator(train, SPACE, "val_acc", epochs=EPOCHS)
SYNCHRONOUS = {
    "random": ft.strategies.get("random"),
    "evolution": ft.strategies.get("regularized-evolution", population=8, sample_size=3, batch=3),
    "neural-predictor": ft.strategies.get(
        "neural-predictor", n_train=8, predictor=Ridge(), batch=4
    ),
    "successive-halving": SuccessiveHalving(bracket=9),
    "halved-predictor": SuccessiveHalving(
        ft.strategies.get("neural-predictor", n_train=9, predictor=Ridge(), batch=6)
    ),
}


def workers_of(kind, n):
    if kind == "simulated":
        return Simulated(TRAINER, n)
    if kind == "threads":
        return Workers(TRAINER, executor=ThreadPoolExecutor(n))
    return Workers(TRAINER, workers=n)


def search_with(strategy, workers, networks=24, book=None, seed=0):
    search = ft.Search(SPACE, strategy, seed=seed, max_epochs=EPOCHS)
    loop = Loop(search, TRAINER, workers, networks, book)
    results = list(loop.run())
    return search, results


def told(search):
    history = search.history.told
    return [history.X.tolist(), history.y.tolist(), history.epochs.tolist(), history.ids.tolist()]


@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_a_synchronous_search_does_not_depend_on_its_workers(name):
    strategy = SYNCHRONOUS[name]
    expected, _ = search_with(strategy, Simulated(TRAINER, 1))
    assert expected.n_rows == 24
    for kind, n in [
        ("simulated", 2),
        ("simulated", 64),
        ("local", 0),
        ("threads", 2),
        ("threads", 64),
    ]:
        with workers_of(kind, n) as workers:
            got, _ = search_with(strategy, workers)
        assert told(got) == told(expected), f"{kind} {n}"


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 64])
def test_nor_do_local_processes_change_it(n):
    strategy = SYNCHRONOUS["halved-predictor"]
    expected, _ = search_with(strategy, Simulated(TRAINER, 1))
    with Workers(TRAINER, workers=n) as workers:
        got, _ = search_with(strategy, workers)
    assert told(got) == told(expected)


def test_more_workers_are_earlier_done():
    ends = []
    for n in (1, 4, 64):
        search, _ = search_with(SYNCHRONOUS["random"], Simulated(TRAINER, n))
        ends.append(search.history.ended_s.max())
        assert (np.diff(np.sort(search.history.ended_s)) >= 0).all()
    assert ends[0] == search.history.seconds.sum(), "one worker does one after the other"
    assert ends[2] == search.history.seconds.max(), "with enough of them the longest decides"
    assert ends[0] > ends[1] > ends[2]


class Diary(Unwritten):
    """Remembers asks and results, in their order."""

    def __init__(self, seed=0, over_after=10**9):
        super().__init__(seed)
        self.lines, self.over_after = [], over_after

    def asked(self, asked, proposal, seconds):
        X = np.stack([one.x for one in asked])
        self.lines.append(("ask", X, [one.epochs for one in asked]))

    def result(self, asked, result, ended_s):
        self.lines.append(("result", asked.id, result, ended_s))

    def over(self):
        return len(self.lines) >= self.over_after


def replay(loop, lines):
    for kind, *rest in lines:
        (loop.replay_ask if kind == "ask" else loop.replay_result)(*rest)


@pytest.mark.parametrize("strategy", [ASHA(eta=2), *SYNCHRONOUS.values()], ids=str)
@pytest.mark.parametrize("cut", [0, 1, 2, 7, 20, 33])
def test_a_search_that_was_broken_off_asks_for_the_same(strategy, cut):
    whole, _ = search_with(strategy, Simulated(TRAINER), book=(diary := Diary()))
    search = ft.Search(SPACE, strategy, seed=0, max_epochs=EPOCHS)
    loop = Loop(search, TRAINER, Simulated(TRAINER), 24, again := Diary())
    replay(loop, diary.lines[:cut])
    list(loop.run())
    assert told(search) == told(whole)
    asks = [(X.tolist(), e) for kind, X, e, *_ in diary.lines[cut:] if kind == "ask"]
    assert [(X.tolist(), e) for kind, X, e, *_ in again.lines if kind == "ask"] == asks


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_asha_is_replayed_exactly_whoever_was_quick(workers):
    whole, _ = search_with(ASHA(), Simulated(TRAINER, workers), 60, diary := Diary())
    search = ft.Search(SPACE, ASHA(), seed=0, max_epochs=EPOCHS)
    replay(Loop(search, TRAINER, Simulated(TRAINER), 60), diary.lines)
    assert told(search) == told(whole)
    assert np.array_equal(search.ask(3), whole.ask(3)), "and goes on alike"


def test_asha_leaves_no_worker_idle_and_trains_most_rows_little():
    workers = Simulated(TRAINER, 8)
    search, _ = search_with(ASHA(), workers, 200)
    assert workers.busy_s > 0.8 * 8 * workers.now_s  # all but the end
    latest = search.history.latest
    counts = [(latest.epochs == e).sum() for e in (1, 3, 9)]
    assert sum(counts) == 200
    assert counts[0] > 100 > counts[2] > 5
    # the rows that went to the end are better than what the others would have become
    ends = np.array([train(x, 0, EPOCHS).metrics["val_acc"] for x in latest.X])
    assert ends[latest.epochs == 9].mean() > ends.mean() + 0.02


def test_the_history_knows_when_how_far_and_what_was_seen_on_the_way():
    search, results = search_with(SYNCHRONOUS["successive-halving"], Simulated(TRAINER, 3), 9)
    history = search.history
    assert history.epochs.tolist() == [1] * 9 + [3] * 3 + [9]
    assert np.isfinite(history.ended_s).all()
    assert len(history.full) == 1
    assert len(results) == len(history) == 13
    assert set(history.curves) == {"val_acc"}, "nothing of a test split"
    np.testing.assert_allclose(history.curves["val_acc"][-1][8], history.y[-1])
    assert np.isnan(history.curves["val_acc"][0][1:]).all()


@dataclass(frozen=True)
class Peeking(Strategy):
    """Looks for what it must not see."""

    seen: ClassVar[list] = []

    def propose(self, space, history, n, rng):
        self.seen.extend(history.curves)
        assert not (history.y > 1).any()
        return Proposal(space.sample(n, rng))

    def round_size(self, history):
        return 2


def test_a_strategy_is_told_nothing_of_a_test_split():
    search_with(Peeking(), Simulated(TRAINER), 10)
    assert set(Peeking.seen) == {"val_acc"}
    tested = ft.evaluator(train, SPACE, "val_acc", epochs=EPOCHS)
    tested.objective = "test_acc"
    with pytest.raises(SettingError, match="reads validation metrics alone"):
        Loop(ft.Search(SPACE), tested, Simulated(tested), 5)
    loss = ft.evaluator(train, SPACE, "val_acc", "min")
    with pytest.raises(SettingError, match="direction"):
        Loop(ft.Search(SPACE), loss, Simulated(loss), 5)


def test_failures_count_and_nobody_waits_for_them():
    def fails(x, seed, epochs):
        if x[0] == 1:
            raise MemoryError("too large")
        return train(x, seed, epochs)

    evaluator = ft.evaluator(fails, SPACE, "val_acc", epochs=EPOCHS)
    for strategy in (SYNCHRONOUS["evolution"], SuccessiveHalving(bracket=6), ASHA(eta=2)):
        search = ft.Search(SPACE, strategy, seed=1, max_epochs=EPOCHS)
        list(Loop(search, evaluator, Simulated(evaluator, 3), 30).run())
        assert search.n_rows == 30
        failed = search.history.status == 1
        assert failed.any()
        assert (search.history.X[failed][:, 0] == 1).all()
        assert len(search.history.full)


def test_a_training_that_ends_by_itself_is_at_its_end():
    def early(x, seed, epochs):
        return train(x, seed, min(epochs, 2))

    evaluator = ft.evaluator(early, SPACE, "val_acc", epochs=EPOCHS)
    search = ft.Search(SPACE, SuccessiveHalving(bracket=9), seed=0, max_epochs=EPOCHS)
    list(Loop(search, evaluator, Simulated(evaluator), 9).run())
    assert search.history.epochs.tolist() == [1] * 9 + [9] * 3, "nobody is asked a third time"


def test_a_book_that_is_over_ends_the_search_and_the_round_is_not_told():
    search, results = search_with(SYNCHRONOUS["random"], Simulated(TRAINER, 2), book=Diary(0, 5))
    assert 4 <= len(results) <= 6
    assert len(search.history.told) == 0
    assert len(search.history.pending) == 24


def test_an_ask_crosses_no_break():
    search = ft.Search(SPACE, "random", seed=0)
    diary = Diary()
    free = ft.evaluator(lambda x: 1.0, SPACE)
    list(Loop(search, free, Simulated(free), 20, diary, breaks=(6, 13)).run())
    assert [len(X) for kind, X, *_ in diary.lines if kind == "ask"] == [6, 7, 7]


def test_a_used_up_space_ends_the_search():
    few = ft.Space.from_choices({"a": [1, 2, 3]}, build=lambda *_: None)
    free = ft.evaluator(lambda x: float(x[0]), few)
    for strategy in ("random", ASHA(eta=2), SuccessiveHalving()):
        search = ft.Search(few, strategy, seed=0, max_epochs=2)
        list(Loop(search, free, Simulated(free, 2), 50).run())
        assert search.n_rows == 3
