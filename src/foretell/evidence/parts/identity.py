"""Digests of what an answer depends on: equal in every process, different where it may differ."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import sys
import sysconfig
import threading
import types
import weakref
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from foretell.spaces.base import Space

Seen = dict[int, tuple[Any, str]]  # id -> object (so that the id stays its own) and its digest

_PLACES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_INSTALLED = tuple(str(Path(place).resolve()) for place in sorted(_PLACES))
_PLAIN = (type(None), bool, int, float, complex, str, bytes, Path)
_OWN = ("foretell.spaces.base", "foretell.spaces.parts.")  # classes of spaces made of arguments
# what a space works out from its choices
_DERIVED = ("_layout", "_notation", "_grid", "_counted", "_built", "_dtype", "_regular")
# what Python and scikit-learn write into a class
_WRITTEN = re.compile(
    "__(module|doc|dict|weakref|qualname|firstlineno|static_attributes|annotations|annotate|"
    "annotations_cache|annotate_func|conditional_annotations|abstractmethods|parameters|"
    "orig_bases|slotnames)__|_abc_impl|_sklearn.*"
)
# objects of these do something, and are nothing that an answer could depend on
_WORKING = ("_io", "_thread", "concurrent", "io", "logging", "multiprocessing", "threading")
_HAS_DOCSTRING = getattr(inspect, "CO_HAS_DOCSTRING", 0)  # from Python 3.14 on

_SPACES: weakref.WeakKeyDictionary[Space, str] = weakref.WeakKeyDictionary()
_LOCK = threading.RLock()


def digest(value: Any) -> str:
    """128 bits, in hexadecimal, of the content of a value.

    Numbers, strings, containers, arrays and tensors count by what they hold. Functions and classes
    of the user count by what they compute (byte code, constants, what they close over, and what
    else of the user they refer to): comments and the name of the module may change. Those of
    installed packages count by their name, other objects by class and attributes.

    >>> digest({"a": 1, "b": [2.0]}) == digest({"b": [2.0], "a": 1})
    True
    >>> digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    False
    """
    return _digest(value, {})


def space_digest(space: Space) -> str:
    """Which space it is: its name, what a row means, and what networks are built from it.

    Limits do not count: a row within them is the row of the whole space.
    """
    with _LOCK:
        if space not in _SPACES:
            _SPACES[space] = "itself"  # for a `build` that refers to its space
            _SPACES[space] = digest(_of_space(space.whole))
        return _SPACES[space]


def _of_space(space: Space) -> list[Any]:
    kind = type(space)
    kept: Any = None
    if kind.__module__.startswith(_OWN) or not _installed(kind):
        # one's own may be told apart by anything that it was made with
        remembered = {
            name
            for one in kind.__mro__
            for name, value in vars(one).items()
            if isinstance(value, functools.cached_property)
        }
        kept = {k: v for k, v in vars(space).items() if k not in {*_DERIVED, *remembered}}
    columns = [(one.name, [str(option) for option in one.options]) for one in space.choices]
    return [kind, space.name, columns, space.settings, space.input_shape, space.n_outputs, kept]


def _digest(value: Any, seen: Seen) -> str:
    if isinstance(value, _PLAIN):
        return _hash(type(value).__name__, repr(value))
    if isinstance(value, tuple):
        return _hash("tuple", *(_digest(item, seen) for item in value))
    if id(value) not in seen:
        seen[id(value)] = (value, "on the way")  # met again inside of itself
        seen[id(value)] = (value, _content(value, seen))
    return seen[id(value)][1]


def _content(value: Any, seen: Seen) -> str:
    if isinstance(value, np.ndarray) and value.dtype != object:
        held = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        return _hash("array", value.dtype.str, repr(value.shape), held)
    if isinstance(value, Mapping):
        items = sorted(((_of_key(key), one) for key, one in value.items()), key=lambda i: i[0])
        return _hash("mapping", *(key + _digest(one, seen) for key, one in items))
    if isinstance(value, Set):
        return _hash("set", *sorted(map(_of_key, value)))
    if isinstance(value, (list, np.ndarray)):
        return _hash("list", *(_digest(item, seen) for item in value))
    if isinstance(value, Space):
        return _hash("space", space_digest(value))
    if isinstance(value, types.ModuleType):
        return _hash("module", value.__name__)
    if isinstance(value, types.CodeType):
        return _code(value, seen)
    if isinstance(value, types.FunctionType):
        return _function(value, seen)
    if isinstance(value, type):
        return _class(value, seen)
    return _object(value, seen)


def _of_key(key: Any) -> str:
    """Of what has no order: nothing that is told apart by where it was met before."""
    return _digest(key if isinstance(key, (*_PLAIN, tuple, Set)) else repr(type(key)), {})


def _function(function: types.FunctionType, seen: Seen) -> str:
    if _installed(function):
        return _hash("function", function.__module__, function.__qualname__)
    names = sorted(_names(function.__code__) & function.__globals__.keys())
    parts = (
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        tuple(map(_held, function.__closure__ or ())),
        *((name, function.__globals__[name]) for name in names),
    )
    return _hash("function", *(_digest(part, seen) for part in parts))


def _held(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _code(code: types.CodeType, seen: Seen) -> str:
    names = (code.co_names, code.co_varnames, code.co_freevars)
    constants = code.co_consts[1 if _documented(code) else 0 :]
    return _hash("code", code.co_code, repr(names), *(_digest(one, seen) for one in constants))


def _documented(code: types.CodeType) -> bool:
    """Whether the first constant is a docstring, which computes nothing."""
    if _HAS_DOCSTRING:
        return bool(code.co_flags & _HAS_DOCSTRING)
    return not code.co_name.startswith("<") and isinstance((*code.co_consts, None)[0], str)


def _names(code: types.CodeType) -> set[str]:
    """Names that a function, and those inside of it, may look up."""
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _class(kind: type, seen: Seen) -> str:
    if _installed(kind):
        return _hash("class", kind.__module__, kind.__qualname__)
    own = {k: v for k, v in sorted(vars(kind).items()) if not _WRITTEN.fullmatch(k)}
    return _hash("class", kind.__name__, _digest(kind.__bases__, seen), _digest(own, seen))


def _object(value: Any, seen: Seen) -> str:
    if isinstance(value, (staticmethod, classmethod)):
        parts: Any = value.__func__
    elif isinstance(value, types.MethodType):
        parts = (value.__func__, value.__self__)
    elif isinstance(value, property):
        parts = (value.fget, value.fset)
    elif isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
    elif isinstance(value, functools.cached_property):
        parts = value.func
    elif callable(value) and hasattr(value, "__wrapped__"):
        parts = value.__wrapped__
    elif callable(getattr(value, "__array__", None)):  # a tensor, a column of a frame
        parts = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    elif type(value).__module__.partition(".")[0] in _WORKING:
        parts = None
    else:
        slots = [n for one in type(value).__mro__ for n in _listed(vars(one).get("__slots__", ()))]
        parts = {n: getattr(value, n) for n in slots if n[:2] != "__" and hasattr(value, n)}
        parts |= getattr(value, "__dict__", {})
        if not parts:  # an address says nothing
            parts = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    return _hash(_digest(type(value), seen), _digest(parts, seen))


def _listed(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _installed(thing: Any) -> bool:
    """Whether a function or class is of foretell, Python or an installed package."""
    name = str(getattr(thing, "__module__", None))
    if name in ("__main__", "__mp_main__"):  # that of a worker is loky's
        return False
    if name.partition(".")[0] in ("foretell", *sys.stdlib_module_names):
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and str(Path(file).resolve()).startswith(_INSTALLED)


def _hash(*parts: str | bytes | memoryview) -> str:
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.hexdigest()
