"""Simulated workers: an independent schedule by hand, what is paid twice, who waits for whom."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.evaluators.base import Job
from foretell.evaluators.simulated import Simulated

SPACE = ft.spaces.get("nb201")


def jobs(*seconds, epochs=None):
    return [Job(i, np.full(6, s % 5), s, epochs=epochs) for i, s in enumerate(seconds)]


def of(seconds):
    """An evaluator that takes `seconds(x, seed, epochs)`."""

    def fn(x, seed, epochs):
        return ft.Result({"val": 1.0}, seconds=seconds(x, seed, epochs), epochs=epochs or 0)

    return ft.evaluator(fn, SPACE)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_the_schedule_is_that_of_a_list(workers):
    lengths = np.random.default_rng(workers).integers(1, 50, 40).tolist()
    simulated = Simulated(of(lambda x, seed, epochs: float(seed)), workers)
    free, ends = [0.0] * workers, []  # each job goes to whoever is free first
    for i, length in enumerate(lengths):
        k = int(np.argmin(free))
        free[k] += length
        ends.append((free[k], i))
    got = [(simulated.now_s, job.id) for job, _ in simulated.run(jobs(*lengths))]
    assert sorted(got) == sorted(ends)
    assert [at for at, _ in got] == sorted(at for at, _ in ends), "results come in their order"
    assert simulated.busy_s == sum(lengths)


def test_what_is_trained_on_costs_what_is_added():
    simulated = Simulated(of(lambda x, seed, epochs: 10.0 * epochs))
    (x,) = SPACE.sample(1, rng=0)
    for epochs, now in ((1, 10.0), (3, 30.0), (9, 90.0)):
        list(simulated.run([Job(0, x, 0, epochs=epochs)]))
        assert simulated.now_s == now


def test_without_seconds_an_epoch_takes_one():
    simulated = Simulated(of(lambda x, seed, epochs: 0.0))

    class Free(type(simulated.evaluator)):
        def evaluate(self, x, seed=0, *, epochs=None, **_):
            return ft.Result({"val": 1.0}, epochs=epochs or 0)

    free = Simulated(Free(lambda x: 1.0, SPACE, "val", "max", 0))
    (x,) = SPACE.sample(1, rng=0)
    for epochs, now in ((2, 2.0), (5, 5.0), (None, 6.0)):
        list(free.run([Job(0, x, 0, epochs=epochs)]))
        assert free.now_s == now


def test_none_waits_for_the_next_result_and_ends_when_nothing_is_out():
    simulated = Simulated(of(lambda x, seed, epochs: 5.0), workers=4)
    given = []

    def source():
        for i in range(3):
            given.append(simulated.now_s)
            yield jobs(0)[0] if i != 1 else None
        yield None

    assert len(list(simulated.run(source()))) == 2
    assert given == [0.0, 0.0, 5.0], "the third was asked for when the first had ended"


def test_what_raises_has_failed():
    def fail(x):
        raise ZeroDivisionError("no")

    ((_, result),) = Simulated(ft.evaluator(fail, SPACE)).run(jobs(1))
    assert result.error == "ZeroDivisionError: no"
    with pytest.raises(SettingError, match="workers"):
        Simulated(of(lambda *_: 1.0), workers=0)
