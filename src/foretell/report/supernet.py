"""`report.html` of a search by shared weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from foretell._console import duration
from foretell._files import write_text
from foretell._version import __version__
from foretell.errors import RunError
from foretell.report.display import COLOURS, Display, chart
from foretell.report.drawing import draw as draw_graph
from foretell.report.drawing import graph_of
from foretell.report.html import Html, h, join
from foretell.report.marks import legend
from foretell.report.page import shell
from foretell.report.parts import architecture, facts, figures, settings_table, tile
from foretell.spaces.base import Space
from foretell.supernets.alarm import alarm

Records = Sequence[Mapping[str, Any]]
_WORDS = {"collapsed": "Collapsed", "leaning": "Leaning to identities", "calm": "No collapse"}
_SITES = 6  # of which the weights are drawn
_HUES = [f"kind-{k}" for k in range(6)]


def write(folder: Path, space: Space | None = None) -> Path:
    """Write `report.html` into the folder of a search and return its path.

    Args:
        folder: as `foretell supernet` made it, finished or not.
        space: of the search, to draw the chosen cell; without it the cell is told in words.

    Raises: RunError when the folder is no search by shared weights.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "search.json").read_text())
        lines = (folder / "records.jsonl").read_text().splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{folder} is no search by shared weights: {error}") from error
    records = _last([json.loads(line) for line in lines if line.endswith("}")])
    path = folder / "result.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    write_text(folder / "report.html", render(about, records, result, space))
    return folder / "report.html"


def _last(records: Records) -> list[Mapping[str, Any]]:
    """One record an epoch of each supernet: a search that was broken off has said some twice."""
    found = {(one["supernet"], one["epoch"]): one for one in records}
    names = list(dict.fromkeys(one["supernet"] for one in records))
    return sorted(found.values(), key=lambda one: (names.index(one["supernet"]), one["epoch"]))


def render(
    about: Mapping[str, Any], records: Records, result: Mapping[str, Any], space: Space | None
) -> str:
    """The whole page."""
    name = f"{about['method']} · {about['space']} · {about['data']}"
    shown = _shown(records)
    sections = [
        ("chosen", "What was chosen", _chosen(result, space)),
        ("course", "How the search went", figures([_accuracy(shown), _skips(shown)])),
        ("alpha", "Weights of operations", figures(_alphas(shown, result))),
        ("flatness", "Flatness", figures([_gap(shown), _curvature(shown)])),
        ("rival", "Against random search", _rival(result)),
        ("protocol", "How it was done", settings_table(
            {k: v for k, v in about.items() if k not in ("foretell", "search")})),
    ]  # fmt: skip
    return shell(name, _header(name, about, shown, result), sections, __version__)


def _shown(records: Records) -> list[Mapping[str, Any]]:
    """Records of the first supernet: of several the others are like it."""
    return [one for one in records if one["supernet"] == records[0]["supernet"]] if records else []


def _header(
    name: str, about: Mapping[str, Any], records: Records, result: Mapping[str, Any]
) -> Html:
    told = result.get("alarm") or alarm(records)._asdict()
    last = records[-1] if records else {}
    mode = "warn" if told["level"] != "calm" else "win"
    tiles = [
        tile("epochs", str(len(records)), f"of {about['epochs']}"),
        tile("chosen alone", f"{last.get('val_discrete', np.nan):.1%}", "with inherited weights"),
        tile("identities", f"{last.get('skip_share', np.nan):.0%}", "of its operations"),
    ]
    if "seconds" in result:
        tiles.append(tile("search", duration(result["seconds"]), "of one process"))
    return join(
        [
            h("p", "foretell", h("span", " search by shared weights"), class_="brand"),
            h("h1", name, None if result else h("span", "unfinished", class_="badge warn")),
            h("p", h("span", _WORDS[told["level"]], class_=f"badge {mode}"), " ", told["text"],
              class_="verdict"),
            h("div", tiles, class_="tiles"),
            facts([("Chosen", result.get("best"))]),
            [h("p", note, class_="note") for note in result.get("warnings", ())],
        ]
    )  # fmt: skip


