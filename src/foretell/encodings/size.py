"""Size: parameters and flops of the network."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.encodings.numbers import Numbers, plan
from foretell.encodings.onehot import OneHot
from foretell.encodings.parts.ridge import Ridge
from foretell.errors import ForetellError, SettingError, SpaceError
from foretell.spaces.base import Rows, Space

_BLOCK = 8_192  # rows foretold at once


class Size(Encoding):
    """log(1 + parameters) and log(1 + flops), for the space's `input_shape` and `n_outputs`.

    Exact where the space has a closed form, and where it has at most `max_builds` networks, which
    are then built once. Else a network for each row would take too long on a whole space: then
    `max_builds` random rows, drawn with a fixed seed, are built once, and all sizes follow from a
    smooth function of the decisions, of their numbers, or of both through them (`parts.ridge`), so
    that the same row has the same size in every call.

    Args:
        space: the space whose rows it sees.
        max_builds: how many networks may be built.

    Shapes: (n, d) to (n, 2).

    Raises:
        SpaceError: the space's `build` fails.

    References: Ning et al. 2021, Evaluating efficient performance estimators of neural
    architectures: the number of parameters is a baseline that many predictors do not beat.

    >>> import foretell as ft
    >>> own = ft.Space.from_choices({"width": [2, 4]}, build=lambda a, i, o: __import__("torch").nn
    ...     .Sequential(__import__("torch").nn.Linear(i[0], a["width"])), input_shape=(3,))
    >>> np.expm1(Size(own).transform([[0], [1]])[:, 0]).round()  # 3 * 2 + 2 and 3 * 4 + 4
    array([ 8., 16.], dtype=float32)
    """

    def __init__(self, space: Space, max_builds: int = 128) -> None:
        self.space = space
        self.max_builds = max_builds

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Logarithms (n, 2)."""
        if self.max_builds < 2:
            raise SettingError("max_builds", expected="at least 2", got=self.max_builds)
        if not len(X):
            return np.zeros((0, 2), dtype=np.float32)
        space = self.space.whole  # results over the limits of a limited space have a size as well
        if space.closed_form_costs:
            return _logs(space, X).astype(np.float32)
        if space.size <= self.max_builds:
            keys, logs = _whole(space)
            found: NDArray[np.float32] = logs[np.searchsorted(keys, space.row_key(X))]
            return found
        model = _estimate(space, self.max_builds)
        blocks = [model.predict(X[i : i + _BLOCK]) for i in range(0, len(X), _BLOCK)]
        return np.concatenate(blocks).astype(np.float32)


def _logs(space: Space, X: Rows) -> NDArray[np.float64]:
    try:
        costs = space.costs(X)
    except ForetellError:
        raise
    except Exception as error:  # a user's own `build` may raise anything
        raise SpaceError(
            f"a network of space {space.name!r} cannot be built to count its parameters",
            got=f"{type(error).__name__}: {error}",
            hint="`foretell space check` says what is wrong",
        ) from error
    return np.log1p(np.stack([costs.params, costs.flops], axis=1).astype(np.float64))


@functools.lru_cache(maxsize=32)
def _whole(space: Space) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Sorted row keys of a small space, and the sizes of their networks."""
    X = np.concatenate(list(space.enumerate()))
    keys, first = np.unique(space.row_key(X), return_index=True)
    return keys, _logs(space, X[first]).astype(np.float32)


@functools.lru_cache(maxsize=32)
def _estimate(space: Space, max_builds: int) -> Ridge:
    X = space.sample(max_builds, rng=0)
    views: list[list[Encoding]] = [[OneHot(space)]]
    if plan(space).names:
        views += [[Numbers(space)], [Numbers(space), OneHot(space)]]
    return Ridge(views, X, _logs(space, X))
