"""foretell: how well a network will do, before you train it.

The nouns of the README, imported when first used, so that `import foretell` is quick and does
not import torch:

>>> import foretell as ft
>>> space = ft.spaces.get("nb201")
>>> space.sample(2, rng=0).shape
(2, 6)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell._version import __version__

_LAZY = {
    "Choice": "foretell.spaces.base",
    "Space": "foretell.spaces.base",
    "choice": "foretell.spaces.base",
    "ForetellError": "foretell.errors",
    "History": "foretell.search.history",
    "Result": "foretell.evaluators.base",
    "Search": "foretell.search.asktell",
    "Table": "foretell.tables.table",
    "Trainer": "foretell.evaluators.trainer",
    "evaluator": "foretell.evaluators.own",
    "Recipe": "foretell.training.recipe",
    "NAS": "foretell.nas",
    "load": "foretell.winner.load",
}
_MODULES = {
    "curves": "foretell.evidence.curves",
    "encodings": "foretell.encodings",
    "evidence": "foretell.evidence",
    "graphs": "foretell.graphs",
    "metrics": "foretell.metrics",
    "predictors": "foretell.predictors",
    "proxies": "foretell.evidence.zero_cost",
    "spaces": "foretell.spaces",
    "strategies": "foretell.strategies",
    "supernets": "foretell.supernets",
    "transfer": "foretell.transfer",
}

__all__ = ["__version__", *_LAZY, *_MODULES]

if TYPE_CHECKING:
    from foretell import encodings as encodings
    from foretell import evidence as evidence
    from foretell import graphs as graphs
    from foretell import metrics as metrics
    from foretell import predictors as predictors
    from foretell import spaces as spaces
    from foretell import strategies as strategies
    from foretell import supernets as supernets
    from foretell import transfer as transfer
    from foretell.errors import ForetellError as ForetellError
    from foretell.evaluators.base import Result as Result
    from foretell.evaluators.own import evaluator as evaluator
    from foretell.evaluators.trainer import Trainer as Trainer
    from foretell.evidence import curves as curves
    from foretell.evidence import zero_cost as proxies  # noqa: F401  # handed on by another name
    from foretell.nas import NAS as NAS
    from foretell.search.asktell import Search as Search
    from foretell.search.history import History as History
    from foretell.spaces.base import Choice as Choice
    from foretell.spaces.base import Space as Space
    from foretell.spaces.base import choice as choice
    from foretell.tables.table import Table as Table
    from foretell.training.recipe import Recipe as Recipe
    from foretell.winner.load import load as load


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'foretell' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
