"""Rows from a policy that decides one decision after the other, whatever the space allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foretell.search.history import Floats
from foretell.spaces.base import Rows, Space

_OVER = 4  # rows that are drawn for one that is wanted, as many may be none of the space
_POOL = 4_096  # rows of the space that a policy chooses from where it finds none itself


def drawn(
    space: Space,
    k: int,
    decide: Callable[[int], Rows],
    log_probability: Callable[[Rows], Floats],
    rng: np.random.Generator,
) -> Rows:
    """About `k` rows of the space as a policy draws them.

    What the policy decides counts where it is a row of the space. Where that is seldom so (a space
    with conditions of its own, or a partial table), the rest is drawn without replacement from
    random rows of the space, in proportion to their probability: the policy restricted to what
    there is.

    Shapes: `decide(m)` gives (m, d), `log_probability` (m,); returns (j, d).
    """
    rows = decide(_OVER * k)
    rows = space.canonical_form(rows.astype(space._dtype))
    rows = rows[space.contains(rows)][:k]
    if len(rows) < k:
        pool = space.sample(_POOL, rng)
        noisy = log_probability(pool) + rng.gumbel(size=len(pool))
        more = pool[np.argsort(-noisy)[: k - len(rows)]]
        rows = np.concatenate([rows, more])
    return rows
