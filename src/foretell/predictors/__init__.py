"""Predictors: scikit-learn regressors on rows, one method per file. Higher is better.

`base` is the contract; `parts/` what methods are built of, and others may build on. It may import
`encodings`, `evidence`, `spaces` and `graphs`; `costs`, searches, studies and runs may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foretell import _catalog
from foretell.predictors.base import Predictor, seeded
from foretell.predictors.parts.on_features import OnFeatures
from foretell.predictors.parts.predicted import predicted
from foretell.spaces.base import Space

__all__ = ["OnFeatures", "Predictor", "get", "names", "predicted", "unfitted"]


def names() -> list[str]:
    """Names of the predictors in the catalog, sorted."""
    return _catalog.names("predictor")


def get(name: str, space: Any, **settings: Any) -> Predictor:
    """The predictor `name` for a space, unfitted.

    Args:
        name: a catalog name; `names()` lists them.
        space: the space whose rows it will see.
        settings: its scikit-learn parameters, e.g. `random_state=0`.
    """
    predictor: Predictor = _catalog.get("predictor", name, space=space, **settings)
    return predictor


def unfitted(
    predictor: Any, space: Space, seed: int, settings: Mapping[str, Any] | None = None
) -> Any:
    """The catalog's predictor of that name, or a clone of the given regressor, with this seed.

    A regressor is seeded wherever it, or a step inside of it, has a `random_state`.
    """
    if isinstance(predictor, str):
        return get(predictor, space=space, **{"random_state": seed, **(settings or {})})
    return seeded(predictor, seed)
