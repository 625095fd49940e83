"""Searches by shared weights: supernets, put together of parts.

A method has one part of each kind: `distribution` (what alpha means), `execution` (how operations
are run), `perturbation`, `alpha` (how it learns), `regulariser`, `schedule`, `selection` (how an
architecture is chosen); `method` checks that they fit. `bench` has a supernet and what the parts
ask of it, `loop` trains it, `state` is what changes meanwhile, `records` what is told of an epoch;
`search` is the estimator, `wrapper` says which supernets a search trains. `recipes/` has the
published methods. It may import everything down to evaluators; runs may import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foretell import _catalog
from foretell.errors import SettingError
from foretell.spaces.base import Space
from foretell.supernets.recipes import recipe

if TYPE_CHECKING:
    from foretell.supernets.method import Method
    from foretell.supernets.search import SupernetSearch

__all__ = ["Method", "SupernetSearch", "get", "names", "recipe"]


def names() -> list[str]:
    """Names of the methods in the catalog, sorted."""
    return _catalog.names("supernet")


def get(name: str, *, space: Space, settings: Any = None, **options: Any) -> SupernetSearch:
    """The search `name` on a space, unfitted.

    Args:
        name: a catalog name, "few-shot:NAME" too.
        space: the space.
        settings: of the method, by name.
        options: of `SupernetSearch`: `epochs`, `random_state`, `device`, `folder`, ...

    >>> import foretell as ft
    >>> search = get("gdas", space=ft.spaces.get("nb201"), random_state=0)
    >>> type(search.method.distribution).__name__
    'GumbelST'
    """
    from foretell.supernets.search import SupernetSearch

    found = recipe(name, **dict(settings or {}))
    parts, wrapper = found if isinstance(found, tuple) else (found, None)
    try:
        return SupernetSearch(space, parts, wrapper, name=name, **options)
    except TypeError as error:
        raise SettingError(f"options of supernet {name!r}: {error}") from None


def __getattr__(name: str) -> Any:
    if name == "SupernetSearch":
        from foretell.supernets.search import SupernetSearch

        return SupernetSearch
    if name == "Method":
        from foretell.supernets.method import Method

        return Method
    raise AttributeError(f"module 'foretell.supernets' has no attribute {name!r}")
