"""Encodings: scikit-learn transformers from rows `(n, d)` to features `(n, f)`, one per file.

`base` is the contract; `parts/` has what learnt encodings share, and what others make of encodings:
kept, standardised, a function through few rows. They are pure functions of a row and its graph: it
may import `spaces` and `graphs`; predictors and all above may import it.
"""

from __future__ import annotations

from typing import Any

from foretell import _catalog
from foretell.encodings.base import Encoding

__all__ = ["Encoding", "get", "names"]


def names() -> list[str]:
    """Names of the encodings in the catalog, sorted."""
    return _catalog.names("encoding")


def get(name: str, space: Any, **settings: Any) -> Encoding:
    """The encoding `name` for a space."""
    encoding: Encoding = _catalog.get("encoding", name, space=space, **settings)
    return encoding
