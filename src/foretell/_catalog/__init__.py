"""The catalog: one frozen row per component; everything that lists components reads it.

A new component is its file, its oracle test and one row in the file of its kind here. Contract
tests, `foretell list`, the documentation page and report labels follow from the row.
"""

from __future__ import annotations

import inspect
from typing import Any

from foretell._catalog import (
    benchmarks,
    curves,
    encodings,
    predictors,
    proxies,
    spaces,
    strategies,
    supernets,
    trackers,
)
from foretell._catalog.row import Row
from foretell.errors import SettingError, unknown_name

__all__ = ["KINDS", "Row", "get", "names", "row"]

KINDS: dict[str, tuple[Row, ...]] = {
    "space": spaces.ROWS,
    "encoding": encodings.ROWS,
    "proxy": proxies.ROWS,
    "curve": curves.ROWS,
    "predictor": predictors.ROWS,
    "strategy": strategies.ROWS,
    "supernet": supernets.ROWS,
    "benchmark": benchmarks.ROWS,
    "tracker": trackers.ROWS,
}


def names(kind: str) -> list[str]:
    """Sorted catalog names of one kind."""
    return sorted(row.name for row in KINDS[kind])


def row(kind: str, name: str) -> Row:
    """The row of `name` or of an alias, or an error that lists the names and the nearest one."""
    for candidate in KINDS[kind]:
        if name in (candidate.name, *candidate.aliases):
            return candidate
    raise unknown_name(kind, name, names(kind))


def get(kind: str, name: str, *args: Any, **kwargs: Any) -> Any:
    """Instantiate the component `name` of `kind`."""
    found = row(kind, name)
    make, kwargs = found.load(), {**found.recipe, **kwargs}
    try:
        inspect.signature(make).bind(*args, **kwargs)
    except TypeError as error:
        known = [k for k in inspect.signature(make).parameters if k != "self"]
        raise SettingError(
            f"settings of {kind} {name!r}: {error}",
            expected=f"some of {', '.join(known)}" if known else "none",
        ) from error
    try:
        return make(*args, **kwargs)
    except TypeError as error:  # such as "5" where a number is compared
        raise SettingError(f"settings of {kind} {name!r}: {error}", got=kwargs) from error
