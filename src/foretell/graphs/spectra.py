"""Spectra of computational graphs: eigenvalues of their normalised Laplacians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.graphs.computation import Computations


def spectra(graphs: Computations, k: int = 20) -> NDArray[np.float64]:
    """The k smallest eigenvalues of each graph, without directions, ascending.

    Of L = I - D^-1/2 A D^-1/2 with A the symmetric adjacency and D its degrees; a vertex without
    any edge has a row of zeros. A graph with fewer than k vertices repeats its last eigenvalue.

    Shapes: returns (n, k), values from 0 to 2.

    References: Chung, Spectral Graph Theory, 1997; Han et al., SDM 2023 (the distance between
    graphs).

    >>> from foretell.graphs.computation import Canvas
    >>> canvas = Canvas(3, 8, 8)
    >>> spectra(canvas.done(canvas.relu(canvas.input)), k=4).round(6)
    array([[0., 1., 2., 2.]])
    """
    out = np.empty((graphs.n, k))
    ends = np.searchsorted(graphs.edges[:, 1], graphs.starts)
    sizes = np.diff(graphs.starts)
    for size in np.unique(sizes).tolist():
        alike = np.flatnonzero(sizes == size)
        block = max(1, 2**22 // size**2)  # matrices of some tens of megabytes at once
        for part in np.split(alike, np.arange(block, len(alike), block)):
            matrices = np.zeros((len(part), size, size))
            for i, g in enumerate(part.tolist()):
                a, b = (graphs.edges[ends[g] : ends[g + 1]] - graphs.starts[g]).T
                matrices[i, a, b] = matrices[i, b, a] = 1.0
            degree = matrices.sum(axis=2)
            root = np.where(degree > 0, 1.0 / np.sqrt(np.maximum(degree, 1.0)), 0.0)
            line = np.arange(size)
            scaled = -root[:, :, None] * matrices * root[:, None, :]
            scaled[:, line, line] += degree > 0
            values = np.linalg.eigvalsh(scaled)
            out[part] = values[:, np.minimum(np.arange(k), size - 1)]
    return out
