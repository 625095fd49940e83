"""Methods that go on a learning curve: what its first epochs tell, one method a file.

`base` says what a method is; `parts/` has the families of curves, the samplers and what else they
share. They read arrays of curves and nothing else, so they serve tables and live trainings alike;
`foretell.evidence.curve.Curve` is the evidence that gets the curves. They stand on numbers alone.
"""

from __future__ import annotations

from typing import Any

from foretell import _catalog
from foretell.evidence.curves.base import CurveMethod, Curves

__all__ = ["CurveMethod", "Curves", "get", "names"]


def names() -> list[str]:
    """Names of the methods in the catalog, sorted."""
    return _catalog.names("curve")


def get(name: str, **settings: Any) -> CurveMethod:
    """The method `name`, unfitted.

    >>> get("sotl-e").predict({"train_loss": [[2.0, 1.0], [2.0, 1.5]]}).tolist()
    [-1.0, -1.5]
    """
    method: CurveMethod = _catalog.get("curve", name, **settings)
    return method
