"""The catalog: one frozen row per component; everything that lists components reads it.

A new component is its file, its oracle test and one row here. Contract tests, `foretell list`,
the documentation page and report labels follow from the row.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any

from foretell.errors import need, unknown_name


@dataclass(frozen=True)
class Row:
    """One component: what it is called, where it lives, what it needs, where it comes from."""

    name: str
    target: str  # "module:Class", imported only when asked for
    summary: str
    reference: str = ""
    extra: str = ""  # the extra of pyproject.toml that brings `packages`
    packages: tuple[str, ...] = ()  # import names that must be present
    needs: frozenset[str] = frozenset()  # capabilities, e.g. "std", "costs", "curve"
    tags: frozenset[str] = field(default=frozenset())

    def load(self) -> Any:
        """Import and return the component's class, or say which extra is missing."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise need(package, self.extra, f"{self.name!r}")
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


SPACES = (
    Row(
        "nb201",
        "foretell.spaces.nb201:NB201",
        "NAS-Bench-201 cell: 6 edges, 5 operations, 15,625 rows",
        "Dong & Yang, ICLR 2020",
    ),
)

ENCODINGS = (
    Row(
        "one-hot",
        "foretell.encodings.onehot:OneHot",
        "one bit for each option of each decision",
        "White et al., NeurIPS 2020",
    ),
)

PREDICTORS: tuple[Row, ...] = ()

STRATEGIES = (
    Row(
        "random",
        "foretell.strategies.random:Random",
        "rows drawn at random, without replacement",
        "Li & Talwalkar, UAI 2019",
    ),
)

PROXIES: tuple[Row, ...] = ()

BENCHMARKS: tuple[Row, ...] = ()

KINDS: dict[str, tuple[Row, ...]] = {
    "space": SPACES,
    "encoding": ENCODINGS,
    "predictor": PREDICTORS,
    "strategy": STRATEGIES,
    "proxy": PROXIES,
    "benchmark": BENCHMARKS,
}


def names(kind: str) -> list[str]:
    """Sorted catalog names of one kind."""
    return sorted(row.name for row in KINDS[kind])


def row(kind: str, name: str) -> Row:
    """The row of `name`, or an error that lists the names and the nearest one."""
    for candidate in KINDS[kind]:
        if candidate.name == name:
            return candidate
    raise unknown_name(kind, name, names(kind))


def get(kind: str, name: str, *args: Any, **kwargs: Any) -> Any:
    """Instantiate the component `name` of `kind`."""
    return row(kind, name).load()(*args, **kwargs)
