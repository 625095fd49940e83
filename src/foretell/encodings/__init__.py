"""Encodings: scikit-learn transformers from rows `(n, d)` to features `(n, f)`."""

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
