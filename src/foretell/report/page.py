"""`report.html`: one offline file, written from a run folder alone."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from foretell.report.bars import baselines, time_spent
from foretell.report.display import PHASES, Display, cell, table_csv
from foretell.report.drawing import network
from foretell.report.effects import effects, main_effects
from foretell.report.html import Child, Html, h, join
from foretell.report.lines import curves, losses
from foretell.report.marks import same_unit
from foretell.report.reading import Run, number, numbers, read, section
from foretell.report.scatter import COSTS, over_cost, predicted_measured, progress
from foretell.report.units import MISSING, count, examples_in, plural, seconds, tick, words
from foretell.report.verdict import next_steps, rival_value, test_value, verdict
from foretell.runs.folder import write_text

_RANKED = 50  # rows of the ranking that are shown
_DECISIONS = 24  # decisions whose best options are listed
_FAILED = 100  # failed trials that are shown
_LISTED = 60  # rows of a figure's numbers that are shown beside the download


def write(folder: Path) -> Path:
    """Write `report.html` into a run folder and return its path.

    Reads run.json, trials.jsonl, ranking.csv and predictions.csv; what an unfinished run lacks is
    left out and said. The file needs nothing from outside and depends on the folder alone.

    Args:
        folder: of a run, finished or not.

    Raises: RunError when the folder is no run, or cannot be written.
    """
    run = read(Path(folder))
    path = run.folder / "report.html"
    write_text(path, render(run))
    return path


def render(run: Run) -> str:
    """The whole page."""
    found = [(name, title, section_(run)) for name, title, section_ in SECTIONS]
    shown = [(name, title, body) for name, title, body in found if body]
    title = _title(run)
    page = h(
        "html",
        h(
            "head",
            h("meta", charset="utf-8"),
            h("meta", name="viewport", content="width=device-width, initial-scale=1"),
            h("meta", name="color-scheme", content="light dark"),
            h("title", f"{title} – foretell"),  # noqa: RUF001
            h("style", Html(_asset("page.css"))),
        ),
        h(
            "body",
            h("a", "Skip to the results", href="#network", class_="skip"),
            h("header", _headline(run, title)),
            h(
                "nav",
                h("ul", [h("li", h("a", text, href=f"#{name}")) for name, text, _ in shown]),
                aria_label="Sections",
            ),
            h(
                "main",
                [
                    h("section", h("h2", text), body, id=name, class_="card")
                    for name, text, body in shown
                ],
            ),
            h(
                "footer",
                h(
                    "p",
                    f"foretell {run.settings.get('foretell', '')}, from the run folder alone.",
                ),
            ),
            h("script", Html(_asset("page.js"))),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _asset(name: str) -> str:
    return resources.files("foretell.report").joinpath(name).read_text(encoding="utf-8")


def _title(run: Run) -> str:
    data, space = section(run.settings, "data"), section(run.settings, "space")
    name = str(run.settings.get("name") or "")
    both = [str(part) for part in (data.get("name"), space.get("name")) if part]
    return name or " · ".join(both) or run.folder.resolve().name


# -- sections ------------------------------------------------------------------------------------


def _headline(run: Run, title: str) -> Html:
    data, space = section(run.settings, "data"), section(run.settings, "space")
    winner = run.winner
    tiles = []
    if winner is not None:
        test, rival = test_value(run), rival_value(run, "test")
        tiles = [
            _tile(words(run.metric.name), run.metric.show(winner.value), "of the winner"),
            _tile(
                words(run.metric.on("test")),
                run.metric.show(test),
                f"best random network {run.metric.show(rival)}"
                if np.isfinite(rival)
                else "read once, at the end",
            ),
            _tile("parameters", tick(winner.params), "of the winner"),
            _tile("flops", tick(winner.flops), "forward pass of one input"),
            _tile(
                "networks trained",
                f"{len(run.trials):,}",
                _trained_words(run),
            ),
            _tile(
                "compute",
                seconds(_total_seconds(run)),
                f"on {plural(workers, 'worker')}" if (workers := _workers(run)) else "",
            ),
        ]
    return join(
        [
            h("p", "foretell", h("span", " report"), class_="brand"),
            h("h1", title, None if run.finished else h("span", "unfinished", class_="badge warn")),
            h("p", verdict(run), class_="verdict"),
            h("div", tiles, class_="tiles") if tiles else None,
            h(
                "dl",
                _pair("Data", _data_words(data)),
                _pair("Space", _space_words(space)),
                _pair("Method", _method_words(run)),
                class_="facts",
            ),
            [h("p", note, class_="note") for note in run.notes],
        ]
    )


def _best(run: Run) -> Html | None:
    winner = run.winner
    if winner is None:
        return None
    drawn = network(run, winner)
    decisions = _decisions(run)
    use = None
    if (run.folder / "best" / "config.json").exists():
        best = shlex.quote(str(Path(run.folder.name) / "best"))
        use = h(
            "p",
            "It is saved in ",
            h("code", f"{run.folder.name}/best"),
            " and needs nothing of this search: ",
            h("code", f"foretell predict {best} FILE"),
            " applies it to new data.",
        )
    arch = h("p", _arch(winner.arch), class_="arch")
    if drawn is None:
        why = h(
            "p",
            f"The space could not be loaded, so there is no drawing ({run.space_error}).",
            class_="note",
        )
        return join([arch, why if run.space_error else None, decisions, use])
    beside = h("div", h("p", drawn.caption), arch, use, decisions)
    picture = h("figure", Html(drawn.svg()), _numbers(drawn))
    return h("div", picture, beside, class_="split")


def _decisions(run: Run) -> Html | None:
    winner = run.winner
    if winner is None:
        return None
    if run.space is not None and run.rows((winner,)) is not None:
        words_ = run.space.decode(np.array(winner.x))
        pairs = [
            (name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
            for name, value in words_.items()
        ]
    else:
        parts = [part.partition("=") for part in winner.arch.split(",")]
        pairs = [(name, value) for name, eq, value in parts if eq]
        pairs = pairs or [(f"decision {j}", str(v)) for j, v in enumerate(winner.x)]
    rows = [h("tr", h("th", name, scope="row"), h("td", value)) for name, value in pairs]
    table = h("table", h("caption", "Its decisions"), h("tbody", rows))
    return h("div", table, class_="scroll") if rows else None


def _prediction(run: Run) -> Html | None:
    rank = run.rank
    scored = number(rank.get("n_scored"))
    did = [
        f"chose {rank['chosen']}" if rank.get("chosen") else "",
        f"scored {int(scored):,} networks" if np.isfinite(scored) else "",
    ]
    line = " and ".join(part for part in did if part)
    line = f"The predictor {rank.get('predictor', '')} {line}." if line else ""
    note = str(rank.get("note") or "")
    grid = _grid([predicted_measured(run), baselines(run)])
    said = f"{line} {note}".strip()
    return join([h("p", said) if said else None, grid]) if grid else None


def _cost(run: Run) -> Html | None:
    return _grid(over_cost(run, cost) for cost in COSTS)


def _search(run: Run) -> Html | None:
    return _grid([progress(run), curves(run), losses(run)])


def _effects(run: Run) -> Html | None:
    display = effects(run)
    found = main_effects(run)
    if display is None or found is None:
        return None
    winner = run.winner
    taken: dict[str, str] = {}
    if winner is not None and run.space is not None and run.rows((winner,)) is not None:
        active = run.space.active(np.array([winner.x]))[0]
        columns = zip(run.space.choices, winner.x, active, strict=True)
        taken = {one.name: str(one.options[k]) for one, k, there in columns if there}
    rows = []
    for name in list(dict.fromkeys(found.decision))[:_DECISIONS]:
        lines = np.flatnonzero(np.array(found.decision) == name)
        cells = [f"{found.explained[lines[0]] * 100:.0f} %"]
        for column in (found.mean, found.share):
            known = lines[np.isfinite(column[lines])]
            cells.append(found.option[known[np.argmax(column[known])]] if len(known) else MISSING)
        cells.append(taken.get(name, MISSING))
        rows.append(h("tr", h("th", name, scope="row"), [h("td", text) for text in cells]))
    heads = ("Decision", "Explains", "Best mean", "Most predicted", "Winner takes")
    table = h("table", h("thead", _heads(heads)), h("tbody", rows))
    return h(
        "div",
        _figure(display, title=False, more=h("div", table, class_="scroll")),
        class_="grid one",
    )


def _ranking(run: Run) -> Html | None:
    table = run.ranking
    archs = table.get("arch", [])[:_RANKED]
    if not archs:
        return None
    columns = {name: numbers(table.get(name, []))[: len(archs)] for name in table if name != "arch"}
    nothing = np.full(len(archs), np.nan)
    predicted, std, measured, params, flops = (
        columns.get(name, nothing) for name in ("predicted", "std", "measured", "params", "flops")
    )
    known = np.isfinite(predicted) & np.isfinite(measured)
    values = numbers(run.predictions.get("measured", []))
    basis = measured[known] if known.sum() > 1 else values[np.isfinite(values)]
    percent = len(basis) > 1 and same_unit(predicted[np.isfinite(predicted)], basis)
    show: Callable[[float], str] = run.metric.show if percent else cell
    won = run.winner.arch if run.winner else ""
    by_arch = {trial.arch: trial for trial in run.ok}
    rows = []
    for i, arch in enumerate(archs):
        mine = arch == won
        trial = by_arch.get(arch)
        value = measured[i] if np.isfinite(measured[i]) else trial.value if trial else np.nan
        rank = columns.get("rank", nothing)[i]
        place = rank if np.isfinite(rank) else i + 1.0
        badge = h("span", "winner", class_="badge win") if mine else None
        if not mine and np.isfinite(value):
            badge = h("span", "trained", class_="badge")
        spread = f" ± {show(std[i]).removesuffix(run.metric.unit)}" if np.isfinite(std[i]) else ""
        rows.append(
            h(
                "tr",
                _sortable(place, f"{place:g} ", badge),
                h("td", _arch(arch), class_="arch"),
                _sortable(predicted[i], (show(predicted[i]) + spread) or MISSING),
                _sortable(value, run.metric.show(value)),
                _sortable(params[i], count(params[i])),
                _sortable(flops[i], count(flops[i])),
                class_="measured" if np.isfinite(value) else None,
            )
        )
    heads = ("Rank", "Architecture", "Predicted", "Measured", "Parameters", "Flops")
    total = len(table["arch"])
    return join(
        [
            h(
                "p",
                f"The {len(archs)} best predicted; ranking.csv has {total:,}. Networks that were "
                "trained are marked.",
            ),
            h(
                "p",
                h(
                    "label",
                    "Search ",
                    h("input", type="search", id="ranking-search", autocomplete="off"),
                ),
                h("span", "", id="ranking-count", role="status"),
                class_="js tools",
            ),
            h(
                "div",
                h(
                    "table",
                    h("caption", "Ranking by prediction", class_="hidden"),
                    h("thead", _heads(heads)),
                    h("tbody", rows),
                    id="ranking-table",
                    class_="sortable",
                ),
                class_="scroll tall",
                tabindex="0",
                role="region",
                aria_label="Ranking table",
            ),
        ]
    )


def _failures(run: Run) -> Html | None:
    failed = [trial for trial in run.trials if not trial.ok]
    if not run.trials:
        return None
    if not failed:
        return h("p", f"None: all {plural(len(run.trials), 'trial')} gave a result.")
    rows = [
        h(
            "tr",
            h("td", f"#{trial.id}"),
            h("td", PHASES.get(trial.phase, trial.phase)),
            h("td", _arch(trial.arch), class_="arch"),
            h("td", trial.error),
            h("td", seconds(trial.seconds), class_="number"),
        )
        for trial in failed[:_FAILED]
    ]
    heads = ("Trial", "Phase", "Architecture", "Reason", "Time lost")
    more = len(failed) - len(rows)
    return join(
        [
            h(
                "p",
                f"{len(failed)} of {plural(len(run.trials), 'trial')} gave no result; a failed "
                "trial never ends a run." + (f" {more} more are in trials.jsonl." if more else ""),
            ),
            h(
                "div",
                h(
                    "table",
                    h("thead", _heads(heads)),
                    h("tbody", rows),
                ),
                class_="scroll",
            ),
        ]
    )


def _time(run: Run) -> Html | None:
    return _grid([time_spent(run)])


def _next(run: Run) -> Html | None:
    steps = next_steps(run)
    return h("ul", [h("li", step) for step in steps]) if steps else None


def _reproduce(run: Run) -> Html:
    settings = run.settings
    command = settings.get("command")
    line = shlex.join(map(str, command)) if isinstance(command, list) else str(command or "")
    data, space = section(settings, "data"), section(settings, "space")
    versions = section(settings, "versions")
    facts = [
        ("Created", settings.get("created")),
        ("Seed", settings.get("seed")),
        ("Data digest", data.get("digest")),
        ("Device", settings.get("device")),
        ("Workers", settings.get("workers")),
        ("foretell", settings.get("foretell")),
        *versions.items(),
    ]
    blocks = [
        ("Recipe", section(settings, "recipe")),
        ("Strategy", section(settings, "strategy")),
        ("Space", {k: v for k, v in space.items() if v not in ({}, None, "")}),
        ("Data", data),
    ]
    return join(
        [
            h("p", "The same command on the same data continues or repeats this run:"),
            h("pre", h("code", line)) if line else None,
            h(
                "dl",
                [_pair(str(k), _plain(v)) for k, v in facts if v not in (None, "")],
                class_="facts",
            ),
            [h("details", h("summary", name), _table(block)) for name, block in blocks if block],
            _all_trials(run),
        ]
    )


Section = tuple[str, str, Callable[[Run], Html | None]]
SECTIONS: tuple[Section, ...] = (
    ("network", "The best network", _best),
    ("prediction", "How good the predictions were", _prediction),
    ("cost", "What it costs", _cost),
    ("search", "How the search went", _search),
    ("decisions", "What each decision contributes", _effects),
    ("ranking", "Ranking", _ranking),
    ("failures", "Failed trials", _failures),
    ("time", "Where the time went", _time),
    ("next", "What to try next", _next),
    ("reproduce", "How to repeat this", _reproduce),
)


# -- parts ---------------------------------------------------------------------------------------


def _grid(displays: Iterable[Display | None]) -> Html | None:
    """Figures beside each other; a lone one has its words beside it and the section's title."""
    shown = [display for display in displays if display is not None]
    many = len(shown) > 1
    figures = [_figure(display, title=many) for display in shown]
    return h("div", figures, class_="grid" if many else "grid one") if shown else None


