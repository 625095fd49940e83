"""Local processes, each with one job and, where there are any, one device."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, wait
from typing import Any, ClassVar, ParamSpec, TypeVar

from foretell.evaluators.executors.base import Backend, Lost
from foretell.evaluators.parts import places
from foretell.evaluators.parts.guard import Guard

P = ParamSpec("P")
T = TypeVar("T")
START_S = 60.0  # in which a process has begun with its first call
GRACE_S = 2.0  # for an alarm to be heard


class Local(Backend):
    """Processes of this machine; one that is killed takes no other trial with it.

    Args:
        workers: how many, from 1.
        device: what trains there, in torch's words.
        threads: CPU threads of one trial.
        devices: that they share out, as CUDA_VISIBLE_DEVICES names them.
    """

    ends_late: ClassVar[bool] = True
    sees_disk: ClassVar[bool] = True

    def __init__(self, workers: int, device: str, threads: int, devices: Sequence[str]) -> None:
        self._all = places.places(workers, device, threads, devices)
        self._at: dict[Future[Any], places.Place] = {}
        self._late: set[Future[Any]] = set()  # whose process was ended by us
        self._anew = False  # whether the next call is to have a new process
        self.places = [place.label for place in self._all]
        self.warnings = places.idle(workers, devices)

    @property
    def room(self) -> float:
        """One call a process."""
        return len(self._all)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in a process that is free."""
        free = [place for place in self._all if not place.busy]
        place = free[0]
        if self._anew:
            place = next((one for one in free if not one.begun), place)
            place.close(kill=True)
            self._anew = False
        place.busy = True
        future = place.submit(fn, *args, **kwargs)
        self._at[future] = place
        return future

    def lost(
        self, future: Future[T], error: BaseException, guard: Guard, took_s: float, attempts: int
    ) -> Lost | None:
        """A process that has died: of itself, or by the alarm."""
        if not isinstance(error, BrokenExecutor):
            return None
        self._at[future].close(kill=True)
        codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
        alarm = guard.timeout_s is not None and codes and "SIGALRM" in codes[1]
        if guard.timeout_s is not None and (alarm or future in self._late):
            return Lost(f"took longer than {guard.timeout_s:g} s, and did not stop", alone=False)
        if "un-serialize" in str(error):
            said = str(error.__cause__ or error).strip(' \n"').splitlines()[-1]
            return Lost(
                f"its worker process cannot read the task: {said}; write what the space needs into "
                "a module that every process can import, or into the script itself",
                alone=True,
            )
        why = f" ({codes[1]}): out of memory, or a crash in compiled code" if codes else ""
        return Lost(f"its worker process died {attempts} times{why}", alone=True)

    def latest_s(self, future: Future[T], guard: Guard) -> float | None:
        """When the alarm should have ended its process."""
        if guard.kill_s is None:
            return None
        return guard.kill_s + (GRACE_S if self._at[future].warm else START_S)

    def renew(self) -> None:
        """In a new process: one that is free may have been killed as well, and not be gone yet."""
        self._anew = True

    def overdue(self, future: Future[T]) -> None:
        """End its process from here: one that is stopped does not hear its alarm."""
        self._late.add(future)
        self._at[future].kill()
        wait([future], places.PATIENCE_S)

    def ended(self, future: Future[T]) -> None:
        """The process is free, or cannot be ended and is left alone."""
        place = self._at.pop(future)
        self._late.discard(future)
        place.busy, place.warm = False, future.done()
        if not future.done():
            place.close(kill=True)

    def drop(self, future: Future[T]) -> None:
        """End the process in the middle of it."""
        future.cancel()
        self._at.pop(future).close(kill=True)

    def close(self, wait: bool) -> None:
        """End all processes."""
        for place in self._all:
            place.close(kill=not wait)
