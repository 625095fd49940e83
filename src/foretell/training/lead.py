"""How far a training runs ahead of its card, and how long the card is at work on it.

A graph is started long before it runs. Without a bound one network is an epoch ahead: its time is
over before it has had any, others wait until there is room to start theirs, and steps that were
started say nothing of the steps that the card does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

import torch

from foretell.training.replay import index_of
from foretell.training.usage import Covered

AHEAD = 16  # pieces of work that are started and not done, at most
FRESH_S = 30.0  # seconds after which moments are counted from a later one: they are float32


class Lead:
    """Gives pieces of work to a device: what runs inside of `with` is one.

    Args:
        device: where it runs; on a CPU a piece is done when it has been given.

    Attributes:
        busy_s: seconds in which the device was at work on them, see `usage.Usage`.
    """

    def __init__(self, device: torch.device) -> None:
        self.busy_s = 0.0
        self._card = _card(device) if device.type == "cuda" else None
        self._out: deque[tuple[Any, Any]] = deque()  # where each began and ends
        self._began: Any = None

    def __enter__(self) -> Self:
        self._began = time.process_time() if self._card is None else self._card.mark()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            return
        if self._card is None:
            self.busy_s += time.process_time() - self._began
        else:
            self._out.append((self._began, self._card.mark()))

    def turns(self, ahead: int = AHEAD) -> Iterator[bool]:
        """Lets others go on: False while more than `ahead` pieces are not done, then once True."""
        while self._card is not None and self._out:
            start, end = self._out[0]
            if end.query():
                self._out.popleft()
                self.busy_s += self._card.took(start, end)
            elif len(self._out) > ahead:
                yield False
            else:
                break
        yield True


class _Card:
    """One clock for all streams of a card, and when it was at work."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.covered = device, Covered()
        self._zero, self._zero_s = self.mark(), 0.0
        self._zero.synchronize()

    def mark(self) -> Any:
        """A moment on the stream that is in use."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def took(self, start: Any, end: Any) -> float:
        """Seconds between two moments that are over, but for those that were counted before."""
        since, until = (self._zero.elapsed_time(one) / 1e3 for one in (start, end))
        new = self.covered.add(self._zero_s + since, self._zero_s + until)
        if until > FRESH_S:
            self._zero, self._zero_s = end, self._zero_s + until
        return new


_cards: dict[int, _Card] = {}


def _card(device: torch.device) -> _Card:
    index = index_of(device)
    if index not in _cards:
        _cards[index] = _Card(device)
    return _cards[index]
