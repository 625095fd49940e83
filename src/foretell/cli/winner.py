"""What a run has made: `foretell predict`, `export` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foretell import _console as console
from foretell.cli.parts import Json, NoCode, app
from foretell.errors import SettingError


@app.command()
def predict(
    best: Annotated[Path, typer.Argument(help="The best/ folder of a run.")],
    files: Annotated[
        list[Path], typer.Argument(help="Images, folders, .npz or .csv files.", metavar="FILE...")
    ],
    no_code: NoCode = False,
    json: Json = False,
) -> None:
    """Predict new files with the best network of a run.

    The network is made by best/model.py, which runs as Python code: use folders that you trust,
    or --no-code.
    """
    from foretell.winner.predict import predict as predict_files

    unread: dict[str, str] = {}
    rows = predict_files(
        best, files[0] if len(files) == 1 else files, unread=unread, code=not no_code
    )
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
            console.show(f"{each}   next: {each.use}")


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
        from foretell.report import throughput

        console.show_json({"report": str(path), "throughput": throughput(folder)})
    else:
        console.show(f"report: {path}   next: open it in a browser")
