"""The graph view of architectures, and all that reads it without knowing a space.

`view` (the tuple of operations and adjacency), `hashing`, `pruning`, `refinement` and `order` work
on whole numpy arrays; `tensors` and `pretraining` are the same graphs for torch. Every room above
may import it; it imports none of them.
"""

from __future__ import annotations

from foretell.graphs.view import Graphs

__all__ = ["Graphs"]
