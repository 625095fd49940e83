"""What reaches a terminal, and what Ctrl-C does."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from rich.console import Console

from foretell import _console as console

NASTY = "ok\x1b]0;title\x07\x1b[2J\x9b31m\rcat\u202e.png"

INTERRUPTED = """
import signal, sys, time
from foretell import _console

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
with _console.live() as live:
    try:
        print("in work", flush=True)
        time.sleep(60)
    finally:
        print("ends", flush=True)
        time.sleep(float(sys.argv[1]))
        print("ended", flush=True)
"""


def test_no_name_speaks_to_the_terminal(monkeypatch):
    wrote = io.StringIO()
    terminal = Console(file=wrote, force_terminal=True, highlight=False, soft_wrap=True, width=200)
    monkeypatch.setattr(console, "err", terminal)
    monkeypatch.setattr(sys, "stderr", wrote)
    with redirect_stdout(wrote):
        console.show_table((NASTY, "b"), [(NASTY, 1)])
        console.show(NASTY)
        console.show_json({NASTY: NASTY})
    plain = wrote.getvalue()
    console.say(NASTY)
    console.Live().update(NASTY, final=True)
    console.fail(NASTY)
    own = wrote.getvalue()[len(plain) :].replace("\x1b[1;31m", "").replace("\x1b[0m", "")
    own = own.replace("\r", "", 1)  # the line of progress begins with it
    assert plain.count("\\x1b[2J") == 3
    assert own.count("\\x1b[2J") == 3
    for text in (plain, own):
        assert not [c for c in text if not (c.isprintable() or c == "\n")]


@pytest.mark.parametrize(("signals", "said"), [(1, "ended"), (2, "stopped at once")])
def test_ctrl_c_ends_in_one_line_and_a_second_one_at_once(signals, said):
    command = [sys.executable, "-c", INTERRUPTED, "0.5" if signals == 1 else "60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in ("in work\n", "ends\n")[:signals]:
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said in out + errors
    assert "Traceback" not in errors
    assert errors.count("error:") == 1
