"""What is foretold of any network: `foretell estimate`."""

from __future__ import annotations

from typing import Annotated

import typer

from foretell import _console as console
from foretell.cli.parts import Json, app
from foretell.errors import SettingError


@app.command("estimate")
def estimate_command(
    model: Annotated[
        str, typer.Argument(help="file.py:name, a module, several, or a function that makes them.")
    ],
    inputs: Annotated[
        str, typer.Option("--input", help="Shape of one example, such as 3,32,32.")
    ] = "3,32,32",
    json: Json = False,
) -> None:
    """Rank networks that nobody has trained, by what tables of other spaces say of their graphs.

    The file runs as Python code: use files that you trust. Scores order networks of one task; they
    say no accuracy.
    """
    from foretell.transfer.parts.estimate import estimate, modules_of

    try:
        shape = tuple(int(side) for side in inputs.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise SettingError("--input", expected="a shape such as 3,32,32", got=inputs)
    rows = estimate(modules_of(model), shape)
    if json:
        console.show_json([row.to_dict() for row in rows])
        return
    heads = ("network", "score", "+-", "better than", "parameters", "flops", "depth")
    console.show_table(
        heads,
        (
            (
                row.name,
                f"{row.score:.2f}",
                f"{row.spread:.2f}",
                f"{row.share:.0%} of the sources",
                f"{row.params:,}",
                f"{row.flops:,}",
                str(row.depth),
            )
            for row in rows
        ),
    )
    best = rows[0].name if len(rows) > 1 else model
    console.show(f"{best}   next: foretell run --data digits --space FILE.py:Space")
