"""Searches by shared weights: `foretell supernet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foretell import _console as console
from foretell.cli.parts import Data, Json, Seed, app
from foretell.errors import SettingError


@app.command()
def supernet(
    data: Data,
    space: Annotated[
        str, typer.Option(help="A catalog name with a supernet, or file.py:Name.")
    ] = "nb201",
    method: Annotated[
        str, typer.Option(help="A name of `foretell list supernets`; few-shot:NAME too.")
    ] = "drnas",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of the supernet; none: those of the method.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the search.")] = Path("supernet"),
    train: Annotated[
        int,
        typer.Option(min=0, help="Epochs that what is chosen is trained alone; 0: not at all."),
    ] = 10,
    rival: Annotated[bool, typer.Option(help="Let random search have as many seconds.")] = True,
    space_setting: Annotated[
        list[str] | None, typer.Option(help="Of the space, as name=value: channels=8.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option(help="Of the method, as name=value.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Search by shared weights: train one network that holds all, and choose in it.

    The same command again continues where it stopped.
    """
    from foretell.report.supernet import write
    from foretell.spaces.parts.load import load as load_space
    from foretell.supernets.folder import search_in
    from foretell.training.data import load

    where = load_space(space, **_pairs("--space-setting", space_setting))
    read = load(data, seed=seed)
    with console.live() as live:
        result = search_in(
            out, where, read, method, settings=_pairs("--setting", setting), epochs=epochs,
            seed=seed, device=device, train=train, rival=rival, say=live.update,
        )  # fmt: skip
    page = write(out, where.with_io(read.input_shape, read.n_outputs))
    if json:
        console.show_json({**result, "report": str(page)})
        return
    console.show(f"chosen: {result['best']}")
    if train:
        name = result["objective"]
        console.show(
            f"trained alone for {train} epochs: {name} {result['chosen'].get(name, 0):.4f}"
        )
        if result["random"]:
            console.show(
                f"random search in as many seconds ({result['random_networks']} networks): "
                f"{name} {result['random'][name]:.4f}"
            )
    for text in (result["alarm"]["text"], *result["warnings"]):
        console.show(text)
    console.show(f"report: {page}   next: open it in a browser")


def _pairs(option: str, texts: list[str] | None) -> dict[str, Any]:
    """name=value, values as JSON where they are."""
    import json as read

    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingError(option, expected="name=value", got=text)
        try:
            found[name] = read.loads(value)
        except ValueError:
            found[name] = value
    return found
