"""Comparing methods: `foretell bench predictors` and `bench search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from foretell import _console as console
from foretell.cli.parts import Json, Processes, app, bench_app
from foretell.errors import SettingError
from foretell.runs.options import assignments, whole, words

SHIPPED = "nb201-digits"  # comes with the package
TABLE = "A .csv, .csv.gz or .parquet file, or a name: nb201-digits, nb-graph:cora."
QUICK = "gp,bayes-lin,rf"  # seconds each, with the core alone
StudyOut = Annotated[Path, typer.Option(help="Folder of the study; the same command continues it.")]


@bench_app.command("predictors")
def bench_predictors(
    table: Annotated[str, typer.Option(help=TABLE)] = SHIPPED,
    target: Annotated[str, typer.Option(help="Column to predict, higher is better.")] = "val_acc",
    space: Annotated[
        str | None,
        typer.Option(help="A catalog name, or file.py:Name; not needed where the table says it."),
    ] = None,
    predictors: Annotated[
        str, typer.Option(help="Catalog names, separated by commas; all: each that is installed.")
    ] = QUICK,
    train_sizes: Annotated[str, typer.Option(help="Training set sizes.")] = "20,78,172",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 5,
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Lower values of the target are better.")
    ] = False,
    split: Annotated[
        str, typer.Option(help="uniform, or mutation: rows near a few good ones.")
    ] = "uniform",
    tune: Annotated[
        str | None,
        typer.Option(help="Search settings before each fit: trials (20), or a time (60s)."),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="A second axis: epochs that a query may see (1,3,6); methods on curves, scores "
            "and OMNI join, and all families are compared on the grid of both budgets."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="With --epochs: what supernets (one-shot, rsws) learn, as of a run."),
    ] = None,
    supernet_epochs: Annotated[
        int | None, typer.Option(min=1, help="Of their training; else those of the methods.")
    ] = None,
    out: StudyOut = Path("bench-predictors"),
    workers: Processes = 1,
    json: Json = False,
) -> None:
    """Compare predictors on a table: ranks, tests, times, calibration, as tables and a report."""
    from foretell.report.study import write
    from foretell.studies.predictors import run_predictors

    sizes = [whole(word, "--train-sizes") for word in words(train_sizes)]
    if epochs is not None:
        if tune is not None:
            raise SettingError("--tune with --epochs", hint="leave one of them out")
        _bench_budgets(
            table,
            space,
            target,
            methods=("all",) if predictors == QUICK else words(predictors),
            train_sizes=sizes,
            epochs=[whole(word, "--epochs") for word in words(epochs)],
            seeds=seeds,
            out=out,
            workers=workers,
            direction="min" if minimize else "max",
            split_by=split,
            json=json,
            data=data,
            supernet_epochs=supernet_epochs,
        )
        return
    if data is not None:
        raise SettingError("--data without --epochs", hint="add --epochs 1,3,6")
    with console.live() as live:
        study = run_predictors(
            table,
            space,
            target,
            predictors=words(predictors),
            train_sizes=sizes,
            seeds=seeds,
            out=out,
            workers=workers,
            on_progress=lambda event: live.update(str(event)),
            direction="min" if minimize else "max",
            split_by=split,
            tuning=tune,
        )
    _show_study(study, out, json, write(study))


@bench_app.command("search")
def bench_search(
    table: Annotated[str, typer.Option(help=TABLE)] = SHIPPED,
    space: Annotated[
        str | None,
        typer.Option(help="A catalog name, or file.py:Name; not needed where the table says it."),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="Column or learning curve that a search may see, higher is better; or columns of "
            "trainings of several lengths: 4=val_4ep,108=val_108ep."
        ),
    ] = "val_acc",
    data: Annotated[
        str | None,
        typer.Option(help="Data to really train on, as of `foretell run`; no table then."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training on --data.")] = 3,
    strategies: Annotated[str, typer.Option(help="Catalog names, separated by commas.")] = (
        "foresight,regularized-evolution,random"
    ),
    budget: Annotated[int, typer.Option(min=1, help="Networks that a search may query.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 10,
    test_target: Annotated[
        str | None, typer.Option(help="Column for the report alone, read once per search.")
    ] = None,
    minimize_target: Annotated[
        bool, typer.Option("--minimize-target", help="Lower values of the target are better.")
    ] = False,
    seconds: Annotated[
        str | None, typer.Option(help="Column with the seconds of a whole training, for a clock.")
    ] = None,
    workers_simulated: Annotated[
        int, typer.Option(min=1, help="Networks trained at the same time, on that clock.")
    ] = 1,
    until: Annotated[
        str | None, typer.Option(help="Time on that clock after which no network begins: 30m.")
    ] = None,
    minimize: Annotated[
        str, typer.Option(help="Costs to trade against the target: params,flops.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting, e.g. regularized-evolution.population=20."),
    ] = None,
    count_tuning: Annotated[
        list[str] | None,
        typer.Option(help="STRATEGY=NETWORKS that its settings were tuned with; they count."),
    ] = None,
    out: StudyOut = Path("bench-search"),
    workers: Processes = 1,
    json: Json = False,
) -> None:
    """Compare search strategies on a table, or on real trainings (--data), as tables and a report.

    A search sees the target alone, never a test split; `--test-target` is read when it is over.
    """
    from foretell import strategies as catalog
    from foretell.report.searches import write
    from foretell.runs.budget import seconds as seconds_of
    from foretell.studies.searches import run_live_searches, run_searches

    given = _by_strategy(settings, names := words(strategies))
    made = {name: catalog.scaled(name, budget, **given.get(name, {})) for name in names}
    until_s = None if until is None else seconds_of(until, "--until")
    with console.live() as live:
        more: dict[str, Any] = {
            "budget": budget,
            "seeds": seeds,
            "out": out,
            "workers": workers,
            "on_progress": lambda event: live.update(str(event)),
            "workers_simulated": workers_simulated,
            "tuning": assignments(count_tuning, "--count-tuning"),
            "minimize": words(minimize),
            "until_s": until_s,
        }
        if data is not None:
            study = run_live_searches(_trainer(data, space, epochs), made, name=data, **more)
        else:
            study = run_searches(
                table,
                space,
                _target(target),
                strategies=made,
                test_column=test_target,
                direction="min" if minimize_target else "max",
                seconds_column=seconds,
                **more,
            )
    _show_study(study, out, json, write(study))


def _target(text: str) -> str | dict[int, str]:
    """A column, or `4=val_4ep,108=val_108ep` by epochs."""
    if "=" not in text:
        return text
    pairs = [word.partition("=") for word in words(text)]
    return {whole(epochs, "--target"): column for epochs, _, column in pairs}


def _trainer(data: str, space: str | None, epochs: int) -> Any:
    """Trains networks of a space on data."""
    from foretell.evaluators.trainer import Trainer
    from foretell.spaces.parts.load import load as space_of
    from foretell.training.data import load
    from foretell.training.recipe import Recipe

    if space is None:
        raise SettingError("--data without --space", hint="name the space, such as mobile")
    return Trainer(space_of(space), load(data), Recipe(epochs=epochs))


def _by_strategy(pairs: list[str] | None, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`["random.repeats=true"]` as settings by strategy."""
    out: dict[str, dict[str, Any]] = {}
    for key, value in assignments(pairs, "--set").items():
        name, dot, setting = key.partition(".")
        if name not in names or not dot:
            known = ", ".join(names)
            raise SettingError("--set", expected=f"NAME.SETTING=VALUE of {known}", got=repr(key))
        out.setdefault(name, {})[setting] = value
    return out


