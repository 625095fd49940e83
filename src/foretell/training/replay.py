"""A function of buffers that stay where they are, recorded once as a CUDA graph and replayed.

Small networks are bound by launches: a step is thousands of kernels of a few microseconds, each
started from Python. A graph starts them all with one call.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

WARM = 2  # calls before one is recorded: libraries choose their kernels and make their buffers
TIGHT = 1 / 2  # of a card's memory: with less of it free, what nobody uses is given back

_log = logging.getLogger("foretell")
_broken: list[Any] = []  # recordings that broke off: torch goes on to read them
_said: set[str] = set()


class Replay:
    """Calls `run`, and from its third call on replays what the third one did.

    What `run` reads and writes must stay at its place: it takes no arguments and gives nothing.
    It is called as it is wherever a recording would not be true: on a CPU, where `on` is False,
    where it cannot be recorded (it waits for the card, an operation does not allow it), or where
    it draws random numbers beside the card's, which a recording would draw once for all. That it
    waits is found while it runs, before anything is recorded: a recording that was broken off
    keeps memory of the card for good.

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
        self._graph: Any = None
        self._replay: Callable[[], None] = run

    def __call__(self) -> None:
        """Do it."""
        if self._left == 0 and not self.recorded:
            self._record()
        if self._left != 1:
            self._left -= self._left > 0
            self._replay()
            return
        with _waits(self.device) as waited:
            self.run()
        self._left = 0
        if waited:
            self._fall_back("it waits for the card")

    def _record(self) -> None:
        before = _elsewhere()
        try:
            with _no_collector():
                self._replay = self._recorded()
        except Exception as error:  # whatever a network does that a graph cannot
            _broken.append(self._graph)
            _mended(self.device)
            self._fall_back(" ".join(f"{type(error).__name__}: {error}".split())[:160])
            return
        if _elsewhere() != before:
            self._fall_back("it draws random numbers that are not the card's")
            return
        self.recorded = True

    def _recorded(self) -> Callable[[], None]:
        # not by `torch.cuda.graph`, which waits until the card has done all that it was given, of
        # other networks too, and empties its memory
        free, whole = torch.cuda.mem_get_info(self.device)
        if free < TIGHT * whole:
            torch.cuda.empty_cache()
        # kept even if it fails: one that goes takes the workspace of all that its stream recorded
        self._graph = torch.cuda.CUDAGraph()
        self._graph.capture_begin(self.pool, capture_error_mode="thread_local")
        try:
            self.run()
        finally:
            self._graph.capture_end()
        replay: Callable[[], None] = self._graph.replay
        return replay

    def close(self) -> None:
        """Let the recording go, and what `run` holds; there are no calls after it.

        Whoever is called is often who calls, and recordings must not wait for Python's collector:
        they hold memory of the card, and the stream that they were made on is somebody else's next.
        """
        self._graph, self._left = None, -1
        self.run = self._replay = _closed

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


def _closed() -> None:
    raise RuntimeError("the training is over")


@contextlib.contextmanager
def _waits(device: torch.device) -> Iterator[list[str]]:
    """Takes down where what runs inside waits for the card; nothing where there is none."""
    found: list[str] = []
    if device.type != "cuda":
        yield found
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)
    for one in caught:
        if "called a synchronizing CUDA operation" in str(one.message):
            found.append(f"{one.filename}:{one.lineno}")
        elif "prototype feature" not in str(one.message):  # torch's own, of the mode
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """What others have left behind is not freed in the middle of a recording."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _mended(device: torch.device) -> None:
    """Random numbers of the card go on after a recording that was broken off.

    Until the torch that mended it, the state that was being recorded refuses to be drawn from.
    """
    if device.type == "cuda":
        card = torch.cuda.default_generators[index_of(device)]
        card.graphsafe_set_state(card.clone_state())


def index_of(device: torch.device) -> int:
    """The number of a card."""
    return torch.cuda.current_device() if device.index is None else device.index


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
