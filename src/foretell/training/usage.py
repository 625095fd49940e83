"""Where the time of a training goes, in seconds, and how much went through it."""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass, field

# from the build of the network to the first step; batches from disk and how they are moved; steps;
# statistics, looks and metrics; states and weights
PARTS = ("setup", "data", "train", "validate", "save")


@dataclass(frozen=True)
class Usage:
    """What one attempt at a training used; trainings that gave the same are equal without it.

    Args:
        device: "cpu" or "cuda".
        rows: training rows that its steps have seen, those that came twice twice.
        busy_s: CPU seconds of steps and looks; of a card, the seconds in which it was at work on
            them and on nothing that came before, so that those of several networks add up.
        parts: wall seconds by part, see `PARTS`; on a shared card those of the others are in them.
    """

    device: str = ""
    rows: int = field(default=0, compare=False)
    busy_s: float = field(default=0.0, compare=False)
    parts: dict[str, float] = field(default_factory=dict, compare=False)


class Parts:
    """Counts the wall seconds of parts that follow one another, from "setup" on.

    >>> parts = Parts()
    >>> parts.to("train"), parts.to("train"), sorted(parts.seconds())
    (None, None, ['setup', 'train'])
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._name, self._since = "setup", time.perf_counter()

    def to(self, name: str) -> None:
        """What follows is another part."""
        now = time.perf_counter()
        self._seconds[self._name] = self._seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now

    def seconds(self) -> dict[str, float]:
        """So far."""
        self.to(self._name)
        return dict(self._seconds)


class Covered:
    """How much of a line is covered by spans that come in almost any order.

    >>> line = Covered()
    >>> line.add(0.0, 2.0), line.add(1.0, 3.0), line.add(5.0, 6.0), line.add(2.5, 7.0)
    (2.0, 1.0, 1.0, 3.0)
    >>> line.spans
    [(0.0, 7.0)]
    """

    _MOST = 10_000  # spans that are remembered; what is older is long over

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []

    def add(self, start: float, end: float) -> float:
        """Cover a span; how much of it was not."""
        first = bisect.bisect_left(self.spans, start, key=lambda span: span[1])
        last = bisect.bisect_right(self.spans, end, key=lambda span: span[0])
        met = self.spans[first:last]
        low, high = min([start, *(a for a, _ in met)]), max([end, *(b for _, b in met)])
        self.spans[first:last] = [(low, high)]
        del self.spans[: -self._MOST]
        return (high - low) - sum(b - a for a, b in met)
