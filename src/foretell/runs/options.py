"""What an option of a run is made of: its words, its flags, its checks, its place in run.json."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell.errors import SettingError


@dataclass(frozen=True)
class Flag:
    """One option of the command line.

    Args:
        name: as it is typed, "--train".
        help: one line; None for the option's own.
        kind: what its text is read as: str, int, float, bool, Path, list[str], or dict for
            NAME=VALUE, several times.
        default: None for the option's own, where it has one flag.
        low: smallest number; None for the option's own.
    """

    name: str
    help: str | None = None
    kind: Any = str
    default: Any = None
    low: int | None = None

    def read(self, value: Any) -> Any:
        """What was typed, in the type that is meant."""
        return assignments(value, self.name) if self.kind is dict else value

    @property
    def word(self) -> str:
        """Its name as one of Python: "train"."""
        return self.name.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Option:
    """What is known of a field of `Settings`.

    Args:
        doc: of the argument.
        flags: of the command line; none for what only Python has.
        join: the value from those of the flags, which are as they were read by default.
        means: the value that counts, from the forms that a user may give it in.
        saved: type in run.json; None for what is not there as an option.
        free: whether it may differ when a run goes on, because it is about where, for how long or
            under which name it runs and not about what it computes, or because something else in
            run.json says what it comes to.
        low: smallest whole number.
        among: the texts that it may be.
        new: what None means in a new run; in a folder that holds one, None is what that has.
    """

    doc: str
    flags: tuple[Flag, ...] = ()
    join: Callable[..., Any] = lambda value: value
    means: Callable[[Any], Any] = lambda value: value
    saved: Any = None
    free: bool = False
    low: int | None = None
    among: tuple[str, ...] = ()
    new: Any = None

    def check(self, name: str, value: Any) -> None:
        """Raises: SettingError for a value that is too small or unknown."""
        low = self.low
        if value is None and self.saved == int | None:  # none is given: the default says what then
            return
        if low is not None and (
            isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low
        ):
            raise SettingError(name, expected=f"a whole number from {low}", got=repr(value))
        if self.among and value not in self.among:
            known = " or ".join(map(repr, self.among))
            raise SettingError(name, expected=known, got=repr(value))


def option(default: Any, doc: str, *flags: Flag, **more: Any) -> Any:
    """A field of `Settings`; further arguments are those of `Option`."""
    known = Option(" ".join(doc.split()), flags, **more)
    return dataclasses.field(default=default, metadata={"option": known})


def words(text: str) -> tuple[str, ...]:
    """The words of a list with commas.

    >>> words("params, flops,")
    ('params', 'flops')
    """
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def whole(word: str, flag: str) -> int:
    """A whole number from 1."""
    if not word.isdecimal() or int(word) < 1:
        raise SettingError(flag, expected="whole numbers from 1, separated by commas", got=word)
    return int(word)


def assignments(pairs: Sequence[str] | None, flag: str) -> dict[str, Any]:
    """`["lr=0.1", "augment=none"]` as a dict; values are read as numbers where they are.

    >>> assignments(["lr=0.1", "augment=none", "amp=false"], "--set")
    {'lr': 0.1, 'augment': 'none', 'amp': False}
    """
    out: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise SettingError(flag, expected="NAME=VALUE", got=repr(pair))
        out[key.strip()] = _value(text.strip())
    return out


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return {"true": True, "false": False}.get(text.lower(), text)
