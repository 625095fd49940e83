"""What is known as a study of Optuna, for its samplers as strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from foretell.errors import need
from foretell.search.history import OK, PENDING, Floats, History
from foretell.spaces.base import Rows, Space

__all__ = ["optuna", "suggestions"]

try:
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial
except ImportError as error:
    raise need("optuna", "optuna", "a sampler of Optuna as a strategy") from error


_TRIES = 3  # times that a sampler is asked again when what it suggests is known


def suggestions(
    space: Space,
    records: History,
    F: Floats,
    sampler: optuna.samplers.BaseSampler,
    n: int,
    rng: np.random.Generator,
    system: Callable[[int], Mapping[str, Any]] = lambda i: {},
) -> Callable[[int], Rows]:
    """Draws what a sampler suggests after some records, `n` rows at a time; in the end random ones.

    A decision is a categorical parameter with the numbers of its options, whether it applies or
    not. Records that failed are left out, pending ones are running trials, and so are suggestions
    from then on. Rows of no network are left out.

    Args:
        space: of the rows.
        records: one a row.
        F: objectives to maximise, (n, m).
        sampler: with a seed of its own.
        n: rows of a draw.
        rng: of the random rows.
        system: attributes of the i-th trial that the sampler reads.
    """
    wanted: Any = {
        f"{j}": CategoricalDistribution(range(int(k))) for j, k in enumerate(space.n_options)
    }
    states = {OK: TrialState.COMPLETE, PENDING: TrialState.RUNNING}
    there = [i for i, status in enumerate(records.status.tolist()) if status in states]
    with _quiet():
        study = optuna.create_study(directions=["maximize"] * F.shape[1], sampler=sampler)
        study.add_trials(
            [
                create_trial(
                    state=states[int(records.status[i])],
                    values=F[i].tolist() if records.status[i] == OK else None,
                    params={f"{j}": int(v) for j, v in enumerate(records.X[i])},
                    distributions=wanted,
                    system_attrs=dict(system(k)),
                )
                for k, i in enumerate(there)
            ]
        )
    tries = iter(range(_TRIES))

    def draw(k: int) -> Rows:
        if next(tries, None) is None:
            return space.sample(k, rng)
        with _quiet():
            rows = [list(study.ask(wanted).params.values()) for _ in range(n)]
        numbers = np.array(rows, dtype=np.int64).reshape(n, space.d)
        found = space.canonical_form(numbers.astype(space._dtype))
        return found[space.contains(found)]

    return draw


@contextmanager
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
