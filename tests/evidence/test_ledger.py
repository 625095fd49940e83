"""The ledger: each question is computed once, whatever happens to who computes it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from foretell.errors import DataError, RunError
from foretell.evidence import current
from foretell.evidence import ledger as opened
from foretell.evidence.ledger import Answer, Ledger


class Squares:
    def __init__(self, seconds=0.0):
        self.seconds, self.asked, self.blocks = seconds, [], []

    def __call__(self, rows):
        time.sleep(self.seconds)
        self.asked += rows
        self.blocks.append(len(rows))
        return [Answer((float(row) ** 2, row / 3), 0.25) for row in rows]


def test_known_rows_are_not_asked(tmp_path):
    compute = Squares()
    for rows in ([3, 1], [1, 2, 3, 2], [2]):
        got = Ledger(tmp_path).ask("squares", {"what": "squares"}, rows, compute)
        assert {row: one.values for row, one in got.items()} == {r: (r**2, r / 3) for r in rows}
    assert compute.asked == [3, 1, 2]
    assert Ledger(tmp_path).seconds == 0.75
    (spent,) = Ledger(tmp_path).spent
    assert (spent.answers, spent.failed, spent.about) == (3, 0, {"what": "squares"})


def test_books_are_apart(tmp_path):
    ledger, compute = Ledger(tmp_path), Squares()
    ledger.ask("one", {}, [1], compute)
    ledger.ask("other", {}, [1, 2], compute)
    assert compute.asked == [1, 1, 2]
    assert [one.answers for one in ledger.spent] == [2, 1]  # the dearest first
    assert ledger.known("one", [1, 2]).keys() == {1}


def test_blocks(tmp_path):
    compute = Squares()
    Ledger(tmp_path).ask("squares", {}, list(range(10)), compute, block=4)
    assert compute.blocks == [4, 4, 2]


def test_failures_are_kept_and_asked_again_only_where_asked_to(tmp_path):
    ledger, broken = Ledger(tmp_path), [True]

    def compute(rows):
        return [Answer((math.nan,), 1.0, "broken") if broken else Answer((r,), 2.0) for r in rows]

    for _ in range(2):
        (answer,) = ledger.ask("b", {}, [5], compute).values()
        assert answer.reason == "broken"
        assert math.isnan(answer.values[0])
    assert ledger.spent[0].failed == 1
    broken.clear()
    assert ledger.ask("b", {}, [5], compute)[5].reason == "broken"
    assert ledger.ask("b", {}, [5], compute, again=True)[5] == Answer((5.0,), 2.0)
    assert Ledger(tmp_path).ask("b", {}, [5], compute)[5] == Answer((5.0,), 2.0)


def test_values_come_back_to_the_bit(tmp_path):
    values = (0.1 + 0.2, 1e-310, -1.7e308, math.pi)
    Ledger(tmp_path).ask("b", {}, [2**64 - 1], lambda rows: [Answer(values, 0.0)])
    assert Ledger(tmp_path).known("b", [2**64 - 1])[2**64 - 1].values == values


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_cut_off_and_asked_again(tmp_path, cut):
    compute = Squares()
    Ledger(tmp_path).ask("b", {}, [1, 2], compute)
    file = tmp_path / "b.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    ledger = Ledger(tmp_path)
    assert ledger.known("b", [1, 2]).keys() == {1}
    assert ledger.ask("b", {}, [1, 2, 3], compute).keys() == {1, 2, 3}
    assert compute.asked == [1, 2, 2, 3]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("row", "about")[-1] for line in lines] == ["t", "1", "2", "3"]


def test_a_line_that_is_no_answer_is_named(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"about":{}}\n{"row": 5}\n')
    with pytest.raises(DataError, match=r"b\.jsonl has a line that is no answer"):
        Ledger(tmp_path).ask("b", {}, [1], Squares())


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"the ledger of evidence in .* cannot be used"):
        Ledger(tmp_path / "file").ask("b", {}, [1], Squares())


def test_a_folder_that_is_removed_is_begun_anew(tmp_path):
    import shutil

    ledger, compute = Ledger(tmp_path / "e"), Squares()
    ledger.ask("b", {}, [1], compute)
    shutil.rmtree(tmp_path / "e")
    ledger.ask("b", {}, [1, 2], compute)
    assert compute.asked == [1, 1, 2]
    assert Ledger(tmp_path / "e").known("b", [1, 2]).keys() == {1, 2}


def test_threads_share_the_work(tmp_path):
    """Also through ledgers that are not the same object."""
    compute, gate = Squares(0.01), threading.Barrier(4)

    def work(i):
        gate.wait()
        return Ledger(tmp_path).ask("b", {}, [*range(i, 20), *range(i)], compute)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, (0, 0, 10, 10)))
    assert sorted(compute.asked) == list(range(20))
    assert all(len(got) == 20 for got in results)


def test_an_error_lets_go_of_the_question(tmp_path):
    def broken(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ledger(tmp_path).ask("b", {}, [1], broken)
    assert Ledger(tmp_path).ask("b", {}, [1], Squares())[1].values[0] == 1.0


WORKER = """
import os, pathlib, sys, time
from foretell.evidence.ledger import Answer, Ledger
folder, begun, done, seconds, first, others = sys.argv[1:]
pathlib.Path(f"{begun}-{os.getpid()}").touch()
while len(list(pathlib.Path(begun).parent.glob("begun-*"))) < int(others):
    time.sleep(0.001)
