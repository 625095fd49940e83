from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import RunError
from foretell.runs.events import KINDS, Ask, Final, Stop, Trial
from foretell.runs.journal import Journal, read

EVENT = {
    "event": "trial", "id": 3, "x": [1, 2], "error": "", "seed": 1, "seconds": 0.5,
    "metrics": {}, "curve": {},
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trials.jsonl"


def written(path, *events):
    with Journal(path) as journal:
        for event in events:
            journal.append(event)
    return path.read_bytes()


def test_events_come_back_in_order(path):
    events = [{**EVENT, "id": i} for i in range(5)]
    written(path, *events)
    assert read(path) == events
    with Journal(path) as journal:
        assert journal.events == events
        assert [trial.id for trial in journal.of(Trial)] == list(range(5))
        assert journal.of(Ask) == []


def test_every_kind_of_event_is_written_and_read_back(path):
    events = [
        {"event": "ask", "phase": "sample", "ids": [3], "archs": ["a"]},
        {"event": "cost", "name": "latency_ms", "archs": ["a"], "values": [1.5], "spreads": [0.1]},
        {**EVENT, "event": "rung", "epochs": 1},
        EVENT,
        {"event": "rank", "chosen": "rf", "note": ""},
        {"event": "stop", "reason": "60 s are used up"},
        {"event": "final", "id": 3, "metrics": {}, "random": None},
        {"event": "session", "wall_s": 1.5, "phases": {"train": 1.0}},
        {"event": "cell", "error": ""},
    ]
    assert {event["event"] for event in events} == set(KINDS)
    written(path, *events)
    with Journal(path) as journal:
        assert journal.events == events


def test_the_journal_of_format_1_is_read_and_written_on(path):
    path.write_bytes((Path(__file__).parent / "data" / "format1" / "trials.jsonl").read_bytes())
    with Journal(path) as journal:
        assert [trial.id for trial in journal.of(Trial)] == [1, 2, 3, 0, 4, 5]
        assert journal.of(Final)[0].id == 5
        journal.append(Stop("enough"))
    assert len(read(path)) == 11


def test_each_event_is_on_disk_when_append_returns(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(path.read_bytes()), real(fd)))
    with Journal(path) as journal:
        journal.append(EVENT)
        assert synced[-1] == path.read_bytes()
        assert json.loads(path.read_text()) == EVENT


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_cut_off_and_said(path, cut):
    whole = written(path, EVENT)
    torn = whole + json.dumps({**EVENT, "id": 4}).encode()[:cut]
    path.write_bytes(torn)
    assert read(path) == [EVENT]
    assert path.read_bytes() == torn, "reading changes nothing"
    with Journal(path) as journal:
        assert journal.events == [EVENT]
        assert f"{cut} bytes" in journal.note
        journal.append({**EVENT, "id": 5})
    assert [event["id"] for event in read(path)] == [3, 5]


def test_a_whole_event_without_its_newline_is_kept(path):
    path.write_bytes(written(path, EVENT)[:-1])
    with Journal(path) as journal:
        assert journal.events == [EVENT]
        assert journal.note == ""
        journal.append({**EVENT, "id": 4})
    assert [event["id"] for event in read(path)] == [3, 4]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[1]",
        b'{"event": "dance"}',
        b"\x00\xff",
        b"null",
        b'{"event": "trial"}',
        b'{"event": []}',
        b'{"event": "ask", "phase": "top", "ids": 3, "archs": []}',
        b'{"event": "rung", "id": 1, "epochs": 1}',
        b'{"event": "cost", "name": "latency_ms", "archs": ["a"], "values": [1.0]}',
        b'{"event": "stop"}',
        b'{"event": "session", "wall_s": 1.0}',
    ],
)
def test_any_other_bad_line_is_an_error_that_has_its_number(path, line):
    good = written(path, EVENT)
    path.write_bytes(good + line + b"\n" + good)
    with pytest.raises(RunError, match="line 2"):
        Journal(path)
    if b"event" not in line or b"dance" in line:  # a report can do with less
        with pytest.raises(RunError, match="line 2"):
            read(path)
    assert path.read_bytes() == good + line + b"\n" + good, "nothing is thrown away"


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_a_run_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "trials.jsonl"
    path.write_bytes(data)
    try:
        with Journal(path) as journal:
            journal.append(EVENT)
    except RunError:
        return
    assert read(path)[-1] == EVENT


