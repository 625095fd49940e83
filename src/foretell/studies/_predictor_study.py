"""What a study of predictors found: means, intervals, tests, and the words for them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell import _catalog, metrics
from foretell.studies import _significance as tests
from foretell.studies._scoring import CALIBRATION, SCORES, PredictorRecord
from foretell.studies._study import Study, markdown, plus_minus

ALPHA = 0.05


class Ranking(NamedTuple):
    """Mean ranks over blocks, best first, and what is known about their differences.

    A block is a training size with a seed. Predictors without a value in each block are `left_out`.
    """

    names: list[str]
    ranks: NDArray[np.float64]
    blocks: int
    friedman: tests.Friedman
    difference: float  # of mean ranks, above which two predictors differ
    left_out: list[str]


@dataclass(frozen=True)
class PredictorStudy(Study[PredictorRecord]):
    """What `run_predictors` found; `records` has one `PredictorRecord` a cell.

    `settings` are those of run.json; `notes` say what was left out, a line each.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def sizes(self) -> list[int]:
        """Training sizes, ascending."""
        return sorted({r.n_train for r in self.records})

    @functools.cached_property
    def seeds(self) -> list[int]:
        """Seeds, in the order of the call."""
        return list(dict.fromkeys(r.seed for r in self.records))

    @functools.cached_property
    def names(self) -> list[str]:
        """Predictors, the best at the largest training size first."""
        names = dict.fromkeys(r.predictor for r in self.records)
        return sorted(names, key=lambda n: -self.mean(n, self.sizes[-1], missing=-2.0))

    @functools.cached_property
    def failed(self) -> list[PredictorRecord]:
        """Cells that failed."""
        return [r for r in self.records if r.error]

    @functools.cached_property
    def _cells(self) -> dict[tuple[str, int], list[PredictorRecord]]:
        found: dict[tuple[str, int], list[PredictorRecord]] = {}
        for record in self.records:
            if not record.error:
                found.setdefault((record.predictor, record.n_train), []).append(record)
        return found

    def values(self, predictor: str, n_train: int, score: str = "kendall") -> list[float]:
        """One score of a predictor at one training size, over the seeds that have it."""
        return list(self.by_seed(predictor, n_train, score).values())

    def by_seed(self, predictor: str, n_train: int, score: str = "kendall") -> dict[int, float]:
        """One score of a predictor at one training size: seed -> value, of seeds that have it."""
        scores = {r.seed: getattr(r, score) for r in self._cells.get((predictor, n_train), [])}
        return {seed: value for seed, value in scores.items() if value is not None}

    def mean(
        self, predictor: str, n_train: int, score: str = "kendall", missing: float = np.nan
    ) -> float:
        """The mean of `values`, or `missing`."""
        values = self.values(predictor, n_train, score)
        return float(np.mean(values)) if values else missing

    @property
    def shown(self) -> tuple[str, ...]:
        """Scores for people: what some record has, and seconds of tuning only if there was some."""
        scores = SCORES if self.settings.get("tune") else SCORES[:-1]
        there = any(r.kendall_unseen is not None for r in self.records)
        return tuple(s for s in scores if there or s != "kendall_unseen")

    @functools.cached_property
    def calibrated(self) -> list[str]:
        """Predictors with an uncertainty, the best calibrated at the largest size first."""
        n = self.sizes[-1]
        found = [p for p in self.names if self.values(p, n, "calibration_error")]
        return sorted(found, key=lambda p: self.mean(p, n, "calibration_error"))

    # -- tests ----------------------------------------------------------------------------------

    def best(self, n_train: int) -> str:
        """The predictor with the best mean tau at one training size."""
        return max(self.names, key=lambda p: self.mean(p, n_train, missing=-2.0))

    def p_against_best(self, n_train: int) -> dict[str, float]:
        """How likely as large a difference to the best predictor is by chance, for each other one.

        Paired t test over the seeds that both have, two-sided, adjusted by Holm for the number of
        predictors that are compared, and of baselines for theirs; seeds count as independent, and
        the choice of the best one is not accounted for. NaN where both have fewer than two seeds.
        """
        first = self.best(n_train)
        top = self.by_seed(first, n_train)
        found: dict[str, float] = {}
        for family in (self.compared, [p for p in self.names if p not in self.compared]):
            others = [p for p in family if p != first]
            raw = []
            for other in others:
                values = self.by_seed(other, n_train)
                both = [seed for seed in top if seed in values]
                raw.append(tests.paired_t([top[s] for s in both], [values[s] for s in both]))
            found |= dict(zip(others, (float(p) for p in tests.holm(raw)), strict=True))
        return {p: found[p] for p in self.names if p in found}

    @functools.cached_property
    def compared(self) -> list[str]:
        """The predictors without the baselines, which are in every study; all, if one is left."""
        own = [p for p in self.names if p not in baselines()]
        return own if len(own) > 1 else self.names

    @functools.cached_property
    def ranking(self) -> Ranking | None:
        """Mean ranks of what is compared over all training sizes and seeds.

        None with fewer than two of anything.
        """
        table = {}
        for p in self.compared:
            scores = {n: self.by_seed(p, n) for n in self.sizes}
            table[p] = [scores[n][s] for n in self.sizes for s in self.seeds if s in scores[n]]
        blocks = len(self.sizes) * len(self.seeds)
        whole = [p for p, values in table.items() if len(values) == blocks]
        if blocks < 2 or len(whole) < 2:
            return None
        values = np.array([table[p] for p in whole]).T
        ranks = tests.mean_ranks(values)
        order = np.argsort(ranks, kind="stable")
        return Ranking(
            [whole[i] for i in order],
            ranks[order],
            blocks,
            tests.friedman(values),
            tests.critical_difference(len(whole), blocks, ALPHA),
            [p for p in self.compared if p not in whole],
        )

    # -- words ----------------------------------------------------------------------------------

    def label(self, predictor: str) -> str:
        """The name, with a word for baselines.

        >>> PredictorStudy((), None).label("mean")
        'mean (baseline)'
        """
        return predictor + (" (baseline)" if predictor in baselines() else "")

    def summary(self) -> str:
        """Markdown: Kendall's tau over training sizes, then all scores at the largest size."""
        n_seeds, last = len(self.seeds), self.sizes[-1]
        parts = [
            "Kendall's tau on the test rows",
            self._table([(f"n = {n}", n, "kendall") for n in self.sizes], self.names),
            f"All scores at n = {last}",
            self._table([(s, last, s) for s in self.shown], self.names),
            f"Mean ± half of the 95 % interval over {n_seeds} seed{'s' * (n_seeds > 1)}.",
        ]
        if "kendall_unseen" in self.shown:
            parts.append(
                "kendall_unseen: on the test rows that compute what no training row computes."
            )
        if cannot := tests.few_seeds(n_seeds):
            parts.append(cannot)
        if self.calibrated:
            parts += [
                f"Share of true values inside the intervals of predictors with an uncertainty, at "
                f"n = {last}",
                self._table([(s, last, s) for s in CALIBRATION], self.calibrated),
            ]
        if self.ranking is not None:
            parts += ["Mean rank over all training sizes and seeds", self._ranks(self.ranking)]
        parts += self.notes
        failed = self.failed
        if failed:
            parts.append(
                f"{len(failed)} of {len(self.records)} cells failed, the first: "
                f"{failed[0].predictor}, n = {failed[0].n_train}, seed {failed[0].seed}: "
                f"{failed[0].error}"
            )
        return "\n\n".join(parts)

    def _table(self, columns: Sequence[tuple[str, int, str]], names: Sequence[str]) -> str:
        return markdown(
            ["predictor", *(title for title, _, _ in columns)],
            [
                [self.label(p), *(plus_minus(self.values(p, n, s)) for _, n, s in columns)]
                for p in names
            ],
        )

    def _ranks(self, found: Ranking) -> str:
        rows = [
            [self.label(p), f"{rank:.2f}"] for p, rank in zip(found.names, found.ranks, strict=True)
        ]
        return "\n\n".join([markdown(["predictor", "mean rank"], rows), rank_words(found)])

    def summary_rows(self) -> list[dict[str, Any]]:
        """One row for each predictor and size: mean and half interval of each score."""
        pairs = dict.fromkeys((r.predictor, r.n_train) for r in self.records)
        rows = []
        for predictor, n in pairs:
            row: dict[str, Any] = {"predictor": predictor, "n_train": n}
            row["seeds"] = len(self.values(predictor, n))
            for score in (*SCORES, *CALIBRATION):
                known = self.values(predictor, n, score)
                mean, half = metrics.mean_interval(known) if known else (np.nan, np.nan)
                row |= {score: mean, f"{score}_half95": half}
            rows.append(row)
        return rows


def rank_words(found: Ranking) -> str:
    """Friedman's test and Nemenyi's critical difference in words."""
    test = found.friedman
    words = (
        f"Friedman's test over {found.blocks} blocks (training size and seed): "
        f"F = {test.f:.1f}, p = {test.p:.2g}. Mean ranks further apart than "
        f"{found.difference:.2f} differ at the 5 % level (Nemenyi); blocks count as independent."
    )
    if found.difference > len(found.names) - 1:
        words += " So few blocks cannot tell any two of these apart."
    if found.left_out:
        words += f" Not ranked, because cells are missing: {', '.join(found.left_out)}."
    return words


@functools.cache
def baselines() -> frozenset[str]:
    """Names of the catalog's baselines."""
    return frozenset(row.name for row in _catalog.KINDS["predictor"] if "baseline" in row.tags)
