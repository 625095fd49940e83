"""What the folder of a run has settled: what is not said anew stays as it is there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from foretell.errors import ForetellError
from foretell.runs.folder import GROWS, settings_of
from foretell.runs.record import FREE, RunRecord
from foretell.search.strategy import Strategy
from foretell.typed import plain, short

_WRITTEN = re.compile(r"[^(<]*").fullmatch  # a text that is no `repr` of an object


class Former:
    """The run that a folder holds, and that goes on.

    A default that has changed since must keep no run from going on. So a setting that has one, and
    that a user does not say, is as the folder has it; what is said must agree with it.

    Args:
        record: run.json in the words of this format; empty for a new run.

    >>> former = Former({"recipe": {"epochs": 3, "lr": 0.5}})
    >>> former.part("recipe", {"epochs": 10, "lr": 0.1}, said={"lr"})
    {'epochs': 3, 'lr': 0.1}
    >>> former.line
    'as in run.json, where nothing else is said: recipe.epochs 3 (of a new run: 10)'
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self._taken: dict[str, tuple[Any, Any]] = {}  # by name: what is there, and the default

    @classmethod
    def of(cls, folder: Path) -> Self:
        """That of a folder; of an empty one, or a study's, which is refused later, a new run.

        Raises: RunError where run.json is damaged.
        """
        path = folder / "run.json"
        record = settings_of(folder) if path.is_file() else {}
        if not record or "study" in record:
            return cls({})
        RunRecord.read(record, path)
        return cls(record)

    def one(self, name: str, now: Any, said: bool = False) -> Any:
        """The value of a setting by its name in run.json, "strategy.name".

        Args:
            name: that.
            now: what a user says, or the default.
            said: which of them.
        """
        then: Any = self.record
        for word in name.split("."):
            then = then.get(word, plain(now)) if isinstance(then, dict) else plain(now)
        if said or then == plain(now) or any(fnmatchcase(name, free) for free in FREE):
            return now
        self._taken[name] = then, now
        return _tuples(then)

    def part(self, name: str, now: Mapping[str, Any], said: Collection[str]) -> dict[str, Any]:
        """The settings of a part, "recipe"; `said` are the names of those that a user says."""
        return {key: self.one(f"{name}.{key}", now[key], key in said) for key in now}

    def over(self, strategy: Strategy, now: Mapping[str, Any], said: Collection[str]) -> Strategy:
        """A strategy with the settings that the folder has of it, where they can be made again.

        Args:
            strategy: with today's.
            now: these as run.json has them.
            said: names of those that a user says.
        """
        found = self.part("strategy", now, said)
        others = {key: value for key, value in found.items() if value is not now[key]}
        if any(isinstance(one, str) and not _WRITTEN(one) for one in others.values()):
            return strategy
        own: Any = strategy  # a dataclass, of which its base knows nothing
        try:
            made: Strategy = replace(own, **others)
        except (ForetellError, TypeError, ValueError):  # which is refused, with both values
            return strategy
        return made

    def named(self, strategy: str) -> bool:
        """Whether its strategy has this name."""
        return bool(self.record) and self.record.get("strategy", {}).get("name") == strategy

    def agrees(self, part: str, now: Mapping[str, Any]) -> bool:
        """Whether the settings of a part that it has are these."""
        then = self.record.get(part, {})
        return all(then.get(key, value) == value for key, value in now.items())

    def has(self, *numbers: int) -> bool:
        """Whether it is a run of so many networks."""
        return tuple(map(self.record.get, GROWS)) == numbers

    @property
    def line(self) -> str:
        """What was taken of it that a new run would have otherwise; "" for nothing."""
        taken = ", ".join(
            f"{name} {_word(then)} (of a new run: {_word(now)})"
            for name, (then, now) in self._taken.items()
        )
        return f"as in run.json, where nothing else is said: {taken}" if taken else ""


def _word(value: Any) -> str:
    return value if isinstance(value, str) else short(plain(value))


def _tuples(value: Any) -> Any:
    """Lists of JSON as tuples, which frozen settings have."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
