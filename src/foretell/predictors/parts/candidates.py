"""Which predictors are compared for a space and its results, and what each of them reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from foretell import _catalog
from foretell._rng import derive
from foretell.encodings import Encoding
from foretell.encodings.numbers import plan
from foretell.encodings.size import Size
from foretell.errors import ForetellError, SettingError
from foretell.evidence import Evidence
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.gp import GP
from foretell.predictors.parts.blend import BASELINE, PRIOR
from foretell.predictors.parts.features import COUNTED, FEATURES, FLOWS
from foretell.predictors.parts.prior import Prior
from foretell.predictors.parts.untold import ByScores, scores_among
from foretell.spaces.base import Rows, Space

FEWEST = 10  # results below which nothing can be compared
SCORES = "zero-cost"  # what scores of untrained networks say by themselves
_FEW = 50  # results below which what is known before training takes part, and counts stay,
_FEW_GUESSED = 20  # and where sizes are a guess by numbers, which the candidates know as well
_ROWS = 400  # most rows that are asked whether sizes say something
_COUNTS = (FEATURES, COUNTED)  # what others than `gp` read of a graph


def candidates_of(
    space: Space,
    X: Rows,
    y: Floats,
    names: Sequence[str],
    evidence: Sequence[Evidence],
    random_state: int | None,
    remarks: list[str],
) -> dict[str, Predictor]:
    """Unfitted predictors by name, the baseline first if the space can tell sizes.

    Args:
        space: whose rows they see.
        X: rows with results.
        y: the results.
        names: of the catalog.
        evidence: features of each that takes an encoding.
        random_state: of all of them.
        remarks: gets a line on what is unknown.

    Raises: SettingError where nothing is named and nothing known.
    """
    sizes = _sizes_known(space, remarks)
    asked: dict[str, tuple[str, ...]] = {"size": (*FEATURES, "size")} if sizes else {}
    if space.wiring is not None and len(y) >= _FEW:
        asked["flow"] = FLOWS
    say = _what_says(space, X, y, asked, random_state) if len(y) >= FEWEST else {"size"}
    beside = sizes and "size" in say
    found: dict[str, Predictor] = {}
    for name in (BASELINE, *names) if sizes or plan(space).names else names:
        one = _catalog.get("predictor", name, space=space, random_state=derive(random_state, name))
        if "flow" in say and one.get_params(deep=False).get("encoding") in _COUNTS:
            one.set_params(encoding=FLOWS)
        found[name] = _with(one, (*(("size",) if beside else ()), *evidence))
    if scores := scores_among(evidence):
        found[SCORES] = ByScores(space, scores)
    if len(y) < (_FEW if sizes else _FEW_GUESSED):
        found[PRIOR] = Prior(space, evidence=tuple(evidence))
    if not found:
        raise SettingError("candidates", expected="at least one predictor", got="none")
    return found


def installed(n: int, more: bool, space: Space) -> tuple[str, ...]:
    """Names whose packages can be imported: those for `n` results, with `more` all in that order.

    Few results mislead products, networks and trees. Of a space with numbers the graph view says
    less than they do.
    """
    chain = bool(plan(space).names)
    return tuple(
        row.name
        for row in _catalog.KINDS["predictor"]
        if (more or (row.auto_from is not None and row.auto_from <= n))
        and not (row.name == "auto" or "baseline" in row.tags)
        and not (chain and not more and "graph" in row.needs)
        and all(find_spec(package) for package in row.packages)
    )


def _sizes_known(space: Space, remarks: list[str]) -> bool:
    """Whether parameters and flops can be had, tried on one row; if not, a remark says why."""
    try:
        Size(space).encode(space.sample(1, rng=0))
    except ForetellError as error:
        instead = ": the product of its numbers stands for them" if plan(space).names else ""
        remarks.append(f"sizes are unknown ({str(error)[:200]}){instead}")
        return False
    return True


def _with(model: Predictor, more: tuple[str | Encoding, ...]) -> Predictor:
    """The predictor, with these among its encodings if it takes some."""
    encoding = model.get_params(deep=False).get("encoding")
    if encoding is None or not more:
        return model
    parts = encoding if isinstance(encoding, tuple) else (encoding,)
    model.set_params(encoding=(*parts, *more))
    return model


def _what_says(
    space: Space,
    X: Rows,
    y: Floats,
    asked: Mapping[str, tuple[str, ...]],
    random_state: int | None,
) -> set[str]:
    """Which sets of encodings say more than `FEATURES`, by the Bayesian information criterion.

    Where one says nothing, chance is an order that fits the rows, and misleads everywhere.
    """
    if not asked:
        return set()
    seed = derive(random_state, "sizes")  # the same rows for all, where there are many
    losses = {
        name: GP(space, encoding, target="rank", max_rows=_ROWS, random_state=seed).fit(X, y).loss_
        for name, encoding in {"": FEATURES, **asked}.items()
    }
    price = 0.5 * math.log(min(len(y), _ROWS))
    return {name for name in asked if losses[""] - losses[name] > price}
