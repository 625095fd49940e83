"""JSON as typed records, and back: one way to read what a file says, damaged files included."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from foretell.errors import ForetellError, RunError

R = TypeVar("R")
_SCALARS = frozenset({str, bool, int, float, NoneType})
REST: Mapping[str, Any] = {"rest": True}  # metadata of the field that takes what no other has
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class Reader:
    """Reads records off JSON values, and says of each value that does not fit where it is.

    Args:
        source: the file, for messages.
        notes: None to raise at the first wrong value; a list takes a line for each of them, and
            the field of the record is left at its default.

    >>> @dataclasses.dataclass
    ... class Point:
    ...     x: int = 0
    ...     name: str = ""
    >>> Reader("a.json").record(Point, {"x": 3, "name": "A"})
    Point(x=3, name='A')
    >>> Reader("a.json").record(Point, {"x": "3"})
    Traceback (most recent call last):
    ...
    foretell.errors.RunError: a.json is damaged at x: expected a whole number, got "3". Next: ...
    >>> Reader("a.json", notes := []).record(Point, {"x": "3", "name": "A"})
    Point(x=0, name='A')
    >>> notes
    ['a.json is damaged at x: expected a whole number, got "3"']
    """

    def __init__(self, source: str | Path, notes: list[str] | None = None) -> None:
        self.source = source
        self.notes = notes

    def record(self, kind: type[R], raw: Mapping[str, Any], path: str = "") -> R:
        """A dataclass of type `kind` from an object; what the object lacks keeps its default."""
        of: Any = kind  # which mypy takes neither for hashable nor for a dataclass
        hints: dict[str, Any] = _hints(of)
        found: dict[str, Any] = {}
        for one in _known(of):
            if one.metadata.get("rest"):
                taken = {other.name for other in _known(of)}
                found[one.name] = {k: v for k, v in raw.items() if k not in taken}
            elif one.name in raw:
                self.into(found, one.name, hints[one.name], raw[one.name], path)
            if one.name not in found and one.default is one.default_factory is dataclasses.MISSING:
                if one.name not in raw:
                    self._wrong(_WrongError(path + one.name, "something", None))
                found[one.name] = _blank(hints[one.name])
        try:
            return kind(**found)
        except ForetellError as error:  # values that do not go together
            self.damaged(path.rstrip("."), str(error))
            return kind()

    def into(self, found: dict[str, Any], name: str, kind: Any, value: Any, path: str = "") -> None:
        """Put a value of type `kind` under its name, unless it is another type."""
        try:
            found[name] = self._value(kind, value, path + name)
        except _WrongError as wrong:
            self._wrong(wrong)

    def damaged(self, path: str, why: str) -> None:
        """What is at `path` is of the right type and not valid all the same."""
        self._wrong(_WrongError(path, why))

    def _value(self, kind: Any, value: Any, path: str) -> Any:
        if kind is Any:
            return value
        if kind in _WORDS or kind is NoneType:
            return _plain_value(kind, value, path)
        outer, inner = _parts(kind)
        if outer in (Union, UnionType):
            return self._one_of(inner, value, path)
        if outer is Literal:
            if not isinstance(value, str) or value not in inner:
                raise _WrongError(path, " or ".join(map(str, inner)), value)
            return value
        if outer is tuple:
            if not isinstance(value, list):
                raise _WrongError(path, "a list", value)
            return tuple(self._value(inner[0], v, f"{path}[{i}]") for i, v in enumerate(value))
        if not isinstance(value, dict):
            raise _WrongError(path, "an object", value)
        if outer is dict:
            return {k: self._value(inner[1], v, f"{path}.{k}") for k, v in value.items()}
        return self.record(kind, value, f"{path}.")

    def _one_of(self, kinds: tuple[Any, ...], value: Any, path: str) -> Any:
        if value is None and NoneType in kinds:
            return None
        *_, last = (kind for kind in kinds if kind is not NoneType)
        for kind in kinds:
            if kind is not last and kind is not NoneType:
                try:
                    return self._value(kind, value, path)
                except _WrongError:
                    continue
        return self._value(last, value, path)

    def _wrong(self, wrong: _WrongError) -> None:
        if self.notes is None:
            raise wrong.error(self.source) from None
        self.notes.append(wrong.error(self.source, hint=None).text)


class _WrongError(Exception):
    """A value of another type than was expected."""

    def __init__(self, path: str, expected: str, got: Any = ...) -> None:
        super().__init__(path)
        self.path, self.expected, self.got = path, expected, got

    def error(self, source: str | Path, hint: str | None = "") -> RunError:
        """In one line."""
        return RunError(
            f"{source} is damaged" + (f" at {self.path}" if self.path else ""),
            expected=self.expected,
            got=None if self.got is ... else short(self.got),
            hint="restore the file from a copy, or choose another folder with --out"
            if hint == ""
            else hint,
        )


@cache
def _known(of: Any) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(one for one in dataclasses.fields(of) if one.init)


@cache
def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(kind), get_args(kind)


def _blank(kind: Any) -> Any:
    """What stands for a value that is not there and has no default."""
    outer, inner = get_origin(kind) or kind, get_args(kind)
    if outer in (Union, UnionType):
        return None if NoneType in inner else _blank(inner[0])
    return {str: "", int: -1, float: math.nan, bool: False, tuple: (), dict: {}}.get(outer)


def load(text: str) -> Any:
    """What a JSON text says.

    Raises: ValueError where it is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def plain(value: Any) -> Any:
    """A value as JSON has it: records and mappings as objects, numbers of numpy as numbers; what
    JSON does not have as its `repr`.

    >>> plain({"n": (1, None), "where": Path("a")})
    {'n': [1, None], 'where': 'a'}
    """
    if type(value) in _SCALARS:  # what nearly all of a record is
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dict(_fields(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return str(value) if isinstance(value, Path) else repr(value)


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    of: Any = type(record)
    for one in _known(of):
        if one.metadata.get("rest"):
            yield from plain(getattr(record, one.name)).items()
        else:
            yield one.name, plain(getattr(record, one.name))


def short(value: Any) -> str:
    """A JSON value in a message."""
    text = "nothing" if value is None else json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _plain_value(kind: Any, value: Any, path: str) -> Any:
    """A value that must be of a plain type; whole numbers are numbers too, booleans are not."""
    if kind in (int, float) and isinstance(value, int) and not isinstance(value, bool):
        try:
            return value if kind is int and math.isfinite(value) else float(value)
        except OverflowError:  # a whole number that no float is near to
            raise _WrongError(path, _WORDS[kind], value) from None
    sound = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not sound or (kind is float and not math.isfinite(value)):
        raise _WrongError(path, _WORDS.get(kind, "nothing"), value)
    return value
