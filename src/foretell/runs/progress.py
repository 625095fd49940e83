"""What a run or a study tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from foretell._console import duration


@dataclass(frozen=True)
class Progress:
    """The state of a run or a study after one step; `str` gives it as one line.

    Args:
        text: what has just happened, in words.
        done: trials (of a study: cells) that have ended, failed ones too.
        failed: those that failed.
        total: those that there will be; 0 for what is said before they are known.
        best: best value so far, None before the first.
        objective: the metric of `best`.
        seconds: since this driver began.
        seconds_left: estimate from finished trials; None before the first.
        final: a line to keep (a phase has ended), not to be overwritten by the next.
        things: what is counted, in words.

    >>> print(Progress("trial 3", 4, 1, 29, 0.912, "val_acc", 20.0, 125.0))
    4/29 networks, 1 failed · best val_acc 0.9120 · 2 min 05 s left · trial 3
    """

    text: str
    done: int
    failed: int
    total: int
    best: float | None = None
    objective: str = ""
    seconds: float = 0.0
    seconds_left: float | None = None
    final: bool = False
    things: str = "networks"

    def __str__(self) -> str:
        if not self.total:
            return self.text
        parts = [f"{self.done}/{self.total} {self.things}"]
        if self.failed:
            parts[0] += f", {self.failed} failed"
        if self.best is not None:
            parts.append(f"best {self.objective} {self.best:.4f}")
        if self.seconds_left is not None and self.done < self.total:
            parts.append(f"{duration(self.seconds_left)} left")
        return " · ".join([*parts, self.text] if self.text else parts)
