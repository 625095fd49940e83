"""Numbers of the computational graph: counts, sizes, ways from input to output."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.graphs.measures import NAMES, measures
from foretell.spaces.base import Rows, Space

_BLOCK = 1_000  # graphs that are kept at once
_KEPT = 2**17  # rows whose numbers are kept


class Measures(Encoding):
    """What is known of each network from its computational graph alone, the same in every space.

    Counts of operations, parameters, flops, numbers of ways from input to output and what stands
    on them: `foretell.graphs.measures.measures`. A space that draws its graphs tells a thousand
    rows a second or two; of others each network is built, without memory for its weights. Each row
    is told once a process.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, f), the columns as `foretell.graphs.measures.NAMES`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> Measures(space).transform(space.sample(3, rng=0)).shape == (3, len(NAMES))
    True
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f)."""
        known = _known(self.space.whole)
        keys = [row.tobytes() for row in np.ascontiguousarray(X)]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        fresh = dict[bytes, NDArray[np.float32]]()
        at = list(new.values())
        for start in range(0, len(at), _BLOCK):
            block = at[start : start + _BLOCK]
            found = measures(self.space.whole.computations(X[block])).astype(np.float32)
            fresh.update(zip((keys[i] for i in block), found, strict=True))
        out = np.empty((len(X), len(NAMES)), dtype=np.float32)
        for i, key in enumerate(keys):
            out[i] = fresh[key] if key in fresh else known[key]
        known.update(fresh)
        while len(known) > _KEPT:
            del known[next(iter(known))]
        return out

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the numbers."""
        return np.array(NAMES, dtype=object)


@functools.lru_cache(maxsize=8)
def _known(space: Space) -> dict[bytes, NDArray[np.float32]]:
    """Rows of a space whose numbers are known."""
    return {}
