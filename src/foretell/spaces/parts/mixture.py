"""How rows of a space are mixtures of operations: what a supernet weighs, and back again."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SpaceError
from foretell.spaces.parts.rows import Rows

Weights = NDArray[np.float32]  # (n, E, K): of each row, site and option


@dataclass(frozen=True)
class Site:
    """A place where a supernet holds several options: an edge of a cell, or a decision.

    Args:
        name: of the place.
        options: what can stand there; "none" is nothing.
        keep: how many of them a row takes.
    """

    name: str
    options: tuple[str, ...]
    keep: int = 1


@dataclass(frozen=True)
class Node:
    """Sites whose results are added, of which a row has `keep`; numbers of sites."""

    sites: tuple[int, ...]
    keep: int


@dataclass(frozen=True)
class Mixture(ABC):
    """What a supernet of a space weighs: E sites of up to K options.

    Args:
        sites: the places, each with its options.
        nodes: which sites meet, and how many of them a row has; none where it has all.
        never: options that are mixed and that no row has (the "none" of DARTS).
    """

    sites: tuple[Site, ...]
    nodes: tuple[Node, ...] = ()
    never: frozenset[str] = frozenset()

    @abstractmethod
    def weights(self, X: Rows) -> Weights:
        """What each row takes: 1 or 0, all 0 at a site that it does not have.

        Shapes: (n, d) to (n, E, K).
        """

    @abstractmethod
    def rows(self, weights: Weights) -> Rows:
        """The inverse of `weights`.

        Shapes: (n, E, K) to (n, d).
        """

    def inside(self, X: Rows) -> Rows:
        """The rows of this supernet that are most like some rows; by default themselves."""
        return X

    @property
    def shape(self) -> tuple[int, int]:
        """Sites and the most options of one, (E, K)."""
        return len(self.sites), max(len(site.options) for site in self.sites)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which options there are, (E, K)."""
        mask = np.zeros(self.shape, dtype=bool)
        for e, site in enumerate(self.sites):
            mask[e, : len(site.options)] = True
        return mask

    @property
    def takeable(self) -> NDArray[np.bool_]:
        """Which options a row may have, (E, K)."""
        mask = self.mask
        for e, site in enumerate(self.sites):
            for k, option in enumerate(site.options):
                mask[e, k] &= option not in self.never
        return mask

    def options(self, *names: str) -> NDArray[np.bool_]:
        """Where options of these names are, (E, K)."""
        found = np.zeros(self.shape, dtype=bool)
        for e, site in enumerate(self.sites):
            for k, option in enumerate(site.options):
                found[e, k] = option in names
        return found

    def links(self) -> list[tuple[int, int]]:
        """Pairs of sites of which the second reads what the first gives.

        Names that end as in "edge_0_2" say source and target; else sites are a chain.
        """
        ends = [re.fullmatch(r"(.*edge)_(\d+)_(\d+)", site.name) for site in self.sites]
        if not all(ends):
            return [(e, e + 1) for e in range(len(self.sites) - 1)]
        at = [(end[1], end[2], end[3]) for end in ends if end]
        return [
            (a, b)
            for a, (cell, _, target) in enumerate(at)
            for b, (other, source, _) in enumerate(at)
            if (cell, target) == (other, source)
        ]

    def best(self, scores: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> Weights:
        """The strongest options of each site and the strongest sites of each node, (E, K).

        A site is as strong as its strongest option that a row may have; of equal ones the earlier
        wins.

        Args:
            scores: (E, K), higher is better.
            mask: options that are still there; a site without any is left out.

        References: Liu et al., DARTS, ICLR 2019, section 2.4.
        """
        there = self.takeable if mask is None else self.takeable & mask
        value = np.where(there, scores, -np.inf)
        order = np.argsort(-value, axis=1, kind="stable")
        keep = np.array([site.keep for site in self.sites])
        rank = np.argsort(order, axis=1, kind="stable")
        chosen = (rank < keep[:, None]) & there
        for node in self.nodes:
            sites = np.array(node.sites)
            strength = value[sites].max(axis=1)
            weakest = np.argsort(-strength, kind="stable")[node.keep :]
            chosen[sites[weakest]] = False
        return chosen.astype(np.float32)


@dataclass(frozen=True)
class Columns(Mixture):
    """A mixture whose sites are columns of `X`; other columns are as in `at`.

    Args:
        columns: the column of each site.
        at: a row, (d,).
    """

    columns: tuple[int, ...] = ()
    at: tuple[int, ...] = ()

    def weights(self, X: Rows) -> Weights:
        """One option a site."""
        rest = [j for j in range(len(self.at)) if j not in self.columns]
        wrong = np.any(X[:, rest] != np.array(self.at)[rest], axis=1) if rest else np.zeros(0)
        if wrong.any():
            raise SpaceError(
                f"row {int(np.argmax(wrong))} is not in this supernet",
                expected=f"{[self.at[j] for j in rest]} in columns {rest}, which are not mixed",
                got=X[int(np.argmax(wrong)), rest].tolist(),
            )
        picked = X[:, list(self.columns)]
        return np.asarray(picked[:, :, None] == np.arange(self.shape[1])).astype(np.float32)

    def inside(self, X: Rows) -> Rows:
        """With the columns that are not mixed as in `at`."""
        X = X.copy()
        rest = [j for j in range(len(self.at)) if j not in self.columns]
        X[:, rest] = np.array(self.at, dtype=X.dtype)[rest]
        return X

    def rows(self, weights: Weights) -> Rows:
        """The option of each site in its column."""
        X = np.tile(np.array(self.at), (len(weights), 1))
        X[:, list(self.columns)] = weights.argmax(axis=2)
        return X


def columns(
    names: Sequence[str],
    options: Sequence[Sequence[object]],
    at: Sequence[int],
    which: Sequence[int],
) -> Columns:
    """The mixture of some columns, each a site.

    Args:
        names: of all columns.
        options: of all columns.
        at: the row that says what the other columns are.
        which: the columns that are mixed.
    """
    sites = tuple(Site(names[j], tuple(map(str, options[j]))) for j in which)
    return Columns(sites, columns=tuple(which), at=tuple(int(one) for one in at))
