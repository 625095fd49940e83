"""Flow: which operations a signal has passed, followed back by the variance it brings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.encodings.graph_stats import members
from foretell.spaces.base import Graphs, Rows, Space
from foretell.spaces.parts.wiring import Wiring

_BLOCK = 512  # graphs at once: fits a cache


class Flow(Encoding):
    """How many vertices of each kind lie on the way of a signal, weighed by its variance.

    At initialisation an operation with weights and normalisation gives out a signal of its own with
    variance 1; one that passes on (a pooling, a skip) gives out what it reads, its variance times a
    factor g (`Space.wiring`). So each vertex has a sum of independent signals,

        s_v = sum_{u -> v} a_u,    a_v = e_v, or sqrt(g) s_v where v passes on,    a_0 = e_0,

    and of the variance |s_v|^2 the edge u -> v brings the share w_uv = a_u . s_v / |s_v|^2. Where
    the output joins channels, s is the signals side by side and w_uv in proportion to |a_u|^2;
    where each reader of the input has weights of its own, it brings each a signal of its own. With
    V the variance at the output, a walk from there back to the input that takes edges with odds w
    meets K_S vertices with an operation of set S (those of `GraphStats`). For each S there are

        E K_S,    the deviation of K_S,    P(K_S = 0),    log(1 + V P(K_S = 0)),

    then log V. A path counts as much as it says: one over a normalised sum of many is worth less,
    one that only poolings and skips lie on more, and their sum grows from cell to cell.
    Nothing changes when vertices are renamed.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, 4 s + 1) for s sets, ordered by number, then set; all 0 where there is no
    path.

    References: De & Smith 2020, Batch Normalization Biases Residual Blocks Towards the Identity
    Function (variances along shortcuts); Veit et al. 2016, Residual Networks Behave Like Ensembles
    of Relatively Shallow Networks (lengths of paths).
    Differs: foretell's own.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")  # skip, conv 1x1, conv 3x3, pool; 4 + 6 + 4 + 1 sets
    >>> flow = Flow(space).transform([[3, 0, 3, 1, 0, 3]])[0]  # 3x3, 3x3, 3x3 beside a skip
    >>> flow[:-1].reshape(4, 15)[:, 2].round(2), flow[-1].round(2)  # of conv 3x3, and log 2
    (array([1.5 , 1.5 , 0.5 , 0.69], dtype=float32), np.float32(0.69))
    """

    pure = True

    def __init__(self, space: Space) -> None:
        self.space = space

    def groups(self) -> NDArray[np.int64]:
        """The four numbers of a set belong together."""
        s = members(self.space).shape[1]
        return np.array([*list(range(s)) * 4, s])

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Statistics (n, f)."""
        member, wiring = members(self.space), self.space.wiring or Wiring()
        passed = [wiring.passes.get(word, 0.0) for word in self.space.vocabulary]
        gain = np.array([*passed, 0.0])  # last: op -1, no vertex
        blocks = []
        for i in range(0, max(len(X), 1), _BLOCK):
            graphs = self.space.graphs(X[i : i + _BLOCK])
            shares = _shares(graphs, gain[graphs.ops], wiring.joins, wiring.projects)
            blocks.append(_walks(graphs, shares, member))
        return np.concatenate(blocks)


class _Shares(NamedTuple):
    """What edges bring."""

    edges: NDArray[np.float64]  # w_uv, (n, v, v)
    variance: NDArray[np.float64]  # V, (n,)


def _shares(graphs: Graphs, gain: NDArray[np.float64], joins: bool, projects: bool) -> _Shares:
    """What edges bring, for factors (n, v) of what passes on, 0 for what gives out anew."""
    n, v = graphs.ops.shape
    given = np.zeros((n, v, v + v * projects))  # a_v
    given[:, 0, 0] = 1.0
    edges, variance = np.zeros((n, v, v)), np.zeros(n)
    for j in range(1, v):
        before = np.flatnonzero(graphs.adjacency[:, :j, j].any(axis=0))
        if not len(before):
            continue
        there = graphs.adjacency[:, before, j]
        read = given[:, before] * there[:, :, None]
        if projects and before[0] == 0:
            read[:, 0] = 0.0
            read[:, 0, v + j] = there[:, 0]
        whole = read.sum(axis=1)
        if joins and j == v - 1:
            brought = (read**2).sum(axis=2)
        else:
            brought = (read @ whole[:, :, None])[:, :, 0]
        total = brought.sum(axis=1)
        edges[:, before, j] = brought / np.where(total > 0, total, 1.0)[:, None]
        given[:, j] = np.sqrt(gain[:, j, None]) * whole
        given[(gain[:, j] == 0) & (total > 0), j, j] = 1.0
        if j == v - 1:
            variance = total
    return _Shares(edges, variance)


def _walks(graphs: Graphs, shares: _Shares, member: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (n, 4 s + 1) for sets given as `member` (vocabulary + 1, s)."""
    own = member[graphs.ops].astype(np.float64)  # (n, v, s)
    n, v, s = own.shape
    mean, square, none = np.zeros((3, n, v, s))  # of K_S on walks from a vertex to the input
    none[:, 0] = 1.0
    for j in range(1, v):
        before = np.flatnonzero(graphs.adjacency[:, :j, j].any(axis=0))
        if not len(before):
            continue
        share = shares.edges[:, None, before, j]
        first, second, past = ((share @ one[:, before])[:, 0] for one in (mean, square, none))
        mean[:, j] = first + own[:, j]
        square[:, j] = second + own[:, j] * (2.0 * first + 1.0)
        none[:, j] = past * (1.0 - own[:, j])
    some = shares.variance[:, None] > 0
    columns = [
        mean[:, -1],
        np.sqrt(np.maximum(square[:, -1] - mean[:, -1] ** 2, 0.0)),
        none[:, -1],
        np.log1p(shares.variance[:, None] * none[:, -1]),
        np.log(np.where(some, shares.variance[:, None], 1.0)),
    ]
    return np.concatenate(columns, axis=1, dtype=np.float32) * some
