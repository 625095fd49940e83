"""The winner beside a pretrained network that was fine-tuned for as long."""

from __future__ import annotations

import math

from foretell.report.html import Html, h, join
from foretell.report.parts import architecture, table
from foretell.report.reading import Run
from foretell.report.units import MISSING, count, seconds, words
from foretell.report.verdict import gap_noise
from foretell.runs.rival import Side, read


def rival(run: Run) -> Html | None:
    """Who is better, and what each costs."""
    found = read(run.folder / "rival.json")
    if found is None or run.final is None or found.winner_id != run.final.id:
        return None
    metric = run.metric.on("test")
    mine, theirs = (one.metrics.get(metric, math.nan) for one in (found.winner, found.rival))
    rows = [_row(run, name, one) for name, one in (("search", found.winner), ("", found.rival))]
    heads = ("network", words(metric), "parameters", "latency of one input", "training")
    return join(
        [
            h("p", _verdict(run, found.rival.name, mine, theirs)),
            table(heads, rows),
            h(
                "p",
                "The pretrained network was fine-tuned for as many seconds as all networks of the "
                "search together were trained, on the same rows; its other training does not "
                "count. Latency is the median of passes on one CPU thread.",
                class_="small",
            ),
        ]
    )


def _verdict(run: Run, name: str, mine: float, theirs: float) -> str:
    if not math.isfinite(mine - theirs):
        return f"{name} has no test metric to compare with."
    gap = mine - theirs
    who = "The network of the search" if gap > 0 else name
    if not gap:
        return f"{name} and the network of the search are level on the test split."
    noise = gap_noise(run, "test", mine, theirs)
    sure = f", less than the test split can tell apart (±{run.metric.gap(noise)})"
    return f"{who} is better by {run.metric.gap(gap)}{sure if abs(gap) < noise else ''}."


def _row(run: Run, kind: str, side: Side) -> Html:
    ms = MISSING if side.latency_ms is None else f"{side.latency_ms:.3g} ms"
    name = architecture(side.name) if kind else h("code", side.name)
    cells = (
        run.metric.show(side.metrics.get(run.metric.on("test"), math.nan)),
        count(side.params),
        ms,
        f"{seconds(side.seconds)}, {side.epochs} epochs" + (" each" if kind else ""),
    )
    return h("tr", h("th", name, scope="row"), [h("td", text) for text in cells])
