"""Several networks on one card at once: one process, one thread, their steps in turn."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import Token
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from foretell._rng import derive
from foretell.errors import RunError, SettingError
from foretell.evaluators.base import Job, Result, TrialTimeout, deadline
from foretell.evaluators.parts.guard import gone
from foretell.evaluators.trainer import Trainer, reason
from foretell.evaluators.workers import Workers
from foretell.nets.devices import pick_device
from foretell.training.replay import index_of

BEGIN, MOST = 8, 16  # networks at once, where nobody says how many: at first, and at most
STREAMS = 32  # that a card has: two networks on one would share what libraries keep for it
IDLE_S = 1e-4  # between two looks at a card that has all that it may be given
WINDOW_S = 2.0  # how long a number of networks is measured
GAIN = 1.05  # steps a second that one network more must bring
SPARE = 1.5  # times what a network takes must be free for one more


class Together:
    """Trains k networks at once on one device: `Workers` for a card that one network leaves idle.

    A step of a small network is a graph that one call starts, so one thread keeps k streams busy.
    Each network has its own stream, its own random numbers and its own deadline: what it computes
    depends on k only as far as kernels do whose sums have no order (cuDNN's weight gradients). One
    that fails, diverges or takes too long ends by itself. One that runs out of memory beside
    others waits until there is room and is tried once more, with one network fewer at a time. One
    that the card's driver gives up over (an index out of range in a kernel) takes this process's
    use of the card with it: it and those beside it are trained again in a process of their own, as
    is what comes after, and in the end a `RunError` says that the run is to be continued.

    Args:
        trainer: what trains one network; its recipe says the device.
        networks: k; None for `BEGIN` on a card, as far as `SPARE` times their memory is free, and
            to take one more as long as that brings `GAIN` times the steps a second, up to `MOST`.
        timeout_s: seconds that one network may take, without those in which the thread was busy
            with others.

    Attributes:
        room: networks at once, as it stands.
        places: where they run, in words.

    Raises:
        SettingError: a number is out of range.

    Differs: steps are counted when they are started; a training is at most `lead.AHEAD` ahead.
    """

    def __init__(
        self, trainer: Trainer, networks: int | None = None, timeout_s: float | None = None
    ) -> None:
        if networks is not None and not 1 <= networks <= STREAMS:
            raise SettingError("networks", expected=f"1 to {STREAMS}", got=networks)
        if timeout_s is not None and not timeout_s > 0:
            raise SettingError("timeout_s", expected="a number above 0", got=timeout_s)
        self.trainer, self.timeout_s = trainer, timeout_s
        self.device = pick_device(trainer.recipe.device)
        self.room = networks or (BEGIN if self.device.type == "cuda" else 1)
        self.warnings: list[str] = []
        many = f"{networks} networks" if networks else f"up to {MOST} networks"
        self.places = [f"{many} at once on {self.device}"]
        self._said, self._grows = networks is not None, networks is None
        self._began = time.monotonic()
        self._window = _Window(self._began)
        self._rate = 0.0  # steps a second with one network fewer
        self._streams: list[Any] = []  # that no network has
        self._gone = ""  # why this process cannot use its card any more

    @property
    def now_s(self) -> float:
        """Seconds since these workers were made."""
        return time.monotonic() - self._began

    def run(
        self, jobs: Iterable[Job | None], ready: Callable[[], bool] | None = None
    ) -> Iterator[tuple[Job, Result]]:
        """The result of each job, in the order in which they end; see `Workers.run`.

        Raises:
            RunError: weights cannot be written, or the card does not answer this process any more.
        """
        source, live, again = iter(jobs), list[_Network](), list[Job]()
        ask = True  # whether anything has happened since there was nothing to do
        with _threads(self.trainer.recipe.threads):
            while not self._gone:
                while len(live) < self.room and (again or ask):
                    if not self._has_room(len(live)):
                        self.room = len(live)
                        break
                    job = again.pop(0) if again else next(source, None)
                    if job is None:
                        ask = False
                    else:
                        live.append(self._begin(job))
                        self._window = _Window(time.monotonic())
                if not live:
                    return
                one, result = self._turn(live)
                if result is None:
                    self._measure(live)
                    continue
                live.remove(one)
                if self._end(one, result):
                    again = [one.job, *again, *self._given_up(live)]
                elif self._crowded(one.job, result, live):
                    again.append(one.job)
                else:
                    ask = True
                    yield one.job, result
        with Workers(self.trainer, workers=1, timeout_s=self.timeout_s) as alone:
            yield from alone.run(itertools.chain(again, source))
        raise RunError(
            f"the card does not answer this process any more: {self._gone}",
            hint="finished trainings are kept: run the same command again",
        )

    def _turn(self, live: list[_Network]) -> tuple[_Network, Result | None]:
        """A step of each network, until one has ended; that one, or the last."""
        waits = True
        for one in live:
            began, before = time.monotonic(), self._window.steps
            result = self._step(one)
            for other in live:
                other.ends += 0.0 if other is one else time.monotonic() - began
            if result is not None:
                return one, result
            waits = waits and self._window.steps == before
        if waits:
            time.sleep(IDLE_S)
        return one, None

    def _end(self, one: _Network, result: Result) -> str:
        """A network has ended: what was its own is free. Why the card is gone, if it is."""
        self._window = _Window(time.monotonic())
        if one.stream is not None:
            self._streams.append(one.stream)
        if "CUDA error" in result.error:
            self._gone = gone(self.device)
        return self._gone

    def _given_up(self, live: list[_Network]) -> list[Job]:
        """The jobs of networks whose card is gone, in the middle of what they do."""
        jobs = [one.job for one in live]
        for one in live:
            with contextlib.suppress(Exception):  # whatever they end with asks the card
                one.steps.close()
        live.clear()
        return jobs

    def _begin(self, job: Job) -> _Network:
        stream = None
        if self.device.type == "cuda":
            stream = self._streams.pop() if self._streams else torch.cuda.Stream(self.device)
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
                self._window.steps += next(one.steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        except TrialTimeout:
            limit = self.timeout_s or 0.0
            return Result(seed=one.job.seed, error=f"took longer than {limit:g} s", seconds=limit)
        except RunError:
            raise
        except RuntimeError as error:  # of the card, between two steps
            return Result(seed=one.job.seed, error=reason(error))
        finally:
            deadline.reset(token)
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
        if self._grows and self._has_room(len(live)):
            self.room += 1
        self._rate, self._window = rate, _Window(now)

    def _has_room(self, live: int) -> bool:
        """Whether there is memory for one network more than these; who says k has to know."""
        if self._said or self.device.type != "cuda" or not live:
            return True
        for empty in (False, True):
            if empty:  # of networks that have ended
                torch.cuda.empty_cache()
            free, whole = torch.cuda.mem_get_info(self.device)
            if free >= SPARE * (whole - free) / live:
                return True
        return False

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
    steps: Generator[bool, None, Result]
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
            torch.cuda.init()
            self._of_card: Any = torch.cuda.default_generators[index_of(device)]
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
            self._card = self._of_card.graphsafe_get_state()  # it may have another one by now
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
