"""Looking around: spaces, tables, the catalog, the machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from foretell import _console as console
from foretell.cli.parts import Json, Seed, app, data_app, space_app
from foretell.errors import plural, unknown_name


@space_app.command("check")
def space_check(
    spec: Annotated[str, typer.Argument(help="A catalog name, or file.py:Name.")],
    samples: Annotated[int, typer.Option(min=1, help="Networks to build and run.")] = 8,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Build samples of a space, run them forward and backward, count it, say what is wrong.

    Also what of its code would not go along with a winner (best/).
    """
    from foretell.spaces.parts.checks import check
    from foretell.spaces.parts.finding import Finding
    from foretell.spaces.parts.load import load
    from foretell.winner.best import lacking

    space = load(spec)
    findings = check(space, n=samples, rng=seed)
    if not any(finding.level == "error" for finding in findings) and (why := lacking(space)):
        text = f"best/ will lack what its network needs; predict and export will not work: {why}"
        findings.append(Finding("warning", "best", text))
    wrong = [finding for finding in findings if finding.level == "error"]
    if json:
        console.show_json([{"level": f.level, "code": f.code, "text": f.text} for f in findings])
    else:
        for finding in findings:
            console.show(f"{finding.level:<8}{finding.text}")
        verdict = f"{len(wrong)} errors" if wrong else "ready to search"
        console.show(f"{spec}: {verdict}   next: foretell run --data digits --space {spec}")
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
            console.show(line)
        rows = ([m.get(k, "") for k in convert.METRIC] for m in found.metrics())
        console.show_table(convert.METRIC, rows)
        console.show(f"table: {found.file}   next: {found.next_command(space)}")


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
