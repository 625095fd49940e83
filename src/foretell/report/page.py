"""`report.html`: one offline file; that of a run is written from its folder alone."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from foretell._files import write_text
from foretell.report.headline import headline, title
from foretell.report.html import Html, h
from foretell.report.reading import Run, read
from foretell.report.sections import SECTIONS
from foretell.spaces.base import Space


def write(folder: Path, space: Space | None = None) -> Path:
    """Write `report.html` into a run folder and return its path.

    Reads run.json, trials.jsonl, ranking.csv and predictions.csv; what an unfinished run lacks is
    left out and said. The file needs nothing from outside, and the same folder gives the same
    bytes.

    Args:
        folder: of a run, finished or not.
        space: of the run, if it is at hand; else that of the catalog which it names; without
            it the best network is told in words instead of drawn.

    Raises: RunError when the folder is no run, or cannot be written.
    """
    run = read(Path(folder), space)
    path = run.folder / "report.html"
    write_text(path, render(run))
    return path


def render(run: Run) -> str:
    """The whole page of a run."""
    sections = [(name, text, body(run)) for name, text, body in SECTIONS]
    return shell(title(run), headline(run), sections, run.record.foretell)


def shell(
    name: str, header: Html, sections: Iterable[tuple[str, str, Html | None]], version: str
) -> str:
    """A whole page with style and script in it.

    Args:
        name: of the page.
        header: what stands above the sections.
        sections: id, title and body of each; those without a body are left out.
        version: of foretell.
    """
    shown = [(key, text, body) for key, text, body in sections if body]
    links = [h("li", h("a", text, href=f"#{key}")) for key, text, _ in shown]
    cards = [h("section", h("h2", text), body, id=key, class_="card") for key, text, body in shown]
    head = h(
        "head",
        h("meta", charset="utf-8"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("title", f"{name} - foretell"),
        h("style", _asset("page.css")),
    )
    body = h(
        "body",
        h("a", "Skip to the results", href="#results", class_="skip"),
        h("header", header),
        h("nav", h("ul", links), aria_label="Sections"),
        h("main", cards, id="results"),
        h("footer", h("p", f"foretell {version}")),
        h("script", _asset("page.js")),
    )
    return f"<!doctype html>\n{h('html', head, body, lang='en')}\n"


def _asset(name: str) -> Html:
    return Html(resources.files("foretell.report").joinpath(name).read_text(encoding="utf-8"))
