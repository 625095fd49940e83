"""Training and test rows of a study: uniform, or mutants of a few good architectures."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell._rng import stream
from foretell.errors import SettingError
from foretell.spaces.base import Rows, Space

Kind = Literal["uniform", "mutation"]
KINDS: tuple[Kind, ...] = ("uniform", "mutation")
_DRAWN, _KEPT, _STEPS = 10, 5, 3  # White et al.: the best 5 of 10, and 1 to 3 mutations
_PATIENCE = 20  # rounds without a new row


class Split(NamedTuple):
    """Rows and targets of one seed; the first n training rows serve training size n."""

    X_train: Rows
    y_train: NDArray[np.float64]
    X_test: Rows
    y_test: NDArray[np.float64]


def split(
    kind: Kind,
    space: Space,
    X: Rows,
    y: NDArray[np.float64],
    n_train: int,
    n_test: int,
    seed: int,
) -> Split:
    """`n_train` training and `n_test` test rows out of different rows `X`, by `kind`.

    uniform: with the permutation p of `numpy.random.default_rng(seed)`, the first `n_test` of p
    are the test rows, the next ones the training rows.

    mutation (as a local search sees a space): of 10 rows drawn at random the 5 best are parents;
    test rows are mutants of a random parent, after 1, 2 or 3 mutations with equal chance; training
    rows are mutants of a random test row after one mutation, and no test rows. Mutants that are
    not in `X` are left out. Where 20 rounds bring nothing new, because `X` holds too little of the
    space, the rows found so far become parents as well.

    Shapes: X (m, d), y (m,).

    Raises: SettingError when mutations do not reach enough rows of `X`.

    References: White et al. 2021, How Powerful are Performance Predictors in NAS?, section 4.
    """
    if kind == "uniform":
        # the published protocol names this very generator, so it is not one of foretell._rng
        order = np.random.default_rng(seed).permutation(len(X))
        test, train = order[:n_test], order[n_test : n_test + n_train]
    else:
        rng = stream(seed, "split")
        known = _Known(space, X)
        drawn = rng.permutation(len(X))[:_DRAWN]
        parents = drawn[np.argsort(-y[drawn], kind="stable")][:_KEPT]
        nothing = np.zeros(0, dtype=np.intp)
        test = _mutants(known, parents, nothing, n_test, _STEPS, rng)
        train = _mutants(known, test, test, n_train, 1, rng)
    return Split(X[train], y[train], X[test], y[test])


class _Known:
    """Where rows lie in `X`."""

    def __init__(self, space: Space, X: Rows) -> None:
        self.space, self.X = space, X
        keys = space.row_key(X)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def find(self, rows: Rows) -> NDArray[np.intp]:
        """Positions in `X` of those rows that are there, in their order."""
        keys = self.space.row_key(rows)
        spot = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found: NDArray[np.intp] = self._order[spot[self._keys[spot] == keys]]
        return found


def _mutants(
    known: _Known,
    parents: NDArray[np.intp],
    taken: NDArray[np.intp],
    n: int,
    steps: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """`n` different rows that 1 to `steps` mutations of parents reach, without those `taken`."""
    found = np.zeros(0, dtype=np.intp)
    widened, idle = 0, 0
    while len(found) < n:
        rows = known.X[rng.choice(parents, size=2 * n + 100)]
        left = rng.integers(1, steps + 1, size=len(rows))
        for step in range(steps):
            moving = left > step
            rows[moving] = known.space.mutate(rows[moving], rng)
        hits = known.find(rows)
        fresh = hits[~np.isin(hits, np.concatenate([found, taken]))]
        first = np.sort(np.unique(fresh, return_index=True)[1])
        found = np.concatenate([found, fresh[first]])
        idle = 0 if len(first) else idle + 1
        if idle == _PATIENCE:
            if len(found) == widened:
                raise SettingError(
                    "split 'mutation'",
                    expected=f"{n} mutants that the table holds",
                    got=f"{len(found)} in reach of {_KEPT} good rows",
                    hint="choose smaller training sizes, or --split uniform",
                )
            parents = np.concatenate([parents, found[widened:]])
            widened, idle = len(found), 0
    return found[:n]
