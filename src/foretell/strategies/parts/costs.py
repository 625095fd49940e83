"""Costs that a network has to be built or measured for, foretold from those of the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from foretell.errors import SettingError
from foretell.predictors.bayes_lin import BayesLinReg
from foretell.search.history import Floats
from foretell.spaces.base import Rows, Space


def foretold_costs(
    space: Space, names: Sequence[str], X: Rows, strategy: str
) -> Callable[[Rows], Floats] | None:
    """A guess of costs of rows (n, d), shape (n, len(names)); None where none is needed.

    Args:
        space: of the rows.
        names: of the costs (`space.measure`).
        X: rows with a result, whose costs are measured.
        strategy: who asks, for an error.

    Raises: SettingError where a cost is known of none of them.
    """
    if not names or space.closed_form(names):
        return None
    models = []
    for name, costs in zip(names, space.measure(X, names).T, strict=True):
        known = np.isfinite(costs)
        if not known.any():
            raise SettingError(
                f"{strategy}, minimize={name!r}",
                expected="a cost that is known of some trained network",
                got=f"none of {len(X)} could be measured",
            )
        model = BayesLinReg(space, encoding="one-hot", target="value", random_state=0)
        models.append(model.fit(X[known], np.log1p(costs[known])))
    return lambda rows: np.stack([np.expm1(model.predict(rows)) for model in models], axis=1)
