"""Search strategies: functions of the past that say what to evaluate next.

One strategy per file, a frozen dataclass of settings without state; `parts/` has what several of
them share, and others may build on. Runs and studies may import them; they know what is known, and
neither a run nor a table nor a space by name.
"""

from __future__ import annotations

from typing import Any

from foretell import _catalog
from foretell.search.strategy import Proposal, Strategy

__all__ = ["Proposal", "Strategy", "get", "names", "scaled"]


def names() -> list[str]:
    """Names of the strategies in the catalog, sorted."""
    return _catalog.names("strategy")


def get(name: str, **settings: Any) -> Strategy:
    """The strategy `name` with its settings.

    >>> get("random")
    Random(minimize=(), repeats=False)
    """
    strategy: Strategy = _catalog.get("strategy", name, **settings)
    strategy.check(name)
    return strategy


def scaled(name: str, budget: int, **settings: Any) -> Strategy:
    """The strategy `name` with settings that suit a budget of so many networks.

    >>> scaled("regularized-evolution", 100).population
    20
    """
    row = _catalog.row("strategy", name)
    return get(name, **{**row.load().scaled(budget), **row.recipe, **settings})