def test_numbers_that_json_lacks_become_null(path):
    event = {**EVENT, "metrics": {"a": float("nan")}, "curve": {"b": [np.inf, 1.5]}}
    found = json.loads(written(path, event), parse_constant=pytest.fail)
    assert (found["metrics"], found["curve"]) == ({"a": None}, {"b": [None, 1.5]})
    with Journal(path) as journal:
        (trial,) = journal.of(Trial)
    assert np.isnan(trial.result.metrics["a"])
    assert np.isnan(trial.result.curve["b"][0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "3"}, r'trial is damaged at id: expected a whole number, got "3"'),
        ({"metrics": {"a": "high"}}, r"metrics.a: expected a number"),
        ({"curve": {"a": [1, [2]]}}, r"curve.a\[1\]"),
        ({"seed": 10**400}, r"seed: expected a whole number, got 1000"),
        ({"seconds": None}, r"seconds: expected a number, got nothing"),
    ],
)
def test_an_event_of_wrong_values_is_named_with_its_field(path, change, says):
    path.write_text(json.dumps(EVENT) + "\n" + json.dumps({**EVENT, **change}) + "\n")
    with pytest.raises(RunError, match=rf"line 2 .*{says}"):
        Journal(path)


def test_a_full_disk_is_an_error_and_leaves_no_half_line(path, monkeypatch):
    before = written(path, EVENT)
    with Journal(path) as journal:
        real = journal._file

        class Full:
            def write(self, data):
                real.write(data[:7])
                raise OSError(errno.ENOSPC, "No space left on device")

            def __getattr__(self, name):
                return getattr(real, name)

        monkeypatch.setattr(journal, "_file", Full())
        with pytest.raises(RunError, match="No space left"):
            journal.append(EVENT)
        monkeypatch.undo()
        assert path.read_bytes() == before
        journal.append(EVENT)
    assert read(path) == [EVENT, EVENT]


def test_a_disk_that_is_really_full_loses_nothing(tiny_disk):
    path = tiny_disk.path / "trials.jsonl"
    with Journal(path) as journal:
        journal.append(EVENT)
        tiny_disk.fill()
        large = {**EVENT, "curve": {"a": [1.5] * 5000}}  # more than what the last page has left
        with pytest.raises(RunError, match=r"No space left.*finished trials are kept"):
            journal.append(large)
        assert read(path) == [EVENT]
        tiny_disk.free()
        journal.append(large)
    assert read(path) == [EVENT, large]


def test_a_journal_on_a_read_only_disk_can_be_read_alone(tiny_disk):
    path = tiny_disk.path / "trials.jsonl"
    written(path, EVENT)
    tiny_disk.read_only()
    assert read(path) == [EVENT]
    with pytest.raises(RunError, match=r"cannot open .*Read-only file system"):
        Journal(path)


def test_a_file_that_cannot_be_cut_back_has_a_torn_last_line(path, monkeypatch):
    """The disk went read-only in the middle of a line: the next run cuts it off."""
    with Journal(path) as journal:
        journal.append(EVENT)
        real = journal._file

        class Gone:
            def write(self, data):
                real.write(data[:7])
                raise OSError(errno.EROFS, "Read-only file system")

            def truncate(self, size):
                raise OSError(errno.EROFS, "Read-only file system")

            def __getattr__(self, name):
                return getattr(real, name)

        monkeypatch.setattr(journal, "_file", Gone())
        with pytest.raises(RunError, match="Read-only file system"):
            journal.append(EVENT)
    with Journal(path) as journal:
        assert journal.events == [EVENT]
        assert "7 bytes" in journal.note


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RunError, match="No such file"):
        Journal(tmp_path / "no" / "trials.jsonl")
    with pytest.raises(RunError, match="cannot read"):
        read(tmp_path / "trials.jsonl")
