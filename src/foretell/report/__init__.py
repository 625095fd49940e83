"""Reports: `write(folder)` makes one offline `report.html` of a run or a study.

A page is sections, a section is words and figures, a figure gives its numbers beside its drawing;
all of it is one file of HTML and SVG that asks nothing of a network. What is reported is read from
the folder, as any other reader would. The command line and `NAS` may import it; runs and studies
may not, they only leave the files.
"""

from __future__ import annotations

from pathlib import Path

from foretell.errors import RunError
from foretell.report import budgets, page, reading, searches, study, supernet
from foretell.runs.folder import settings_of
from foretell.spaces.base import Space
from foretell.studies import budgets as budgets_study
from foretell.studies import predictors as predictors_study
from foretell.studies import searches as searches_study

__all__ = ["throughput", "write"]


def write(folder: str | Path, space: Space | None = None) -> Path:
    """Write `report.html` into the folder of a run or of a study, finished or not.

    Args:
        folder: as `foretell run`, `supernet`, `bench predictors` or `bench search` made it.
        space: of a run, if it is at hand; else that of the catalog which it names.

    Raises: RunError when the folder is neither, or cannot be read or written.
    """
    folder = Path(folder)
    if (folder / "search.json").exists():
        return supernet.write(folder, space)
    kind = settings_of(folder).get("study")
    if kind is None:
        return page.write(folder, space)
    if kind == "predictors":
        return study.write(predictors_study.read(folder))
    if kind == "searches":
        return searches.write(searches_study.read(folder))
    if kind == "budgets":
        return budgets.write(budgets_study.read(folder))
    raise RunError(
        f"{folder} is a study of {kind}, which has no page",
        expected="a run, or a study of predictors, of searches or of budgets",
        hint="its tables are summary.md and summary.csv",
    )


def throughput(folder: str | Path) -> dict[str, object] | None:
    """How fast the networks of a run trained; None of other folders, and where it is not known.

    Args:
        folder: of `foretell run`.
    """
    folder = Path(folder)
    if (folder / "search.json").exists() or settings_of(folder).get("study") is not None:
        return None
    found = reading.read(folder).throughput
    return None if found is None else found.to_dict()
