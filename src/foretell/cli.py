"""The command line: parse, call, print.

Results go to stdout, progress and logs to stderr; wrong input ends with one clear line and exit
code 2; Ctrl-C is safe; the last line names a path and the next command.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretell import _console as console
from foretell.errors import ForetellError, SettingError, plural, unknown_name
from foretell.runs import settings
from foretell.runs.options import Flag, whole, words

if TYPE_CHECKING:
    from foretell.training.data import Reading

app = typer.Typer(
    name="foretell",
    help="Predictor-based neural architecture search: foretell how well a network will do, "
    "before you train it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
space_app = typer.Typer(no_args_is_help=True, help="Look at a search space.")
data_app = typer.Typer(no_args_is_help=True, help="Bring published or own tables in.")
bench_app = typer.Typer(no_args_is_help=True, help="Compare methods on a table of results.")
app.add_typer(space_app, name="space")
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")

Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
Workers = Annotated[int, typer.Option(min=1, help="Networks trained at the same time.")]
Processes = Annotated[int, typer.Option(min=1, help="Cells of a study at the same time.")]
NoCode = Annotated[
    bool,
    typer.Option(
        "--no-code", help="Do not run best/model.py: build a network of a catalog space here."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="'digits', a folder of images (one sub-folder a class), a .npz or a .csv file.",
    ),
]


def main() -> None:
    """Entry point: errors of foretell become one line and exit code 2, never a traceback."""
    try:
        app()
    except ForetellError as error:
        console.fail(str(error))
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)


# -- the main job ---------------------------------------------------------------------------------


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("foretell-demo"),
    workers: Workers = 2,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """The whole main job on handwritten digits: real training, a minute or two on a laptop."""
    from foretell.runs import demo as job

    options = {"seed": seed, "workers": workers, "out": out, **job.SETTINGS}
    result = _run(options, job.data(seed), {})
    samples = job.write_samples(out / "samples")
    _finish(result, json, f"foretell predict {out / 'best'} {samples}")


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    """The function with the flags of a run in the place of its `**options`, for typer to read."""
    *before, after, _ = inspect.signature(function, eval_str=True).parameters.values()
    first = ("space", "strategy", "predictor")
    found = sorted(settings.flags(), key=lambda one: one[0] not in first)
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by inspect
        [*before, *(_parameter(flag) for _, _, flag in found), after]
    )
    each = function.__signature__.parameters.values()  # type: ignore[attr-defined]
    function.__annotations__ = {one.name: one.annotation for one in each}
    return function


def _parameter(flag: Flag) -> inspect.Parameter:
    kind = list[str] if flag.kind is dict else flag.kind
    hint = kind if flag.default is not None else kind | None
    annotation = Annotated[hint, typer.Option(min=flag.low, help=flag.help)]  # type: ignore[valid-type]  # made while it runs
    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(flag.word, keyword, default=flag.default, annotation=annotation)


@app.command()
@_with_options
def run(
    data: Data,
    target: Annotated[
        str | None, typer.Option(help="Target column of a .csv; several with commas.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="classification, regression or multilabel; auto guesses and says.")
    ] = "auto",
    image_size: Annotated[
        str | None, typer.Option(help="Pixels a side of images in a folder, or HEIGHTxWIDTH.")
    ] = None,
    val: Annotated[float, typer.Option(help="Share to choose by, of what has no split.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share to test on, of what has no split.")] = 0.15,
    layout: Annotated[
        str, typer.Option(help="Of arrays, where it is unclear: channels-first, -last or grey.")
    ] = "auto",
    drop: Annotated[str, typer.Option(help="Columns of a .csv to leave out, e.g. id,date.")] = "",
    json: Json = False,
    **options: Any,
) -> None:
    """Search a space on your data: train N networks, predict all, train the top K, keep the best.

    The same command again continues where it stopped, inside of half-trained networks too.
    """
    size = None if image_size is None else _image_size(image_size)
    reading: Reading = {"target": target, "task": task, "image_size": size, "drop": words(drop)}
    reading |= {"layout": layout, "fractions": (round(1 - val - test, 9), val, test)}
    result = _run(settings.from_flags(options), data, reading)
    _finish(result, json, f"foretell predict {result.folder_ / 'best'} NEW_FILE")


def _image_size(text: str) -> int | tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.strip().isdigit() and int(part) for part in parts):
        raise SettingError("--image-size", expected="pixels, or HEIGHTxWIDTH", got=text)
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _run(options: dict[str, Any], data: object, reading: Reading) -> Any:
    from foretell.nas import NAS

    nas = NAS(**options)
    with console.live() as live:
        nas.fit(data, on_event=lambda event: live.update(str(event), event.final), **reading)
    return nas


def _finish(nas: Any, json: bool, next_command: str) -> None:
    if json:
        console.show_json(nas.summary_)
    else:
        for line in nas.summary_lines_:
            typer.echo(line)
        typer.echo(f"report: {nas.report_}")
        typer.echo(f"best network: {nas.folder_ / 'best'}   next: {next_command}")


@app.command()
def predict(
    best: Annotated[Path, typer.Argument(help="The best/ folder of a run.")],
    file: Annotated[Path, typer.Argument(help="An image, a folder, a .npz or a .csv file.")],
    no_code: NoCode = False,
    json: Json = False,
) -> None:
    """Predict new files with the best network of a run.

    The network is made by best/model.py, which runs as Python code: use folders that you trust,
    or --no-code.
    """
    from foretell.winner.predict import predict as predict_files

    unread: dict[str, str] = {}
    rows = predict_files(best, file, unread=unread, code=not no_code)
    for name, why in unread.items():
        console.say(f"left out: cannot read {name}: {why}")
    if json:
        failed = [{"name": name, "error": why} for name, why in unread.items()]
        console.show_json([*(row.to_dict() for row in rows), *failed])
    else:
        console.show_table(rows[0].columns(), (row.cells() for row in rows))


@app.command()
def export(
    best: Annotated[Path, typer.Argument(help="The best/ folder of a run.")],
    onnx: Annotated[Path | None, typer.Option(help="File for ONNX, any batch size.")] = None,
    pt2: Annotated[Path | None, typer.Option(help="File for torch.export.load.")] = None,
    with_normalisation: Annotated[
        bool | None,
        typer.Option(
            "--with-normalisation/--without-normalisation",
            help="Take inputs as the data has them; without, normalised ones.",
        ),
    ] = None,
    no_code: NoCode = False,
    json: Json = False,
) -> None:
    """Write the best network of a run as ONNX or .pt2, compared with the network it comes from.

    The network is made by best/model.py, which runs as Python code: use folders that you trust,
    or --no-code.
    """
    from foretell.winner.export import to_onnx, to_pt2

    wanted = [(call, file) for call, file in ((to_onnx, onnx), (to_pt2, pt2)) if file]
    if not wanted:
        raise SettingError("nothing to export", expected="--onnx FILE or --pt2 FILE")
    more: dict[str, Any] = {"with_normalisation": with_normalisation, "code": not no_code}
    done = [call(best, file, **more) for call, file in wanted]
    if json:
        console.show_json([each.to_dict() for each in done])
    else:
        for each in done:
            typer.echo(f"{each}   next: {each.use}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run or a study.")],
    space: Annotated[
        str | None,
        typer.Option(help="Of a run in a space of your own: file.py:Name, to draw its network."),
    ] = None,
    json: Json = False,
) -> None:
    """Write the report of a run or a study of predictors again, finished or not.

    Nothing in the folder is run; a file with a space is, if --space names it.
    """
    from foretell.report import write
    from foretell.spaces.parts.load import load

    path = write(folder, load(space) if space else None)
    if json:
        console.show_json({"report": str(path)})
    else:
        typer.echo(f"report: {path}   next: open it in a browser")


# -- looking around -------------------------------------------------------------------------------


@space_app.command("check")
def space_check(
    spec: Annotated[str, typer.Argument(help="A catalog name, or file.py:Name.")],
    samples: Annotated[int, typer.Option(min=1, help="Networks to build and run.")] = 8,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Build samples of a space, run them forward and backward, count it, say what is wrong."""
    from foretell.spaces.parts.checks import check
    from foretell.spaces.parts.load import load

    space = load(spec)
    findings = check(space, n=samples, rng=seed)
    wrong = [finding for finding in findings if finding.level == "error"]
    if json:
        console.show_json([{"level": f.level, "code": f.code, "text": f.text} for f in findings])
    else:
        for finding in findings:
            typer.echo(f"{finding.level:<8}{finding.text}")
        verdict = f"{len(wrong)} errors" if wrong else "ready to search"
        typer.echo(f"{spec}: {verdict}   next: foretell run --data digits --space {spec}")
    if wrong:
        raise typer.Exit(2)


