"""Is the winner really better: it and the hand-made network are trained again."""

from __future__ import annotations

import numpy as np

from foretell.runs.driver import Driver
from foretell.runs.events import HandMade, Verdict


def verdict(driver: Driver) -> Verdict | None:
    """Train the winner and the hand-made network of the space again, with other seeds.

    Their test metrics are read, once for each.

    Args:
        driver: whose search has ended.

    Returns: the part of the `final` event, or None where no replicates are asked for.
    """
    n = driver.plan.replicates
    if not n:
        return None
    space, winner, made = driver.space, driver.desk.all.best(), driver.space.baseline()
    rows = np.stack([winner.x] if made is None else [winner.x, made[1]]).astype(winner.x.dtype)
    _, first = np.unique(space.row_key(rows), return_index=True)
    numbers = list(range(1, n + 1)) * len(first)
    with driver.desk.spent.phase("verdict_s"):
        trials = driver.beside("verdict", np.repeat(rows[np.sort(first)], n, axis=0), numbers)
    ids = [trial.id for trial in trials]
    return Verdict(
        replicates=n,
        winner=tuple(ids[:n]),
        baseline=made and HandMade(made[0], space.to_str(made[1][None])[0]),
        baseline_trials=tuple(ids[-n:]) if made is not None else (),
    )
