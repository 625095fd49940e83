"""The application and its groups, and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

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
