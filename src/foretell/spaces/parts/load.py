"""A space from what a user writes: a catalog name, or a place in an own Python file."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle

from foretell import _catalog
from foretell.errors import ForetellError, SettingError, SpaceError
from foretell.spaces.base import Space
from foretell.spaces.parts.reason import reason


def load(spec: str, **settings: Any) -> Space:
    """The space that `spec` names.

    Args:
        spec: a name of the catalog, or `file.py:Name` where Name is a subclass of `Space`, a
            space, or a function without arguments that returns one. `file.py` alone will do when
            the file defines a single space. The file's folder joins the end of `sys.path`, so
            that the file may import its neighbours, and worker processes get the file's classes
            and functions by value. A file with relative imports is imported as part of its package.
        settings: passed on to the space's constructor.

    Raises:
        UnknownNameError: the catalog has no such name.
        SettingError: the space has no such setting.
        SpaceError: the file or the name is missing, running the file fails, or it is no space.

    >>> load("nb201").size
    15625
    """
    if not isinstance(spec, str):
        raise SpaceError("a space to load", expected="a name, or 'file.py:Name'", got=repr(spec))
    if spec.endswith(".py"):
        path, name = spec, ""
    else:
        path, _, name = spec.rpartition(":")
    if not path:
        return _call(_catalog.row("space", spec).load(), spec, settings)
    module = run_file(Path(path).expanduser(), spec)
    return _call(_find(module, name, path), spec, settings)


def named(name: object, **settings: Any) -> Space:
    """The space that a file names: of the catalog alone, for data must never choose what runs.

    Args:
        name: whatever the file says; `load` takes what its reader says.
        settings: passed on to the space's constructor.

    Raises:
        SpaceError: it is no name of the catalog.
        SettingError: the space has no such setting.

    >>> named("nb201").size
    15625
    """
    known = _catalog.names("space")
    if not isinstance(name, str) or name not in known:
        raise SpaceError(
            f"a file names the space {str(name)[:80]!r}, and what a file names is never run",
            expected="a space of the catalog",
            hint="if you trust it, say it yourself: --space file.py:Name, or space=",
        )
    return load(name, **settings)


def run_file(path: Path, spec: str) -> ModuleType:
    """The module of a user's file, run once more; its folder joins the end of `sys.path`."""
    if not path.is_file() or path.suffix != ".py":
        near = sorted(file.name for file in path.parent.glob("*.py"))[:8]
        raise SpaceError(
            f"no space at {spec!r}",
            expected="a catalog name, or file.py:Name of a file that exists",
            hint=f"Python files in that folder: {', '.join(near)}" if near else None,
        )
    path = path.resolve()
    if _is_inside(path):
        return _imported(path)
    name = f"{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise SpaceError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(found)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise SpaceError(f"running {path.name} failed: {reason(error)}") from error
    cloudpickle.register_pickle_by_value(module)
    return module


def _is_inside(path: Path) -> bool:
    """Whether a file belongs to a package and says so: it imports by `from . import`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # running it will say so
        return False
    relative = any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))
    return relative and (path.parent / "__init__.py").is_file()


def _imported(path: Path) -> ModuleType:
    """The file as a module of its package, whose folder joins the end of `sys.path`."""
    top = path.parent
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    name = ".".join(path.relative_to(top.parent).with_suffix("").parts)
    if str(top.parent) not in sys.path:
        sys.path.append(str(top.parent))
    sys.modules.pop(name, None)
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise SpaceError(f"importing {name} ({path}) failed: {reason(error)}") from error
    if Path(str(module.__file__)).resolve() != path:
        raise SpaceError(
            f"{path} is {name}, and Python finds another one of that name",
            got=module.__file__,
            hint="rename the package, or start where that one is not found",
        )
    cloudpickle.register_pickle_by_value(module)
    return module


def _find(module: ModuleType, name: str, path: str) -> Any:
    """What the module calls `name`, or its only space."""
    own = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, Space)
        or (isinstance(value, type) and issubclass(value, Space) and _is_of(module, value))
    }
    if not name and len(own) == 1:
        return next(iter(own.values()))
    if not name or name not in vars(module):
        functions = [
            key
            for key, value in vars(module).items()
            if isinstance(value, FunctionType)
            and _is_of(module, value)
            and not inspect.signature(value).parameters
        ]
        known = sorted([*own, *functions])
        raise SpaceError(
            f"no {name!r} in {path}" if name else f"which space of {path}",
            expected="one of " + ", ".join(known) if known else "a subclass of ft.Space",
            hint=f"write {path}:{known[0]}" if known else "see docs/adding_a_space.md",
        )
    return vars(module)[name]


def _is_of(module: ModuleType, value: Any) -> bool:
    return bool(value.__module__ == module.__name__)


def _call(made: Any, spec: str, settings: dict[str, Any]) -> Space:
    """The space itself, or what its class or function returns for the settings."""
    if not isinstance(made, Space):
        if not callable(made):
            raise SpaceError(
                f"{spec!r} is no space",
                expected="a subclass of ft.Space, a space, or a function that returns one",
                got=type(made).__name__,
            )
        _check_settings(made, spec, settings)
        try:
            made = made(**settings)
        except ForetellError:
            raise
        except Exception as error:
            raise SpaceError(f"making the space {spec!r} failed: {reason(error)}") from error
        if not isinstance(made, Space):
            raise SpaceError(
                f"{spec!r} made no space", expected="an ft.Space", got=type(made).__name__
            )
    elif settings:
        raise SettingError(
            f"{spec!r} is a finished space", expected="no settings", got=", ".join(settings)
        )
    return made


def _check_settings(made: Callable[..., Any], spec: str, settings: dict[str, Any]) -> None:
    try:
        inspect.signature(made).bind(**settings)
    except ValueError:  # no signature to look at
        return
    except TypeError as error:
        known = inspect.signature(made).parameters
        raise SettingError(
            f"settings of space {spec!r}: {error}", expected=f"some of {', '.join(known) or 'none'}"
        ) from None
