"""`report.html` of a study of searches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foretell._version import __version__
from foretell.report import searches_figures as draw
from foretell.report.display import Display
from foretell.report.html import Html, h, join
from foretell.report.page import shell
from foretell.report.parts import figures, settings_table, sortable, table, tile
from foretell.report.studies import better, head, said, title, written
from foretell.report.units import MISSING, plural
from foretell.studies._significance import few_seeds
from foretell.studies._study import plus_minus
from foretell.studies.searches import SearchStudy, checkpoints

_ALPHA = 0.05


def write(study: SearchStudy) -> Path:
    """Write `report.html` into the folder of the study and return its path."""
    return written(study.out, render(study))


def render(study: SearchStudy) -> str:
    """The whole page."""
    sections = [
        ("curves", "The best on the way", figures(_shown(study))),
        ("values", "Best values", _values(study)),
        ("needed", "What others need", _needed(study)),
        ("optimum", "Until the best of the table", _optimum(study)),
        ("front", "Value and costs", _front(study)),
        ("ranks", "Are the differences real?", _ranks(study)),
        ("failed", "Failed searches", _failed(study)),
        ("protocol", "How it was measured", _protocol(study)),
    ]
    return shell(title(study.settings), _header(study), sections, __version__)


def _shown(study: SearchStudy) -> list[Display | None]:
    return [
        draw.over_networks(study),
        draw.over_epochs(study),
        draw.over_hours(study),
        draw.fronts(study),
        draw.regret(study),
        draw.multiples(study),
        draw.tests(study),
        draw.tests_over_epochs(study),
        draw.tests_over_hours(study),
    ]


def _header(study: SearchStudy) -> Html:
    settings = study.settings
    optimum = study.optimum
    tiles = [
        tile("strategies", str(len(study.names)), "compared on equal terms"),
        tile("networks", f"{study.budget:,}", "that each search may query"),
        tile("seeds", str(len(study.seeds)), "searches of each strategy"),
        tile("best of the table", f"{optimum:.6g}" if optimum is not None else MISSING, "target"),
    ]
    known = [
        ("Target", f"{settings.get('column')} ({better(study.direction)})"),
        ("Test", settings.get("test_column")),
        ("Clock", _clock(study)),
    ]
    return head("searches", settings, tiles, known, _verdict(study))


def _verdict(study: SearchStudy) -> str:
    first, n = study.ordered[0], study.budget
    if not study.of(first):
        return "No search gave a result."
    words = f"{first} is ahead after {n:,} networks: {_said(study.best_at(first, n))}."
    p = study.p_against_best(n)
    near = [s for s in study.names if not np.isnan(p[s]) and p[s] > _ALPHA]
    cannot = few_seeds(len(study.seeds))
    if near and len(study.seeds) > 1:
        words += f" Not told apart from it by a paired test: {', '.join(near)}."
    return f"{words} {cannot}" if cannot else words


def _values(study: SearchStudy) -> Html:
    at = checkpoints(study.budget)
    tests = {n: study.p_against_best(n) for n in at}
    found = {s: study.tests_at(s) for s in study.names}
    with_test = any(len(values) for values in found.values())
    rows = []
    for s in study.ordered:
        cells = [h("td", s)]
        for n in at:
            values, p = study.best_at(s, n), tests[n][s]
            mark = h("span", "≈ best", class_="badge") if p > _ALPHA else None
            top = np.isnan(p) and len(study.names) > 1 and len(values) > 0
            mark = h("span", "best", class_="badge win") if top else mark
            cells.append(sortable(_mean(values), h("span", _said(values), " ", mark)))
        if with_test:
            last = found[s][:, -1] if len(found[s]) else np.zeros(0)
            cells.append(sortable(_mean(list(last)), _said(list(last))))
        rows.append(h("tr", cells))
    heads = ["Strategy", *(f"{n:,} networks" for n in at), *(["Test"] if with_test else [])]
    words = (
        "Mean ± half of the 95 % interval over the seeds of the best value seen. “≈ best”: the "
        "paired t test against the best of that column gives p > 0.05, adjusted by Holm."
        + (" Test: of the row with the best value at the end." if with_test else "")
    )
    return join([h("p", words), table(heads, rows)])


def _needed(study: SearchStudy) -> Html | None:
    if len(study.names) < 2:
        return None
    first, *others = study.ordered
    at = checkpoints(study.budget)
    rows = []
    for s in others:
        cells = [h("td", s)]
        for n in at:
            need = study.needed(s, _mean(study.best_at(first, n)))
            cells.append(sortable(need or np.inf, study.needed_words(s, first, n)))
        rows.append(h("tr", cells))
    words = (
        f"Networks after which the mean best value of a strategy is that of {first} after so many, "
        "and how many times as many that is: its sample efficiency."
    )
    return join([h("p", words), table(["Strategy", *(f"{n:,} networks" for n in at)], rows)])


def _optimum(study: SearchStudy) -> Html | None:
    if study.optimum is None:
        return None
    rows = []
    for s in study.ordered:
        middle, tail, hits = study.optimum_words(s)
        found = study.until_optimum(s)
        key = float(np.median(found)) if found else np.inf
        rows.append(h("tr", h("td", s), sortable(key, middle), h("td", tail), h("td", hits)))
    words = "Networks until a search has seen the best value of the table, over its seeds."
    return join([h("p", words), table(("Strategy", "Median", "90 %", "Found by"), rows)])


def _front(study: SearchStudy) -> Html | None:
    if not study.minimize:
        return None
    at = checkpoints(study.budget)
    rows = []
    for s in study.ordered:
        shares = 100 * study.front_shares(s, at)
        cells = [sortable(_mean(list(column)), plus_minus(list(column), 1)) for column in shares.T]
        rows.append(h("tr", h("td", s), cells))
    words = (
        f"Share, %, of the hypervolume of the best front in value and {', '.join(study.minimize)}: "
        "mean ± half of the 95 % interval. Strategies that trade no costs search by value alone."
    )
    return join([h("p", words), table(["Strategy", *(f"{n:,} networks" for n in at)], rows)])


def _ranks(study: SearchStudy) -> Html | None:
    names, ranks, difference = study.mean_ranks()
    if not np.isfinite(difference):
        return h("p", "Ranks need two strategies, and two seeds that all of them have.")
    p = study.p_against_best(study.budget)
    rows = [
        h(
            "tr",
            h("td", s),
            sortable(rank, f"{rank:.2f}"),
            sortable(p[s], MISSING if np.isnan(p[s]) else f"{p[s]:.2g}"),
        )
        for s, rank in zip(names, ranks, strict=True)
    ]
    words = (
        "Mean rank over the seeds at the end, 1 is best. Ranks further apart than "
        f"{difference:.2f} differ at the 5 % level (Nemenyi). p: of the paired t test against the "
        "highest mean, adjusted by Holm."
    )
    return join([h("p", words), table(("Strategy", "Mean rank", "p"), rows)])


def _failed(study: SearchStudy) -> Html:
    if not study.failed:
        return h("p", f"None: {plural(len(study.records), 'search', 'searches')} gave a result.")
    rows = [
        h("tr", h("td", r.strategy), h("td", str(r.seed)), h("td", r.error, class_="reason"))
        for r in study.failed
    ]
    words = "They are tried again by the same command."
    return join([h("p", words), table(("Strategy", "Seed", "Reason"), rows)])


def _protocol(study: SearchStudy) -> Html:
    words = (
        "Every distinct row that a search queries costs one network. A search sees the target "
        "alone, which may not be of a test split; the test value is looked up when it is over. All "
        "move in the same rows."
    )
    if study.tuning:
        spent = ", ".join(f"{s} {n:,}" for s, n in study.tuning.items())
        words += f" Networks that settings were tuned with are counted: {spent}."
    made = settings_table({s: study.words_of(s) for s in study.ordered}, "Settings of strategies")
    return join([h("p", words), made or "", settings_table(dict(study.settings), "Study") or ""])


def _said(values: list[float]) -> str:
    return said(values, lambda mean: 4 if mean < 1 else 3)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _clock(study: SearchStudy) -> str | None:
    column = study.settings.get("seconds_column")
    workers = int(study.settings.get("workers_simulated") or 1)
    return f"{column}, {plural(workers, 'simulated worker')}" if column else None