def _figure(display: Display, title: bool, more: Html | None = None) -> Html:
    return h(
        "figure",
        h("h3", display.title) if title else None,
        Html(display.svg()),
        h("figcaption", h("p", display.caption), more),
        _numbers(display),
    )


def _numbers(display: Display) -> Html:
    frame = display.frame()
    columns = [list(column) for column in frame.values()]
    total = len(columns[0]) if columns else 0
    rows = [
        h("tr", [h("td", cell(column[i])) for column in columns])
        for i in range(min(total, _LISTED))
    ]
    more = f"The first {_LISTED} of {total:,} rows. " if total > _LISTED else ""
    return h(
        "details",
        h("summary", "Numbers"),
        h("p", more, _download(f"{display.name}.csv", display.csv())),
        h(
            "div",
            h(
                "table",
                h("thead", _heads(frame)),
                h("tbody", rows),
            ),
            class_="scroll tall",
        ),
        class_="numbers",
    )


def _all_trials(run: Run) -> Html | None:
    if not run.trials:
        return None
    names = list(dict.fromkeys(name for trial in run.trials for name in trial.metrics))
    columns: dict[str, list[Any]] = {
        key: [getattr(trial, key) for trial in run.trials]
        for key in ("id", "phase", "arch", "ok", "error", "params", "flops", "seconds")
    }
    columns |= {name: [t.metrics.get(name, float("nan")) for t in run.trials] for name in names}
    return h("p", "All trials: ", _download("trials.csv", table_csv(columns)))


