"""A function of buffers that stay where they are, recorded once as a CUDA graph and replayed.

Small networks are bound by launches: a step is thousands of kernels of a few microseconds, each
started from Python. A graph starts them all with one call.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

WARM = 3  # calls before one is recorded: libraries choose their kernels and make their buffers

_log = logging.getLogger("foretell")
_said: set[str] = set()


class Replay:
    """Calls `run`, and from its fourth call on replays what the fourth one did.

    What `run` reads and writes must stay at its place: it takes no arguments and gives nothing.
    It is called as it is wherever a recording would not be true: on a CPU, where `on` is False,
    where it cannot be recorded (it waits for the card, an operation does not allow it), or where
    it draws random numbers beside the card's, which a recording would draw once for all.

    Args:
        run: what is to be done.
        device: where it runs.
        on: whether it may be recorded.
        name: of what runs, in the note that it cannot be recorded.
        pool: memory that recordings of one network share, of `pool_of`.

    Attributes:
        recorded: whether calls replay a recording.
        note: why it cannot be recorded, in words; empty if it can, or was not tried.
    """

    def __init__(
        self,
        run: Callable[[], None],
        device: torch.device,
        on: bool = True,
        name: str = "a step",
        pool: Any = None,
    ) -> None:
        self.run, self.device, self.name, self.pool = run, device, name, pool
        self.recorded = False
        self.note = ""
        self._left = WARM if on and can_record(device) else -1  # calls before the recording
        self._replay: Callable[[], None] = run

    def __call__(self) -> None:
        """Do it."""
        if self._left == 0 and not self.recorded:
            self._record()
        self._left -= self._left > 0
        self._replay()

    def _record(self) -> None:
        before = _elsewhere()
        try:
            self._replay = self._recorded()
        except Exception as error:  # whatever a network does that a graph cannot
            self._fall_back(" ".join(f"{type(error).__name__}: {error}".split())[:160])
            return
        if _elsewhere() != before:
            self._fall_back("it draws random numbers that are not the card's")
            return
        self.recorded = True

    def _recorded(self) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=torch.cuda.current_stream(self.device)):
            self.run()
        return graph.replay

    def _fall_back(self, why: str) -> None:
        self._left, self._replay, self.note = -1, self.run, f"{self.name} is not recorded: {why}"
        if self.note not in _said:
            _said.add(self.note)
            _log.warning("%s; it runs operation by operation", self.note)


def pool_of(device: torch.device) -> Any:
    """Memory for recordings that run one after the other and hand on nothing inside of it."""
    return torch.cuda.graph_pool_handle() if can_record(device) else None


@contextlib.contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """A stream of the card that can be recorded: the default one cannot. On a CPU nothing."""
    if device.type != "cuda":
        yield
        return
    outer = torch.cuda.current_stream(device)
    if outer != torch.cuda.default_stream(device):
        yield
        return
    inner = torch.cuda.Stream(device)
    inner.wait_stream(outer)
    with torch.cuda.stream(inner):
        yield
    outer.wait_stream(inner)


def can_record(device: torch.device) -> bool:
    """Whether a device has graphs."""
    return device.type == "cuda"


def _elsewhere() -> tuple[bytes, ...]:
    """State of the generators that a network may draw from, beside the card's."""
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002  # it is looked at, not drawn from
    return (
        torch.default_generator.get_state().numpy().tobytes(),
        repr(random.getstate()).encode(),
        repr(sorted(numpy["state"].items(), key=str)).encode(),
    )
