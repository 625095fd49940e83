"""Gaussian process on the optimal transport between the layers of two networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from foretell.errors import SettingError
from foretell.predictors.base import Floats
from foretell.predictors.parts.distances import Amounts, Metric, kernel_parts
from foretell.predictors.parts.exact import Exact
from foretell.predictors.parts.features import COUNTED, Encodings, resolve
from foretell.predictors.parts.kernels import Kernel
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Graphs, Rows, Space

_BLOCK = 256  # graphs whose costs are in memory at once
_END = 0.1  # mass of the input, and of the output, over the number of operations


class NASBOTGP(Exact):
    """NASBOT: networks are alike as far as the layers of one can be transported to the other's.

    The distance d of OTMANN is the cheapest transport Z >= 0 between the masses of the layers,

        d(x, x') = min_Z sum_ij Z_ij (M_ij + nu C_ij) + (mass of both that is not transported),

    where M_ij is 0 for equal operations, else `mismatch`, and C_ij is the mean absolute difference
    of the lengths of paths to layers i and j: shortest, longest and random walk, from the input
    and to the output, counting all layers and those with each operation. Each operation has mass
    1, input and output a tenth of all operations; they go to their like alone. So with costs cut
    at 2 (leaving out both) d is a rectangular assignment, solved exactly, and a sum for the ends.

    The process has the covariance s^2 f(sum_nu (d_nu + c_nu) / l_nu^2 + d_e^2 / l_e^2): "rbf"
    gives the paper's exp(-beta d). The smallest c_nu for which d_nu + c_nu (between different
    networks) is a squared Euclidean distance on the training rows makes that a covariance. d_e is
    the distance of an encoding beside it.

    Pairs of m layers take some microseconds each (about 1.5 for m = 6, 5 for m = 16), equal
    graphs once: 400 training and 2,000 other rows of NAS-Bench-201 about one second, of `mobile`,
    whose layers are hardly ever in the same place, three and a half.

    Args:
        space: the space whose rows it sees.
        nus: weights of the place of a layer, each positive; one distance for each.
        mismatch: M_ij of different operations, from 0 to 2.
        kernel: f: "matern", "rbf" or "exponential".
        encoding: features of the whole graph beside it (a name of the catalog, an `Encoding`, or a
            tuple of them); None for none.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        max_rows: most training rows.
        random_state: non-negative seed, or None for fresh entropy.

    References: Kandasamy et al. 2018, Neural Architecture Search with Bayesian Optimisation and
    Optimal Transport, sections 3 and 4; Roth et al. 2003, Optimal Cluster Preserving Embedding of
    Nonmetric Proximity Data (c).
    Differs: a layer's mass is its operation count there, its channels are unknown here; convolution
    and pooling cannot be matched there; four values of nu, and distances over the whole mass, each
    in a kernel of its own: `NASBOTGP.paper(space)` has these nu in one kernel, and no encoding.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = NASBOTGP(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[4, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    ranges: ClassVar = {
        "nus": [(0.1,), (0.25,), (0.6,), (0.1, 0.6)],
        "mismatch": [0.5, 1.0, 2.0],
        "kernel": ["matern", "rbf"],
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        nus: tuple[float, ...] = (0.25,),
        mismatch: float = 1.0,
        kernel: Kernel = "matern",
        encoding: Encodings | None = COUNTED,
        target: Target = "rank",
        max_rows: int = 1000,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.nus = nus
        self.mismatch = mismatch
        self.kernel = kernel
        self.encoding = encoding
        self.target = target
        self.max_rows = max_rows
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> NASBOTGP:
        """The settings of the paper, as far as they are known here: see `Differs`."""
        settings: dict[str, Any] = {
            "nus": (0.1, 0.25, 0.61, 1.5),
            "kernel": "rbf",
            "encoding": None,
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _kernels(self, X: Rows) -> list[list[Metric | Amounts]]:
        if not self.nus or min(self.nus) <= 0:
            raise SettingError("nus", expected="one or more positive numbers", got=self.nus)
        if not 0 <= self.mismatch <= 2:
            raise SettingError("mismatch", expected="0 to 2", got=self.mismatch)
        if self.kernel == "linear":
            raise SettingError("kernel", expected="matern, rbf or exponential", got="'linear'")
        beside = [] if self.encoding is None else resolve(self.encoding, self.space, X)
        layers = Transport(self.space, X, self.nus, self.mismatch)
        return [[layers, *kernel_parts(beside, X)]]


class Layers(NamedTuple):
    """The operations of different graphs: `kinds` (k, 1 + p) of operation and path lengths.

    `counts` (n,) operations in each graph, `members` (n, v) their kinds, `ends` (n, 2, p) the
    path lengths of input and output.
    """

    kinds: Floats
    counts: NDArray[np.intp]
    members: NDArray[np.intp]
    ends: Floats


class Transport:
    """The distances of `NASBOTGP` to training rows, one for each nu."""

    def __init__(self, space: Space, X: Rows, nus: tuple[float, ...], mismatch: float) -> None:
        self.space = space
        self.nus = nus
        self.mismatch = mismatch
        rows, self.back = self._graphs(X)
        self.layers = self._layers(rows)
        self.own = self.distances(X)
        self.shifts = [_shift(d) for d in self.own]

    def squares(self, X: Rows | None = None) -> list[Floats]:
        """d_nu + c_nu where it is not 0, (n, m) for each nu; see `Metric`."""
        found = self.own if X is None else self.distances(X)
        return [np.where(d > 1e-9, d + c, 0.0) for d, c in zip(found, self.shifts, strict=True)]

    def distances(self, X: Rows) -> list[Floats]:
        """d_nu (n, m) of rows X to the training rows, for each nu."""
        rows, back = self._graphs(X)
        blocks = (self._layers(rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK))
        parts = zip(*map(self._between, blocks), strict=True)
        return [np.concatenate(part)[back][:, self.back] for part in parts]

    def _between(self, some: Layers) -> list[Floats]:
        known = self.layers
        places = _mean_difference(known.kinds[:, 1:], some.kinds[:, 1:])
        other = known.kinds[:, :1] != some.kinds[:, 0]
        ends = [_mean_difference(some.ends[:, i], known.ends[:, i]) for i in range(2)]
        both = np.minimum.outer(some.counts, known.counts)
        left = np.abs(np.subtract.outer(some.counts, known.counts)) * (1.0 + 2 * _END)
        found = []
        for nu in self.nus:
            cost = nu * places
            np.add(cost, self.mismatch, out=cost, where=other)
            moved = _assigned(np.minimum(cost, 2.0, out=cost), some, known)
            found.append(moved + left + _END * both * sum(np.minimum(nu * e, 2.0) for e in ends))
        return found

    def _graphs(self, X: Rows) -> tuple[Rows, NDArray[np.intp]]:
        """One row of each graph among rows, and for each row the place of its graph."""
        _, first, back = np.unique(self.space.canonical(X), return_index=True, return_inverse=True)
        return X[first], back

    def _layers(self, X: Rows) -> Layers:
        graphs = self.space.graphs(X)
        words = len(self.space.vocabulary)
        lengths = np.concatenate(
            [_lengths(graphs, words), _lengths(_reversed(graphs), words)[:, ::-1]], axis=2
        )
        inner = graphs.ops >= 2
        order = np.argsort(~inner, axis=1, kind="stable")
        named = np.concatenate([graphs.ops[..., None], lengths], axis=2, dtype=np.float64)
        kinds, place = np.unique(named[inner], axis=0, return_inverse=True)
        members = np.zeros(graphs.ops.shape, dtype=np.intp)
        members[inner] = place
        members = np.take_along_axis(members, order, axis=1)
        return Layers(kinds, inner.sum(axis=1), members, lengths[:, [0, -1]])


def _mean_difference(A: Floats, B: Floats) -> Floats:
    """mean_p |A_ip - B_jp|, (n, m); columns that say the same are compared once."""
    columns, counts = np.unique(np.concatenate([A, B]), axis=1, return_counts=True)
    columns *= counts / max(A.shape[1], 1)
    distances: Floats = cdist(columns[: len(A)], columns[len(A) :], "cityblock")
    return distances


def _assigned(cost: Floats, some: Layers, known: Layers) -> Floats:
    """Cheapest assignment of the fewer layers to the more, (n, m).

    `cost` is that of each kind of the known (rows) to each kind of the others.
    """
    out = np.zeros((len(some.counts), len(known.counts)))
    groups = [(rows, a, np.arange(len(rows))[:, None]) for rows, a in _by_count(some)]
    for columns, b in _by_count(known):
        for j, kinds in zip(columns, b, strict=True):
            near = np.ascontiguousarray(cost[kinds].T)  # (kinds, layers of j): rows to gather
            for rows, a, line in groups:
                costs = near[a]
                pairs = np.array([linear_sum_assignment(one) for one in costs])
                out[rows, j] = costs[line, pairs[:, 0], pairs[:, 1]].sum(axis=1)
    return out


def _by_count(layers: Layers) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Graphs with equally many operations, if any, and the kinds of those."""
    for count in np.unique(layers.counts[layers.counts > 0]):
        rows = np.flatnonzero(layers.counts == count)
        yield rows, layers.members[rows, :count]


def _lengths(graphs: Graphs, words: int) -> Floats:
    """Lengths of the paths from the first vertex to each, (n, v, 3 (1 + words - 2)).

    Shortest, longest and random walk (each edge into a vertex as likely), counting the inner
    vertices up to the one in question, all or those with each operation; 0 where there is no path.
    """
    member = np.zeros((words + 1, words - 1))  # last row: op -1, no vertex
    member[2:words, 0] = 1.0
    member[np.arange(2, words), np.arange(1, words - 1)] = 1.0
    own = member[graphs.ops]
    low, high = np.full_like(own, np.inf), np.full_like(own, -np.inf)
    walk = np.zeros_like(own)
    low[:, 0] = high[:, 0] = 0.0
    for j in range(1, own.shape[1]):
        into = graphs.adjacency[:, :j, j, None]
        low[:, j] = np.where(into, low[:, :j], np.inf).min(axis=1) + own[:, j]
        high[:, j] = np.where(into, high[:, :j], -np.inf).max(axis=1) + own[:, j]
        walk[:, j] = (into * walk[:, :j]).sum(axis=1) / np.maximum(into.sum(axis=1), 1) + own[:, j]
    reached = np.isfinite(high)
    return np.concatenate([np.where(reached, part, 0.0) for part in (low, high, walk)], axis=2)


def _reversed(graphs: Graphs) -> Graphs:
    """All edges turned round, the output first."""
    return Graphs(graphs.ops[:, ::-1], graphs.adjacency[:, ::-1, ::-1].transpose(0, 2, 1))


def _shift(distances: Floats) -> float:
    """The smallest c for which `distances` + c off the diagonal are squared Euclidean."""
    centred = distances - distances.mean(axis=0) - distances.mean(axis=1)[:, None]
    lowest = eigvalsh(-0.5 * (centred + distances.mean()), subset_by_index=[0, 0])[0]
    return float(max(-2.0 * lowest, 0.0))
