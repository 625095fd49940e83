"""Canonical encoding: what does not change when vertices are renamed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.errors import SettingError
from foretell.graphs.refinement import labels
from foretell.spaces.base import Rows, Space


class Canonical(Encoding):
    """Histograms of the Weisfeiler-Lehman labels of the graph view.

    A vertex starts with its operation as label; then, `iterations` times, each label becomes

        l'(v) = hash(l(v), {l(u) : u -> v}, {l(w) : v -> w})        ({} are multisets),

    so after h steps it names the neighbourhood of radius h, told apart by direction. Features are
    the number of vertices with each operation (exact), then for each iteration the number of
    vertices whose label falls into each of `buckets` columns. Equal graphs have equal features
    whatever the order of their vertices, and the dot product of two rows is the
    Weisfeiler-Lehman subtree kernel (up to collisions of the hash).

    Args:
        space: the space whose rows it sees.
        iterations: refinement steps, 0 or more.
        buckets: columns of each iteration.

    Shapes: (n, d) to (n, q + 2 + iterations * buckets) for q operations.

    References: Shervashidze et al. 2011, Weisfeiler-Lehman Graph Kernels; Ru et al. 2021, NAS-BOWL.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> a, b = Canonical(space).transform([[3, 2, 0, 0, 4, 1], [2, 3, 0, 0, 1, 4]])  # 1, 2 swapped
    >>> bool((a == b).all()), a[:6]  # input, output, skip, conv 1x1, conv 3x3, pool
    (True, array([1., 1., 1., 1., 1., 1.], dtype=float32))
    """

    pure = True

    def __init__(self, space: Space, iterations: int = 2, buckets: int = 256) -> None:
        self.space = space
        self.iterations = iterations
        self.buckets = buckets

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Counts (n, f)."""
        if self.iterations < 0 or self.buckets < 1:
            raise SettingError(
                "canonical encoding",
                expected="iterations of at least 0 and buckets of at least 1",
                got=(self.iterations, self.buckets),
            )
        words = len(self.space.vocabulary)
        out = np.zeros((len(X), words + self.iterations * self.buckets), dtype=np.float32)
        step = 16_384
        for start in range(0, len(X), step):
            self._count(X[start : start + step], out[start : start + step], words)
        return out

    def _count(self, X: Rows, out: NDArray[np.float32], words: int) -> None:
        graphs = self.space.graphs(X)
        there = graphs.ops >= 0
        row = np.nonzero(there)[0]
        np.add.at(out, (row, graphs.ops[there].astype(np.int64)), 1.0)
        for h, level in enumerate(labels(graphs, self.iterations)[1:]):
            column = (level[there] % np.uint64(self.buckets)).astype(np.int64)
            np.add.at(out, (row, words + h * self.buckets + column), 1.0)
