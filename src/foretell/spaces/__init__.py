"""Search spaces. An architecture is a row of integers; a batch is `X` of shape `(n, d)`.

`base` is the contract; one space per file. `limited` narrows any space to rows that cost at most
so much, `listed` to given rows; `load` finds a space by name or in a user's file, `checks` looks
one over. `parts/` is what they are built of. It may import `graphs` and, inside `build` and
`costs`, its builder in `nets`; every room above may import it.
"""

from __future__ import annotations

from typing import Any

from foretell import _catalog
from foretell.spaces.base import Choice, Costs, Graphs, Space, choice

__all__ = ["Choice", "Costs", "Graphs", "Space", "choice", "get", "names"]


def names() -> list[str]:
    """Names of the spaces in the catalog, sorted."""
    return _catalog.names("space")


def get(name: str, **settings: Any) -> Space:
    """The space `name`; settings are `input_shape`, `n_outputs` and the space's own.

    >>> get("nb201").size
    15625
    """
    space: Space = _catalog.get("space", name, **settings)
    return space
