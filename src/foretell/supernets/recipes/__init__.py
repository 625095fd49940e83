"""Published methods as recipes of a few lines: each names its parts, and nothing more.

A recipe is a function whose arguments are the settings of the paper; it returns a `Method`, or a
`Method` and a `Wrapper`. A combination that nobody has published is one more expression of this
kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foretell import _catalog
from foretell.errors import SettingError

if TYPE_CHECKING:
    from foretell.supernets.method import Method
    from foretell.supernets.wrapper import Wrapper

__all__ = ["parts_of", "recipe"]


def recipe(name: str, **settings: Any) -> Any:
    """The parts of the method `name`: a `Method`, or a pair with a `Wrapper`.

    "few-shot:NAME", "sdarts-rs:NAME", ... are on the method NAME instead of their own.
    """
    base, _, inner = name.partition(":")
    if inner:
        settings["method"] = inner
    return _catalog.get("supernet", base, **settings)


def parts_of(name: str) -> Method:
    """The `Method` of a method that trains one supernet."""
    found: Method | tuple[Method, Wrapper] = recipe(name)
    if isinstance(found, tuple):
        raise SettingError(
            f"{name!r} inside of another method", expected="one that trains one supernet",
            hint="put it outside: few-shot:NAME",
        )  # fmt: skip
    return found
