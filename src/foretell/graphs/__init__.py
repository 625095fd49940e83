"""The graph view of architectures, and all that reads it without knowing a space.

`view` (the tuple of operations and adjacency), `hashing`, `pruning`, `refinement` and `order` work
on whole numpy arrays; `tensors` and `pretraining` are the same graphs for torch. What a network
computes, in words of all spaces, is in `computation`; `traced` finds it for any module (`calls`
names the calls of torch, `book` draws, `quick` has sizes), `spectra` has the eigenvalues. Every
room above may import it; it imports none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foretell.graphs.computation import Computations
from foretell.graphs.view import Graphs

if TYPE_CHECKING:
    from foretell.graphs.traced import trace as trace

__all__ = ["Computations", "Graphs", "trace"]


def __getattr__(name: str) -> Any:
    if name == "trace":
        from foretell.graphs.traced import trace

        return trace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
