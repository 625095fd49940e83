"""Zero-cost proxies: what a network tells before it is trained. One proxy per file.

`base` is the contract; `parts/` has the shared pass (`look`), aggregates of ranks, and `ZeroCost`,
the scores as evidence. Proxies are told apart from evidence: they know modules and batches, and
nothing of rows. As `foretell.proxies` they are public.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell import _catalog

if TYPE_CHECKING:
    from foretell.evidence.zero_cost.base import Proxy as Proxy
    from foretell.evidence.zero_cost.parts.aggregate import Aggregate as Aggregate
    from foretell.evidence.zero_cost.parts.batch import Batch as Batch
    from foretell.evidence.zero_cost.parts.batch import batch as batch
    from foretell.evidence.zero_cost.parts.evidence import ZeroCost as ZeroCost
    from foretell.evidence.zero_cost.parts.ranks import Ranks as Ranks
    from foretell.evidence.zero_cost.parts.ranks import log_rank as log_rank
    from foretell.evidence.zero_cost.parts.ranks import rank as rank
    from foretell.evidence.zero_cost.parts.scoring import Scores as Scores
    from foretell.evidence.zero_cost.parts.scoring import ranked as ranked
    from foretell.evidence.zero_cost.parts.scoring import score as score

_LAZY = {
    "Aggregate": "parts.aggregate",
    "Batch": "parts.batch",
    "Proxy": "base",
    "Ranks": "parts.ranks",
    "Scores": "parts.scoring",
    "ZeroCost": "parts.evidence",
    "batch": "parts.batch",
    "log_rank": "parts.ranks",
    "rank": "parts.ranks",
    "ranked": "parts.scoring",
    "score": "parts.scoring",
}

__all__ = ["get", "names", *_LAZY]


def names() -> list[str]:
    """Names of the proxies and aggregates in the catalog, sorted."""
    return _catalog.names("proxy")


def get(name: str, **settings: Any) -> Any:
    """The proxy or aggregate `name` with its settings."""
    return _catalog.get("proxy", name, **settings)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