def compute(rows):
    open(begun, "a").write(f"{os.getpid()} {rows[0]}\\n")
    time.sleep(float(seconds))
    open(done, "a").write(f"{rows[0]}\\n")
    return [Answer((float(row),), 1.0) for row in rows]
rows = [(int(first) + i) % 30 for i in range(30)]
got = Ledger(folder).ask("b", {}, rows, compute)
assert [got[row].values[0] for row in rows] == rows
"""


def worker(tmp_path: Path, seconds: float, first: int = 0, others: int = 1) -> Any:
    files = (tmp_path / "e", tmp_path / "begun", tmp_path / "done")
    args = [*map(str, files), str(seconds), str(first), str(others)]
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORKER), *args])


def lines(file: Path) -> list[str]:
    return file.read_text().split("\n")[:-1] if file.exists() else []


@pytest.mark.parametrize("start", [0, 15])
def test_two_processes_share_the_work(tmp_path, start):
    """Each is computed once, by one of them, whether they begin at the same row or not."""
    both = [worker(tmp_path, 0.02, first, others=2) for first in (0, start)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert sorted(map(int, lines(tmp_path / "done"))) == list(range(30))
    assert len({line.split()[0] for line in lines(tmp_path / "begun")}) == 2


def test_a_killed_process_loses_what_it_was_at_and_nothing_else(tmp_path):
    """Another that waits for its row computes it then."""
    first = worker(tmp_path, 0.1)
    while len(lines(tmp_path / "begun")) < 5:
        time.sleep(0.005)
    second = worker(tmp_path, 0.0)
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    assert second.wait(60) == 0
    begun = [line.split() for line in lines(tmp_path / "begun")]
    assert sorted(map(int, lines(tmp_path / "done"))) == list(range(30))
    assert len(begun) == 31  # the one that was killed half-way
    assert len(Ledger(tmp_path / "e").known("b", range(30))) == 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_process_has_none_of_the_claims_of_its_parent(tmp_path):
    ledger, compute = Ledger(tmp_path), Squares()

    def inside(rows):
        child = os.fork()
        if not child:  # the parent has row 1: row 2 is free
            time.sleep(0.0)
            ledger.ask("b", {}, [2], compute)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        return compute(rows)

    ledger.ask("b", {}, [1], inside)
    ledger.ask("b", {}, [1, 2], compute)
    assert compute.asked == [1]
    assert ledger.spent[0].answers == 2


@pytest.mark.parametrize("name", ["b.jsonl", ".lock"])
def test_a_link_is_not_written_through_and_a_pipe_blocks_nobody(name, tmp_path):
    mine = tmp_path / "thesis.txt"
    mine.write_text("precious, and no newline")
    for folder, make in (("link", mine.symlink_to), ("pipe", None)):
        place = tmp_path / folder / name
        place.parent.mkdir()
        place.symlink_to(mine) if make else os.mkfifo(place)
        with pytest.raises(RunError, match=r"is a link|is no file"):
            Ledger(place.parent).ask("b", {}, [1], Squares())
    assert mine.read_text() == "precious, and no newline"


def test_which_ledger_is_open(tmp_path):
    session = current()
    assert session.folder.is_dir()
    with opened(tmp_path / "a") as a:
        assert current() is a
        with opened(tmp_path / "b") as b:
            assert current() is b
        assert current() is a
        with ThreadPoolExecutor(1) as pool:  # threads are not told of contexts
            assert pool.submit(current).result() is a
    assert current() is session
    assert current(tmp_path) is not session
    assert current(tmp_path / "not there") is session
