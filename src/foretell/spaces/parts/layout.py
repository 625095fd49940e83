"""Decisions of a space, and how repeated and conditional ones become columns of `X`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SpaceError


@dataclass(frozen=True)
class Choice:
    """One decision: its name, its options, how often it is taken, and when it applies.

    Args:
        options: the values that the decision can take; they print as different, short words.
        name: of the decision; a space class takes it from its attribute.
        repeat: a count, or the name of another choice whose options are counts: then the i-th
            repetition applies only in rows where that count is larger than i.
        when: `{name: options}` of one other choice: the decision applies only in rows where that
            choice has one of these options. Of two choices with the same `repeat`, the i-th
            repetition looks at the i-th repetition.
        mix: whether a supernet holds all its options at once.
    """

    options: tuple[Any, ...]
    name: str = ""
    repeat: int | str = 1
    when: Mapping[str, Sequence[Any]] | None = None
    mix: bool = False

    def __post_init__(self) -> None:
        labels = [str(option) for option in self.options]
        what = f"choice {self.name!r}" if self.name else "choice"
        if not labels or len(set(labels)) < len(labels):
            raise SpaceError(what, expected="one or more different options", got=labels)
        bad = [
            text
            for text in labels
            if set(text) & set(",=\n")
            or text != text.strip()
            or re.search("0x[0-9a-fA-F]{5}", text)
        ]
        if bad:
            raise SpaceError(
                what,
                expected="options that print as plain words, without ',' or '=' or an address",
                got=bad,
                hint="use short names as options and look their values up in `build`",
            )
        if set(self.name) & set(",=\n") or self.name != self.name.strip():
            raise SpaceError(what, expected="a name without ',' or '=' or outer blanks")
        if not isinstance(self.repeat, str) and (not _is_count(self.repeat) or self.repeat < 1):
            raise SpaceError(
                f"{what} has repeat={self.repeat!r}", expected="a count from 1, or a choice's name"
            )
        if self.when is not None and not (isinstance(self.when, Mapping) and len(self.when) == 1):
            raise SpaceError(
                f"{what} has when={self.when!r}",
                expected="one other choice and its options, like {'op': ['conv', 'pool']}",
            )


def choice(
    options: Sequence[Any],
    repeat: int | str = 1,
    when: Mapping[str, Sequence[Any]] | None = None,
    mix: bool = False,
) -> Any:
    """A named decision of a space class, or of `Space.from_choices`.

    Args:
        options: the values that the decision can take (any printable objects).
        repeat: how many times it is taken, or the name of the choice that says so.
        when: the option of one other choice under which it applies, `{"op": ["conv"]}`.
        mix: whether a supernet holds all its options at once (`Space.supernet`).

    >>> choice([3, 5, 7], when={"op": ["conv"]}).options
    (3, 5, 7)
    """
    return Choice(listed(options), repeat=repeat, when=when, mix=mix)


def listed(options: object, name: str = "") -> tuple[Any, ...]:
    """The options as a tuple, or an error where they are no list."""
    if isinstance(options, (str, bytes, Mapping)) or not isinstance(options, Iterable):
        raise SpaceError(
            f"choice {name!r}" if name else "choice",
            expected="a list of options",
            got=repr(options),
        )
    return tuple(options)


def as_choice(name: str, value: Choice | Sequence[Any]) -> Choice:
    """`value`, a choice or its options, under the name `name`."""
    if isinstance(value, Choice):
        return Choice(value.options, name, value.repeat, value.when, value.mix)
    return Choice(listed(value, name), name)


@dataclass(frozen=True)
class Layout:
    """The columns of `X`: a forest in which a column applies where its parent opens it.

    Args:
        columns: one choice for each column.
        groups: name of a decision -> its columns.
        single: names of decisions that are taken once.
        parent: for each column the column that decides whether it applies, or -1.
        opens: for each column, which options of its parent let it apply.
        order: the columns, parents first.
    """

    columns: tuple[Choice, ...]
    groups: dict[str, slice]
    single: frozenset[str]
    parent: tuple[int, ...]
    opens: tuple[NDArray[np.bool_], ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, declared: Sequence[Choice]) -> Layout:
        """The columns of the declared choices, in their order."""
        by_name = {one.name: one for one in declared}
        columns: list[Choice] = []
        groups: dict[str, slice] = {}
        for one in declared:
            times = _times(one, by_name)
            names = [one.name] if one.repeat == 1 else [f"{one.name}_{i}" for i in range(times)]
            groups[one.name] = slice(len(columns), len(columns) + times)
            columns += [Choice(one.options, name, mix=one.mix) for name in names]
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SpaceError(f"two decisions are called {twice[0]!r}", hint="rename one of them")
        parent, opens = [-1] * len(columns), [np.ones(0, dtype=bool)] * len(columns)
        for one in declared:
            group = groups[one.name]
            for i, j in enumerate(range(group.start, group.stop)):
                parent[j], opens[j] = _condition(one, i, by_name, groups)
        single = frozenset(one.name for one in declared if one.repeat == 1)
        return cls(
            tuple(columns), groups, single, tuple(parent), tuple(opens), _order(parent, names)
        )

    def options(self, name: str) -> tuple[Any, ...]:
        """Options of a decision."""
        return tuple(self.columns[self.groups[name].start].options)

    def chosen(self, rows: NDArray[Any], name: str) -> NDArray[Any]:
        """What rows say of a decision, (n,); of a repeated one (n, times), applied or not."""
        group = self.groups[name]
        columns = rows[:, group.start] if name in self.single else rows[:, group]
        return np.asarray(np.array(self.options(name))[columns])


def _is_count(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 0


def _times(one: Choice, by_name: Mapping[str, Choice]) -> int:
    if not isinstance(one.repeat, str):
        return int(one.repeat)
    driver = by_name.get(one.repeat)
    if driver is None or driver.repeat != 1 or not all(map(_is_count, driver.options)):
        raise SpaceError(
            f"choice {one.name!r} repeats {one.repeat!r}",
            expected="the name of a choice that is taken once and counts",
            got=None if driver is None else driver.options,
        )
    return int(max(driver.options))


def _condition(
    one: Choice, i: int, by_name: Mapping[str, Choice], groups: Mapping[str, slice]
) -> tuple[int, NDArray[np.bool_]]:
    """Parent column of repetition `i` of a choice, and the parent's options that open it."""
    if one.when is not None:
        ((name, wanted),) = one.when.items()
        other = by_name.get(name)
        if other is None or other is one or other.repeat not in (1, one.repeat):
            raise SpaceError(
                f"choice {one.name!r} has when={{{name!r}: ...}}",
                expected="another choice, taken once or with the same repeat",
                got=None if other is None else f"repeat={other.repeat!r}",
            )
        if isinstance(one.repeat, str) and other.repeat == 1:
            raise SpaceError(
                f"choice {one.name!r} depends on {one.repeat!r} by repeat and on {name!r} by when",
                expected="one of them",
                hint="override `active` for conditions of more than one decision",
            )
        labels = [str(option) for option in other.options]
        values = {str(option) for option in listed(wanted, one.name)}
        if not values or not values <= set(labels):
            raise SpaceError(
                f"choice {one.name!r} has when={{{name!r}: ...}}",
                expected=f"some of {labels}",
                got=sorted(values),
            )
        column = groups[name].start + (i if other.repeat != 1 else 0)
        return column, np.array([label in values for label in labels])
    if isinstance(one.repeat, str):
        counts = np.array([int(option) for option in by_name[one.repeat].options])
        return groups[one.repeat].start, counts > i
    return -1, np.ones(0, dtype=bool)


def _order(parent: Sequence[int], names: Sequence[str]) -> tuple[int, ...]:
    order: list[int] = []
    placed = {-1}
    while len(order) < len(parent):
        ready = [j for j, above in enumerate(parent) if above in placed and j not in placed]
        if not ready:
            around = [name for j, name in enumerate(names) if j not in placed]
            raise SpaceError("decisions that wait for each other", got=around)
        order += ready
        placed.update(ready)
    return tuple(order)
