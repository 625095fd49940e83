"""The main job: `foretell demo` and `foretell run`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretell import _console as console
from foretell.cli.parts import Data, Json, Seed, Workers, app
from foretell.errors import SettingError
from foretell.runs import settings
from foretell.runs.options import Flag, words

if TYPE_CHECKING:
    from foretell.training.data import Reading


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
    each = [*before, *(_parameter(flag) for _, _, flag in found), after]
    read: Any = function  # by inspect, of which the types of functions know nothing
    read.__signature__ = inspect.Signature(each)
    read.__annotations__ = {one.name: one.annotation for one in each}
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
    context: typer.Context,
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
    result = _run(settings.from_flags(said(context, options)), data, reading)
    _finish(result, json, f"foretell predict {result.folder_ / 'best'} NEW_FILE")


def said(context: typer.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were typed; the others are not said, whatever their defaults are."""
    sources = {name: context.get_parameter_source(name) for name in options}
    return {name: options[name] for name, one in sources.items() if one and one.name != "DEFAULT"}


def _image_size(text: str) -> int | tuple[int, int]:
    parts = [part.strip() for part in text.lower().split("x")]
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
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
            console.show(line)
        console.show(f"report: {nas.report_}")
        console.show(f"best network: {nas.folder_ / 'best'}   next: {next_command}")
