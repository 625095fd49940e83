"""When a search has to stop, however much its strategy would like to go on."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from foretell._console import duration
from foretell.errors import SettingError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """What a search may use up over all calls of its command; None is without end.

    Nothing new begins once one of them is used up; what is in work is finished. The baseline of
    random search and the retrainings of the verdict are not part of the search.

    Args:
        trials: networks.
        epochs: epochs of training, of all networks together.
        train_s: seconds of training, of all networks together.
        wall_s: seconds of wall clock, of asking and training; a call that was killed counts as
            nothing.

    >>> Budget.of("trials=50,wall=30m")
    Budget(trials=50, epochs=None, train_s=None, wall_s=1800.0)
    """

    trials: int | None = None
    epochs: int | None = None
    train_s: float | None = None
    wall_s: float | None = None

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, np.generic):
                value = value.item()
                object.__setattr__(self, name, value)
            whole = name in ("trials", "epochs")
            kind = int if whole else (int, float)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < math.inf
            ):
                raise SettingError(
                    f"budget, {name}",
                    expected="a whole number from 1" if whole else "seconds above 0",
                    got=repr(value),
                )

    @classmethod
    def of(cls, setting: Self | str | Mapping[str, Any] | None) -> Self:
        """From what a user says: "trials=50,epochs=300,train=2h,wall=30m", or numbers by name.

        Raises: SettingError naming the part that is wrong.
        """
        if setting is None:
            return cls()
        if isinstance(setting, cls):
            return setting
        given: dict[str, Any] = {}
        if isinstance(setting, str):
            for part in filter(None, (part.strip() for part in setting.split(","))):
                name, _, text = part.partition("=")
                given[name.strip()] = _number(part, text.strip())
        elif isinstance(setting, Mapping):
            given = dict(setting)
        else:
            raise SettingError("budget", expected="trials, epochs, train_s, wall_s", got=setting)
        known = [entry.name for entry in dataclasses.fields(cls)]
        out: dict[str, Any] = {}
        for name, value in given.items():
            full = f"{name}_s" if name in ("train", "wall") else name
            if full not in known:
                near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
                raise SettingError(
                    f"unknown budget {name!r}",
                    expected="trials, epochs, train or wall",
                    hint=f"did you mean {near[0].removesuffix('_s')!r}?" if near else None,
                )
            whole = full in ("trials", "epochs") and isinstance(value, float)
            out[full] = int(value) if whole and value == int(value) else value
        return cls(**out)

    def used_up(self, *, epochs: int, train_s: float, wall_s: float) -> str:
        """Which budget is used up, in words; empty while none is. A loop counts the networks."""
        if self.epochs is not None and epochs >= self.epochs:
            return f"the budget of {self.epochs:,} epochs is used up"
        if self.train_s is not None and train_s >= self.train_s:
            return f"the budget of {duration(self.train_s)} of training is used up"
        if self.wall_s is not None and wall_s >= self.wall_s:
            return f"the budget of {duration(self.wall_s)} of wall clock is used up"
        return ""


def _number(part: str, text: str) -> float:
    """A number, or a time of one or more units, largest first: "1h30m"."""
    pieces = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    units = [_UNITS.get(unit, 0.0) for _, unit in pieces]
    falling = all(a > b for a, b in itertools.pairwise(units))
    whole = re.fullmatch(r"(\d+(\.\d+)?\s*[a-z]*\s*)+", text) is not None
    if not (whole and falling and all(units)) or (len(pieces) > 1 and not pieces[-1][1]):
        raise SettingError(
            "budget", expected="like trials=50,epochs=300,train=2h,wall=30m", got=repr(part)
        )
    return sum(float(number) * unit for (number, _), unit in zip(pieces, units, strict=True))


def seconds(text: str, name: str) -> float:
    """Seconds of a time that a user has written, such as "1h30m", "10s" or "90".

    Raises: SettingError naming the option.

    >>> seconds("1h30m", "--init-time"), seconds("10s", "--query-time")
    (5400.0, 10.0)
    """
    try:
        return _number(text, text.strip())
    except SettingError as error:
        raise SettingError(name, expected="a time such as 10s or 1h30m", got=repr(text)) from error


class Spent:
    """What a search has used up, over all calls of its command.

    Args:
        before: seconds that earlier calls took.
        phases: parts of a call that are the search.
    """

    def __init__(self, before: float, phases: Collection[str]) -> None:
        self.before, self.phases = before, phases
        self.clock: dict[str, float] = defaultdict(float)  # seconds of each part of this call
        self._networks: dict[int, tuple[int, float]] = {}  # epochs and seconds of each
        self._epochs, self._train_s = 0, 0.0  # the sums of them
        self._since: float | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the seconds of a part of the call."""
        self._since = started = time.monotonic()
        try:
            yield
        finally:
            self.clock[name] += time.monotonic() - started
            self._since = None

    def move(self, one: str, other: str, seconds: float) -> None:
        """So much of the running part `one` belongs to `other`."""
        self.clock[one] -= seconds
        self.clock[other] += seconds

    @property
    def wall_s(self) -> float:
        """Seconds of the search, over all calls."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self.before + sum(self.clock.get(name, 0.0) for name in self.phases) + running

    def begins(self, one: int, epochs: int) -> None:
        """A network is about to be trained to so many epochs."""
        self.took(one, epochs, self._networks.get(one, (0, 0.0))[1])

    def took(self, one: int, epochs: int, seconds: float) -> None:
        """A network has been trained so far, in all."""
        before = self._networks.get(one, (0, 0.0))
        self._networks[one] = (epochs, seconds)
        self._epochs += epochs - before[0]
        self._train_s += seconds - before[1]

    def over(self, limits: Budget) -> str:
        """Which limit is used up, in words; empty while none is."""
        return limits.used_up(epochs=self._epochs, train_s=self._train_s, wall_s=self.wall_s)