def _chosen(result: Mapping[str, Any], space: Space | None) -> Html | None:
    if not result:
        return None
    parts: list[Html] = [h("p", architecture(result["best"]))]
    if space is not None:
        row = np.array(result["row"])
        text = draw_graph(graph_of(space, row), "cell", "the chosen architecture as a graph")
        parts.append(h("figure", Html(text)))
    return join(parts)


def _accuracy(records: Records) -> Display | None:
    series = {
        "mixture": [one.get("val_mixture", np.nan) for one in records],
        "strongest alone": [one.get("val_discrete", np.nan) for one in records],
    }
    return _lines(
        "accuracy", "Accuracy over epochs",
        "Of the mixture, and of its strongest architecture alone with inherited weights, on rows "
        "that the weights have not seen. The distance is what reading an architecture off costs.",
        "validation accuracy", records, series,
    )  # fmt: skip


def _skips(records: Records) -> Display | None:
    series = {
        "mean weight": [one["skip_weight"] for one in records],
        "share of the strongest": [one["skip_share"] for one in records],
    }
    return _lines(
        "skips", "Skip connections",
        "Identities: their mean weight, and their share of the strongest operations. Where they "
        "take over, a search collapses.",
        "share", records, series,
    )  # fmt: skip


def _gap(records: Records) -> Display | None:
    gap = [one.get("val_mixture", np.nan) - one["val_discrete"] for one in records]
    return _lines(
        "gap", "Sharpness gap", "Accuracy of the mixture less that of its strongest architecture.",
        "accuracy lost", records, {"gap": gap},
    )  # fmt: skip


def _curvature(records: Records) -> Display | None:
    some = [one for one in records if "eigenvalue" in one]
    return _lines(
        "eigenvalue", "Largest eigenvalue",
        "Of the second derivative of the validation loss in alpha: a place that becomes sharp "
        "loses more when an architecture is read off.",
        "eigenvalue", some, {"eigenvalue": [one["eigenvalue"] for one in some]},
    )  # fmt: skip


def _alphas(records: Records, result: Mapping[str, Any]) -> list[Display | None]:
    """Weights of the operations of the first sites over epochs."""
    if not records:
        return []
    values = np.array([one["weights"] for one in records])
    names = result.get("sites") or [
        [f"site {e}", *map(str, range(values.shape[2]))] for e in range(values.shape[1])
    ]
    out = []
    for e, (site, *options) in enumerate(names[:_SITES]):
        series = {name: values[:, e, k].tolist() for k, name in enumerate(options)}
        caption = f"Mean weights of the operations at {site}."
        out.append(_lines(f"alpha-{e}", site, caption, "weight", records, series))
    return out


def _rival(result: Mapping[str, Any]) -> Html | None:
    if "chosen" not in result:
        return None
    name, mine, other = result["objective"], result["chosen"], result.get("random")
    test = name.replace("val_", "test_")
    tiles = [tile("chosen", f"{mine.get(name, np.nan):.4f}", f"{name}; {test} "
                  f"{mine.get(test, np.nan):.4f}")]  # fmt: skip
    words = f"The chosen network, trained alone for {result['train']} epochs."
    if other:
        tiles.append(tile("random search", f"{other[name]:.4f}",
                          f"{name}; {test} {other.get(test, np.nan):.4f}"))  # fmt: skip
        words += (
            f" Random search trained {result['random_networks']} networks as long in the "
            f"{duration(result['seconds'])} that the search took, and kept the best by {name}."
        )
    return join([h("div", tiles, class_="tiles"), h("p", words)])


def _lines(
    name: str, title: str, caption: str, label: str, records: Records,
    series: Mapping[str, Sequence[float]],
) -> Display | None:  # fmt: skip
    known = {key: values for key, values in series.items() if np.isfinite(values).any()}
    if not records or not known:
        return None
    epochs = [one["epoch"] + 1 for one in records]

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        for hue, (key, values) in zip(_HUES * 2, known.items(), strict=False):
            mark = "o" if len(epochs) < 3 else ""
            ax.plot(epochs, values, mark + "-", color=COLOURS[hue], lw=1.8, label=key)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_xlabel("epoch")
        ax.set_ylabel(label)
        if len(known) > 1:
            legend(canvas)

    numbers = {"epoch": epochs, **{key: list(values) for key, values in known.items()}}
    return Display(name, title, caption, numbers, lambda: chart(name, f"{title}: {caption}", draw))
