"""What a study of two budgets found: who wins where, what is recommended, and the words for it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from foretell.studies._study import Study, markdown, plus_minus

Family = Literal["model", "curve", "zero-cost", "weight-sharing", "hybrid"]
FAMILIES: tuple[Family, ...] = ("model", "curve", "zero-cost", "weight-sharing", "hybrid")
PARTS = ("sotl-e", "jacob-cov", "ngb-path")  # of OMNI


@dataclass(frozen=True)
class BudgetRecord:
    """A method with `n_train` trained networks and `epochs` epochs of each network it is asked of.

    `init_s` are the seconds of the training rows' trainings and of the fit, `query_s` those of a
    row's first epochs and of predicting it; the table knows the former, processor time is the
    latter. `update_s` is what fitting takes again with a tenth more rows.
    """

    method: str
    family: str
    n_train: int
    epochs: int
    seed: int
    n_test: int = 0
    kendall: float | None = None
    spearman: float | None = None
    init_s: float | None = None
    query_s: float | None = None
    fit_s: float | None = None
    update_s: float | None = None
    error: str = ""


@dataclass(frozen=True)
class BudgetStudy(Study[BudgetRecord]):
    """What `run_budgets` found; a cell of the grid is (training rows, epochs seen)."""

    settings: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def sizes(self) -> list[int]:
        """Training sizes, ascending; 0 where nothing is trained before."""
        return sorted({r.n_train for r in self.records})

    @functools.cached_property
    def epochs(self) -> list[int]:
        """Epochs seen of a network that is asked for, ascending; 0 for none."""
        return sorted({r.epochs for r in self.records})

    @functools.cached_property
    def names(self) -> list[str]:
        """Methods in the order of the call."""
        return list(dict.fromkeys(r.method for r in self.records))

    @functools.cached_property
    def _cells(self) -> dict[tuple[str, int, int], list[BudgetRecord]]:
        found: dict[tuple[str, int, int], list[BudgetRecord]] = {}
        for record in self.records:
            if not record.error:
                found.setdefault((record.method, record.n_train, record.epochs), []).append(record)
        return found

    def family(self, method: str) -> str:
        """The family of a method."""
        return next(r.family for r in self.records if r.method == method)

    def values(self, method: str, n: int, e: int, score: str = "kendall") -> list[float]:
        """One score over the seeds, of a method that may use n training rows and e epochs.

        A method that has no use for one of both is measured without it.
        """
        for at in ((n, e), (n, 0), (0, e), (0, 0)):
            if (found := self._cells.get((method, *at))) is not None:
                scores = [getattr(r, score) for r in found]
                return [value for value in scores if value is not None]
        return []

    def mean(self, method: str, n: int, e: int, score: str = "kendall") -> float:
        """The mean of `values`, NaN without any."""
        values = self.values(method, n, e, score)
        return float(np.mean(values)) if values else np.nan

    def winner(self, n: int, e: int, among: Iterable[str] | None = None) -> tuple[str, float]:
        """The method with the highest mean tau in a cell, and its tau; ("", NaN) without any."""
        taus = {m: self.mean(m, n, e) for m in (self.names if among is None else among)}
        known = {m: tau for m, tau in taus.items() if np.isfinite(tau)}
        if not known:
            return "", np.nan
        best = max(known, key=lambda m: known[m])
        return best, known[best]

    def omni(self) -> list[tuple[int, int, float, str, float]]:
        """Cells with OMNI's tau, its best part there and that part's tau."""
        parts = [m for m in PARTS if m in self.names]
        found = []
        for n in self.sizes:
            for e in self.epochs:
                tau = self.mean("omni", n, e)
                part, best = self.winner(n, e, parts)
                if n and np.isfinite(tau) and np.isfinite(best):
                    found.append((n, e, tau, part, best))
        return found

    def omni_share(self) -> float:
        """Share of the cells in which OMNI is at or above its best part; NaN without any."""
        cells = self.omni()
        return float(np.mean([tau >= best for _, _, tau, _, best in cells])) if cells else np.nan

    def recommend(self, init_s: float, query_s: float) -> list[tuple[str, int, int, float]]:
        """Methods within two budgets, best first: (method, training rows, epochs, mean tau)."""
        found = []
        for method, n, e in self._cells:
            costs = self.mean(method, n, e, "init_s"), self.mean(method, n, e, "query_s")
            if costs[0] <= init_s and costs[1] <= query_s:
                found.append((method, n, e, self.mean(method, n, e)))
        known = [one for one in found if np.isfinite(one[3])]
        return sorted(known, key=lambda one: -one[3])

    # -- words ----------------------------------------------------------------------------------

    def summary(self) -> str:
        """Markdown: who wins where, OMNI beside its parts, what each family reaches, updates."""
        heads = ["training rows", *(_epochs(e) for e in self.epochs)]
        grid = [[str(n), *(_won(*self.winner(n, e)) for e in self.epochs)] for n in self.sizes]
        parts = [
            "Highest mean Kendall tau: rows are trained networks before (initialisation), columns "
            "epochs of each network that is asked for (query)",
            markdown(heads, grid),
        ]
        for family in FAMILIES:
            own = [m for m in self.names if self.family(m) == family]
            if own:
                rows = [
                    [str(n), *(_won(*self.winner(n, e, own)) for e in self.epochs)]
                    for n in self.sizes
                ]
                parts += [f"The best of family {family}", markdown(heads, rows)]
        if cells := self.omni():
            rows = [
                [f"{n}, {_epochs(e)}", f"{tau:.3f}", part, f"{best:.3f}"]
                for n, e, tau, part, best in cells
            ]
            parts += [
                f"OMNI at or above its best part in {self.omni_share():.0%} of {len(cells)} cells",
                markdown(["cell", "omni", "best part", "tau"], rows),
            ]
        last, far = self.sizes[-1], self.epochs[-1]
        rows = [
            [
                m,
                plus_minus(self.values(m, last, far)),
                *(_s(self.mean(m, last, far, c)) for c in ("init_s", "query_s", "fit_s")),
                _s(self.mean(m, last, far, "update_s")),
            ]
            for m in self.names
        ]
        heads = ["method", "tau", "init s", "query s", "fit s", "update s"]
        parts += [f"All methods at {last} rows and {_epochs(far)}", markdown(heads, rows)]
        failed = [r for r in self.records if r.error]
        if failed:
            one = failed[0]
            parts.append(
                f"{len(failed)} of {len(self.records)} cells failed, the first: {one.method}, "
                f"n = {one.n_train}, {_epochs(one.epochs)}: {one.error}"
            )
        return "\n\n".join(parts)

    def summary_rows(self) -> list[dict[str, Any]]:
        """One row for each method and cell in which it was measured."""
        rows = []
        for method, n, e in self._cells:
            row: dict[str, Any] = {"method": method, "family": self.family(method)}
            row |= {"n_train": n, "epochs": e, "seeds": len(self.values(method, n, e))}
            for score in ("kendall", "spearman", "init_s", "query_s", "fit_s", "update_s"):
                row[score] = self.mean(method, n, e, score)
            rows.append(row)
        return rows


def _epochs(e: int) -> str:
    return "no epoch" if not e else f"{e} epoch{'s' * (e > 1)}"


def _won(method: str, tau: float) -> str:
    return f"{method} {tau:.3f}" if method else "n/a"


def _s(seconds: float) -> str:
    return "n/a" if not np.isfinite(seconds) else f"{seconds:.3g}"