@data_app.command("import")
def data_import(
    file: Annotated[str, typer.Argument(help="File or folder as downloaded, or nb-graph:cora.")],
    out: Annotated[Path | None, typer.Option(help="The .parquet file to write.")] = None,
    space: Annotated[
        str | None, typer.Option(help="Of an own table: a catalog name, or file.py:Name.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(min=0, help="Which of several trainings; none: their mean.")
    ] = None,
    json: Json = False,
) -> None:
    """Recognise a benchmark or a table, check it, say what it holds, write it as one table."""
    from foretell.spaces.parts.load import load
    from foretell.tables import convert

    given = load(space) if space else None
    with console.live() as live:
        started = time.perf_counter()

        def show(share: float) -> None:
            left = (time.perf_counter() - started) * (1 - share) / share
            live.update(f"{share:4.0%} read, {console.duration(left)} left")

        found = convert.convert(file, out, space=given, repeat=repeat, on_progress=show)
    if json:
        console.show_json(found.to_dict())
    else:
        for line in found.lines():
            typer.echo(line)
        rows = ([m.get(k, "") for k in convert.METRIC] for m in found.metrics())
        console.show_table(convert.METRIC, rows)
        typer.echo(f"table: {found.file}   next: {found.next_command(space)}")


@app.command("list")
def list_catalog(
    kind: Annotated[
        str,
        typer.Argument(help="spaces, predictors, strategies, encodings, benchmarks, trackers."),
    ],
    json: Json = False,
) -> None:
    """List what the catalog has of one kind."""
    from foretell import _catalog

    kinds = {plural(name): name for name in _catalog.KINDS}
    if kind not in kinds:
        raise unknown_name("kind of component", kind, kinds)
    rows = sorted(_catalog.KINDS[kinds[kind]], key=lambda row: row.name)
    table: dict[str, list[Any]] = {
        "name": [r.name for r in rows],
        "summary": [r.summary for r in rows],
        "reference": [r.reference for r in rows],
        "extra": [r.extra for r in rows],
    }
    sure = ["std" in r.tags for r in rows]
    if any(sure):
        table["uncertainty"] = sure if json else ["yes" * one for one in sure]
    if json:
        console.show_json(
            [dict(zip(table, r, strict=True)) for r in zip(*table.values(), strict=True)]
        )
    else:
        head = ["what it is" if name == "summary" else name for name in table]
        console.show_table(head, zip(*table.values(), strict=True))


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine has, what is missing, and how to get it."""
    from foretell._doctor import examine

    facts = examine()
    if json:
        console.show_json([{"what": f.what, "found": f.found, "advice": f.advice} for f in facts])
    else:
        console.show_table(("what", "found", "next"), ((f.what, f.found, f.advice) for f in facts))


# -- comparing methods ----------------------------------------------------------------------------

StudyOut = Annotated[Path, typer.Option(help="Folder of the study; the same command continues it.")]


@bench_app.command("predictors")
def bench_predictors(
    table: Annotated[
        str, typer.Option(help="A .csv, .csv.gz or .parquet file, or a name like nb-graph:cora.")
    ],
    target: Annotated[str, typer.Option(help="Column to predict, higher is better.")],
    space: Annotated[
        str | None,
        typer.Option(help="A catalog name, or file.py:Name; not needed where the table says it."),
    ] = None,
    predictors: Annotated[
        str, typer.Option(help="Catalog names, separated by commas; all: each that is installed.")
    ] = "all",
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
    out: StudyOut = Path("bench-predictors"),
    workers: Processes = 1,
    json: Json = False,
) -> None:
    """Compare predictors on a table: ranks, tests, times, calibration, as tables and a report."""
    from foretell.report.study import write
    from foretell.studies.predictors import run_predictors

    sizes = [whole(word, "--train-sizes") for word in words(train_sizes)]
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
    table: Annotated[Path, typer.Option(help="A .csv, .csv.gz or .parquet file.")],
    space: Annotated[str, typer.Option(help="A catalog name, or file.py:Name for your own.")],
    target: Annotated[
        str, typer.Option(help="Column or learning curve that a search may see, higher is better.")
    ],
    strategies: Annotated[str, typer.Option(help="Catalog names, separated by commas.")] = (
        "neural-predictor,regularized-evolution,random"
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
    out: StudyOut = Path("bench-search"),
    workers: Processes = 1,
    json: Json = False,
) -> None:
    """Compare search strategies on a table: best value over the number of networks."""
    from foretell.studies.searches import run_searches

    with console.live() as live:
        study = run_searches(
            table,
            space,
            target,
            strategies=words(strategies),
            budget=budget,
            seeds=seeds,
            out=out,
            workers=workers,
            test_column=test_target,
            on_progress=lambda event: live.update(str(event)),
            direction="min" if minimize_target else "max",
            seconds_column=seconds,
            workers_simulated=workers_simulated,
        )
    _show_study(study, out, json, out / "summary.md")


def _show_study(study: Any, out: Path, json: bool, page: Path) -> None:
    if json:
        console.show_json(study.frame())
    else:
        typer.echo(study.summary())
        typer.echo(f"results: {out / 'summary.csv'}   next: open {page}")
