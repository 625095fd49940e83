from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import RunError
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
        assert journal.of("trial") == events
        assert journal.of("ask") == []


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
    text = written(path, {**EVENT, "metrics": {"a": float("nan"), "b": [np.inf, 1.5]}})
    assert json.loads(text, parse_constant=pytest.fail)["metrics"] == {"a": None, "b": [None, 1.5]}


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


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RunError, match="No such file"):
        Journal(tmp_path / "no" / "trials.jsonl")
    with pytest.raises(RunError, match="cannot read"):
        read(tmp_path / "trials.jsonl")