def _bench_budgets(
    table: str, space: str | None, target: str, *, json: bool, out: Path, **settings: Any
) -> None:
    from foretell.report.budgets import write
    from foretell.studies.budgets import run_budgets

    with console.live() as live:
        study = run_budgets(
            table,
            space,
            target,
            out=out,
            on_progress=lambda event: live.update(str(event)),
            **settings,
        )
    _show_study(study, out, json, write(study))


@app.command("recommend")
def recommend(
    init_time: Annotated[
        str, typer.Option(help="For training networks and fitting, before the first query: 1h.")
    ],
    query_time: Annotated[
        str, typer.Option(help="For each network that is asked for, its first epochs: 10s.")
    ],
    table: Annotated[str, typer.Option(help=TABLE)] = SHIPPED,
    space: Annotated[
        str | None,
        typer.Option(help="A catalog name, or file.py:Name; not needed where the table says it."),
    ] = None,
    target: Annotated[str, typer.Option(help="Column to predict, higher is better.")] = "val_acc",
    train_sizes: Annotated[str, typer.Option(help="Training set sizes.")] = "14,42,121",
    epochs: Annotated[str, typer.Option(help="Epochs that a query may see.")] = "1,3,6",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 2,
    out: StudyOut = Path("recommend"),
    workers: Processes = 1,
    json: Json = False,
) -> None:
    """Which predictor for two budgets, by a study of a table with learning curves.

    The study is kept in its folder, also one of `foretell bench predictors --epochs`: asked again
    with other budgets, the answer comes at once.
    """
    from foretell.runs.budget import seconds
    from foretell.studies import budgets

    limits = [seconds(init_time, "--init-time"), seconds(query_time, "--query-time")]
    if (out / "results.jsonl").exists():
        study = budgets.read(out)
    else:
        with console.live() as live:
            study = budgets.run_budgets(
                table,
                space,
                target,
                train_sizes=[whole(word, "--train-sizes") for word in words(train_sizes)],
                epochs=[whole(word, "--epochs") for word in words(epochs)],
                seeds=seeds,
                out=out,
                workers=workers,
                on_progress=lambda event: live.update(str(event)),
            )
    found = study.recommend(*limits)
    if json:
        keys = ("method", "n_train", "epochs", "kendall")
        console.show_json([dict(zip(keys, one, strict=True)) for one in found])
        return
    if not found:
        console.show(f"no method of the study in {out} keeps to {init_time} and {query_time}")
    for method, n, e, tau in found[:5]:
        costs = [study.mean(method, n, e, c) for c in ("init_s", "query_s")]
        console.show(
            f"{method:16s} tau {tau:.3f}   {n} networks trained before, {costs[0]:.3g} s   "
            f"{e} epochs of each that is asked for, {costs[1]:.3g} s"
        )
    console.show(f"study: {out / 'summary.md'}   next: foretell bench predictors --epochs {epochs}")


def _show_study(study: Any, out: Path, json: bool, page: Path) -> None:
    if json:
        console.show_json(study.frame())
    else:
        console.show(study.summary())
        console.show(f"results: {out / 'summary.csv'}   next: open {page}")
