"""The page of a study: complete, offline, escaped; its figures say what its numbers say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from foretell.report import study_figures as draw
from foretell.report.display import Display
from foretell.report.study import render, write
from foretell.studies.predictors import PredictorRecord, PredictorStudy

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert('x')</script>&\"\x1b[31m"
SIZES, SEEDS = (20, 78, 400), range(4)


def record(name: str, n: int, seed: int, tau: float, **more: float | str) -> PredictorRecord:
    scores = dict.fromkeys(("spearman", "pearson", "sparse_kendall", "precision_at_k"), tau)
    speed = {"gp": 0.01, "n-params": 0.001}.get(name, 1.0)
    return PredictorRecord(
        name, "", n, seed, 2000, tau, **scores, best_at_k=94.0, regret_at_k=0.1,
        fit_s=speed * n, query_s=speed, tune_s=0.0, **more,
    )  # fmt: skip


def made(out: Path, n_more: int = 0, error: str = "ValueError: no", **settings: object):
    """gcn is best for large n, gp for small ones; "late" failed once."""
    rng = np.random.default_rng(0)
    level = {"gcn": (0.70, 0.82, 0.90), "gp": (0.75, 0.80, 0.84), "n-params": (0.6, 0.6, 0.6)}
    level |= {f"more-{i}": (0.3, 0.4, 0.5) for i in range(n_more)}
    records = []
    for seed in SEEDS:
        luck = rng.normal(0, 0.02)
        for name, taus in level.items():
            for n, tau in zip(SIZES, taus, strict=True):
                found = tau + luck + rng.normal(0, 0.003)
                inside = {}
                if name == "gp":
                    inside = dict(zip(draw_levels(), (0.4, 0.6, 0.8, 0.9), strict=True))
                    inside |= {"calibration_error": 0.07, "sharpness": 1.2}
                records.append(record(name, n, seed, found, **inside))
        records += [record("late", n, seed, 0.5 + luck) for n in SIZES[1:]]
        records.append(PredictorRecord("late", "", SIZES[0], seed, error=error))
    known = {"table": "t.csv", "column": "val_acc", "space": "nb201", "direction": "max"}
    known |= {"n_test": 2000, **settings}
    return PredictorStudy(tuple(records), out, known, ("lgb was left out.",))


def draw_levels() -> list[str]:
    return [f"coverage_{round(100 * level)}" for level in draw.LEVELS]


class Nested(HTMLParser):
    """Fails where a tag closes nothing; keeps ids, links and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [v or "" for k, v in attrs if k == "id"]
        self.links += [v or "" for k, v in attrs if k in ("href", "src")]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [v or "" for k, v in attrs if k == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_offline_and_the_same_each_time(tmp_path: Path) -> None:
    path = write(made(tmp_path))
    text = path.read_text(encoding="utf-8")
    page = Nested(text)
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        assert link.startswith(("#", "data:text/csv"))
        assert not link.startswith("#") or link[1:] in page.ids
    assert not re.findall(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", text)
    assert text == render(made(tmp_path))
    for words in (
        "gcn orders best after 400 networks",
        "All others are worse",
        "lgb was left out.",
    ):
        assert words in page.text
    # failed cells are named with their reason
    assert "ValueError: no" in page.text
    assert "n = 20, seed 0; n = 20, seed 1" in page.text
    assert "Not ranked, because cells are missing: late." in page.text


def test_what_users_write_is_text(tmp_path: Path) -> None:
    text = render(made(tmp_path, error=EVIL, table=EVIL, column=EVIL))
    Nested(text)
    assert "<script>alert" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("keep", ["one seed", "one size", "one predictor", "all failed"])
def test_small_studies_have_a_page(keep: str, tmp_path: Path) -> None:
    whole = made(tmp_path)
    records = whole.records
    if keep == "one seed":
        records = tuple(r for r in records if r.seed == 0)
    elif keep == "one size":
        records = tuple(r for r in records if r.n_train == 78)
    elif keep == "one predictor":
        records = tuple(r for r in records if r.predictor == "gp" and r.seed == 0)
    else:
        records = tuple(
            PredictorRecord(r.predictor, "", r.n_train, r.seed, error="E: no") for r in records
        )
    page = Nested(render(PredictorStudy(records, tmp_path, whole.settings)))
    said = {
        "one seed": "One seed cannot tell a difference from chance",
        "one size": "orders best after 78 networks",
        "one predictor": "Ranks need two predictors",
        "all failed": "No predictor gave a result at n = 400",
    }
    assert said[keep] in page.text


def test_lines_are_drawn_where_the_frame_says(tmp_path: Path) -> None:
    study = made(tmp_path)
    display = draw.over_sizes(study)
    assert display is not None
    frame = {name: np.array(column) for name, column in display.frame().items()}
    root = ElementTree.fromstring(display.svg())
    gcn = frame["predictor"] == "gcn"
    np.testing.assert_allclose(
        frame["kendall"][gcn], [np.mean(study.values("gcn", n)) for n in SIZES]
    )
    at = study.names.index("gcn")
    (line,) = root.findall(f".//{SVG}g[@id='sizes-line-{at}']")
    pixels = np.array(
        [(float(u.attrib["x"]), float(u.attrib["y"])) for u in line.iter(f"{SVG}use")]
    )
    for axis, values in ((0, np.log(SIZES)), (1, frame["kendall"][gcn])):
        slope, offset = np.polyfit(values, pixels[:, axis], 1)
        assert slope > 0 if axis == 0 else slope < 0
        np.testing.assert_allclose(slope * values + offset, pixels[:, axis], atol=0.02)
    titles = [t.text for t in line.iter(f"{SVG}title")]
    assert titles[0] == f"gcn, n = 20: {frame['kendall'][gcn][0]:.3f}"


def winners(display: Display) -> dict[tuple[int, float], str]:
    frame = display.frame()
    rows = zip(frame["n_train"], frame["at_most_s"], frame["predictor"], strict=True)
    return {(n, budget): name for n, budget, name in rows}


def test_the_heat_map_has_the_best_that_keeps_to_the_time(tmp_path: Path) -> None:
    query = draw.heat(made(tmp_path), fitting=False)
    assert query is not None
    cells = winners(query)
    # seconds of 1,000 queries: n-params 0.0005, gp 0.005, gcn 0.5
    assert {b for _, b in cells} == {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0}
    for n in SIZES:
        assert cells[n, 0.003] == "n-params"
        assert cells[n, 0.1] == "gp"
    assert [cells[n, 1.0] for n in SIZES] == ["gp", "gcn", "gcn"]
    total = draw.heat(made(tmp_path), fitting=True)
    assert total is not None
    # gcn takes 1 s a row to fit and 1 s to query: 401 s at n = 400, beyond the 300 s column
    found = winners(total)
    assert found[400, 300.0] == "gp"
    assert found[400, 1000.0] == "gcn"
    ElementTree.fromstring(total.svg())


def test_ranks_and_cliques_are_drawn(tmp_path: Path) -> None:
    found = made(tmp_path).ranking
    assert found is not None
    assert found.names == ["gcn", "gp"]  # without the size of the network, a baseline
    # gp first in 4 blocks of 12, gcn in 8
    assert found.ranks == pytest.approx([4 / 3, 5 / 3])
    display = draw.differences(found)
    root = ElementTree.fromstring(display.svg())
    texts = ["".join(t.itertext()).strip() for t in root.iter(f"{SVG}text")]
    assert {"gcn  1.3", "1.7  gp"} <= set(texts)


def test_calibration_is_shown_for_those_that_have_it(tmp_path: Path) -> None:
    display = draw.calibration(made(tmp_path))
    assert display is not None
    assert display.frame()["inside"] == pytest.approx([0.4, 0.6, 0.8, 0.9])
    assert set(display.frame()["predictor"]) == {"gp"}
    ElementTree.fromstring(display.svg())


def test_many_predictors_fit(tmp_path: Path) -> None:
    study = made(tmp_path, n_more=26)
    assert len(study.names) == 30
    page = Nested(render(study))
    assert all(f"more-{i}" in page.text for i in range(26))
