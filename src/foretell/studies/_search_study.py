"""What a study of searches found: best values on the way, tests, and the words for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foretell.metrics import mean_interval
from foretell.pareto import hypervolume
from foretell.studies._search_record import SearchRecord, checkpoints
from foretell.studies._significance import (
    critical_difference,
    few_seeds,
    holm,
    mean_ranks,
    paired_t,
)
from foretell.studies._study import Study, markdown, plus_minus


@dataclass(frozen=True)
class SearchStudy(Study[SearchRecord]):
    """What `run_searches` found; `records` has one `SearchRecord` a search.

    Args:
        budget: networks that a search may query.
        direction: "min" where small values are good.
        settings: of the study, as in its folder.
        tuning: networks that were spent on the settings of a strategy, by its name: its curves
            begin behind them.
    """

    budget: int
    direction: Literal["max", "min"] = "max"
    settings: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, int] = field(default_factory=dict)

    @property
    def sign(self) -> float:
        """1 where large values are good, else -1."""
        return 1.0 if self.direction == "max" else -1.0

    @property
    def seeds(self) -> list[int]:
        """Of the searches."""
        return sorted({r.seed for r in self.records})

    @property
    def failed(self) -> list[SearchRecord]:
        """Searches that ended in an error."""
        return [r for r in self.records if r.error]

    @property
    def ordered(self) -> list[str]:
        """The strategies, the best mean at the end of the budget first."""
        mean = {s: self.sign * _mean(self.best_at(s, self.budget)) for s in self.names}
        return sorted(self.names, key=lambda s: -mean[s] if np.isfinite(mean[s]) else np.inf)

    @property
    def optimum(self) -> float | None:
        """The best value of the table, where the settings know it."""
        found = self.settings.get("optimum")
        return None if found is None else float(found)

    def of(self, strategy: str) -> list[SearchRecord]:
        """Its searches that gave a result."""
        return [r for r in self.records if r.strategy == strategy and not r.error]

    def words_of(self, strategy: str) -> str:
        """The settings of a strategy, as it was made."""
        return next((r.settings for r in self.records if r.strategy == strategy), "")

    def until_optimum(self, strategy: str) -> list[float]:
        """Networks until the best value of the table was seen, one a seed; inf where it was not."""
        optimum = self.optimum
        if optimum is None:
            return []
        there = self.sign * self.curves(strategy) >= self.sign * optimum
        return [int(np.argmax(row)) + 1 if row.any() else np.inf for row in there]

    @property
    def minimize(self) -> tuple[str, ...]:
        """Names of costs that are traded against the value."""
        return tuple(self.settings.get("minimize") or ())

    def tests_at(self, strategy: str) -> NDArray[np.float64]:
        """Test of the best row after the numbers of networks of `checkpoints`, (seeds, numbers)."""
        at = checkpoints(self.budget)
        found = [r.tested(self.direction) for r in self.of(strategy)]
        rows = [[one[min(n, len(one)) - 1] for n in at] for one in found if len(one)]
        return np.array(rows, dtype=np.float64).reshape(-1, len(at))

    def front_shares(self, strategy: str, at: Sequence[int]) -> NDArray[np.float64]:
        """Share of the hypervolume of the best front that a search has found, (seeds, numbers).

        Args:
            strategy: whose searches.
            at: numbers of networks.

        The best front is the table's, or what all searches together have found; volumes are over
        the median value and the largest costs there.
        """
        reference, volume = self._front
        out = []
        for record in self.of(strategy):
            F, networks = record.objectives(self.sign)
            known, share = -1, 0.0
            row = []
            for n in at:
                there = networks <= n - self.tuning.get(strategy, 0)
                if (count := int(there.sum())) != known:
                    known, share = count, hypervolume(F[there], reference) / volume
                row.append(share)
            out.append(row)
        return np.array(out, dtype=np.float64).reshape(-1, len(at))

    @cached_property
    def _front(self) -> tuple[list[float], float]:
        """A point that is worse than all of interest, and the volume to it."""
        if known := self.settings.get("front_reference"):
            return list(known), float(self.settings["front_volume"])
        found = [r.objectives(self.sign)[0] for r in self.records if not r.error]
        return best_front(np.concatenate(found))

    def p_against_best(self, n: int) -> dict[str, float]:
        """Paired t test of each strategy against the best after `n` networks, adjusted by Holm.

        Pairs are searches of the same seed; NaN for the best itself, and with fewer than two.
        """
        by_seed = {
            s: {r.seed: v for r, v in zip(self.of(s), self.best_at(s, n), strict=True)}
            for s in self.names
        }
        means = {s: self.sign * _mean(list(v.values())) for s, v in by_seed.items()}
        first = max(self.names, key=lambda s: np.nan_to_num(means[s], nan=-np.inf))
        others = [s for s in self.names if s != first]
        raw = []
        for s in others:
            both = sorted(by_seed[s].keys() & by_seed[first].keys())
            raw.append(paired_t([by_seed[first][i] for i in both], [by_seed[s][i] for i in both]))
        return {first: float("nan"), **dict(zip(others, holm(raw).tolist(), strict=True))}

    def mean_ranks(self) -> tuple[list[str], NDArray[np.float64], float]:
        """Strategies by mean rank at the end over the seeds that all have; the critical difference.

        The third is infinite where there are fewer than two strategies or seeds.
        """
        values = {
            s: dict(zip((r.seed for r in self.of(s)), self.best_at(s, self.budget), strict=True))
            for s in self.names
        }
        common = sorted(set.intersection(*(set(v) for v in values.values()))) if values else []
        names = self.names
        if len(common) < 2 or len(names) < 2:
            return names, np.ones(len(names)), float("inf")
        table = np.array([[self.sign * values[s][seed] for s in names] for seed in common])
        found = mean_ranks(table)
        order = np.argsort(found, kind="stable")
        return (
            [names[i] for i in order],
            found[order],
            critical_difference(len(names), len(common)),
        )

    @property
    def names(self) -> list[str]:
        """The strategies, in the order of the call."""
        return list(dict.fromkeys(r.strategy for r in self.records))

    def curves(self, strategy: str) -> NDArray[np.float64]:
        """Best value seen after 1, 2, ... networks, one search a row, (seeds, budget).

        A search that ended early because the space was used up keeps its last value.
        """
        mine, spent = self.of(strategy), self.tuning.get(strategy, 0)
        out = np.full((len(mine), self.budget), np.nan)
        for curve, record in zip(out, mine, strict=True):
            known = record.incumbents(self.direction)[: max(self.budget - spent, 0)]
            if len(known):
                curve[spent : spent + len(known)] = known
                curve[spent + len(known) :] = known[-1]
        return out

    def best_at(self, strategy: str, n: int) -> list[float]:
        """Best value seen after `n` networks, one a seed."""
        return [float(v) for v in self.curves(strategy)[:, n - 1]]

    def needed(self, strategy: str, value: float) -> int | None:
        """Networks after which the mean best value is at least as good as `value`, or None."""
        curves = self.curves(strategy)
        if not len(curves):
            return None
        mean = curves.mean(axis=0)
        there = mean >= value if self.direction == "max" else mean <= value
        return int(np.argmax(there)) + 1 if there.any() else None

    def summary(self) -> str:
        """Markdown: best value at some numbers of networks, and what it takes to get there."""
        at, names = checkpoints(self.budget), self.ordered
        test = any(r.test is not None for r in self.records)
        n_seeds = len({r.seed for r in self.records})
        clock = any(any(r.ended_s) for r in self.records)
        trained = int(self.settings.get("epochs") or 0)
        small = abs(_mean(self.best_at(names[0], self.budget))) < 1 if names else False
        digits = 4 if small else 3  # accuracies as fractions are near each other
        rows = []
        for s in names:
            cells = [plus_minus(self.best_at(s, n), digits) for n in at]
            if test:
                tests = [r.test for r in self.records if r.strategy == s]
                cells.append(plus_minus([value for value in tests if value is not None], digits))
            if clock:
                ends = [r.ended_s for r in self.records if r.strategy == s and r.ended_s]
                cells.append(plus_minus([max(end) for end in ends], digits=0))
            if trained:
                paid = [r.spent_epochs(trained) for r in self.of(s) if r.values]
                cells.append(plus_minus([one[-1] for one in paid], digits=0))
            rows.append([s, *cells])
        header = ["strategy", *(f"{n} networks" for n in at), *(["test"] if test else [])]
        header += ["seconds"] * clock + ["epochs"] * bool(trained)
        first, optimum = names[0], self.optimum
        reach = [[s, *(self.needed_words(s, first, n) for n in at)] for s in names[1:]]
        parts = [
            "Best value seen after so many networks",
            markdown(header, rows),
            f"Mean ± half of the 95 % interval over {n_seeds} seed{'s' * (n_seeds > 1)}."
            + (" Test: of the row with the best value at the end." if test else "")
            + (" Seconds: until all is trained, on the simulated clock." if clock else "")
            + (" Epochs: of all trainings together." if trained else ""),
        ]
        if self.minimize:
            shares = {s: 100 * self.front_shares(s, at) for s in names}
            parts += [
                f"Share of the best front's volume, %, in value and {', '.join(self.minimize)}",
                markdown(["strategy", *(f"{n} networks" for n in at)], [
                    [s, *(plus_minus(list(column), 1) for column in shares[s].T)] for s in names
                ]),
            ]  # fmt: skip
        if cannot := few_seeds(n_seeds):
            parts.append(cannot)
        if reach:
            parts += [
                f"Networks needed to reach the mean that {first} has at so many, and the multiple",
                markdown(["strategy", *(f"{n} networks" for n in at)], reach),
            ]
        if optimum is not None:
            parts += [
                f"Networks until the best of the table, {optimum:.6g}, is found",
                markdown(["strategy", "median", "90 %", "searches that found it"], [
                    [s, *self.optimum_words(s)] for s in names
                ]),
            ]  # fmt: skip
        p = self.p_against_best(self.budget)
        ranks = dict(zip(*self.mean_ranks()[:2], strict=True))
        parts += [
            "Settings; mean rank at the end; p of the paired t test against the best, by Holm",
            markdown(["strategy", "mean rank", "p", "settings"], [
                [s, f"{ranks[s]:.2f}", "" if np.isnan(p[s]) else f"{p[s]:.2g}", self.words_of(s)]
                for s in names
            ]),
        ]  # fmt: skip
        if self.tuning:
            spent = ", ".join(f"{s} {n}" for s, n in self.tuning.items())
            parts.append(f"Networks that settings were tuned with, counted: {spent}.")
        failed = self.failed
        if failed:
            parts.append(
                f"{len(failed)} of {len(self.records)} searches failed, the first: "
                f"{failed[0].strategy}, seed {failed[0].seed}: {failed[0].error}"
            )
        return "\n\n".join(parts)

    def optimum_words(self, strategy: str) -> list[str]:
        """Median and 90 % quantile of the networks until the optimum; how often it was found."""
        found = self.until_optimum(strategy)
        if not found:
            return ["n/a", "n/a", "0 of 0"]
        at = np.quantile(found, [0.5, 0.9], method="higher")
        words = [f"{n:.0f}" if np.isfinite(n) else f"> {self.budget}" for n in at]
        return [*words, f"{np.isfinite(found).sum()} of {len(found)}"]

    def needed_words(self, strategy: str, first: str, n: int) -> str:
        """Networks until the mean that `first` has after `n`, and how many times as many."""
        value = _mean(self.best_at(first, n))
        need = self.needed(strategy, value) if np.isfinite(value) else None
        return f"> {self.budget:,}" if need is None else f"{need:,} ({need / n:.1f} x)"

    def summary_rows(self) -> list[dict[str, Any]]:
        """One row for each strategy and number of networks: mean and half interval."""
        rows = []
        for strategy in self.names:
            curves = self.curves(strategy)
            for n in range(1, self.budget + 1):
                mean, half = mean_interval(curves[:, n - 1]) if len(curves) else (np.nan, np.nan)
                row = {"strategy": strategy, "networks": n, "seeds": len(curves)}
                rows.append({**row, "best": mean, "best_half95": half})
        return rows


def best_front(F: NDArray[np.float64]) -> tuple[list[float], float]:
    """A point that the better half of rows (n, 1 + costs) is better than; the front's volume to it.

    Larger is better. It has the median of the first column, the value, and the least of others: so
    networks that learn nothing do not count, and large ones count by what they are better.

    >>> best_front(np.array([[0.0, -1.0], [50.0, -2.0], [90.0, -4.0], [80.0, -4.0], [40.0, -5.0]]))
    ([50.0, -5.0], 40.0)
    """
    rows = F[np.isfinite(F).all(axis=1)]
    if not len(rows):
        return [0.0] * F.shape[1], 1.0
    reference = [float(np.median(rows[:, 0])), *rows[:, 1:].min(axis=0).tolist()]
    return reference, hypervolume(rows, reference) or 1.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
