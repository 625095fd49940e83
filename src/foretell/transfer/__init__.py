"""A predictor for any network: what other spaces know, and what a few results of this one add.

`transferable` is the predictor; `foretold` its score of a row as an encoding, for other predictors.
`parts/` has the prior on numbers of computational graphs that ships (`prior.md` is its card) and
how it is learnt, and the graph encoder of the paper with its contrastive pretraining. It may import
`predictors`; these reach it by the catalog alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell.transfer.transferable import Transferable as Transferable

__all__ = ["Transferable"]


def __getattr__(name: str) -> Any:
    if name == "Transferable":
        from foretell.transfer.transferable import Transferable

        return Transferable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
