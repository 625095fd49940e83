"""Figures say what their numbers say; the numbers are what the run says."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

import foretell as ft
from foretell.report.bars import baselines, time_spent
from foretell.report.display import Display, chart, table_csv
from foretell.report.effects import effects, main_effects
from foretell.report.lines import curves, losses
from foretell.report.marks import below, bounded, floor, legend
from foretell.report.reading import Run, read
from foretell.report.scatter import COSTS, over_cost, predicted_measured, progress
from foretell.runs.bounds import same_unit

SVG = "{http://www.w3.org/2000/svg}"
MakeRun = Callable[..., Path]


def group(display: Display, name: str) -> ElementTree.Element:
    root = ElementTree.fromstring(display.svg())
    found = root.findall(f".//{SVG}g[@id='{display.name}-{name}']")
    assert len(found) == 1
    return found[0]


def marks(display: Display, name: str) -> np.ndarray:
    """Where the marks of one line are, (n, 2) in pixels."""
    uses = group(display, name).iter(f"{SVG}use")
    return np.array([(float(use.attrib["x"]), float(use.attrib["y"])) for use in uses])


def assert_linear(pixels: np.ndarray, values: np.ndarray, sign: int) -> None:
    """Pixels are a linear map of the values, rising for sign 1 and falling for -1."""
    slope, offset = np.polyfit(values, pixels, 1)
    assert slope * sign > 0
    np.testing.assert_allclose(slope * values + offset, pixels, atol=0.02)


def test_predictions_are_drawn_where_the_frame_says(make_run: MakeRun) -> None:
    display = predicted_measured(read(make_run(failed={4: "x"})))
    assert display is not None
    frame = display.frame()
    phase = np.array(frame["phase"])
    at, x, y = [], [], []
    for key, n in (("sample", 23), ("top", 5)):
        points = marks(display, f"points-{key}")
        assert len(points) == n == (phase == key).sum()
        at.append(points)
        x.append(frame["predicted"][phase == key])
        y.append(frame["measured"][phase == key])
    pixels, x, y = np.concatenate(at), np.concatenate(x), np.concatenate(y)
    assert_linear(pixels[:, 0], x, 1)
    assert_linear(pixels[:, 1], y, -1)


def ticks(display: Display, side: str) -> list[float]:
    """The numbers beside an axis, each once."""
    texts = [t.text or "" for t in group(display, f"matplotlib.axis_{side}").iter(f"{SVG}text")]
    known = [text for text in texts if re.fullmatch(r"[-\u2212]?\d+(\.\d+)?", text)]
    assert len(known) == len(set(known)) > 1
    return [float(text.replace("\u2212", "-")) for text in known]


def texts(display: Display) -> list[str]:
    return [t.text or "" for t in ElementTree.fromstring(display.svg()).iter(f"{SVG}text")]


def predicted_as(folder: Path, change: Callable[[float], float]) -> Run:
    """The run with other predictions."""
    path = folder / "predictions.csv"
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    at = head.index("predicted")
    for row in rows:
        row[at] = str(change(float(row[at])))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return read(folder)


def test_a_share_is_said_in_percent_on_both_axes(make_run: MakeRun) -> None:
    display = predicted_measured(predicted_as(make_run(), lambda v: v + 0.15))
    assert display is not None
    assert 0.9 < np.max(display.frame()["predicted"]) < 1  # said to be more than 100 %
    assert {"predicted, %", "measured validation accuracy, %"} <= set(texts(display))
    assert 90 <= max(ticks(display, "1")) <= 100
    assert 50 < min(ticks(display, "2")) < max(ticks(display, "2")) <= 100


def test_scores_are_no_percent_but_what_was_measured_is(make_run: MakeRun) -> None:
    run = predicted_as(make_run(), lambda v: 40 * v - 7)
    display = predicted_measured(run)
    assert display is not None
    assert {"predicted score", "measured validation accuracy, %"} <= set(texts(display))
    assert max(ticks(display, "1")) > 10
    assert 50 < min(ticks(display, "2")) < max(ticks(display, "2")) <= 100
    titles = [t.text for t in group(display, "points-top").iter(f"{SVG}title")]
    assert titles == [f"#{t.id}: {run.metric.show(t.value)}" for t in run.of("top")]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_ticks_of_a_narrow_axis_tell_values_apart(make_run: MakeRun, task: str) -> None:
    def narrow(space: ft.Space, X: np.ndarray) -> np.ndarray:
        return 0.97 + 1e-4 * X.sum(axis=1)

    run = read(make_run(value=narrow, noise=1e-5, task=task))
    made = [predicted_measured(run), progress(run), over_cost(run, "params")]
    for display in made:
        assert display is not None
        shown = np.array(ticks(display, "2")) / (100 if task == "classification" else 1)
        assert 0.97 <= shown.min() < shown.max() <= 0.973


def test_tau_of_the_caption_is_that_of_the_frame(make_run: MakeRun) -> None:
    display = predicted_measured(read(make_run()))
    assert display is not None
    frame = display.frame()
    for key, label in (("sample", "24 sampled"), ("top", "5 predicted best")):
        part = np.array(frame["phase"]) == key
        tau = stats.kendalltau(frame["predicted"][part], frame["measured"][part]).statistic
        assert f"{tau:.2f} over the {label}" in display.caption


def test_tool_tips_name_the_trial_and_its_value(make_run: MakeRun) -> None:
    run = read(make_run())
    display = predicted_measured(run)
    assert display is not None
    titles = [t.text for t in group(display, "points-top").iter(f"{SVG}title")]
    top = [t for t in run.trials if t.phase == "top"]
    assert titles == [f"#{t.id}: {t.value * 100:.1f} %" for t in top]


@pytest.mark.parametrize("cost", COSTS)
def test_costs_are_drawn_where_the_frame_says(cost: str, make_run: MakeRun) -> None:
    run = read(make_run())
    display = over_cost(run, cost)
    assert display is not None
    frame = display.frame()
    assert len(frame["id"]) == len(run.ok) == 34
    inside = np.array(frame["phase"]) == "sample"
    pixels = marks(display, "points-sample")
    x = frame[cost][inside]
    many = frame[cost].max() > 8 * frame[cost].min()
    assert_linear(pixels[:, 0], np.log(x) if many else x, 1)
    assert_linear(pixels[:, 1], frame["val_acc"][inside], -1)
    # the star is where the winner is
    won = run.winner
    assert won is not None
    star = marks(display, "winner")
    top = marks(display, f"points-{won.phase}")
    ids = np.array(frame["id"])[np.array(frame["phase"]) == won.phase]
    np.testing.assert_allclose(star, top[ids == won.id], atol=0.02)


def test_progress_is_the_running_best_of_search_and_of_random(make_run: MakeRun) -> None:
    run = read(make_run(failed={0: "x"}))
    display = progress(run)
    assert display is not None
    frame = {name: np.array(column) for name, column in display.frame().items()}
    for who, phases in (("search", ("sample", "top")), ("random", ("sample", "random"))):
        part = frame["search"] == who
        trials = [t for t in run.ok if t.phase in phases]
        assert frame["id"][part].tolist() == [t.id for t in trials]
        best = [max(t.value for t in trials[: i + 1]) for i in range(len(trials))]
        np.testing.assert_allclose(frame["best_so_far"][part], best)
        assert frame["networks"][part].tolist() == list(range(1, len(trials) + 1))
        path = group(display, f"best-{who}").find(f"{SVG}path")
        assert path is not None
        heights = [float(v) for v in re.findall(r"[ML] \S+ (\S+)", path.attrib["d"])]
        assert heights == sorted(heights, reverse=True)  # up is less in SVG


def test_curves_are_drawn_as_the_frame_says(make_run: MakeRun) -> None:
    run = read(make_run())
    display = curves(run)
    assert display is not None
    frame = {name: np.array(column) for name, column in display.frame().items()}
    assert len(set(frame["id"])) == 8
    best = sorted(run.ok, key=lambda t: -t.value)[:8]
    assert {t.id for t in best} == set(frame["id"].tolist())
    for trial in best:
        part = frame["id"] == trial.id
        assert frame["val_acc"][part].tolist() == trial.curve["val_acc"]
        path = group(display, f"curve-{trial.id}").find(f"{SVG}path")
        assert path is not None
        at = np.array(re.findall(r"[ML] (\S+) (\S+)", path.attrib["d"]), dtype=float)
        assert_linear(at[:, 0], frame["epoch"][part], 1)
        assert_linear(at[:, 1], frame["val_acc"][part], -1)


def test_losses_are_the_winners(make_run: MakeRun) -> None:
    run = read(make_run())
    display = losses(run)
    assert display is not None
    assert run.winner is not None
    frame = display.frame()
    assert list(frame["val_loss"]) == run.winner.curve["val_loss"]
    assert set(frame) == {"epoch", "train_loss", "val_loss"}


def test_baselines_are_sorted_and_said(make_run: MakeRun) -> None:
    display = baselines(read(make_run()))
    assert display is not None
    frame = display.frame()
    assert frame["predictor"][-1] == "auto"
    assert list(frame["kendall_mean"]) == sorted(frame["kendall_mean"])
    assert {f"{tau:.2f}" for tau in frame["kendall_mean"]} <= set(texts(display))


def test_time_adds_up(make_run: MakeRun) -> None:
    run = read(make_run())
    display = time_spent(run)
    assert display is not None
    spent = float(np.sum(display.frame()["seconds"]))
    assert spent == pytest.approx(sum(t.seconds for t in run.trials) + 1.9 + 0.8)


def test_main_effects_agree_with_a_slow_count(make_run: MakeRun) -> None:
    run = read(make_run(n_sample=40, failed={3: "x"}))
    found = main_effects(run)
    assert found is not None
    assert run.space is not None
    trials = [t for t in run.ok if t.phase != "top"]
    column = {one.name: j for j, one in enumerate(run.space.choices)}
    for i, (name, option) in enumerate(zip(found.decision, found.option, strict=True)):
        j = column[name]
        k = [str(o) for o in run.space.choices[j].options].index(option)
        values = [t.value for t in trials if t.x[j] == k]
        assert found.n[i] == len(values)
        if len(values) > 1:
            low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
            assert found.mean[i] == pytest.approx(np.mean(values))
            assert found.half[i] == pytest.approx((high - low) / 2)
    shares = {n: found.share[np.array(found.decision) == n].sum() for n in column}
    assert all(total == pytest.approx(1) for total in shares.values())


def test_explained_variance_agrees_with_the_f_test(make_run: MakeRun) -> None:
    run = read(make_run(n_sample=60))
    found = main_effects(run)
    assert found is not None
    assert run.space is not None
    trials = [t for t in run.ok if t.phase != "top"]
    for j, one in enumerate(run.space.choices):
        groups = [[t.value for t in trials if t.x[j] == k] for k in range(len(one.options))]
        groups = [values for values in groups if values]
        f = stats.f_oneway(*groups).statistic
        k, n = len(groups), len(trials)
        expected = max(0.0, (k - 1) * (f - 1) / ((k - 1) * f + n - k))
        line = found.decision.index(one.name)
        assert found.explained[line] == pytest.approx(expected)
    firsts = [found.explained[found.decision.index(n)] for n in dict.fromkeys(found.decision)]
    assert firsts == sorted(firsts, reverse=True)


def test_a_decision_that_does_nothing_explains_nothing_on_average(make_run: MakeRun) -> None:
    def only_the_first(space: object, X: np.ndarray) -> np.ndarray:
        return 0.5 + 0.1 * X[:, 0]

    run = read(make_run(n_sample=200, value=only_the_first, noise=0.001))
    found = main_effects(run)
    assert found is not None
    assert found.decision[0] == "edge_0_1"
    assert found.explained[0] > 0.95
    assert found.explained[found.explained < 0.95].max() < 0.1


def test_equal_networks_tell_no_decision_from_another(make_run: MakeRun) -> None:
    def always(space: object, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), 0.9333333333333333)

    run = read(make_run(n_sample=6, value=always, noise=0.0))
    assert main_effects(run) is None
    assert effects(run) is None


def test_effects_are_drawn_as_the_frame_says(make_run: MakeRun) -> None:
    display = effects(read(make_run()))
    assert display is not None
    frame = display.frame()
    n, mean = np.array(frame["n"]), np.array(frame["mean_val_acc"])
    many = marks(display, "means")
    assert_linear(many[:, 0], mean[n > 2], 1)
    assert len(marks(display, "means-few")) == ((n > 0) & (n < 3)).sum() > 0


def test_nothing_to_show_is_none(make_run: MakeRun) -> None:
    run = read(make_run(stop="sample", failed=dict.fromkeys(range(24), "x")))
    made: list[Callable[[Run], Display | None]]
    made = [predicted_measured, progress, curves, losses, baselines, effects]
    assert [figure(run) for figure in made] == [None] * len(made)
    assert all(over_cost(run, cost) is None for cost in COSTS)
    assert time_spent(run) is not None  # failures cost time too


def test_failures_far_below_do_not_flatten_the_rest() -> None:
    values = np.array([0.1, 0.9, 0.91, 0.92, 0.93, 0.94])
    assert floor(values) == 0.9
    drawn = bounded(values)
    assert 0.89 < drawn[0] < 0.9
    assert drawn[1:].tolist() == values[1:].tolist()
    assert below(values) == " 1 far below lies on the lower edge, out of scale."
    assert below(values[1:]) == ""


def test_units_of_predictions() -> None:
    measured = np.array([0.8, 0.9, 0.95])
    assert same_unit(np.array([0.82, 0.9, 0.7]), measured)
    assert not same_unit(np.array([-3.0, 0.0, 7.0]), measured)


def test_a_chart_has_ids_of_its_own_and_falls_back_to_its_colours() -> None:
    def draw(canvas: object) -> None:
        canvas.subplots().plot([0, 1], [1, 2])

    one, two = chart("one", "a < b", draw), chart("two", "b", draw)
    root = ElementTree.fromstring(one)
    assert root.attrib["aria-label"] == "a < b"
    ids = {e.attrib["id"] for e in root.iter() if "id" in e.attrib}
    assert all(name.startswith("one-") for name in ids)
    assert not ids & {
        e.attrib["id"] for e in ElementTree.fromstring(two).iter() if "id" in e.attrib
    }
    assert "var(--grid, #dde2ea)" in one
    assert "DejaVu" not in one


def test_csv_holds_commas_and_nothing_for_nan() -> None:
    text = table_csv({"a": ["x,y", 'q"'], "b": np.array([np.nan, 1e-9])})
    assert text == 'a,b\r\n"x,y",\r\n"q""",1e-09\r\n'


def test_no_cell_of_a_csv_is_a_formula() -> None:
    bad = ["=cmd()", "+1", "-1", "@a", "\t=a"]
    text = table_csv({"=name": bad, "value": [-0.5, -1, 2.0, 3.0, float("nan")]})
    rows = list(csv.reader(text.splitlines()))
    assert [row[0] for row in rows] == ["'=name", *(f"'{one}" for one in bad)]
    assert [row[1] for row in rows] == ["value", "-0.5", "-1", "2", "3", ""]


@pytest.mark.parametrize(
    "labels", [("a", "b"), ("none", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip"), "xyz"]
)
def test_no_legend_is_wider_than_its_figure(labels):
    canvas = Figure(figsize=(380 / 72, 250 / 72), layout="constrained")
    ax = canvas.subplots()
    for label in labels:
        ax.plot([0, 1], [0, 1], label=label)
    legend(canvas)
    canvas.canvas.draw()
    assert canvas.legends[0].get_window_extent().width <= 1.02 * canvas.bbox.width
