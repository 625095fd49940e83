"""Scores of untrained networks: `foretell score`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from foretell import _console as console
from foretell.cli.parts import Data, Json, Seed, app
from foretell.errors import SettingError
from foretell.runs.options import assignments, words


@app.command()
def score(
    space: Annotated[str, typer.Option(help="A catalog name, or file.py:Name for your own.")],
    data: Data,
    proxies: Annotated[
        str, typer.Option(help="Catalog names, separated by commas; all: each of them.")
    ] = "consensus",
    n: Annotated[int, typer.Option(min=1, help="Random architectures to score.")] = 100,
    target: Annotated[str | None, typer.Option(help="Target column of a .csv.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Pixels a side of images in a folder.")
    ] = None,
    space_set: Annotated[
        list[str] | None, typer.Option(help="Setting of the space, NAME=VALUE; several times.")
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Examples that proxies look at.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Networks scored at the same time.")] = 1,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1, ...; auto: cuda where there is one.")
    ] = "cpu",
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder; the same command continues there.")] = Path(
        "foretell-score"
    ),
    json: Json = False,
) -> None:
    """Score untrained networks of a space on your data, each line as it is known.

    What is computed is kept in the folder: the same command goes on, and asks for no network
    twice. scores.csv has all, best first by the first proxy; aggregates are ranks among them.
    """
    from foretell.evidence import ledger
    from foretell.evidence.zero_cost import batch as examples
    from foretell.evidence.zero_cost import names
    from foretell.evidence.zero_cost.parts.table import Scoring
    from foretell.nets.devices import pick_device
    from foretell.spaces.parts.load import load as load_space
    from foretell.training.data import load

    wanted = names() if proxies.strip() == "all" else list(words(proxies))
    if not wanted:
        raise SettingError("--proxies", expected="names, separated by commas", got=repr(proxies))
    known = load(data, seed=seed, target=target, image_size=image_size)
    pick_device(device)  # a wrong name fails here, not in every network
    chosen = load_space(space, **assignments(space_set, "--space-set"))
    chosen = chosen.with_io(known.input_shape, known.n_outputs)
    X = chosen.sample(n, rng=seed)
    texts = chosen.to_str(X)
    with ledger(out / "evidence"), console.live() as live:
        taken = examples(known, batch, seed)
        scoring = Scoring(chosen, X, wanted, taken, batch, seed, device)
        start = time.perf_counter()
        for done, one in enumerate(scoring.run(workers), start=1):
            if not json:
                told = "  ".join(f"{name}={_number(v)}" for name, v in one.scores.items())
                why = f"  ({one.reason})" if one.reason else ""
                console.show(f"{texts[one.index]}  {told}  {one.seconds:.2f}s{why}")
            left = (time.perf_counter() - start) / done * (n - done)
            live.update(f"{done} of {n} networks, {console.duration(left)} left", done == n)
        table, order = scoring.table(), scoring.order().tolist()
    seconds = [scoring.found[i].seconds for i in order]
    lines = [["arch", *table, "seconds", "reason"]]
    lines += [
        [texts[i], *(_number(float(v[i])) for v in table.values()), f"{s:.4f}", found.reason]
        for i, s in zip(order, seconds, strict=True)
        for found in [scoring.found[i]]
    ]
    _write(out / "scores.csv", lines)
    if json:
        console.show_json(
            {
                "scores": str(out / "scores.csv"),
                "networks": [
                    {"arch": texts[i], "scores": {k: _told(v[i]) for k, v in table.items()}}
                    for i in order
                ],
                "seconds": sum(seconds),
            }
        )
        return
    first = next(iter(table))
    for place, i in enumerate(order[:3], start=1):
        console.show(f"{place}. by {first}: {texts[i]}")
    same = "".join(f" --space-set {pair}" for pair in space_set or ())
    then = f"foretell run --data {data} --space {space}{same}"
    console.show(f"scores: {out / 'scores.csv'}   next: {then}")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _told(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _write(path: Path, lines: list[list[Any]]) -> None:
    import csv
    import io

    from foretell._files import write_text

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
