"""trials.csv and curves.csv, read with Python's own reader."""

from __future__ import annotations

import csv

from foretell.trackers.csv import CSV


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_line_a_trial_and_one_an_epoch(tmp_path, tracked):
    tracked(lambda: CSV(tmp_path))
    whole, failed, stopped = read(tmp_path / "trials.csv")
    assert whole["id"] == "0"
    assert float(whole["value"]) == float(whole["val_acc"]) == 0.75
    assert float(whole["latency_ms"]) == 2.5
    assert (whole["choice_depth"], whole["choice_op_0"], whole["choice_op_1"]) == ("1", "skip", "")
    assert (failed["error"], failed["value"], failed["params"]) == (
        "RuntimeError: no memory", "", "",
    )  # fmt: skip
    assert (stopped["stopped"], stopped["epochs"], stopped["choice_op_1"]) == ("True", "2", "skip")
    curves = read(tmp_path / "curves.csv")
    found = [(line["id"], line["epoch"], line["val_acc"]) for line in curves]
    assert found[:3] == [("0", "1", "0.25"), ("0", "2", ""), ("0", "3", "0.75")]
    assert found[3:] == [("2", "1", "0.125"), ("2", "2", "0.5")]


def test_continued_at_any_event_gives_the_same_files(tmp_path, tracked, journal):
    tracked(lambda: CSV(tmp_path))
    whole = (tmp_path / "trials.csv").read_bytes(), (tmp_path / "curves.csv").read_bytes()
    for at in range(len(journal) + 1):
        tracked(lambda: CSV(tmp_path), live_from=at)
        assert whole == (
            (tmp_path / "trials.csv").read_bytes(),
            (tmp_path / "curves.csv").read_bytes(),
        )


def test_a_run_that_has_just_begun_has_empty_tables(tmp_path, space):
    CSV(tmp_path).begin({}, space, "val_acc", [])
    assert (tmp_path / "trials.csv").read_text() == "id\n"
    assert (tmp_path / "curves.csv").read_text() == "id,epoch\n"
