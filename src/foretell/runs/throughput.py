"""How fast networks trained, and where the rest of the time went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from foretell._console import duration
from foretell.runs.events import Session, Trained, Trial
from foretell.training.usage import PARTS

_SAID = {
    "train": "steps",
    "validate": "validation",
    "data": "data",
    "save": "checkpoints",
    "setup": "setting up",
}
_CLOCK = ("train_s", "verdict_s")  # parts of a call of the command in which networks train


@dataclass(frozen=True)
class Throughput:
    """Of all trainings of a run.

    Args:
        device: "cpu" or "cuda".
        rows: training rows that went through steps.
        seconds: of all trainings, added.
        clock_s: on the wall, in calls of the command that came to their end; 0 where none has.
        busy_s: seconds of a core, or of a card, in which steps and looks ran.
        parts: seconds of trainings by part, see `foretell.training.usage`.
    """

    device: str
    rows: int
    seconds: float
    clock_s: float
    busy_s: float
    parts: dict[str, float]

    @property
    def per_s(self) -> float:
        """Training rows a second of all networks, on the clock; 0 where that is not known."""
        return self.rows / self.clock_s if self.clock_s > 0 else 0.0

    @property
    def each_per_s(self) -> float:
        """Training rows a second of one network, from its beginning to its end."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def busy(self) -> float:
        """Cores or cards at work, on average: of one card, the share of the time."""
        return self.busy_s / self.clock_s if self.clock_s > 0 else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Of the time of trainings, by part."""
        whole = sum(self.parts.values())
        return {name: value / whole for name, value in self.parts.items()} if whole > 0 else {}

    def to_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "device": self.device,
            "rows": self.rows,
            "rows_per_s": self.per_s,
            "rows_per_s_of_a_network": self.each_per_s,
            "busy": self.busy,
            "shares": self.shares,
        }

    def words(self, noun: str = "rows") -> list[str]:
        """In a line or two.

        >>> parts = {"setup": 1.0, "train": 7.0, "validate": 2.0}
        >>> Throughput("cuda", 120_000, 10.0, 6.0, 4.5, parts).words("images")
        ['20,000 images a second; the card at work 75 % of 6.0 s', ...]
        """
        lines = []
        if self.clock_s > 0:
            share, cores = f"{100 * self.busy:.0f} %", f"{self.busy:.2f}"
            card = self.device == "cuda"
            work = f"the card at work {share} of" if card else f"{cores} cores at work over"
            lines = [f"{self.per_s:,.0f} {noun} a second; {work} {duration(self.clock_s)}"]
        parts = ", ".join(f"{_SAID[k]} {100 * v:.0f} %" for k, v in self.shares.items())
        if parts:
            lines.append(f"a training: {self.each_per_s:,.0f} {noun} a second; {parts}")
        return lines


def throughput(trained: Iterable[Trained], sessions: Iterable[Session]) -> Throughput | None:
    """What the records of a journal say; None where nothing was really trained, or before that was
    written down.

    Args:
        trained: rungs and trials.
        sessions: calls of the command.
    """
    # one that was stopped has the numbers of its last rung
    told = [e for e in trained if not (isinstance(e, Trial) and e.stopped)]
    used = [event.usage for event in told if event.usage is not None and event.usage.device]
    if not used:
        return None
    sums = {name: sum(one.parts.get(name, 0.0) for one in used) for name in PARTS}
    return Throughput(
        device="cuda" if any(one.device == "cuda" for one in used) else used[0].device,
        rows=sum(one.rows for one in used),
        seconds=sum(sums.values()),
        clock_s=sum(one.phases.get(name, 0.0) for one in sessions for name in _CLOCK),
        busy_s=sum(one.busy_s for one in used),
        parts={name: value for name, value in sums.items() if value > 0},
    )


def noun_of(input_shape: Sequence[int]) -> str:
    """What rows are called.

    >>> noun_of((3, 32, 32)), noun_of((7,))
    ('images', 'rows')
    """
    return "images" if len(input_shape) == 3 else "rows"
