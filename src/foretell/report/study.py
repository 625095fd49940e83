"""`report.html` of a study of predictors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foretell._version import __version__
from foretell.report import study_figures as draw
from foretell.report.html import Html, h, join
from foretell.report.page import shell
from foretell.report.parts import figures, settings_table, sortable, table, tile
from foretell.report.studies import better, head, said, title, written
from foretell.report.units import plural
from foretell.studies._predictor_study import ALPHA, PredictorStudy, rank_words
from foretell.studies._scoring import CALIBRATION
from foretell.studies._significance import few_seeds

_SPLITS = {
    "uniform": "test and training rows drawn at random, apart from each other",
    "mutation": "test rows are 1 to 3 mutations away from 5 good rows, training rows 1 mutation "
    "from test rows",
}


def write(study: PredictorStudy) -> Path:
    """Write `report.html` into the folder of the study and return its path."""
    return written(study.out, render(study))


def render(study: PredictorStudy) -> str:
    """The whole page."""
    sections = [
        ("correlation", "Rank correlation", _correlation(study)),
        ("time", "The best within a time", _time(study)),
        ("ranks", "Are the differences real?", _ranks(study)),
        ("scores", "All scores", _scores(study)),
        ("uncertainty", "Uncertainty", _uncertainty(study)),
        ("failed", "Failed cells", _failed(study)),
        ("protocol", "How it was measured", _protocol(study)),
    ]
    return shell(title(study.settings), _header(study), sections, __version__)


def _header(study: PredictorStudy) -> Html:
    settings = study.settings
    cells, failed = len(study.records), len(study.failed)
    tiles = [
        tile("predictors", str(len(study.names)), "baselines among them"),
        tile("training sizes", str(len(study.sizes)), ", ".join(map(str, study.sizes))),
        tile("seeds", str(len(study.seeds)), f"{settings.get('n_test', '')} test rows each"),
        tile("cells", str(cells), f"{failed} failed" if failed else "none failed"),
    ]
    known = [
        ("Target", f"{settings.get('column')} ({better(settings.get('direction'))})"),
        ("Rows", _SPLITS[settings.get("split") or "uniform"]),
        ("Tuning", _tuning(study)),
    ]
    return head("predictors", settings, tiles, known, _verdict(study), study.notes)


def _verdict(study: PredictorStudy) -> str:
    n = study.sizes[-1]
    first = study.best(n)
    if not study.values(first, n):
        return f"No predictor gave a result at n = {n}."
    words = f"{first} orders best after {n} networks: Kendall tau {_said(study, first, n)}."
    p = study.p_against_best(n)
    near = [other for other in study.names if other in p and not p[other] <= ALPHA]
    near = [other for other in near if np.isfinite(p[other])]
    cannot = few_seeds(len(study.seeds))
    if len(study.seeds) < 2:
        return f"{words} {cannot}"
    if near:
        words += (
            f" {plural(len(near), 'other')} cannot be told apart from it by a paired test over "
            f"{len(study.seeds)} seeds: {', '.join(near[:8])}{', …' * (len(near) > 8)}."
        )
    else:
        whole = all(np.isfinite(value) for value in p.values())
        words += f" All others{'' if whole else ' with as many results'} are worse by a paired test"
        words += f" over {len(study.seeds)} seeds."
    return f"{words} {cannot}" if cannot else words


def _correlation(study: PredictorStudy) -> Html:
    tests = {n: study.p_against_best(n) for n in study.sizes}
    rows = []
    for p in study.names:
        cells = [h("td", study.label(p))]
        for n in study.sizes:
            top = p == study.best(n) and bool(study.values(p, n))
            chance = tests[n].get(p, np.nan)
            mark = h("span", "best", class_="badge win") if top else None
            if chance > ALPHA:
                mark = h("span", "≈ best", class_="badge")
            words = _said(study, p, n)
            tip = None if top or not np.isfinite(chance) else f"p = {chance:.2g} against the best"
            cells.append(sortable(study.mean(p, n), h("span", words, " ", mark, title=tip)))
        rows.append(h("tr", cells))
    heads = ["Predictor", *(f"n = {n}" for n in study.sizes)]
    words = (
        "Mean Kendall tau ± half of its 95 % interval over the seeds. “≈ best”: the paired t test "
        "against the best of that column gives p > 0.05, adjusted by Holm for the number of "
        "predictors, baselines apart; without a mark it is worse, or has too few seeds."
    )
    field = h("input", type="search", id="ranking-search", autocomplete="off")
    tools = h("label", "Search ", field), h("span", id="ranking-count", role="status")
    return join(
        [
            figures([draw.over_sizes(study)]),
            h("p", words),
            h("p", tools, class_="js tools"),
            h("div", table(heads, rows), id="ranking-table"),
        ]
    )


def _time(study: PredictorStudy) -> Html | None:
    return figures([draw.heat(study, fitting=False), draw.heat(study, fitting=True)])


def _ranks(study: PredictorStudy) -> Html | None:
    found = study.ranking
    if found is None:
        return h("p", "Ranks need two predictors that worked everywhere, and two seeds or sizes.")
    return join([figures([draw.differences(found)]), h("p", rank_words(found))])


def _scores(study: PredictorStudy) -> Html:
    last = study.sizes[-1]
    parts = [h("p", f"At n = {last}; mean ± half of the 95 % interval over the seeds.")]
    parts.append(_table(study, last, study.shown, study.names))
    if "kendall_unseen" in study.shown:
        parts.append(h("p", "Kendall unseen: on test rows that compute what no training row does."))
    parts += [
        h("details", h("summary", f"At n = {n}"), _table(study, n, study.shown, study.names))
        for n in reversed(study.sizes[:-1])
    ]
    return join(parts)


def _uncertainty(study: PredictorStudy) -> Html | None:
    if not study.calibrated:
        return None
    words = (
        "Coverage should be the level of its interval. The calibration error is the mean "
        "difference of both over levels from 5 to 95 %; sharpness is the mean predicted standard "
        "deviation, in units of the target. Best calibrated first."
    )
    last = study.sizes[-1]
    body = _table(study, last, CALIBRATION, study.calibrated)
    return join([figures([draw.calibration(study)]), h("p", words), body])


def _failed(study: PredictorStudy) -> Html:
    if not study.failed:
        return h("p", f"None: all {plural(len(study.records), 'cell')} gave a result.")
    reasons: dict[tuple[str, str], list[str]] = {}
    for r in study.failed:
        reasons.setdefault((r.predictor, r.error), []).append(f"n = {r.n_train}, seed {r.seed}")
    rows = [
        h(
            "tr",
            h("td", name),
            h("td", f"{len(cells)}: {'; '.join(cells[:4])}{'; …' * (len(cells) > 4)}"),
            h("td", error, class_="reason"),
        )
        for (name, error), cells in reasons.items()
    ]
    words = "They are tried again by the same command."
    return join([h("p", words), table(("Predictor", "Cells", "Reason"), rows)])


def _protocol(study: PredictorStudy) -> Html:
    rows = _SPLITS[study.settings.get("split") or "uniform"]
    words = (
        f"For each seed the rows are split once: {rows}."
        " All predictors of a seed see the same rows; a smaller training set is the beginning of a "
        "larger one. Seconds are processor time with one thread. results.csv has every cell."
    )
    return join([h("p", words), settings_table(dict(study.settings)) or ""])


def _table(study: PredictorStudy, n: int, scores: Sequence[str], names: Sequence[str]) -> Html:
    rows = [
        h(
            "tr",
            h("td", study.label(p)),
            [sortable(study.mean(p, n, s), _said(study, p, n, s)) for s in scores],
        )
        for p in names
    ]
    return table(["Predictor", *(s.replace("_", " ") for s in scores)], rows)


def _said(study: PredictorStudy, p: str, n: int, score: str = "kendall") -> str:
    return said(study.values(p, n, score), lambda mean: 3 if mean < 10 else 2 if mean < 100 else 1)


def _tuning(study: PredictorStudy) -> str:
    limit = study.settings.get("tune")
    if not limit:
        return "none: settings are those that each predictor comes with"
    return (
        f"random search of {limit if limit.endswith('s') else limit + ' settings'} before each fit,"
        " by 3-fold cross-validation on the training rows; those with ranges alone"
    )