def _download(name: str, text: str) -> Html:
    uri = "data:text/csv;charset=utf-8," + quote(text, safe=",:;=|~+@()*!/", errors="replace")
    return h("a", f"Download {name}", href=uri, download=name)


def _heads(names: Iterable[str]) -> Html:
    return h("tr", [h("th", name, scope="col") for name in names])


def _arch(text: str) -> Html:
    """An architecture's string, with places where a line may break."""
    return h("code", [[part, h("wbr")] for part in re.split(r"(?<=[+,])", text)])


def _tile(label: str, value: str, note: str) -> Html:
    return h(
        "div",
        h("span", label, class_="label"),
        h("strong", value),
        h("span", note, class_="sub"),
        class_="tile",
    )


def _trained_words(run: Run) -> str:
    rivals = sum(trial.phase == "random" for trial in run.trials)
    failed = sum(not trial.ok for trial in run.trials)
    parts = [f"{rivals} to compare with" if rivals else "", f"{failed} failed" if failed else ""]
    return ", ".join(part for part in parts if part) or "none failed"


def _pair(term: str, text: str) -> Html | None:
    return h("div", h("dt", term), h("dd", text)) if text else None


def _table(values: dict[str, Any]) -> Html:
    rows = [h("tr", h("th", str(k), scope="row"), h("td", _plain(v))) for k, v in values.items()]
    return h("div", h("table", h("tbody", rows)), class_="scroll")


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 2000 else text[:1999] + "…"


