"""The page: well formed, offline, escaped, complete for every kind of run, the same each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import matplotlib
import pytest

import foretell as ft
from foretell.errors import RunError
from foretell.report import write
from foretell.report.sections import SECTIONS
from foretell.spaces.parts.load import load

VOID = {"meta", "input", "link", "wbr", "br", "img", "hr"}
EVIL = "<script>alert('x')</script>&\"\x1b[31m\ud800$a_b$"


class Page(HTMLParser):
    """Checks nesting while reading; keeps tags, texts by tag, and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, names)
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> inside <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def values(self, *names: str) -> list[str]:
        return [v for _, attrs in self.tags for k, v in attrs.items() if k in names]

    def words(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for text in self.texts.get(tag, [])]


def read(folder: Path) -> tuple[str, Page]:
    path = write(folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


KINDS = {
    "whole": {},
    "first trial": {"stop": "sample", "n_sample": 1},
    "sampling": {"stop": "sample"},
    "ranked": {"stop": "rank"},
    "top": {"stop": "top"},
    "no random": {"n_random": 0},
    "some failed": {"failed": {2: "out of memory", 25: "NaN loss", 29: "no"}},
    "regression": {"task": "regression"},
    "all failed": {"stop": "sample", "failed": dict.fromkeys(range(24), "build raised")},
    "one epoch": {"epochs": 1},
    "two samples": {"n_sample": 2, "n_top": 1, "n_random": 1},
    "constant": {"value": lambda space, X: 0.5 + 0.0 * X[:, 0], "noise": 0.0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_gives_a_sound_offline_page(
    kind: str, make_run: Callable[..., Path]
) -> None:
    folder = make_run(**KINDS[kind])
    text, page = read(folder)
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    # every reference is to this page or to data in the link
    for value in page.values("src", "href", "action", "srcset", "data"):
        assert value.startswith(("#", "data:text/csv")), value
    targets = [value[1:] for value in page.values("href") if value.startswith("#")]
    targets += re.findall(r"url\(#([^)]*)\)", text)
    assert set(targets) <= set(ids)
    assert not re.search(r"url\((?!#)|@import|<(link|iframe|img|object|embed)\b", text)
    assert len(text) < 2_000_000
    assert not re.search(r"\b(nan|None|inf)\b", " ".join(page.words("main")))
    assert [p.name for p in folder.iterdir() if p.suffix in (".tmp", ".html")] == ["report.html"]


@pytest.mark.parametrize(
    ("stop", "unfinished"), [("sample", True), ("top", True), ("final", False)]
)
def test_an_unfinished_run_says_so(
    stop: str, unfinished: bool, make_run: Callable[..., Path]
) -> None:
    _, page = read(make_run(stop=stop))
    assert ("unfinished" in page.words("h1")[0]) == unfinished


def test_the_sections_come_in_order(make_run: Callable[..., Path]) -> None:
    _, page = read(make_run())
    assert page.words("h2") == [
        "The best network",
        "Is it really better?",
        "How good the predictions were",
        "What it costs",
        "How the search went",
        "What each decision contributes",
        "Ranking",
        "Failed trials",
        "What more trials would bring",
        "Where the time went",
        "What to try next",
        "How to repeat this",
    ]
    labels = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(labels) == 11
    assert all(one["role"] == "img" and len(one["aria-label"]) > 20 for one in labels)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("/home/a b/.venv/bin/foretell", "foretell run"),
        ("C:\\venv\\Scripts\\foretell.exe", "foretell run"),
        ("/x/site-packages/foretell/__main__.py", "python -m foretell run"),
        ("/home/me/search.py", "/home/me/search.py run"),
    ],
)
def test_the_command_is_said_as_one_types_it(
    make_run: Callable[..., Path], first: str, said: str
) -> None:
    _, page = read(make_run(settings={"command": [first, "run"]}))
    assert said in page.words("pre")


def test_all_failed_shows_every_reason(make_run: Callable[..., Path]) -> None:
    _, page = read(make_run(**KINDS["all failed"]))
    assert "No network could be trained: all 24 trials failed" in " ".join(page.words("header"))
    assert sum(word == "build raised" for word in page.words("td")) == 24


def test_user_text_stays_text(make_run: Callable[..., Path]) -> None:
    space = ft.Space.from_choices(
        {"<b>op</b>": ["<i>a</i>", "$x_1$", "b&c"], "n": [1, 2, 3]}, build=print, name=EVIL
    )
    folder = make_run(
        space=space,
        failed={1: EVIL},
        ranked=9,
        costs=lambda X: (X.sum(axis=1) + 1000, X.sum(axis=1) + 5000),
        settings={"command": ["foretell", EVIL], "name": EVIL},
        data={"name": EVIL, "labels": [EVIL, "二"], "digest": EVIL},
    )
    text = write(folder, space=space).read_text(encoding="utf-8")
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not {"i", "b"} & {tag for tag, _ in page.tags}
    assert "alert('x')" in " ".join(page.words("h1"))
    assert "<i>a</i>" in " ".join(page.words("svg"))  # the label of an option, not markup
    assert "$x_1$" in " ".join(page.words("svg"))


def test_a_space_that_cannot_be_loaded_is_told_as_a_table(make_run: Callable[..., Path]) -> None:
    space = ft.Space.from_choices({"depth": [1, 2, 3], "op": ["a", "b"]}, build=print)
    changes = {"space": space, "spec": "gone.py:Space", "ranked": 6}
    folder = make_run(**changes, costs=lambda X: (X.sum(axis=1) + 10, X.sum(axis=1) + 50))
    _, page = read(folder)
    assert "no drawing" in " ".join(page.words("section"))
    assert "depth" in page.words("th")
    with_space = Page(write(folder, space=space).read_text())
    assert "no drawing" not in " ".join(with_space.words("section"))


def test_another_space_under_the_same_name_is_not_trusted(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    settings = json.loads((folder / "run.json").read_text())
    settings["space"]["size"] = 7
    (folder / "run.json").write_text(json.dumps(settings))
    _, page = read(folder)
    assert "not the space it was" in " ".join(page.words("section"))


def test_a_thousand_trials_stay_small_and_quick(make_run: Callable[..., Path]) -> None:
    folder = make_run(n_sample=900, n_top=50, n_random=50, ranked=1500, epochs=30)
    start = time.process_time()
    path = write(folder)
    assert time.process_time() - start < 5
    assert path.stat().st_size < 2_000_000
    Page(path.read_text())


def test_the_same_folder_gives_the_same_bytes_in_any_process(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    first = write(folder).read_bytes()
    code = (
        "import sys, matplotlib\n"
        "from pathlib import Path\n"
        "matplotlib.rcParams['font.size'] = 31\n"
        "from foretell.report import write\n"
        "write(Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams['font.size'] == 31\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=environment)
    assert (folder / "report.html").read_bytes() == first


def test_matplotlib_is_left_as_it_was(make_run: Callable[..., Path]) -> None:
    before = {k: v for k, v in matplotlib.rcParams.items() if k != "backend"}
    write(make_run())
    assert {k: v for k, v in matplotlib.rcParams.items() if k != "backend"} == before


def test_the_ranking_has_fifty_rows_and_marks_what_was_trained(
    make_run: Callable[..., Path],
) -> None:
    _, page = read(make_run())
    rows = [attrs for tag, attrs in page.tags if tag == "td" and attrs.get("class") == "number"]
    assert len([one for one in rows if "data-value" in one]) == 5 * 50
    badges = [text for text in page.words("span") if text in ("winner", "trained")]
    assert badges.count("winner") == 1
    assert badges.count("trained") >= 4


def test_scores_that_are_no_accuracies_are_not_shown_in_percent(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run()
    lines = (folder / "ranking.csv").read_text().splitlines()
    head, rows = lines[0], [line.split(",") for line in lines[1:]]
    for i, row in enumerate(rows):
        row[1] = str(1000 - i)
        row[2] = ""
    (folder / "ranking.csv").write_text("\n".join([head, *map(",".join, rows)]))
    _, page = read(folder)
    assert {"1000", "999"} <= set(page.words("td"))


def test_the_method_says_what_was_done_and_no_more(make_run: Callable[..., Path]) -> None:
    default = write(make_run("default", n_sample=4, n_top=2, epochs=9)).read_text()
    assert "predictor auto, 4 sampled, 2 predicted best, 9 epochs each<" in default
    halving = {"kind": "asha", "eta": 3, "min_epochs": 1}
    run = make_run("halving", n_sample=4, n_top=2, epochs=9, settings={"halving": halving})
    assert "9 epochs at most, successive halving, one in 3 goes on<" in write(run).read_text()
    asha = {"name": "asha", "eta": 4, "min_epochs": 1}
    settings = {"strategy": asha, "halving": None, "top_k": 0}
    page = write(make_run("asha", n_sample=4, n_top=0, epochs=9, settings=settings)).read_text()
    assert ">asha, 4 sampled, 9 epochs at most, successive halving, one in 4 goes on<" in page


def test_downloads_hold_all_rows(make_run: Callable[..., Path]) -> None:
    _, page = read(make_run(n_sample=90))
    links = {a["download"]: a["href"] for tag, a in page.tags if tag == "a" and "download" in a}
    head, *lines = unquote(links["trials.csv"].partition(",")[2]).splitlines()
    assert head.startswith("id,phase,arch,ok,error,params,flops,seconds,val_acc")
    assert len(lines) == 90 + 5 + 5
    assert {"predicted.csv", "cost-params.csv", "progress.csv", "curves.csv"} <= set(links)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda f: (f / "run.json").unlink(), "no run.json"),
        (lambda f: (f / "run.json").write_text("{"), "cannot read"),
        (lambda f: (f / "run.json").write_text('{"format": 999}'), "format"),
        (lambda f: (f / "trials.jsonl").write_text("oops\n{}\n"), "line 1 is not an event"),
    ],
)
def test_what_is_no_run_is_an_error_in_words(
    break_it: Callable[[Path], object], words: str, make_run: Callable[..., Path]
) -> None:
    folder = make_run()
    break_it(folder)
    with pytest.raises(RunError, match=words):
        write(folder)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        write(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("table", "column"), [("ranking", "arch"), ("predictions", "measured")])
def test_a_table_without_a_column_that_it_has_to_have_is_left_out_and_said(
    table: str, column: str, make_run: Callable[..., Path]
) -> None:
    folder = make_run()
    path = folder / f"{table}.csv"
    path.write_text(path.read_text().replace(column, "x", 1))
    _, page = read(folder)
    assert [
        w for w in page.words("p") if f"{table}.csv was left out: it has no column {column}" in w
    ]


def test_a_ranking_that_cannot_be_read_is_left_out_and_said(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run()
    text = (folder / "ranking.csv").read_text()
    (folder / "ranking.csv").write_text(text + "half a line,0.5\n")
    _, page = read(folder)
    (said,) = [words for words in page.words("p") if "ranking.csv was left out: " in words]
    assert str(folder) not in said


def test_a_torn_last_line_is_no_fault(make_run: Callable[..., Path]) -> None:
    folder = make_run(stop="sample")
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"event": "trial", "id": 99, "ph')
    text, _ = read(folder)
    assert "#99" not in text


def test_odd_values_in_the_journal_do_not_stop_the_report(make_run: Callable[..., Path]) -> None:
    folder = make_run(stop="top")
    odd = {"event": "trial", "id": 60, "phase": "sample", "arch": "?", "x": ["a"], "status": "ok"}
    odd |= {"metrics": {"val_acc": None}, "curve": {"val_acc": None}, "seconds": None}
    odd |= {"params": None, "flops": "many"}
    with (folder / "trials.jsonl").open("a") as file:
        file.write(json.dumps(odd) + "\n")
    _, page = read(folder)
    assert "no finite val_acc" in page.words("td")


OWN = """
import foretell as ft
from torch import nn


class Small(ft.Space):
    depth = ft.choice([1, 2, 3])
    width = ft.choice([8, 16, 32], repeat="depth")
    drop = ft.choice([0.0, 0.1])

    def build(self, x, input_shape, n_outputs):
        a = self.decode(x)
        layers, size = [nn.Flatten()], 64
        for width in a["width"]:
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        return nn.Sequential(*layers, nn.Dropout(a["drop"]), nn.Linear(size, n_outputs))
"""


def test_a_real_run_of_an_own_space(tmp_path: Path) -> None:
    (tmp_path / "my_space.py").write_text(OWN)
    nas = ft.NAS(
        space=f"{tmp_path / 'my_space.py'}:Small",
        n_train=5,
        top_k=1,
        epochs=2,
        workers=0,
        predictor="rf",
        compare_random=True,
        out=tmp_path / "run",
    )
    nas.fit("digits")
    assert nas.report_ == tmp_path / "run" / "report.html"
    first = nas.report_.read_text(encoding="utf-8")
    page = Page(first)
    assert page.words("h1") == ["digits · Small"]
    assert "unfinished" not in first
    assert {"depth", "width", "drop"} <= {word.partition("=")[0] for word in page.words("text")}
    assert "best/" in " ".join(page.words("code")) or "run/best" in page.words("code")
    assert f"{100 * nas.best_metrics_['val_acc']:.1f} %" in page.words("strong")
    assert f"{100 * nas.best_metrics_['test_acc']:.1f} %" in page.words("strong")
    own = load(f"{tmp_path / 'my_space.py'}:Small")
    assert write(tmp_path / "run", own).read_text(encoding="utf-8") == first
    assert "never run" in read(tmp_path / "run")[0], "nobody has named the file this time"


def test_many_decisions_are_folded(make_run: Callable[..., Path]) -> None:
    _, few = read(make_run("few"))
    _, many = read(make_run("many", space=ft.spaces.get("mobile"), spec="mobile"))
    assert few.words("caption") == ["Its decisions"]
    assert any(re.match(r"Its \d+ decisions", text) for text in many.words("summary"))
    assert "Its decisions" not in many.words("caption")


def test_each_section_stands_once() -> None:
    names = [name for name, _, _ in SECTIONS]
    titles = [title for _, title, _ in SECTIONS]
    assert len(set(names)) == len(names)
    assert len(set(titles)) == len(titles)
