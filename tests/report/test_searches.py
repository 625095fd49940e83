"""The page of a study of searches: complete, offline, escaped; its figures say what it found."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.report import searches_figures as draw
from foretell.report import write as write_report
from foretell.report.searches import render
from foretell.studies.searches import SearchRecord, SearchStudy

EVIL = "<script>alert('x')</script>&\"\x1b[31m"
BUDGET, SEEDS = 40, 6


def made(out, error="", **settings):
    """ "good" climbs to the optimum 10 by network 20 + seed, "random" stays at 5 + seed / 10."""
    records = []
    for seed in range(SEEDS):
        up = np.minimum(np.arange(BUDGET) * 10 / (19 + seed), 10.0)
        flat = np.full(BUDGET, 5 + seed / 10)
        for name, values in (("good", up), ("random", flat)):
            clock = tuple(3600.0 * (i + 1) for i in range(BUDGET))
            tests = tuple(float(v) - 1 for v in values)
            records.append(
                SearchRecord(name, f"{name}()", seed, tuple(values), tests[-1], 0.1, "", (), (),
                             clock, tests)
            )  # fmt: skip
    if error:
        records.append(SearchRecord("late", "", 0, error=error))
    known = {"table": "t.csv", "column": "val", "test_column": "test", "optimum": 10.0}
    known |= {"seconds_column": "s", **settings}
    return SearchStudy(tuple(records), out, BUDGET, "max", known)


def test_the_page_says_who_is_ahead_and_since_when(tmp_path):
    page = render(made(tmp_path))
    assert "good is ahead after 40 networks: 10.000 ± 0.000" in page
    assert "until a search has seen the best value" in page
    assert "&gt; 40" in page, "random search never gets there"
    assert "http" not in page.replace("http://www.w3.org", "")


def test_figures_give_the_numbers_of_the_curves(tmp_path):
    study = made(tmp_path)
    frame = draw.over_networks(study).frame()
    at = [i for i, (s, n) in enumerate(zip(frame["strategy"], frame["networks"], strict=True))
          if s == "random" and n == BUDGET]  # fmt: skip
    assert [frame["mean"][i] for i in at] == [pytest.approx(5.25)]
    hours = draw.over_hours(study).frame()
    assert max(hours["hours"]) == pytest.approx(BUDGET)
    regret = draw.regret(study).frame()
    assert min(regret["mean"]) == pytest.approx(0.0)
    tests = draw.tests(study).frame()
    assert set(tests["networks"]) == {10, 20, 40}
    late = draw.tests_over_hours(study).frame()
    assert max(late["mean"]) == pytest.approx(9.0)
    more = draw.multiples(study).frame()
    assert set(more["strategy"]) == {"random"}
    assert draw.over_epochs(study) is None
    trained = made(tmp_path, epochs=5)
    assert max(draw.over_epochs(trained).frame()["epochs"]) == 5 * BUDGET
    assert draw.tests_over_epochs(trained) is not None
    assert draw.fronts(study) is None
    assert draw.over_hours(made(tmp_path, optimum=None)) is not None
    assert draw.regret(made(tmp_path, optimum=None)) is None


def test_what_searches_and_errors_are_called_is_text(tmp_path):
    study = made(tmp_path, error=EVIL, table=EVIL)
    page = render(study)
    assert EVIL not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page


def test_a_folder_of_searches_has_its_page(tmp_path):
    import foretell as ft
    from foretell.studies.searches import run_searches
    from foretell.tables.table import Table

    space = ft.spaces.get("nb201")
    X = space.sample(300, rng=0)
    table = Table(space, X, {"val": X.sum(axis=1) * 1.0}).write(tmp_path / "t.csv")
    run_searches(table, space, "val", ["random"], 8, 2, tmp_path / "out")
    page = write_report(tmp_path / "out")
    assert page.name == "report.html"
    assert "random is ahead" in page.read_text()