def _sortable(value: float, *children: Child) -> Html:
    return h(
        "td", children, class_="number", data_value=f"{value:.9g}" if np.isfinite(value) else ""
    )


def _workers(run: Run) -> int:
    value = number(run.settings.get("workers"))
    return int(value) if np.isfinite(value) else 0


def _total_seconds(run: Run) -> float:
    parts = [t.seconds for t in run.trials]
    parts += [number(run.rank.get("fit_s")), number(run.rank.get("predict_s"))]
    return float(np.nansum(parts))


def _data_words(data: dict[str, Any]) -> str:
    shape = data.get("input_shape")
    parts = [str(data["name"])] if data.get("name") else []
    if isinstance(shape, list):
        parts.append("inputs " + " × ".join(map(str, shape)))  # noqa: RUF001
    outputs = data.get("n_outputs")
    if isinstance(outputs, int):
        kind = ("target",) if data.get("task") == "regression" else ("class", "classes")
        parts.append(plural(outputs, *kind))
    sizes = [
        f"{n:,} {word}"
        for split, word in (("train", "to train"), ("val", "to choose"), ("test", "to test"))
        if (n := examples_in(data, split))
    ]
    return ", ".join([*parts, *sizes])


def _space_words(space: dict[str, Any]) -> str:
    parts = [str(space.get("name") or space.get("spec") or "")]
    if isinstance(space.get("size"), int):
        parts.append(plural(space["size"], "network"))
    if isinstance(space.get("d"), int):
        parts.append(plural(space["d"], "decision"))
    return ", ".join(part for part in parts if part)


def _method_words(run: Run) -> str:
    settings = run.settings
    strategy = str(section(settings, "strategy").get("name") or "")
    parts = [strategy] if strategy else []
    if settings.get("predictor"):
        parts.append(f"predictor {settings['predictor']}")
    if isinstance(settings.get("n_train"), int):
        parts.append(f"{settings['n_train']} sampled")
    if isinstance(settings.get("top_k"), int):
        parts.append(f"{settings['top_k']} predicted best")
    if section(settings, "recipe").get("epochs"):
        parts.append(f"{section(settings, 'recipe')['epochs']} epochs each")
    return ", ".join(parts)
