"""Several networks on one card at once: one process, one thread, their steps in turn."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import Token
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from foretell._rng import derive
from foretell.errors import SettingError
from foretell.evaluators.base import Job, Result, TrialTimeout, deadline
from foretell.evaluators.trainer import Trainer
from foretell.nets.devices import pick_device

MOST = 8  # networks at once, where nobody says how many
WINDOW_S = 2.0  # how long a number of networks is measured
GAIN = 1.05  # steps a second that one network more must bring
SPARE = 1.5  # times what a network takes must be free for one more


class Together:
    """Trains k networks at once on one device: `Workers` for a card that one network leaves idle.

    A step of a small network is a graph that one call starts, so one thread keeps k streams busy.
    Each network has its own stream, its own random numbers and its own deadline: what it computes
    depends on k only as far as kernels do whose sums have no order (cuDNN's weight gradients). One
    that fails, diverges or takes too long ends by itself. One that runs out of memory beside
    others waits until there is room and is tried once more, with one network fewer at a time.

    Args:
        trainer: what trains one network; its recipe says the device.
        networks: k; None to begin with one and to take one more as long as that brings `GAIN` times
            the steps a second and `SPARE` times its memory is free, `MOST` at most.
        timeout_s: seconds that one network may take, without those in which the thread was busy
            with others.

    Attributes:
        room: networks at once, as it stands.
        places: where they run, in words.

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(
        self, trainer: Trainer, networks: int | None = None, timeout_s: float | None = None
    ) -> None:
        if networks is not None and networks < 1:
            raise SettingError("networks", expected="at least 1", got=networks)
        if timeout_s is not None and not timeout_s > 0:
            raise SettingError("timeout_s", expected="a number above 0", got=timeout_s)
        self.trainer, self.timeout_s = trainer, timeout_s
        self.device = pick_device(trainer.recipe.device)
        self.room = networks or 1
        self.warnings: list[str] = []
        many = f"{networks} networks" if networks else f"up to {MOST} networks"
        self.places = [f"{many} at once on {self.device}"]
        self._grows = networks is None
        self._began = time.monotonic()
        self._window = _Window(self._began)
        self._rate = 0.0  # steps a second with one network fewer

    @property
    def now_s(self) -> float:
        """Seconds since these workers were made."""
        return time.monotonic() - self._began

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Result]]:
        """The result of each job, in the order in which they end; see `Workers.run`.

        Raises:
            RunError: weights cannot be written.
        """
        source, live, again = iter(jobs), list[_Network](), list[Job]()
        ask = True  # whether anything has happened since there was nothing to do
        with _threads(self.trainer.recipe.threads):
            while True:
                while len(live) < self.room and (again or ask):
                    job = again.pop(0) if again else next(source, None)
                    if job is None:
                        ask = False
                    else:
                        live.append(self._begin(job))
                        self._window = _Window(time.monotonic())
                if not live:
                    return
                for one in tuple(live):
                    began = time.monotonic()
                    result = self._step(one)
                    for other in live:
                        other.ends += 0.0 if other is one else time.monotonic() - began
                    if result is None:
                        continue
                    live.remove(one)
                    self._window = _Window(time.monotonic())
                    if self._crowded(one.job, result, live):
                        again.append(one.job)
                        continue
                    ask = True
                    yield one.job, result
                    break
                self._measure(live)

    def _begin(self, job: Job) -> _Network:
        cuda = self.device.type == "cuda"
        stream = torch.cuda.Stream(self.device) if cuda else None
        steps = self.trainer.training(
            job.x, job.seed, self.device, epochs=job.epochs, state=job.state, weights=job.weights
        )
        ends = math.inf if self.timeout_s is None else time.monotonic() + self.timeout_s
        return _Network(job, steps, stream, _Randomness(job.seed, self.device), ends)

    def _step(self, one: _Network) -> Result | None:
        """A step of a network; its result when it has ended."""
        token: Token[float | None] = deadline.set(one.ends)
        try:
            with one.stream_on(), one.randomness:
                next(one.steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        except TrialTimeout:
            limit = self.timeout_s or 0.0
            return Result(seed=one.job.seed, error=f"took longer than {limit:g} s", seconds=limit)
        finally:
            deadline.reset(token)
        self._window.steps += 1
        return None

    def _crowded(self, job: Job, result: Result, live: list[_Network]) -> bool:
        """Whether a network has failed for want of memory that the others have; it comes again."""
        if not live or not result.error.startswith("out of memory"):
            return False
        self.room, self._grows = max(1, len(live)), False
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return True

    def _measure(self, live: list[_Network]) -> None:
        """Take one network more at a time, if that has paid so far and there is memory for it."""
        now = time.monotonic()
        if not self._grows or len(live) < self.room or now - self._window.since < WINDOW_S:
            return
        rate = self._window.steps / (now - self._window.since)
        self._grows = rate >= GAIN * self._rate and self.room < MOST
        if self._grows and self._has_memory(len(live)):
            self.room += 1
        self._rate, self._window = rate, _Window(now)

    def _has_memory(self, live: int) -> bool:
        if self.device.type != "cuda":
            return True
        free, whole = torch.cuda.mem_get_info(self.device)
        return free >= SPARE * (whole - free) / live

    def close(self, wait: bool = True) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class _Window:
    """Steps since a moment, with a number of networks that did not change."""

    since: float
    steps: int = 0


@dataclass
class _Network:
    """A network in training."""

    job: Job
    steps: Generator[None, None, Result]
    stream: Any  # torch.cuda.Stream, None on a CPU
    randomness: _Randomness
    ends: float

    def stream_on(self) -> AbstractContextManager[Any]:
        """Where its kernels go."""
        if self.stream is None:
            return contextlib.nullcontext()
        context: AbstractContextManager[Any] = torch.cuda.stream(self.stream)
        return context


class _Randomness:
    """Torch's generators as one training has them: put there inside of `with`, kept outside.

    Seeded as `Trainer.evaluate` does. The card's generator is exchanged whole, so that a recorded
    graph goes on with the numbers of its own network.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        own = torch.Generator().manual_seed(derive(seed, "weights"))
        self._cpu: Tensor = own.get_state()
        self._card: Any = None
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            torch.cuda.init()
            self._of_card: Any = torch.cuda.default_generators[index]
            self._card = self._of_card.clone_state()
            self._card.manual_seed(derive(seed, "weights"))

    def __enter__(self) -> None:
        self._outer = torch.default_generator.get_state()
        torch.default_generator.set_state(self._cpu)
        if self._card is not None:
            self._outer_card = self._of_card.graphsafe_get_state()
            self._of_card.graphsafe_set_state(self._card)

    def __exit__(self, *_: object) -> None:
        self._cpu = torch.default_generator.get_state()
        torch.default_generator.set_state(self._outer)
        if self._card is not None:
            self._of_card.graphsafe_set_state(self._outer_card)


@contextlib.contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fits(trainer: Trainer, devices: int, memory_gb: float | None) -> bool:
    """Whether networks of a trainer share one card, rather than have a process each.

    Args:
        trainer: its recipe says the device.
        devices: cards that there are.
        memory_gb: limit on the main memory of a trial, which takes a process.
    """
    device = pick_device(trainer.recipe.device)
    one = ":" in trainer.recipe.device or devices == 1
    return device.type == "cuda" and memory_gb is None and one
